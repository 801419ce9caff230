/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contexts coming and going.
 *
 * Each function lets the driver do its work and tells tenant.c, which prepares what launches in the
 * context need, or withdraws it. Withdrawal of records comes before the driver frees the
 * registration, because a launch armed in between would make the GPU write to an address that is
 * mapped no more.
 *
 * Tested by tests/programs/contexts.c.
 */
#include <stddef.h>

#include "base/log.h"
#include "hw/tools_hook.h"
#include "shim/slots.h"
#include "shim/tenant.h"

static CUresult created(CUresult result, const CUcontext *ctx, CUdevice device, int is_primary)
{
	if (result == CUDA_SUCCESS && ctx && *ctx)
		tenant_context_created(*ctx, device, is_primary);
	return result;
}

CUresult hook_cuDevicePrimaryCtxRetain(CUcontext *ctx, CUdevice device)
{
	return created(real_cuDevicePrimaryCtxRetain(ctx, device), ctx, device, 1);
}

CUresult hook_cuDevicePrimaryCtxRelease(CUdevice device)
{
	CUresult result = real_cuDevicePrimaryCtxRelease(device);

	tenant_primary_released(device);
	return result;
}

CUresult hook_cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
	CUresult result = real_cuDevicePrimaryCtxRelease_v2(device);

	tenant_primary_released(device);
	return result;
}

CUresult hook_cuDevicePrimaryCtxReset(CUdevice device)
{
	tenant_primary_resetting(device);
	return real_cuDevicePrimaryCtxReset(device);
}

CUresult hook_cuDevicePrimaryCtxReset_v2(CUdevice device)
{
	tenant_primary_resetting(device);
	return real_cuDevicePrimaryCtxReset_v2(device);
}

CUresult hook_cuCtxCreate(CUcontext *ctx, unsigned int flags, CUdevice device)
{
	return created(real_cuCtxCreate(ctx, flags, device), ctx, device, 0);
}

CUresult hook_cuCtxCreate_v2(CUcontext *ctx, unsigned int flags, CUdevice device)
{
	return created(real_cuCtxCreate_v2(ctx, flags, device), ctx, device, 0);
}

CUresult hook_cuCtxCreate_v3(CUcontext *ctx, CUexecAffinityParam *params, int nr_params,
			     unsigned int flags, CUdevice device)
{
	return created(real_cuCtxCreate_v3(ctx, params, nr_params, flags, device), ctx, device, 0);
}

CUresult hook_cuCtxCreate_v4(CUcontext *ctx, CUctxCreateParams *params, unsigned int flags,
			     CUdevice device)
{
	return created(real_cuCtxCreate_v4(ctx, params, flags, device), ctx, device, 0);
}

CUresult hook_cuCtxDestroy(CUcontext ctx)
{
	CUresult result;

	tenant_context_closing(ctx);
	result = real_cuCtxDestroy(ctx);
	if (result == CUDA_SUCCESS)
		tenant_context_closed(ctx);
	return result;
}

CUresult hook_cuCtxDestroy_v2(CUcontext ctx)
{
	CUresult result;

	tenant_context_closing(ctx);
	result = real_cuCtxDestroy_v2(ctx);
	if (result == CUDA_SUCCESS)
		tenant_context_closed(ctx);
	return result;
}

/* The driver refuses green contexts once a tools subscriber exists: the user should know the way
 * out. */
CUresult hook_cuGreenCtxCreate(CUgreenCtx *ctx, CUdevResourceDesc desc, CUdevice device,
			       unsigned int flags)
{
	CUresult result = real_cuGreenCtxCreate(ctx, desc, device, flags);
	static struct log_site site;

	if (result == CUDA_ERROR_NOT_SUPPORTED && tools_hook_is_subscribed())
		log_line(&site, LOG_WARN,
			 "msg=\"green contexts do not work beside the launch hook: use lithos run "
			 "--profile\"");
	return result;
}
