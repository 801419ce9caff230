/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that gives held operations to the driver.
 */
#ifndef LITHOS_SHIM_QUEUE_DISPATCH_H
#define LITHOS_SHIM_QUEUE_DISPATCH_H

#include "shim/queue/ops.h"

/* 1 when operations can be held: the dispatcher runs, started now if need be. */
int dispatch_ready_locked(void);

/* An operation was appended: wakes the dispatcher if it sleeps. */
void dispatch_wake_locked(void);

/* Waits while as many operations are held as may be. */
void dispatch_room_slow_locked(void);

static inline void dispatch_room_locked(void)
{
	uint32_t state = atomic_load_explicit(&queue_state, memory_order_relaxed);

	if ((state & STATE_HELD) >= QUEUE_MAX_OPS)
		dispatch_room_slow_locked();
}

/* Everything goes, then the thread ends; gives up after a second. */
void dispatch_stop(void);

/* The error of a held call of the context that nobody was told yet; told now. */
CUresult dispatch_take_error(CUcontext ctx);

/*
 * For launches, the same where the context failed for good. Other errors are for calls that wait: a
 * launch that answered with one would not be made, and it did nothing wrong.
 */
CUresult dispatch_take_dead(CUcontext ctx);

/* For the option `hold`: seeds the delays that operations are held for. */
void dispatch_seed(uint64_t seed);

/* 1 when the calling thread is the dispatcher. */
int dispatch_is_self(void);

void dispatch_after_fork(void);

#endif
