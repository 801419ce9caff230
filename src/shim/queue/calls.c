/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call becomes while operations are held (calls.def).
 *
 * All but launches are handled without their C types: a call is its row, and its arguments as the
 * registers had them. A call is replayed by calling the same function with the same six registers,
 * so whatever takes only numbers and lives in a stream can be queued by one function. Memory behind
 * pointers is copied where the driver would have read it before it returned.
 *
 * A call of a stream in which nothing is held goes on to the driver itself: what is held in other
 * streams does not concern it.
 *
 * Tested by tests/unit/queue_order.c, and by tests/unit/queue_calls.c, which compares the table
 * with the driver's symbols.
 */
#include "shim/queue/calls.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "shim/queue/dispatch.h"
#include "shim/queue/driver.h"
#include "shim/queue/funcs.h"
#include "shim/queue/launch.h"
#include "shim/queue/ops.h"
#include "shim/queue/priority.h"
#include "shim/queue/streams.h"
#include "shim/queue/sure.h"
#include "shim/thread.h"

/* The driver copies so much pageable memory before an asynchronous copy returns. */
#define STAGED_BYTES (64u << 10)

#define NONE    ARG_NONE
#define DEFAULT ARG_DEFAULT
#define TYPED(name)
#define CALL(name, how, stream, other)                                                             \
	extern void *next_##name __attribute__((visibility("hidden")));                            \
	extern const char held_##name[] __attribute__((visibility("hidden")));
#include "calls.def"
#undef TYPED
#undef CALL

