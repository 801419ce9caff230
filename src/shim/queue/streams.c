/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From arguments to lanes: which stream a handle means, and which held operations stand before a
 * call.
 *
 * Handles 0 and 1 are the NULL stream of the current context, in the per-thread forms of calls (and
 * as handle 2) the thread's own default stream, which no other thread can submit to. What is asked
 * of the driver about a stream (blocking or not, priority, context) is kept in its lane until the
 * stream is destroyed.
 *
 * Waiting looks its lane up again at each step, because lanes of events and graphs disappear when
 * they are empty. Tested by tests/unit/queue_order.c.
 */
#include "shim/queue/streams.h"

#include <stddef.h>

#include "shim/queue/driver.h"
#include "shim/queue/priority.h"

CUcontext current_context(void)
{
	CUcontext ctx = NULL;

	(void)queue_driver.ctx_current(&ctx);
	return ctx;
}

struct target target_of_stream(const void *handle, int is_per_thread_call)
{
	struct target target = {TARGET_ORDER, handle, current_context()};

	if (handle == (const void *)CU_STREAM_PER_THREAD || (!handle && is_per_thread_call))
		target.kind = TARGET_THREAD;
	else if (handle == (const void *)CU_STREAM_LEGACY)
		target.handle = NULL;
	return target;
}

static struct lane *find_stream(const struct target *target)
{
	if (target->handle)
		return lane_find_locked(LANE_STREAM, target->handle);
	return lane_find_locked(LANE_NULL, target->ctx);
}

static uint64_t lane_oldest(const struct lane *lane)
{
	return lane ? lane_oldest_locked(lane) : 0;
}

/* The older of two numbers, where 0 is none. */
static uint64_t older(uint64_t a, uint64_t b)
{
	if (!a || !b)
		return a ? a : b;
	return a < b ? a : b;
}

static uint64_t order_oldest(const struct target *target)
{
	const struct lane *lane = find_stream(target);
	uint64_t oldest = lane_oldest(lane);

	if (!target->handle) {
		const struct lane_group *group = group_get_locked(target->ctx);
		const struct op *op = group ? group->blocking.head : NULL;
		return older(oldest, op ? op->number : 0);
	}
	/* One that nobody asked the driver about is taken for blocking. */
	if (!lane)
		return lane_oldest(lane_find_locked(LANE_NULL, target->ctx));
	if (lane->is_blocking)
		oldest = older(oldest, lane_oldest(lane->group->null));
	return oldest;
}

uint64_t target_oldest_locked(const struct target *target)
{
	const struct lane *lane;

	switch (target->kind) {
	case TARGET_ORDER:
		return order_oldest(target);
	case TARGET_STREAM:
		return target->handle ? lane_oldest(find_stream(target)) : order_oldest(target);
	case TARGET_RECORD:
		lane = lane_find_locked(LANE_EVENT, target->handle);
		return lane ? lane->last_record : 0;
	case TARGET_EVENT:
		return lane_oldest(lane_find_locked(LANE_EVENT, target->handle));
	case TARGET_EXEC:
		return lane_oldest(lane_find_locked(LANE_EXEC, target->handle));
	case TARGET_THREAD:
		return lane_oldest(lane_find_locked(LANE_NULL, target->ctx));
	case TARGET_ALL:
	default:
		return queue.all.head ? queue.all.head->number : 0;
	}
}

void target_wait_locked(const struct target *target)
{
	uint64_t limit = queue.next_number;

	for (;;) {
		uint64_t oldest = target_oldest_locked(target);
		if (oldest == 0 || oldest >= limit)
			return;
		queue.nr_waiters++;
		(void)pthread_cond_wait(&queue.submitted, &queue.lock);
		queue.nr_waiters--;
	}
}

void target_wait(const struct target *target)
{
	(void)pthread_mutex_lock(&queue.lock);
	target_wait_locked(target);
	(void)pthread_mutex_unlock(&queue.lock);
}

static struct lane *null_lane_locked(CUcontext ctx)
{
	struct lane_group *group = group_get_locked(ctx);
	struct lane *lane = group ? lane_get_locked(LANE_NULL, ctx) : NULL;

	if (lane) {
		lane->group = group;
		group->null = lane;
	}
	return lane;
}

/* What the driver says of a stream. */
struct stream_facts {
	unsigned int flags;
	int priority;
	CUcontext ctx;
};

static int stream_ask(CUstream stream, struct stream_facts *ret_facts)
{
	if (queue_driver.stream_flags(stream, &ret_facts->flags) ||
	    queue_driver.stream_context(stream, &ret_facts->ctx))
		return -1;
	/* The program's own order among its streams. */
	if (!queue_driver.stream_priority(stream, &ret_facts->priority))
		ret_facts->priority = priority_told(stream, ret_facts->priority);
	return 0;
}

struct lane *stream_lane_locked(const struct target *target)
{
	struct lane *lane = target->handle ? find_stream(target) : NULL;
	struct stream_facts facts = {0};
	struct lane_group *group;
	int err;

	if (!target->ctx)
		return NULL;
	if (!target->handle)
		return null_lane_locked(target->ctx);
	if (lane)
		return lane;
	(void)pthread_mutex_unlock(&queue.lock);
	err = stream_ask((CUstream)(uintptr_t)target->handle, &facts);
	(void)pthread_mutex_lock(&queue.lock);
	group = err ? NULL : group_get_locked(facts.ctx);
	lane = group ? lane_get_locked(LANE_STREAM, target->handle) : NULL;
	if (lane && !lane->group) {
		lane->group = group;
		lane->priority = facts.priority;
		lane->is_blocking = !(facts.flags & CU_STREAM_NON_BLOCKING);
	}
	return lane;
}

int stream_is_captured(const void *handle, int is_per_thread_call)
{
	CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
	CUstream stream = (CUstream)(uintptr_t)handle;

	if (!handle && is_per_thread_call)
		stream = CU_STREAM_PER_THREAD;
	return queue_driver.stream_capturing(stream, &status) != CUDA_SUCCESS ||
	       status != CU_STREAM_CAPTURE_STATUS_NONE;
}
