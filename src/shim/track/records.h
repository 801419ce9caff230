/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completion records: 16 bytes that the GPU writes when a grid has finished.
 *
 * Glossary
 *   record  {payload, 0, timestamp}: written by the descriptor's release 1 (hw/qmd.h)
 *   chunk   64 records and what the host must remember of their launches; owned by one thread
 *           while open
 *   pool    the chunks of one context, in host memory that is registered with that context
 *
 * Life of a chunk: FREE -> OPEN (taken by a thread, which arms records one after the other) ->
 * CLOSED (full, or its thread ended or moved on) -> FREE (by the tracker, when every armed record
 * was read). A launch never waits: without a free chunk it goes without a record, and is counted.
 *
 * The pool's memory is mapped by us and only registered with the driver, so the tracker may read it
 * also after the context was destroyed.
 */
#ifndef LITHOS_SHIM_TRACK_RECORDS_H
#define LITHOS_SHIM_TRACK_RECORDS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/clock_sync.h"

#define CHUNK_RECORDS 64u
#define POOL_CHUNKS   1024u
#define POOL_NODES    32768u /* records of graph nodes, which live as long as their graph */
#define POOL_MARKS    512u   /* graph launches whose end is awaited */

struct record {
	_Atomic uint32_t payload; /* written by the GPU after, or together with, the timestamp */
	uint32_t zero;
	_Atomic uint64_t timestamp_ns; /* the GPU's clock */
};

_Static_assert(sizeof(struct record) == 16, "the hardware writes four words");

#define NOTE_SLOT_BITS  14
#define NOTE_MOST_SLOT  ((1u << NOTE_SLOT_BITS) - 1)
#define NOTE_64THS_BITS 17
#define NOTE_MOST_64THS ((1u << NOTE_64THS_BITS) - 1)

struct launch_note {
	uint64_t submitted_ns; /* CLOCK_MONOTONIC */
	uint64_t stream_key;
	uint32_t kernel; /* row of the kernel table */
	/* Not the first launch of its kernel: its time counts, it does not. */
	uint32_t is_part : 1;
	/* The kernel takes so many 64ths of an atom's time; 0 = no atom. */
	uint32_t whole_64ths : NOTE_64THS_BITS;
	/* The rest only in a process that shares its GPU (shim/link/share.h); else 0. */
	uint32_t slot : NOTE_SLOT_BITS; /* of the predictor, + 1; 0 = none */
	uint32_t charged_ns;            /* predicted, as charged to the bound */
	uint8_t ticket;                 /* of the charge; 0 = none */
	uint8_t own_tpcs;               /* TPCs it was allowed */
	uint8_t borrowed_tpcs;
	uint8_t run; /* of a split launch (shim/split/arena.h), + 1; 0 = none */
};

_Static_assert(sizeof(struct launch_note) == 32, "half a cache line");

/* A place of the predictor's table, or PREDICT_NO_SLOT. */
static inline void note_set_slot(struct launch_note *note, uint32_t slot)
{
	note->slot = (slot + 1) & NOTE_MOST_SLOT;
}

/* What the kernel takes of which a launch took so long: atoms are alike. */
static inline uint64_t note_whole_ns(const struct launch_note *note, uint64_t duration_ns)
{
	return note->whole_64ths ? duration_ns * note->whole_64ths / 64 : duration_ns;
}

enum chunk_state {
	CHUNK_FREE,
	CHUNK_OPEN,
	CHUNK_CLOSED
};

struct record_chunk {
	_Alignas(64) _Atomic uint32_t nr_armed; /* by the owner thread; release, after the note */
	uint32_t generation;                    /* payload of this life's records; never 0 */
	uint32_t epoch;                         /* of the pool when it was opened */
	uint64_t device_base;                   /* GPU address of record 0 */
	struct record *record;                  /* [CHUNK_RECORDS], in the registered memory */
	struct launch_note note[CHUNK_RECORDS];
	_Atomic uint32_t *state; /* enum chunk_state, in the pool's compact array */
	uint64_t read_mask;      /* tracker's: records already read */
};

/* A graph launch behind which its stream writes `payload` into the mark's record. */
struct record_mark {
	_Atomic uint32_t state; /* enum chunk_state; CLOSED = awaited */
	uint32_t payload;
	struct launch_note note;
};