/* Typed rows after the others, whose places are those of their slots. */
const struct call_row call_rows[] = {
#define TYPED(name)
#define CALL(name, how, stream, other)                                                             \
	{#name, (void *)(uintptr_t)held_##name, &next_##name, CALL_##how, stream, other},
#include "calls.def"
#undef TYPED
#undef CALL
#define TYPED(name) {#name, (void *)queued_##name, NULL, CALL_TYPED, NONE, NONE},
#define CALL(name, how, stream, other)
#include "calls.def"
#undef TYPED
#undef CALL
};

#define NR_ROWS (sizeof(call_rows) / sizeof(call_rows[0]))

const uint32_t nr_call_rows = NR_ROWS;

extern void *next_first[] __attribute__((visibility("hidden")));

static uint8_t is_per_thread_row[NR_ROWS];
static _Atomic uint32_t events_are_shared;

/* One call on its way. */
struct call {
	const struct call_row *row;
	void *target;
	const uint64_t *registers, *stack;
	int is_per_thread;
	struct target stream; /* ORDER or THREAD; of calls with a stream */
	struct target other;  /* the event or graph, where `has_other` */
	int has_other;
	const void *data; /* memory to be copied and passed instead of argument `data_arg` */
	uint32_t data_bytes;
	int data_arg;
};

typedef CUresult (*function6)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

void calls_start(void)
{
	for (uint32_t i = 0; i < NR_ROWS; i++) {
		const char *name = call_rows[i].name;
		is_per_thread_row[i] = strstr(name, "_ptsz") || strstr(name, "_ptds");
	}
}

static uint64_t argument(const struct call *call, int number)
{
	return number < 6 ? call->registers[number] : call->stack[number - 6];
}

static const void *pointer_argument(const struct call *call, int number)
{
	return (const void *)(uintptr_t)argument(call, number);
}

static CUresult call_target(void *target, const uint64_t *args)
{
	return ((function6)target)(args[0], args[1], args[2], args[3], args[4], args[5]);
}

static uint64_t call_now(const struct call *call)
{
	return (uint32_t)call_target(call->target, call->registers);
}

/* --- queueing --------------------------------------------------------------------------------- */

static CUresult submit_call(struct op *op)
{
	return call_target(op->target, op->args);
}

static int is_held_locked(const struct call *call)
{
	/* Whether the NULL stream concerns it, the driver must have been asked. */
	if (call->row->stream != NONE && call->stream.kind == TARGET_ORDER)
		(void)stream_lane_locked(&call->stream);
	return (call->row->stream != NONE && target_oldest_locked(&call->stream)) ||
	       (call->has_other && target_oldest_locked(&call->other));
}

static int is_held(const struct call *call)
{
	int held;

	(void)pthread_mutex_lock(&queue.lock);
	held = is_held_locked(call);
	(void)pthread_mutex_unlock(&queue.lock);
	return held;
}

static uint64_t call_after(const struct call *call)
{
	(void)pthread_mutex_lock(&queue.lock);
	if (call->row->stream != NONE)
		target_wait_locked(&call->stream);
	if (call->has_other)
		target_wait_locked(&call->other);
	(void)pthread_mutex_unlock(&queue.lock);
	return CALL_DIRECT;
}

static struct lane *other_lane_locked(const struct call *call)
{
	enum lane_kind kind = call->other.kind == TARGET_EXEC ? LANE_EXEC : LANE_EVENT;

	return call->has_other ? lane_get_locked(kind, call->other.handle) : NULL;
}

static void op_fill(struct op *op, const struct call *call)
{
	op->ctx = call->stream.ctx;
	op->held_ns = clock_now_ns();
	op->submit = submit_call;
	op->target = call->target;
	memcpy(op->args, call->registers, sizeof(op->args));
	op->is_record = call->row->how == CALL_RECORD;
	op->is_last_of_lane = call->row->how == CALL_STREAM_DESTROY;
	if (call->data) {
		memcpy(op->payload, call->data, call->data_bytes);
		op->args[call->data_arg] = (uintptr_t)op->payload;
	}
}

/* 1 when the call was queued behind what is held. */
static int queue_locked(const struct call *call)
{
	struct lane *first = NULL, *second;
	struct op *op;

	if (call->row->stream != NONE) {
		first = stream_lane_locked(&call->stream);
		if (!first)
			return 0;
	}
	op = dispatch_ready_locked() ? op_new_locked(call->data_bytes) : NULL;
	if (!op)
		return 0;
	second = other_lane_locked(call);
	if (call->has_other && !second) {
		op_free_locked(op);
		return 0;
	}
	op->lane[0] = first ? first : second;
	op->lane[1] = first ? second : NULL;
	op_fill(op, call);
	thread_count(STATS_calls_queued);
	op_append_locked(op);
	dispatch_wake_locked();
	return 1;
}

static int is_sure(const struct call *call)
{
	return sure_of_call(&(struct sure_call){
		.row = call->row,
		.registers = call->registers,
		.stack = call->stack,
		.is_staged = call->data != NULL,
	});
}

static uint64_t call_queue(const struct call *call)
{
	int queued = 0, held;

	if (call->stream.kind == TARGET_THREAD)
		return call_after(call);
	if (!is_held(call))
		return CALL_DIRECT;
	if (!is_sure(call))
		return call_after(call);
	(void)pthread_mutex_lock(&queue.lock);
	dispatch_room_locked();
	held = is_held_locked(call);
	if (held)
		queued = queue_locked(call);
	(void)pthread_mutex_unlock(&queue.lock);
	if (queued)
		return CUDA_SUCCESS;
	return held ? call_after(call) : CALL_DIRECT;
}

/* --- copies ----------------------------------------------------------------------------------- */

static int is_pageable(const void *pointer)
{
	unsigned int type = 0;

	return queue_driver.pointer_attribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
					      (CUdeviceptr)(uintptr_t)pointer) != CUDA_SUCCESS;
}

/* A small pageable source is read now, as the driver does; a large one while the caller waits. */
static uint64_t queue_from_host(struct call *call, int at, uint64_t bytes)
{
	const void *from = pointer_argument(call, at);

	if (!is_pageable(from))
		return call_queue(call);
	if (bytes == 0 || bytes > STAGED_BYTES)
		return call_after(call);
	call->data = from;
	call->data_bytes = (uint32_t)bytes;
	call->data_arg = at;
	return call_queue(call);
}

static uint64_t call_copy(struct call *call)
{
	int at = call->row->other;

	if (!is_held(call))
		return CALL_DIRECT;
	switch (call->row->how) {
	case CALL_COPY_FROM_HOST:
		return queue_from_host(call, at, argument(call, at + 1));
	case CALL_COPY_TO_HOST:
		return is_pageable(pointer_argument(call, at)) ? call_after(call)
							       : call_queue(call);
	case CALL_COPY_ANY:
	default:
		if (is_pageable(pointer_argument(call, 0)))
			return call_after(call);
		return queue_from_host(call, 1, argument(call, 2));
	}
}

