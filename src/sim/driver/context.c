/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contexts: made by programs, the primary one, and which is current in a thread.
 *
 * The current context is the top of a stack the thread keeps. A context may be destroyed while
 * other threads still have it on their stacks; they find out when they use it. Destroying drops
 * queued work without waiting for it, so a hung grid never blocks. A context that comes to lie at
 * the address of an older one is told apart by its id.
 */
#include "sim/driver/context.h"

#include "sim/memory/memory.h"
#include <stdlib.h>

#define MAX_DEPTH 64

struct stack_slot {
	struct CUctx_st *ctx; /* NULL: no context, pushed by cuCtxSetCurrent(NULL) */
	uint64_t id;
};

static _Thread_local struct {
	unsigned int depth;
	struct stack_slot slot[MAX_DEPTH];
} stack;

static int is_alive_locked(const struct stack_slot *slot)
{
	return slot->ctx && object_is_locked(slot->ctx, OBJECT_CTX) && slot->ctx->id == slot->id;
}

CUresult current_ctx_locked(struct CUctx_st **ret_ctx)
{
	const struct stack_slot *top = stack.depth ? &stack.slot[stack.depth - 1] : NULL;

	if (!top || !top->ctx)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (!is_alive_locked(top))
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	*ret_ctx = top->ctx;
	return CUDA_SUCCESS;
}

CUresult ctx_fault_locked(const struct CUctx_st *ctx)
{
	return object_is_locked(ctx, OBJECT_CTX) ? ctx->fault : CUDA_SUCCESS;
}

static CUresult push_locked(struct CUctx_st *ctx)
{
	if (stack.depth == MAX_DEPTH)
		return CUDA_ERROR_INVALID_VALUE;
	stack.slot[stack.depth++] = (struct stack_slot){.ctx = ctx, .id = ctx ? ctx->id : 0};
	return CUDA_SUCCESS;
}

static CUresult ctx_new_locked(CUdevice dev, unsigned int flags, struct CUctx_st **ret_ctx)
{
	struct CUctx_st *ctx;
	CUresult r = engine_start_locked();

	if (r)
		return r;
	ctx = calloc(1, sizeof(*ctx));
	if (!ctx)
		return CUDA_ERROR_OUT_OF_MEMORY;
	ctx->id = sim.next_id++;
	ctx->device = dev;
	ctx->gpu = sim.gpu_of[dev];
	ctx->flags = flags;
	ctx->api_version = 3020;
	ctx->limit[CU_LIMIT_STACK_SIZE] = 1024;
	ctx->limit[CU_LIMIT_PRINTF_FIFO_SIZE] = 7340032;
	ctx->limit[CU_LIMIT_MALLOC_HEAP_SIZE] = 8388608;
	ctx->limit[CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT] = 2048;
	ctx->limit[CU_LIMIT_MAX_L2_FETCH_GRANULARITY] = 64;
	r = stream_new_locked(ctx, CU_STREAM_DEFAULT, 0, &ctx->null_stream);
	if (r) {
		free(ctx);
		return r;
	}
	ctx->next = sim.contexts;
	sim.contexts = ctx;
	object_add_locked(&ctx->object, OBJECT_CTX);
	*ret_ctx = ctx;
	return CUDA_SUCCESS;
}

static void ctx_free_locked(struct CUctx_st *ctx)
{
	struct CUctx_st **link = &sim.contexts;

	while (*link != ctx)
		link = &(*link)->next;
	*link = ctx->next;
	object_remove_locked(&ctx->object);
	while (ctx->streams)
		stream_free_locked(ctx->streams);
	ctx_modules_free_locked(ctx);
	ctx_memory_free_locked(ctx);
	free(ctx);
	engine_kick_locked();
}

static CUresult ctx_create(CUcontext *pctx, unsigned int flags, CUdevice dev)
{
	struct CUctx_st *ctx;
	CUresult r = enter();

	if (r)
		return r;
	r = pctx ? device_check_id(dev) : CUDA_ERROR_INVALID_VALUE;
	if (!r)
		r = ctx_new_locked(dev, flags, &ctx);
	if (!r)
		r = push_locked(ctx);
	if (!r)
		*pctx = ctx;
	return leave(r);
}

CUresult cuCtxCreate_v2(CUcontext *pctx, unsigned int flags, CUdevice dev)
{
	return ctx_create(pctx, flags, dev);
}

CUresult cuCtxCreate_v3(CUcontext *pctx, CUexecAffinityParam *paramsArray, int numParams,
			unsigned int flags, CUdevice dev)
{
	/* SM affinity works under MPS only. */
	if (paramsArray && numParams)
		return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
	return ctx_create(pctx, flags, dev);
}

CUresult cuCtxCreate_v4(CUcontext *pctx, CUctxCreateParams *ctxCreateParams, unsigned int flags,
			CUdevice dev)
{
	if (ctxCreateParams && ctxCreateParams->numExecAffinityParams)
		return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
	return ctx_create(pctx, flags, dev);
}

CUresult cuCtxDestroy_v2(CUcontext ctx)
{
	CUresult r = enter();

	if (r)
		return r;
	if (!object_is_locked(ctx, OBJECT_CTX) || ctx->is_primary)
		return leave(CUDA_ERROR_INVALID_CONTEXT);
	if (stack.depth && stack.slot[stack.depth - 1].ctx == ctx)
		stack.depth--;
	ctx_free_locked(ctx);
	return leave(CUDA_SUCCESS);
}

