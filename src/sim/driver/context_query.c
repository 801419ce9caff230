/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a context is asked and told besides becoming current: device, flags, limits, cache
 * preferences. Limits and preferences are kept and given back; nothing in the simulated device
 * depends on them.
 */
#include "sim/driver/state.h"

CUresult cuCtxGetDevice(CUdevice *device)
{
	struct CUctx_st *ctx;
	CUresult r = enter_ctx(&ctx);

	if (r)
		return r;
	if (!device)
		return leave(CUDA_ERROR_INVALID_VALUE);
	*device = ctx->device;
	return leave(CUDA_SUCCESS);
}

CUresult cuCtxGetDevice_v2(CUdevice *device, CUcontext ctx)
{
	CUresult r;

	if (!ctx)
		return cuCtxGetDevice(device);
	r = enter();
	if (r)
		return r;
	if (!device)
		return leave(CUDA_ERROR_INVALID_VALUE);
	if (!object_is_locked(ctx, OBJECT_CTX))
		return leave(CUDA_ERROR_INVALID_CONTEXT);
	*device = ctx->device;
	return leave(CUDA_SUCCESS);
}

CUresult cuCtxGetId(CUcontext ctx, unsigned long long *ctxId)
{
	CUresult r = enter();

	if (r)
		return r;
	if (!ctx)
		r = current_ctx_locked(&ctx);
	else if (!object_is_locked(ctx, OBJECT_CTX))
		r = CUDA_ERROR_CONTEXT_IS_DESTROYED;
	if (!r && !ctxId)
		r = CUDA_ERROR_INVALID_VALUE;
	if (!r)
		*ctxId = ctx->id;
	return leave(r);
}

CUresult cuCtxGetFlags(unsigned int *flags)
{
	struct CUctx_st *ctx;
	CUresult r = enter_ctx(&ctx);

	if (r)
		return r;
	if (!flags)
		return leave(CUDA_ERROR_INVALID_VALUE);
	*flags = ctx->flags;
	return leave(CUDA_SUCCESS);
}

CUresult cuCtxSetFlags(unsigned int flags)
{
	struct CUctx_st *ctx;
	CUresult r = enter_ctx(&ctx);

	if (r)
		return r;
	ctx->flags = flags;
	return leave(CUDA_SUCCESS);
}

CUresult cuCtxGetApiVersion(CUcontext ctx, unsigned int *version)
{
	CUresult r = enter();

	if (r)
		return r;
	if (!ctx)
		r = current_ctx_locked(&ctx);
	else if (!object_is_locked(ctx, OBJECT_CTX))
		r = CUDA_ERROR_INVALID_CONTEXT;
	if (!r && !version)
		r = CUDA_ERROR_INVALID_VALUE;
	if (!r)
		*version = ctx->api_version;
	return leave(r);
}

CUresult cuCtxGetLimit(size_t *pvalue, CUlimit limit)
{
	struct CUctx_st *ctx;
	CUresult r = enter_ctx(&ctx);

	if (r)
		return r;
	if (!pvalue || (unsigned int)limit >= CU_LIMIT_MAX)
		return leave(CUDA_ERROR_INVALID_VALUE);
	*pvalue = ctx->limit[limit];
	return leave(CUDA_SUCCESS);
}

CUresult cuCtxSetLimit(CUlimit limit, size_t value)
{
	struct CUctx_st *ctx;
	CUresult r = enter_ctx(&ctx);

	if (r)
		return r;
	if ((unsigned int)limit >= CU_LIMIT_MAX)
		return leave(CUDA_ERROR_UNSUPPORTED_LIMIT);
	ctx->limit[limit] = value;
	return leave(CUDA_SUCCESS);
}

CUresult cuCtxGetCacheConfig(CUfunc_cache *pconfig)
{
	struct CUctx_st *ctx;
	CUresult r = enter_ctx(&ctx);

	if (r)
		return r;
	if (!pconfig)
		return leave(CUDA_ERROR_INVALID_VALUE);
	*pconfig = (CUfunc_cache)ctx->cache_config;
	return leave(CUDA_SUCCESS);
}

CUresult cuCtxSetCacheConfig(CUfunc_cache config)
{
	struct CUctx_st *ctx;
	CUresult r = enter_ctx(&ctx);

	if (r)
		return r;
	ctx->cache_config = (int)config;
	return leave(CUDA_SUCCESS);
}