/* One side of a copy of rows: pageable when it is host memory, or unified and not known. */
static int side_is_pageable(CUmemorytype type, const void *host, CUdeviceptr device)
{
	if (type == CU_MEMORYTYPE_HOST)
		return is_pageable(host);
	if (type == CU_MEMORYTYPE_UNIFIED)
		return is_pageable((const void *)(uintptr_t)device);
	return 0;
}

#define SIDES_ARE_PAGEABLE(copy)                                                                   \
	(side_is_pageable((copy)->srcMemoryType, (copy)->srcHost, (copy)->srcDevice) ||            \
	 side_is_pageable((copy)->dstMemoryType, (copy)->dstHost, (copy)->dstDevice))

static int rows_are_pageable(const struct call *call)
{
	if (call->row->how == CALL_COPY_2D)
		return SIDES_ARE_PAGEABLE((const CUDA_MEMCPY2D *)call->data);
	if (call->row->how == CALL_COPY_3D)
		return SIDES_ARE_PAGEABLE((const CUDA_MEMCPY3D *)call->data);
	return SIDES_ARE_PAGEABLE((const CUDA_MEMCPY3D_PEER *)call->data);
}

static uint64_t call_copy_rows(struct call *call)
{
	static const uint32_t bytes[NR_CALL_HOWS] = {
		[CALL_COPY_2D] = sizeof(CUDA_MEMCPY2D),
		[CALL_COPY_3D] = sizeof(CUDA_MEMCPY3D),
		[CALL_COPY_3D_PEER] = sizeof(CUDA_MEMCPY3D_PEER),
	};

	call->data = pointer_argument(call, 0);
	call->data_bytes = bytes[call->row->how];
	call->data_arg = 0;
	if (!is_held(call))
		return CALL_DIRECT;
	if (!call->data || rows_are_pageable(call))
		return call_after(call);
	return call_queue(call);
}

static uint64_t call_batch_ops(struct call *call)
{
	uint64_t nr_ops = (uint32_t)argument(call, 1);

	call->data = pointer_argument(call, 2);
	call->data_arg = 2;
	if (!call->data || nr_ops == 0 || nr_ops > 1024)
		return call_after(call);
	call->data_bytes = (uint32_t)(nr_ops * sizeof(CUstreamBatchMemOpParams));
	return call_queue(call);
}

/* --- events, streams -------------------------------------------------------------------------- */

/*
 * Records and waits inside graphs (calls of captures with a flag): a graph that is launched later
 * acts on the event, and nobody can say which graph.
 */
static int is_external(const struct call *call)
{
	if (call->row->how == CALL_RECORD && !strstr(call->row->name, "WithFlags"))
		return 0;
	return (argument(call, 2) & CU_EVENT_RECORD_EXTERNAL) != 0;
}

/* Records and waits that others than this process' calls can see are not put off. */
static uint64_t call_event(const struct call *call)
{
	uint32_t state = atomic_load_explicit(&queue_state, memory_order_relaxed);

	if (is_external(call) || atomic_load_explicit(&events_are_shared, memory_order_relaxed))
		return call_after(call);
	/* A wait may pull its stream into the capture that the event was recorded in. */
	if ((state & STATE_CAPTURE) && call->row->how == CALL_WAIT_FOR_EVENT)
		return call_after(call);
	return call_queue(call);
}

static uint64_t call_stream_destroy(const struct call *call)
{
	struct lane *lane;
	uint64_t result;

	if (call->stream.kind != TARGET_ORDER || !call->stream.handle)
		return CALL_DIRECT;
	priority_forget(call->stream.handle);
	result = call_queue(call);
	if (result != CALL_DIRECT)
		return result;
	(void)pthread_mutex_lock(&queue.lock);
	lane = lane_find_locked(LANE_STREAM, call->stream.handle);
	if (lane)
		lane_drop_locked(lane);
	(void)pthread_mutex_unlock(&queue.lock);
	return CALL_DIRECT;
}

/* --- questions -------------------------------------------------------------------------------- */

static uint64_t take_error(CUresult result)
{
	uint32_t state = atomic_load_explicit(&queue_state, memory_order_relaxed);

	if (result == CUDA_SUCCESS && (state & (STATE_DEAD | STATE_ERROR)))
		result = dispatch_take_error(current_context());
	return (uint32_t)result;
}

