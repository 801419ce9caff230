/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process as one of several on a GPU: what it may use at this moment, and what it says of
 * itself.
 *
 * Glossary
 *   own        TPCs of the tenant's quota
 *   lendable   TPCs of the grant's borrow set whose owner is idle and whose timers say free
 *   borrowed   a launch that may run on TPCs not its own
 *   bound      predicted borrowed work that may be outstanding in the process
 *
 * Everything is decided here, in the process, from shared memory (include/lithos/shm.h): no message
 * and no system call per launch. Without a daemon (share_is_on() == 0) nothing of this is used and
 * launches go as in docs/design.md.
 */
#ifndef LITHOS_SHIM_SHARE_H
#define LITHOS_SHIM_SHARE_H

#include <stdint.h>

#include <lithos/tpcset.h>

#include "shim/cuda_api.h"

struct device;
struct exec;
struct thread_state;

enum share_verdict {
	SHARE_GO = 0,         /* give it to the driver now */
	SHARE_HOLD_BOUND = 1, /* enough borrowed work is outstanding */
	SHARE_HOLD_TPCS = 2,  /* no TPC may be used now */
};

/* What is about to be launched. */
struct share_request {
	uint64_t predicted_ns;      /* 0 = unknown: counts as a whole bound */
	const struct tpcset *fixed; /* the mask it was uploaded with (graphs), or NULL */
	uint32_t min_tpcs;          /* a gang needs so many at once; 0 = any */
	uint64_t held_since_ns;     /* when it was first held back; 0 = now */
	uint32_t is_revocable; /* leaves the GPU when an owner returns: the bound is not for it */
};

/* 1 when the process is attached to a daemon, or was and keeps its last grant. */
int share_is_on(void);

/*
 * 1 when launches may have to be held back: it is the tenant's turn to borrow, or it has no TPC of
 * its own. Changes with every grant; two loads.
 */
int share_may_hold(void);

/* 1 when the process shares and owns nothing: it may use what is lent. */
int share_is_best_effort(void);

/* 1 when an owner may come back for what this process borrows now. Best effort only. */
int share_must_yield(void);

/*
 * May this go to the driver now? Any thread, no lock. Decides only; the descriptor hook accounts.
 * Never says HOLD for ever: after the hold limits (share.c) a gang or graph goes.
 */
enum share_verdict share_ask(const struct device *device, const struct share_request *request);

/* Predicted time of the borrowed work that is outstanding and has not run yet; UINT64_MAX:
 * unknown. */
uint64_t share_remaining_ns(uint64_t now_ns);

/* Launches of borrowed work that have not been seen to end; UINT32_MAX: unknown. */
uint32_t share_nr_outstanding(void);

/* Ends the share_wait() of another thread. */
void share_wake(void);

/*
 * The TPCs a grid may use, at the moment its descriptor is written. Never empty. *ret_is_borrowed:
 * not only own ones.
 */
void share_mask(const struct device *device, struct tpcset *ret_allowed, uint32_t *ret_is_borrowed);

/*
 * The program launches something (kernel or graph), held back or not: from here on the owner's TPCs
 * are avoided by borrowers. About 10 ns when already active. Behind the driver's call:
 * epoch_write().
 */
void share_launching(struct thread_state *t);

/*
 * The same before the driver is called, for what will come to the descriptor hook, which calls
 * share_launching(): without its barrier, so it may miss that the process has just become idle.
 */
void share_launching_soon(struct thread_state *t);

/*
 * A graph goes to the driver: share_graph_launching() before the driver's call, whatever comes of
 * it share_graph_launched() after it. The second makes the stream write a mark behind the graph, so
 * that its end is seen; not for streams that capture (there the first alone must not be called
 * either). `exec` as exec_of() gave it, or NULL; is_per_thread: the _ptsz call. Only while
 * share_is_on().
 */
void share_graph_launching(struct thread_state *t);
void share_graph_launched(struct exec *exec, CUstream stream, int is_per_thread, CUresult result);

/* A launch failed with this; published for `lithos status`. */
void share_failed(CUresult result);

/*
 * The priority to give the driver for a stream of the current context for which the program asked
 * `asked` (0 for cuStreamCreate). Owners one level above what was asked for, best effort the
 * lowest, others as asked. Lower numbers are higher priorities, as in CUDA.
 */
int share_stream_priority(int asked);

/* What a program that asks for this has natively: the nearest that there is. */
int share_priority_in_range(int asked);

/* How many launches are held back; published for the daemon. */
void share_queued(uint64_t nr_queued);

/*
 * Waits until something that share_ask() depends on may have changed, at most timeout_ns. For the
 * dispatching thread; wakes early when borrowed work completed.
 */
void share_wait(uint64_t timeout_ns);

#endif
