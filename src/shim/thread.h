/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a launching thread owns: where it is in a launch, its open record chunks, its caches, its
 * counters.
 *
 * One struct a thread, from a pool that is never unmapped. The thread writes, without atomics'
 * cost; the tracker reads counters at leisure (relaxed). A thread that never launched points at a
 * constant empty sentinel, so the hot path has no "initialised?" test beyond one compare that it
 * needs anyway.
 */
#ifndef LITHOS_SHIM_THREAD_H
#define LITHOS_SHIM_THREAD_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/stats_file.h"
#include "shim/cuda_api.h"

#define MAX_CONTEXTS       32u
#define KERNEL_CACHE_SLOTS 256u

struct context;
struct record_chunk;
struct exec;
struct share_view;
struct split_edit;

struct thread_state {
	/* The launch the thread is in, set by the launch hooks, read by the descriptor hook. */
	uint64_t stream_key; /* 0 = the launch came by another way */
	CUfunction func;     /* as the program names it in that launch; NULL = not known */
	struct exec *exec;   /* the executable graph being uploaded or launched, or NULL */
	int is_spare;        /* shared by threads without a state of their own: takes no records */

	/* Last context of a descriptor; valid while generation matches contexts_generation. */
	CUcontext cached_handle;
	struct context *cached_context;
	uint32_t cached_generation;

	/* Last executable graph; valid while generation matches the table's. */
	CUgraphExec cached_exec_handle;
	struct exec *cached_exec;
	uint32_t cached_exec_generation;

	/*
	 * Launches begun, counted before the owner's activity is read (link/activity.c): the only
	 * field that is written with a full barrier. NULL: no view of the board and grant yet.
	 */
	_Atomic uint64_t nr_begun;
	struct share_view *view;

	/*
	 * What predict_of() was last asked about; the descriptor hook of that launch takes it
	 * instead of looking it up again. func NULL: nothing.
	 */
	struct {
		CUfunction func;
		uint32_t slot;
		uint32_t width; /* TPCs that predicted_ns is for */
		uint64_t predicted_ns;
	} asked;

	/*
	 * An owner's launch that share_ask() lets have what is lent beside its own TPCs. Taken by
	 * that launch's descriptor; whatever was not asked about runs on the owner's own.
	 */
	uint32_t may_borrow;

	/* Hashes of the launches that the program made in this thread: all, and those before the
	 * latest. */
	uint64_t path, launch_path;

	/* Of the launch that the dispatcher is in (shim/split/): what to make of it, or NULL;
	 * why. */
	struct split_edit *split;
	uint32_t way_reason; /* as in the statistics, 0 = nothing to say */
	uint32_t block_us;
	uint32_t epoch_is_late; /* raised, not yet on the GPU (split/epoch.h) */

	uint32_t kernel_generation;
	struct {
		CUfunction func;
		uint32_t row;
	} kernel_cache[KERNEL_CACHE_SLOTS];

	struct record_chunk *chunk[MAX_CONTEXTS]; /* open chunk by context index, or NULL */

	_Atomic uint64_t counter[STATS_NR_COUNTERS]; /* single writer: the thread */
	struct thread_state *next_free;              /* pool list, under the pool's lock */
};

/* The calling thread's state; never NULL. Allocation fails softly: a shared spare is used then. */
struct thread_state *thread_self(void);

/* Adds one to a counter of `t`, which is the calling thread's: one writer, so load and store
 * suffice. */
static inline void thread_count_in(struct thread_state *t, enum stats_counter counter)
{
	uint64_t n = atomic_load_explicit(&t->counter[counter], memory_order_relaxed);

	atomic_store_explicit(&t->counter[counter], n + 1, memory_order_relaxed);
}

/* Adds one to a counter of the calling thread. */
void thread_count(enum stats_counter counter);

/* Sum of a counter over all threads, those that ended included. Any thread; may lag by a few. */
uint64_t thread_total(enum stats_counter counter);

/* Launches begun by all threads; sees each that began before in the order of its barrier. */
uint64_t thread_total_begun(void);

/* Called in the child of a fork: the other threads are gone, and so is the lock's owner. */
void thread_after_fork(void);

#endif
