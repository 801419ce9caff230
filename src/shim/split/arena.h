/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What split launches need on the GPU: preludes, slots, words, and a stream of ours.
 *
 * Glossary
 *   run     one launch through a prelude: a slot, and the word that it reports to
 *   words   device memory, one word a block of each claimed launch (hw/prelude/prelude.h)
 *   extent  the words of one work
 *
 * One arena a process, for the first context on a shared GPU; launches of other contexts are whole.
 * Opened when that context is made, with all that is ever needed: what the driver may make wait for
 * the whole context (memory, modules, registering, freeing) can wait for ever once the program is
 * at work, as one of its streams may wait for the host, and the program for the dispatcher. Dropped
 * before the context is destroyed. The dispatcher takes and gives back runs and extents; the
 * tracker says when a run has ended. Nothing here is called on the launch path of a program that
 * launches whole.
 */
#ifndef LITHOS_SHIM_SPLIT_ARENA_H
#define LITHOS_SHIM_SPLIT_ARENA_H

#include <stdatomic.h>
#include <stdint.h>

#include "hw/prelude/prelude.h"
#include "shim/cuda_api.h"

#define ARENA_RUNS       240u /* of which a launch note names one in a byte */
#define ARENA_WORDS      (2u << 20)
#define ARENA_CODE_BYTES ((size_t)64 << 10)

struct context;

enum run_state {
	RUN_FREE,
	RUN_TAKEN,  /* its launch is being made, or is on the GPU */
	RUN_ENDED,  /* its record was read */
	RUN_FORGET, /* taken, and nobody waits for its end: free then */
};

struct arena {
	_Atomic uint32_t is_on; /* release, after context, stream and epoch */
	int is_ready;           /* the rest is there: launches may be split. Constant then. */
	struct context *context;
	struct prelude prelude;
	int cc_major, cc_minor;
	CUstream stream; /* of ours: highest priority, not blocking */
	/* Host memory that the GPU sees. */
	struct prelude_slot *slot; /* [ARENA_RUNS + 1]; the last one lets no block run */
	uint64_t slot_at;
	_Atomic uint32_t *report; /* [ARENA_RUNS] */
	uint64_t report_at;
	_Atomic uint32_t *done; /* what the stream has come to */
	uint64_t done_at;
	uint64_t *code;
	uint64_t code_at;
	/* Device memory. */
	CUdeviceptr epoch;                      /* the process' own epoch word; exported */
	CUdeviceptr words;                      /* [ARENA_WORDS] */
	_Atomic uint32_t run_state[ARENA_RUNS]; /* enum run_state */
	_Atomic uint8_t is_joined[ARENA_RUNS];  /* a helper took blocks of it */
	uint32_t next_run;
	uint32_t next_word;
	uint32_t number;      /* of the latest claimed launch */
	uint32_t token;       /* of the latest arena_write() */
	uint32_t is_clearing; /* its words; until `token` */
};

extern struct arena arena;

static inline int arena_is_on(void)
{
	/* pairs with the release in arena_open() */
	return (int)atomic_load_explicit(&arena.is_on, memory_order_acquire);
}

/* 1 when launches of this context may be split. */
static inline int arena_serves(const struct context *context)
{
	return arena_is_on() && arena.context == context;
}

/*
 * Opens the arena in the current context, once; what fails is logged once and everything is
 * launched whole. Under the contexts' lock.
 */
void arena_open(struct context *context, int cc_major, int cc_minor);

/* 1 when what splitting needs is there. Dispatcher. */
static inline int arena_is_ready(void)
{
	return arena_is_on() && arena.is_ready;
}

/* The context is about to go: no launch is split any more. Under the contexts' lock. */
void arena_close(const struct context *context);

/* A run whose slot nobody uses; ARENA_RUNS when all are in use. Dispatcher. */
uint32_t arena_take_run(void);
void arena_give_run(uint32_t run);

/* Its launch is on its way, and nobody asks for its end: free then. */
void arena_forget_run(uint32_t run);

/* The record of a run was read, or never will be. Tracker, under the contexts' lock. */
void arena_run_ended(uint32_t run);

/* Another launch does a part of it from here on. Dispatcher. */
void arena_join_run(uint32_t run);

/* 1 when the time that its launch took says nothing of its kernel. Tracker, when the record is
 * read. */
int arena_run_was_joined(uint32_t run);

/*
 * Writes a run's slot; the GPU may read it once its launch's descriptor is uploaded. Address of the
 * slot. `empty`: of the slot that lets no block run.
 */
uint64_t arena_fill_slot(uint32_t run, const struct prelude_slot *slot);
uint64_t arena_empty_slot(void);

/*
 * Numbers of claimed launches; 0 when they have run out. The first launch of a work leaves some to
 * those that go on with works: 2^26, of at most 32 works. Dispatcher.
 */
uint32_t arena_first_number(void);
uint32_t arena_next_number(void);

/*
 * Clears all words and starts the numbers again. No claimed launch may be under way, nor begin
 * until this has said 0. -EAGAIN not yet: again later; -EIO.
 */
int arena_renumber(void);

/* The arena's stream writes a word of device memory; then `done` says so. -EIO; waits up to 5 ms,
 * on a GPU some microseconds. */
int arena_write(CUdeviceptr at, uint32_t value);

void arena_after_fork(void);

#endif