static uint64_t call_query(const struct call *call, enum target_kind kind, int at)
{
	struct target target = {kind, call->stream.handle, call->stream.ctx};
	uint64_t held;

	if (at != NONE)
		target.handle = pointer_argument(call, at);
	else
		target.kind = call->stream.kind == TARGET_THREAD ? TARGET_THREAD : kind;
	(void)pthread_mutex_lock(&queue.lock);
	held = target_oldest_locked(&target);
	(void)pthread_mutex_unlock(&queue.lock);
	return held ? CUDA_ERROR_NOT_READY : CALL_DIRECT;
}

static uint64_t call_elapsed(const struct call *call)
{
	uint64_t result = call_query(call, TARGET_RECORD, 1);

	return result == CALL_DIRECT ? call_query(call, TARGET_RECORD, 2) : result;
}

static uint64_t query_then_errors(const struct call *call, uint64_t result)
{
	return result == CALL_DIRECT ? take_error((CUresult)call_now(call)) : result;
}

static uint64_t call_sync(const struct call *call)
{
	struct target target = {TARGET_ALL, NULL, call->stream.ctx};

	if (call->row->how == CALL_EVENT_SYNC)
		target = (struct target){TARGET_RECORD, pointer_argument(call, 0), NULL};
	if (call->row->how == CALL_STREAM_SYNC) {
		target = call->stream;
		if (target.kind == TARGET_ORDER)
			target.kind = TARGET_STREAM;
	}
	target_wait(&target);
	return take_error((CUresult)call_now(call));
}

static uint64_t call_allocate(const struct call *call)
{
	CUresult result = (CUresult)call_now(call);

	if (result != CUDA_ERROR_OUT_OF_MEMORY)
		return (uint32_t)result;
	(void)call_after(call);
	return CALL_DIRECT;
}

/* --- what is always looked at ----------------------------------------------------------------- */

static void drain(void)
{
	const struct target all = {TARGET_ALL, NULL, NULL};

	if (atomic_load_explicit(&queue_state, memory_order_acquire) & STATE_HELD)
		target_wait(&all);
}

static uint64_t call_begin_capture(const struct call *call)
{
	uint64_t result;

	drain();
	result = call_now(call);
	if (result != CUDA_SUCCESS)
		return result;
	(void)pthread_mutex_lock(&queue.lock);
	queue.nr_captures++;
	(void)atomic_fetch_or_explicit(&queue_state, STATE_CAPTURE, memory_order_release);
	(void)pthread_mutex_unlock(&queue.lock);
	return result;
}

/* An end that is not recognised as one leaves the flag standing: calls are slower then, not
 * wrong. */
static uint64_t call_end_capture(const struct call *call)
{
	uint64_t result = call_now(call);

	if (result != CUDA_SUCCESS && result != CUDA_ERROR_STREAM_CAPTURE_INVALIDATED &&
	    result != CUDA_ERROR_STREAM_CAPTURE_UNJOINED)
		return result;
	(void)pthread_mutex_lock(&queue.lock);
	if (queue.nr_captures && --queue.nr_captures == 0)
		(void)atomic_fetch_and_explicit(&queue_state, ~STATE_CAPTURE, memory_order_relaxed);
	(void)pthread_mutex_unlock(&queue.lock);
	return result;
}

static uint64_t call_forget(void)
{
	drain();
	(void)pthread_mutex_lock(&queue.lock);
	funcs_flush_locked();
	lanes_flush_locked();
	(void)pthread_mutex_unlock(&queue.lock);
	return CALL_DIRECT;
}

/* Setting what is set already is frequent, and harms no held launch. */
static uint64_t call_func_attribute(const struct call *call)
{
	int now = 0;

	if (call->row->other == 0 &&
	    queue_driver.func_attribute(&now, (CUfunction_attribute)argument(call, 1),
					(CUfunction)(uintptr_t)argument(call, 0)) == CUDA_SUCCESS &&
	    now == (int)argument(call, 2))
		return CALL_DIRECT;
	funcs_limits_changed();
	drain();
	return CALL_DIRECT;
}

static uint64_t call_graph_node(const struct call *call)
{
	const CUgraphNodeParams *params = pointer_argument(call, call->row->other);

	if (params && (params->type == CU_GRAPH_NODE_TYPE_EVENT_RECORD ||
		       params->type == CU_GRAPH_NODE_TYPE_WAIT_EVENT))
		launch_graphs_have_events();
	return CALL_DIRECT;
}

