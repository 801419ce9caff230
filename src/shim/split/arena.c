/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arena of split launches.
 *
 * Slots and reports lie in host memory that is mapped by us and registered with the context, so
 * that the tracker may read a report also when the context has gone. Words and the epoch lie in
 * device memory: read by every block, they would cost a trip over PCIe each from the host. The
 * epoch has an allocation of 2 MiB of its own, because an IPC handle gives away all of the memory
 * that its allocation lies in.
 *
 * Words are never cleared between works: the numbers of launches grow, so what earlier works left
 * behind is smaller than a work's first number. After 2^30 launches, about six days of a program
 * that claims two thousand kernels a second, the words are cleared and the numbers start again:
 * once no work is under way, for which no new one begins while the spare numbers are in use.
 *
 * Runs are taken in turn, so a slot rests as long as possible before it is used again. It is never
 * used again before the record of its launch was read.
 *
 * Tested by tests/integration/split.bats on the simulated GPU, and tests/unit/claim_numbers.c.
 */
#include "shim/split/arena.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/log.h"
#include "shim/tenant.h"
#include "shim/track/tracker.h"

#define SLOT_BYTES   ((size_t)64 * (ARENA_RUNS + 1))
#define REPORT_AT    16384u
#define DONE_AT      (REPORT_AT + 4096u)
#define CODE_AT      (DONE_AT + 4096u)
#define HOST_BYTES   (CODE_AT + ARENA_CODE_BYTES)
#define EPOCH_WORDS  (4 * PRELUDE_SLOT_BYTES / 4) /* in use */
#define EPOCH_BYTES  ((size_t)2 << 20)
#define LAST_NUMBER  0xfffffff0u
#define FIRST_NUMBER PRELUDE_NUMBER_STEP
#define SPARE        ((1u << 26) * PRELUDE_NUMBER_STEP)
#define WRITE_NS     5000000u

_Static_assert(SLOT_BYTES <= REPORT_AT, "slots before reports");
_Static_assert(ARENA_RUNS * 4 <= DONE_AT - REPORT_AT, "reports before the done word");
_Static_assert(ARENA_RUNS < 255, "a launch note has a byte for a run");

struct arena arena;

static char *host_memory; /* survives its context */

static int host_open(void)
{
	CUdeviceptr at = 0;

	if (!host_memory) {
		void *memory = mmap(NULL, HOST_BYTES, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED)
			return -ENOMEM;
		host_memory = memory;
	}
	if (tenant.ops.host_register(host_memory, HOST_BYTES, CU_MEMHOSTREGISTER_DEVICEMAP) ||
	    tenant.ops.host_device_pointer(&at, host_memory, 0))
		return -EIO;
	arena.slot = (struct prelude_slot *)(void *)host_memory;
	arena.slot_at = at;
	arena.report = (_Atomic uint32_t *)(void *)(host_memory + REPORT_AT);
	arena.report_at = at + REPORT_AT;
	arena.done = (_Atomic uint32_t *)(void *)(host_memory + DONE_AT);
	arena.done_at = at + DONE_AT;
	arena.code = (uint64_t *)(void *)(host_memory + CODE_AT);
	arena.code_at = at + CODE_AT;
	return 0;
}

static int epoch_make(void)
{
	const struct driver_ops *ops = &tenant.ops;
	int least = 0, greatest = 0;

	if (ops->priority_range(&least, &greatest) ||
	    ops->stream_create_with_priority(&arena.stream, CU_STREAM_NON_BLOCKING, greatest))
		return -EIO;
	if (ops->mem_alloc(&arena.epoch, EPOCH_BYTES))
		return -ENOMEM;
	if (ops->memset_d32_async(arena.epoch, 0, EPOCH_WORDS, arena.stream) ||
	    ops->stream_synchronize(arena.stream))
		return -EIO;
	return 0;
}

static void epoch_undo(void)
{
	if (arena.epoch)
		(void)tenant.ops.mem_free(arena.epoch);
	if (arena.stream)
		(void)tenant.ops.stream_destroy(arena.stream);
	arena.epoch = 0;
	arena.stream = NULL;
}

static void runs_make(void)
{
	for (uint32_t i = 0; i < ARENA_RUNS; i++)
		atomic_store_explicit(&arena.run_state[i], RUN_FREE, memory_order_relaxed);
	arena.slot[ARENA_RUNS] = (struct prelude_slot){.lo = 0, .count = 0};
	atomic_store_explicit(arena.done, arena.token, memory_order_relaxed);
	tracker_set_run_ended(arena_run_ended);
}

/* Waits for the stream of ours alone, and only when the context is made. */
static int words_make(void)
{
	if (tenant.ops.mem_alloc(&arena.words, (size_t)ARENA_WORDS * sizeof(uint32_t)))
		return -ENOMEM;
	if (tenant.ops.memset_d32_async(arena.words, 0, ARENA_WORDS, arena.stream) ||
	    tenant.ops.stream_synchronize(arena.stream))
		return -EIO;
	arena.number = FIRST_NUMBER;
	return 0;
}

/* What it has made when it fails goes with the context. */
static int rest_make(void)
{
	static struct log_site site;
	int err = host_open();

	if (!err)
		err = words_make();
	if (!err)
		err = prelude_open(
			&tenant.ops, arena.cc_major, arena.cc_minor, &arena.slot[ARENA_RUNS],
			arena.slot_at + (uint64_t)ARENA_RUNS * PRELUDE_SLOT_BYTES, &arena.prelude);
	if (!err)
		runs_make();
	else
		log_line(&site, LOG_INFO,
			 "msg=\"kernels are launched whole: no preludes\" errno=%d", -err);
	return err;
}