CUresult cuCtxPushCurrent_v2(CUcontext ctx)
{
	CUresult r = enter();

	if (r)
		return r;
	if (!object_is_locked(ctx, OBJECT_CTX))
		return leave(CUDA_ERROR_INVALID_CONTEXT);
	return leave(push_locked(ctx));
}

CUresult cuCtxPopCurrent_v2(CUcontext *pctx)
{
	CUresult r = enter();

	if (r)
		return r;
	if (!stack.depth)
		return leave(CUDA_ERROR_INVALID_CONTEXT);
	stack.depth--;
	if (pctx)
		*pctx = stack.slot[stack.depth].ctx;
	return leave(CUDA_SUCCESS);
}

CUresult cuCtxSetCurrent(CUcontext ctx)
{
	CUresult r = enter();

	if (r)
		return r;
	if (ctx && !object_is_locked(ctx, OBJECT_CTX))
		return leave(CUDA_ERROR_INVALID_CONTEXT);
	/* Replaces the top; NULL takes it away. */
	if (stack.depth)
		stack.depth--;
	return leave(ctx ? push_locked(ctx) : CUDA_SUCCESS);
}

CUresult cuCtxGetCurrent(CUcontext *pctx)
{
	CUresult r = enter();

	if (r)
		return r;
	if (!pctx)
		return leave(CUDA_ERROR_INVALID_VALUE);
	*pctx = stack.depth ? stack.slot[stack.depth - 1].ctx : NULL;
	return leave(CUDA_SUCCESS);
}

CUresult ctx_wait_locked(struct CUctx_st *ctx)
{
	uint64_t id = ctx->id;
	CUresult r = CUDA_SUCCESS;

	/* The list may change while the lock is away, so it is searched from the start each time.
	 */
	for (struct CUstream_st *stream = ctx->streams; stream && !r;) {
		if (gpu_queue_is_idle(stream->queue)) {
			stream = stream->next;
			continue;
		}
		r = stream_wait_idle_locked(stream);
		if (!object_is_locked(ctx, OBJECT_CTX) || ctx->id != id)
			return CUDA_ERROR_CONTEXT_IS_DESTROYED;
		stream = ctx->streams;
	}
	return r ? r : ctx->fault;
}

CUresult ctx_may_wait_locked(struct CUctx_st *ctx)
{
	return sim.faults.calls_wait ? ctx_wait_locked(ctx) : CUDA_SUCCESS;
}

CUresult cuCtxSynchronize(void)
{
	struct CUctx_st *ctx;
	CUresult r = enter_ctx(&ctx);

	if (r)
		return r;
	engine_kick_locked();
	return leave(ctx_wait_locked(ctx));
}

CUresult cuCtxSynchronize_v2(CUcontext ctx)
{
	CUresult r = enter();

	if (r)
		return r;
	if (!ctx)
		r = current_ctx_locked(&ctx);
	else if (!object_is_locked(ctx, OBJECT_CTX))
		r = CUDA_ERROR_INVALID_CONTEXT;
	if (!r)
		r = ctx_wait_locked(ctx);
	return leave(r);
}

/* 0 with the lock held and the device good, or the error. */
static CUresult enter_primary(CUdevice dev, struct primary_ctx **ret_primary)
{
	CUresult r = enter();

	if (r)
		return r;
	r = device_check_id(dev);
	if (r)
		return leave(r);
	*ret_primary = &sim.primary[dev];
	return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *pctx, CUdevice dev)
{
	struct primary_ctx *primary;
	CUresult r = pctx ? enter_primary(dev, &primary) : CUDA_ERROR_INVALID_VALUE;

	if (r)
		return r;
	if (!primary->ctx) {
		r = ctx_new_locked(dev, primary->flags, &primary->ctx);
		if (!r)
			primary->ctx->is_primary = 1;
	}
	if (!r) {
		primary->refs++;
		*pctx = primary->ctx;
	}
	return leave(r);
}

static void primary_free_locked(struct primary_ctx *primary)
{
	if (primary->ctx)
		ctx_free_locked(primary->ctx);
	primary->ctx = NULL;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice dev)
{
	struct primary_ctx *primary;
	CUresult r = enter_primary(dev, &primary);

	if (r)
		return r;
	if (!primary->refs)
		return leave(CUDA_ERROR_INVALID_CONTEXT);
	if (!--primary->refs)
		primary_free_locked(primary);
	return leave(CUDA_SUCCESS);
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice dev)
{
	struct primary_ctx *primary;
	CUresult r = enter_primary(dev, &primary);

	if (r)
		return r;
	/* Who retained it still has to release it (measured). */
	primary_free_locked(primary);
	return leave(CUDA_SUCCESS);
}

CUresult cuDevicePrimaryCtxGetState(CUdevice dev, unsigned int *flags, int *active)
{
	struct primary_ctx *primary;
	CUresult r = flags && active ? enter_primary(dev, &primary) : CUDA_ERROR_INVALID_VALUE;

	if (r)
		return r;
	*flags = primary->flags;
	*active = primary->ctx != NULL;
	return leave(CUDA_SUCCESS);
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice dev, unsigned int flags)
{
	struct primary_ctx *primary;
	CUresult r = enter_primary(dev, &primary);

	if (r)
		return r;
	if (flags & ~(unsigned int)CU_CTX_FLAGS_MASK)
		return leave(CUDA_ERROR_INVALID_VALUE);
	primary->flags = flags;
	if (primary->ctx)
		primary->ctx->flags = flags;
	return leave(CUDA_SUCCESS);
}
