/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams.
 *
 * Each has a queue of the device. The null stream's rule (work in it waits for all blocking streams
 * of the context, and theirs for it) is made of records: before work goes in, a record is put into
 * every busy stream that must come first, and a wait for it into this one. Idle streams cost
 * nothing.
 *
 * A destroyed stream finishes its work: its handle goes at once, the rest when it is idle (looked
 * at whenever a stream is made or destroyed), or with its context.
 *
 * Tested by tests/unit/sim_driver_streams.c.
 */
#include "sim/driver/state.h"

#include <stdlib.h>

#include "sim/graph/capture.h"

#define LOWEST_PRIORITY  0
#define HIGHEST_PRIORITY (-5)

static _Thread_local uint64_t thread_id; /* 0: none yet */

CUresult stream_new_locked(struct CUctx_st *ctx, unsigned int flags, int priority,
			   struct CUstream_st **ret_stream)
{
	struct CUstream_st *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (priority > LOWEST_PRIORITY)
		priority = LOWEST_PRIORITY;
	if (priority < HIGHEST_PRIORITY)
		priority = HIGHEST_PRIORITY;
	stream->queue = gpu_queue_new_locked(ctx->gpu, priority);
	if (!stream->queue) {
		free(stream);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	stream->ctx = ctx;
	stream->flags = flags;
	stream->priority = priority;
	stream->id = sim.next_id++;
	stream->next = ctx->streams;
	ctx->streams = stream;
	object_add_locked(&stream->object, OBJECT_STREAM);
	*ret_stream = stream;
	return CUDA_SUCCESS;
}

void stream_free_locked(struct CUstream_st *stream)
{
	struct CUstream_st **link = &stream->ctx->streams;

	while (*link != stream)
		link = &(*link)->next;
	*link = stream->next;
	if (!stream->is_destroyed)
		object_remove_locked(&stream->object);
	if (stream->capture)
		capture_forget_locked(stream);
	gpu_queue_free_locked(stream->queue);
	free(stream);
}

static void reap_locked(struct CUctx_st *ctx)
{
	struct CUstream_st *next;

	for (struct CUstream_st *stream = ctx->streams; stream; stream = next) {
		next = stream->next;
		if (stream->is_destroyed && gpu_queue_is_idle(stream->queue))
			stream_free_locked(stream);
	}
}

/* The calling thread's own stream in the context, made when it is first used. */
static CUresult thread_stream_locked(struct CUctx_st *ctx, struct CUstream_st **ret_stream)
{
	CUresult r;

	if (!thread_id)
		thread_id = sim.next_id++;
	for (struct CUstream_st *stream = ctx->streams; stream; stream = stream->next) {
		if (stream->thread_id == thread_id) {
			*ret_stream = stream;
			return CUDA_SUCCESS;
		}
	}
	r = stream_new_locked(ctx, CU_STREAM_DEFAULT, LOWEST_PRIORITY, ret_stream);
	if (!r)
		(*ret_stream)->thread_id = thread_id;
	return r;
}

CUresult stream_of_locked(struct CUctx_st *ctx, CUstream handle, struct CUstream_st **ret_stream)
{
	if (!handle || handle == CU_STREAM_LEGACY) {
		*ret_stream = ctx->null_stream;
		return CUDA_SUCCESS;
	}
	if (handle == CU_STREAM_PER_THREAD)
		return thread_stream_locked(ctx, ret_stream);
	if (!object_is_locked(handle, OBJECT_STREAM))
		return CUDA_ERROR_INVALID_HANDLE;
	*ret_stream = handle;
	return CUDA_SUCCESS;
}

/* `later` goes on when what is in `earlier` now is done. */
static CUresult chain_locked(struct CUstream_st *earlier, struct CUstream_st *later)
{
	struct record *record;
	CUresult r;

	if (gpu_queue_is_idle(earlier->queue))
		return CUDA_SUCCESS;
	record = record_new();
	if (!record)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = record_submit_aside_locked(earlier, record);
	if (!r)
		r = record_submit_wait_locked(later, record);
	record_put_locked(record);
	return r;
}

CUresult stream_order_locked(struct CUstream_st *stream)
{
	struct CUctx_st *ctx = stream->ctx;
	CUresult r = CUDA_SUCCESS;

	if (stream->flags & CU_STREAM_NON_BLOCKING)
		return CUDA_SUCCESS;
	if (stream != ctx->null_stream)
		return chain_locked(ctx->null_stream, stream);
	for (struct CUstream_st *other = ctx->streams; other && !r; other = other->next) {
		if (other != stream && !(other->flags & CU_STREAM_NON_BLOCKING))
			r = chain_locked(other, stream);
	}
	return r;
}

CUresult stream_task_locked(struct CUstream_st *stream, struct sim_task *task)
{
	CUresult r = stream_order_locked(stream);

	if (!r && gpu_submit_task_locked(stream->queue, task))
		r = CUDA_ERROR_OUT_OF_MEMORY;
	if (r)
		task->release(task);
	engine_kick_locked();
	return r;
}

CUresult stream_wait_idle_locked(struct CUstream_st *stream)
{
	const struct CUctx_st *ctx = stream->ctx;
	struct record *record = NULL;
	CUresult r;

	(void)engine_kick_locked();
	if (gpu_queue_is_idle(stream->queue))
		return ctx->fault;
	record = record_new();
	if (!record)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = record_submit_aside_locked(stream, record);
	if (!r) {
		engine_kick_locked();
		r = record_wait_locked(record);
	}
	record_put_locked(record);
	return r ? r : ctx_fault_locked(ctx);
}

CUresult cuStreamCreateWithPriority(CUstream *phStream, unsigned int flags, int priority)
{
	struct CUctx_st *ctx;
	CUresult r = enter_ctx(&ctx);

	if (r)
		return r;
	if (!phStream || flags & ~(unsigned int)CU_STREAM_NON_BLOCKING)
		return leave(CUDA_ERROR_INVALID_VALUE);
	reap_locked(ctx);
	return leave(stream_new_locked(ctx, flags, priority, phStream));
}

CUresult cuStreamCreate(CUstream *phStream, unsigned int Flags)
{
	struct CUctx_st *ctx;
	CUresult r = enter_ctx(&ctx);

	if (r)
		return r;
	if (!phStream || Flags & ~(unsigned int)CU_STREAM_NON_BLOCKING)
		return leave(CUDA_ERROR_INVALID_VALUE);
	reap_locked(ctx);
	return leave(stream_new_locked(ctx, Flags, LOWEST_PRIORITY, phStream));
}

CUresult cuStreamDestroy_v2(CUstream hStream)
{
	struct CUctx_st *ctx;
	CUresult r = enter();

	if (r)
		return r;
	if (!object_is_locked(hStream, OBJECT_STREAM) || hStream == hStream->ctx->null_stream)
		return leave(CUDA_ERROR_INVALID_HANDLE);
	ctx = hStream->ctx;
	if (hStream->capture)
		capture_forget_locked(hStream);
	object_remove_locked(&hStream->object);
	hStream->is_destroyed = 1;
	engine_kick_locked();
	reap_locked(ctx);
	return leave(CUDA_SUCCESS);
}

CUresult cuStreamQuery(CUstream hStream)
{
	struct CUstream_st *stream;
	CUresult r = enter_stream(hStream, &stream);

	if (r)
		return r;
	if (stream->capture)
		return leave(capture_invalidate_locked(stream));
	engine_kick_locked();
	if (stream->ctx->fault)
		return leave(stream->ctx->fault);
	return leave(gpu_queue_is_idle(stream->queue) ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY);
}

CUresult cuStreamSynchronize(CUstream hStream)
{
	struct CUstream_st *stream;
	CUresult r = enter_stream(hStream, &stream);

	if (r)
		return r;
	if (stream->capture)
		return leave(capture_invalidate_locked(stream));
	/* Waiting for the null stream means waiting for all that it waits for. */
	r = stream == stream->ctx->null_stream ? stream_order_locked(stream) : CUDA_SUCCESS;
	if (!r)
		r = stream_wait_idle_locked(stream);
	return leave(r);
}

CUresult cuStreamGetPriority(CUstream hStream, int *priority)
{
	struct CUstream_st *stream;
	CUresult r = enter_stream(hStream, &stream);

	if (r)
		return r;
	if (!priority)
		return leave(CUDA_ERROR_INVALID_VALUE);
	*priority = stream->priority;
	return leave(CUDA_SUCCESS);
}

CUresult cuStreamGetFlags(CUstream hStream, unsigned int *flags)
{
	struct CUstream_st *stream;
	CUresult r = enter_stream(hStream, &stream);

	if (r)
		return r;
	if (!flags)
		return leave(CUDA_ERROR_INVALID_VALUE);
	*flags = stream->flags;
	return leave(CUDA_SUCCESS);
}

CUresult cuStreamGetId(CUstream hStream, unsigned long long *streamId)
{
	struct CUstream_st *stream;
	CUresult r = enter_stream(hStream, &stream);

	if (r)
		return r;
	if (!streamId)
		return leave(CUDA_ERROR_INVALID_VALUE);
	*streamId = stream->id;
	return leave(CUDA_SUCCESS);
}

CUresult cuStreamGetCtx(CUstream hStream, CUcontext *pctx)
{
	struct CUstream_st *stream;
	CUresult r = enter_stream(hStream, &stream);

	if (r)
		return r;
	if (!pctx)
		return leave(CUDA_ERROR_INVALID_VALUE);
	*pctx = stream->ctx;
	return leave(CUDA_SUCCESS);
}

CUresult cuCtxGetStreamPriorityRange(int *leastPriority, int *greatestPriority)
{
	struct CUctx_st *ctx;
	CUresult r = enter_ctx(&ctx);

	if (r)
		return r;
	if (leastPriority)
		*leastPriority = LOWEST_PRIORITY;
	if (greatestPriority)
		*greatestPriority = HIGHEST_PRIORITY;
	return leave(CUDA_SUCCESS);
}