void arena_open(struct context *context, int cc_major, int cc_minor)
{
	static struct log_site site;

	if (arena.context)
		return;
	if (epoch_make()) {
		epoch_undo();
		log_line(&site, LOG_INFO, "msg=\"kernels are launched whole: no memory for it\"");
		return;
	}
	arena.cc_major = cc_major;
	arena.cc_minor = cc_minor;
	arena.context = context;
	arena.is_ready = rest_make() == 0;
	atomic_store_explicit(&arena.is_on, 1, memory_order_release);
}

void arena_close(const struct context *context)
{
	if (arena.context != context)
		return;
	/* Memory and stream go with the context. A second arena would need to know that no
	 * dispatcher is in this one: later contexts do without. */
	atomic_store_explicit(&arena.is_on, 0, memory_order_seq_cst);
}

uint32_t arena_take_run(void)
{
	for (uint32_t i = 0; i < ARENA_RUNS; i++) {
		uint32_t run = (arena.next_run + i) % ARENA_RUNS;
		/* acquire: pairs with the release in arena_run_ended() */
		if (atomic_load_explicit(&arena.run_state[run], memory_order_acquire) != RUN_FREE)
			continue;
		arena.next_run = (run + 1) % ARENA_RUNS;
		atomic_store_explicit(&arena.report[run], 0, memory_order_relaxed);
		atomic_store_explicit(&arena.is_joined[run], 0, memory_order_relaxed);
		atomic_store_explicit(&arena.run_state[run], RUN_TAKEN, memory_order_relaxed);
		return run;
	}
	return ARENA_RUNS;
}

void arena_give_run(uint32_t run)
{
	atomic_store_explicit(&arena.run_state[run], RUN_FREE, memory_order_release);
}

void arena_forget_run(uint32_t run)
{
	uint32_t expected = RUN_TAKEN;

	/* The record may have been read already. */
	if (!atomic_compare_exchange_strong_explicit(&arena.run_state[run], &expected, RUN_FORGET,
						     memory_order_acq_rel, memory_order_acquire))
		arena_give_run(run);
}

void arena_run_ended(uint32_t run)
{
	uint32_t expected = RUN_TAKEN;

	if (run >= ARENA_RUNS)
		return;
	/* release: the report, written before the record, is read by who sees the state */
	if (!atomic_compare_exchange_strong_explicit(&arena.run_state[run], &expected, RUN_ENDED,
						     memory_order_acq_rel, memory_order_acquire) &&
	    expected == RUN_FORGET)
		arena_give_run(run);
}

void arena_join_run(uint32_t run)
{
	atomic_store_explicit(&arena.is_joined[run], 1, memory_order_relaxed);
}

/* The dispatcher may have given the run back already, but takes it again after all others only. */
int arena_run_was_joined(uint32_t run)
{
	return run < ARENA_RUNS &&
	       atomic_load_explicit(&arena.is_joined[run], memory_order_relaxed);
}

uint64_t arena_fill_slot(uint32_t run, const struct prelude_slot *slot)
{
	arena.slot[run] = *slot;
	/* In memory before the driver rings for the launch. */
	__atomic_store_n(&arena.slot[run].run, slot->run, __ATOMIC_SEQ_CST);
	return arena.slot_at + (uint64_t)run * PRELUDE_SLOT_BYTES;
}

uint64_t arena_empty_slot(void)
{
	return arena.slot_at + (uint64_t)ARENA_RUNS * PRELUDE_SLOT_BYTES;
}

uint32_t arena_first_number(void)
{
	return arena.number < LAST_NUMBER - SPARE ? arena_next_number() : 0;
}

uint32_t arena_next_number(void)
{
	if (arena.number >= LAST_NUMBER)
		return 0;
	arena.number += PRELUDE_NUMBER_STEP;
	return arena.number;
}

/* The stream has come to the latest word that `done` is to tell of, and to all before it. */
static int has_come_to(uint32_t token)
{
	return (int32_t)(atomic_load_explicit(arena.done, memory_order_acquire) - token) >= 0;
}

/* The driver clears with a kernel, which may find no room for long. */
int arena_renumber(void)
{
	const struct driver_ops *ops = &tenant.ops;

	if (!arena.is_clearing) {
		if (ops->memset_d32_async(arena.words, 0, ARENA_WORDS, arena.stream) ||
		    ops->stream_write32(arena.stream, arena.done_at, ++arena.token, 0))
			return -EIO;
		arena.is_clearing = 1;
	}
	if (!has_come_to(arena.token))
		return -EAGAIN;
	arena.is_clearing = 0;
	arena.number = FIRST_NUMBER;
	return 0;
}

int arena_write(CUdeviceptr at, uint32_t value)
{
	uint32_t token = ++arena.token;
	uint64_t end = clock_now_ns() + WRITE_NS;

	/* The second write comes after the first for everybody: it implies a barrier. */
	if (tenant.ops.stream_write32(arena.stream, at, value, 0) ||
	    tenant.ops.stream_write32(arena.stream, arena.done_at, token, 0))
		return -EIO;
	/* An earlier write that was given up may still come in between. */
	while (!has_come_to(token)) {
		if (!time_before(clock_now_ns(), end))
			return -ETIMEDOUT;
		(void)sched_yield();
	}
	return 0;
}

void arena_after_fork(void)
{
	/* No CUDA call works in the child of a process that had started the driver. */
	atomic_store_explicit(&arena.is_on, 0, memory_order_relaxed);
}