static uint64_t call_special(const struct call *call)
{
	switch (call->row->how) {
	case CALL_BEGIN_CAPTURE:
		return call_begin_capture(call);
	case CALL_END_CAPTURE:
		return call_end_capture(call);
	case CALL_FORGET:
		return call_forget();
	case CALL_FUNC_ATTRIBUTE:
		return call_func_attribute(call);
	case CALL_GRAPH_EVENT:
		launch_graphs_have_events();
		return CALL_DIRECT;
	case CALL_GRAPH_NODE:
		return call_graph_node(call);
	case CALL_SHARED_EVENT:
		atomic_store_explicit(&events_are_shared, 1, memory_order_relaxed);
		drain();
		return CALL_DIRECT;
	case CALL_DRAIN:
	default:
		drain();
		return CALL_DIRECT;
	}
}

/* --- all of them ------------------------------------------------------------------------------ */

static void call_describe(struct call *call)
{
	const struct call_row *row = call->row;
	int has_event = row->how == CALL_RECORD || row->how == CALL_WAIT_FOR_EVENT ||
			row->how == CALL_EVENT_DESTROY;
	int has_exec = row->how == CALL_EXEC_OP || row->how == CALL_EXEC_WAIT;

	if (row->stream == NONE)
		call->stream = (struct target){TARGET_ALL, NULL, current_context()};
	else
		call->stream = target_of_stream(
			row->stream == DEFAULT ? NULL : pointer_argument(call, row->stream),
			call->is_per_thread);
	call->has_other = has_event || has_exec;
	if (call->has_other)
		call->other = (struct target){has_exec ? TARGET_EXEC : TARGET_EVENT,
					      pointer_argument(call, row->other), NULL};
}

static uint64_t call_captured(const struct call *call)
{
	/* The capture does not care for what is held, but the event's other operations do. */
	if (call->has_other)
		target_wait(&call->other);
	return CALL_DIRECT;
}

static uint64_t call_in_stream(struct call *call)
{
	switch (call->row->how) {
	case CALL_COPY_ANY:
	case CALL_COPY_FROM_HOST:
	case CALL_COPY_TO_HOST:
		return call_copy(call);
	case CALL_COPY_2D:
	case CALL_COPY_3D:
	case CALL_COPY_3D_PEER:
		return call_copy_rows(call);
	case CALL_BATCH_OPS:
		return call_batch_ops(call);
	case CALL_RECORD:
	case CALL_WAIT_FOR_EVENT:
		return call_event(call);
	case CALL_STREAM_DESTROY:
		return call_stream_destroy(call);
	case CALL_WAIT:
	case CALL_EXEC_WAIT:
		return call_after(call);
	case CALL_ALLOCATE:
		return call_allocate(call);
	case CALL_STREAM_SYNC:
	case CALL_EVENT_SYNC:
	case CALL_CTX_SYNC:
		return call_sync(call);
	case CALL_QUERY:
		return query_then_errors(call, call_query(call, TARGET_STREAM, NONE));
	case CALL_EVENT_QUERY:
		return query_then_errors(call, call_query(call, TARGET_RECORD, 0));
	case CALL_EVENT_ELAPSED:
		return call_elapsed(call);
	default:
		return call_queue(call);
	}
}

static int is_special(enum call_how how)
{
	return how == CALL_DRAIN || how == CALL_BEGIN_CAPTURE || how == CALL_END_CAPTURE ||
	       how >= CALL_FORGET;
}

uint64_t queue_call(void **next, const uint64_t *registers, const uint64_t *stack)
{
	uint32_t at = (uint32_t)(next - next_first);
	struct call call = {.row = &call_rows[at],
			    .target = *next,
			    .registers = registers,
			    .stack = stack,
			    .is_per_thread = is_per_thread_row[at]};

	if (is_special(call.row->how))
		return call_special(&call);
	call_describe(&call);
	if ((call.row->how == CALL_RECORD || call.row->how == CALL_WAIT_FOR_EVENT) &&
	    is_external(&call))
		launch_graphs_have_events();
	if (call.row->stream >= 0 &&
	    (atomic_load_explicit(&queue_state, memory_order_relaxed) & STATE_CAPTURE) &&
	    stream_is_captured(pointer_argument(&call, call.row->stream), call.is_per_thread))
		return call_captured(&call);
	return call_in_stream(&call);
}