struct record_pool {
	struct record *memory; /* chunk records, then node records, then marks */
	uint64_t device_address;
	_Atomic uint32_t
		epoch; /* bumped when the context goes: older chunks take no more launches */
	struct record_chunk *chunk;          /* [POOL_CHUNKS] */
	_Atomic uint32_t state[POOL_CHUNKS]; /* apart from the chunks: the tracker reads them all */
	_Atomic uint32_t hint;               /* where to look for a free chunk */
	_Atomic uint8_t node_taken[POOL_NODES];
	_Atomic uint32_t node_hint;
	struct record_mark mark[POOL_MARKS];
	_Atomic uint32_t nr_marks; /* taken; may be one off for a moment */
	uint32_t marks_epoch;      /* of the pool when the tracker last looked */
	uint64_t nr_lost;          /* records of gone contexts that were never written; tracker's */
	struct clock_sync sync;    /* the GPU's clock against ours; tracker's */
};

/* Maps the pool's memory; -ENOMEM. The caller registers `memory` and sets device_address. */
int record_pool_init(struct record_pool *pool);
uint64_t record_pool_bytes(void);

void record_pool_free(struct record_pool *pool);

/*
 * The context is gone: what was not written never will be. The memory stays for the slot's next
 * context, whose registration sets device_address anew.
 */
void record_pool_retire(struct record_pool *pool);

/* An open chunk for the calling thread, or NULL when all are in use. */
struct record_chunk *chunk_open(struct record_pool *pool);

/* Gives up an open chunk; its armed records are still read. Owner thread only. */
void chunk_close(struct record_chunk *chunk);

/* 1 when the next launch can use the chunk: it has room, and its context is still the pool's. */
static inline int chunk_is_usable(const struct record_chunk *chunk, const struct record_pool *pool)
{
	return atomic_load_explicit(&chunk->nr_armed, memory_order_relaxed) < CHUNK_RECORDS &&
	       chunk->epoch == atomic_load_explicit(&pool->epoch, memory_order_relaxed);
}

/*
 * Notes one launch in the next record of an open chunk that is not full; returns the GPU address to
 * release to, with payload chunk->generation. Owner thread only.
 */
static inline uint64_t chunk_arm(struct record_chunk *chunk, const struct launch_note *note)
{
	uint32_t i = atomic_load_explicit(&chunk->nr_armed, memory_order_relaxed);

	chunk->note[i] = *note;
	/* pairs with the acquire in chunk_collect(): the note before its number */
	atomic_store_explicit(&chunk->nr_armed, i + 1, memory_order_release);
	return chunk->device_base + i * sizeof(struct record);
}

/* A record for a graph node; -ENOSPC when all are taken. Any thread. */
int record_node_take(struct record_pool *pool, uint32_t *ret_index);
void record_node_give(struct record_pool *pool, uint32_t index);

/*
 * A mark for a graph launch about to be followed by its write: the address to write to and what;
 * the mark's number, or -ENOSPC when all are taken. Any thread.
 */
int record_mark_take(struct record_pool *pool, struct record_mark **ret_mark,
		     uint64_t *ret_address);

/* The write is on its way: the tracker looks for it. Or it is not, and the mark is free again. */
void record_mark_await(struct record_mark *mark, const struct launch_note *note);
void record_mark_give(struct record_pool *pool, struct record_mark *mark);

/* A mark was found written (is_lost: its context went first). */
typedef void (*mark_read_fn)(const struct launch_note *note, int is_lost);

/* Looks at all marks; returns how many are still awaited. Tracker thread only. */
uint32_t record_marks_collect(struct record_pool *pool, mark_read_fn read);

/*
 * One record that was read: its launch and its end on the GPU's clock; 0 = its context went before
 * it was written.
 */
typedef void (*record_read_fn)(void *pool, const struct launch_note *note, uint64_t end_ns);

/*
 * Reads what has completed in every chunk, oldest first, and frees chunks that are done. Returns
 * how many records are still outstanding. Tracker thread only.
 */
uint32_t record_pool_collect(struct record_pool *pool, record_read_fn read);

#endif
