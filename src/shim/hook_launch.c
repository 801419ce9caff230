/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launch calls: which stream a grid was put on, and whether a cooperative one can be resident.
 *
 * The descriptor hook does not say which stream a launch is for, so the launch functions note it in
 * the thread before they call the driver and clear it after: a grid that comes without a note is
 * the driver's own. Cooperative launches that cannot be resident in the quota are refused here,
 * with the error that the driver gives when they cannot be resident on the GPU: by the time the
 * hook sees the descriptor it is too late to refuse.
 *
 * Tested by tests/programs/where.c, coop.c and clusters.c.
 */
#include <stddef.h>

#include "shim/slots.h"
#include "shim/split/epoch.h"
#include "shim/tenant.h"

/* Keys of streams: the handle, or a small number of its own for the default streams of a thread. */
#define KEY_NULL_STREAM 8u

static uint64_t stream_key(const void *stream)
{
	return stream ? (uint64_t)(uintptr_t)stream : KEY_NULL_STREAM;
}

/* The default stream of a _ptsz call is the calling thread's own. */
static uint64_t stream_key_ptsz(const void *stream)
{
	return stream ? (uint64_t)(uintptr_t)stream : (uint64_t)(uintptr_t)thread_self();
}

static struct thread_state *launch_begin(uint64_t key, CUfunction f)
{
	struct thread_state *t = thread_self();

	t->stream_key = key;
	t->func = f;
	return t;
}

static CUresult launch_end(struct thread_state *t, CUresult result)
{
	t->stream_key = 0;
	t->func = NULL;
	epoch_write(t);
	return result;
}

CUresult hook_cuLaunchKernel(CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz,
			     unsigned int bx, unsigned int by, unsigned int bz, unsigned int shared,
			     CUstream stream, void **params, void **extra)
{
	struct thread_state *t = launch_begin(stream_key(stream), f);

	return launch_end(
		t, real_cuLaunchKernel(f, gx, gy, gz, bx, by, bz, shared, stream, params, extra));
}

CUresult hook_cuLaunchKernel_ptsz(CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz,
				  unsigned int bx, unsigned int by, unsigned int bz,
				  unsigned int shared, CUstream stream, void **params, void **extra)
{
	struct thread_state *t = launch_begin(stream_key_ptsz(stream), f);

	return launch_end(t, real_cuLaunchKernel_ptsz(f, gx, gy, gz, bx, by, bz, shared, stream,
						      params, extra));
}

/* What a cooperative launch asks for. */
struct gang {
	CUfunction func;
	uint64_t blocks;
	uint64_t threads;
	size_t shared_bytes;
};

/*
 * 1 when the driver would accept the launch but the quota cannot hold all its blocks at once.
 * Asking the driver for the occupancy costs about a microsecond; cooperative launches are rare.
 */
static int gang_exceeds_quota(const struct gang *gang)
{
	const struct device *device = tenant_current_masked_device();
	int per_sm = 0;

	if (!device || gang->threads == 0 || gang->threads > 1024)
		return 0;
	if (tenant.ops.occupancy_blocks(&per_sm, gang->func, (int)gang->threads,
					gang->shared_bytes) ||
	    per_sm <= 0)
		return 0;
	if (gang->blocks <= (uint64_t)per_sm * device->nr_allowed * device->topo.sms_per_tpc)
		return 0;
	thread_count(STATS_coop_refused);
	return 1;
}

static int launch_is_cooperative(const CUlaunchConfig *config)
{
	for (unsigned int i = 0; config->attrs && i < config->numAttrs; i++) {
		if (config->attrs[i].id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
			return config->attrs[i].value.cooperative != 0;
	}
	return 0;
}

static int config_exceeds_quota(const CUlaunchConfig *config, CUfunction f)
{
	if (!config || !launch_is_cooperative(config))
		return 0;
	return gang_exceeds_quota(&(struct gang){
		.func = f,
		.blocks = (uint64_t)config->gridDimX * config->gridDimY * config->gridDimZ,
		.threads = (uint64_t)config->blockDimX * config->blockDimY * config->blockDimZ,
		.shared_bytes = config->sharedMemBytes,
	});
}

CUresult hook_cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction f, void **params,
			       void **extra)
{
	struct thread_state *t = launch_begin(config ? stream_key(config->hStream) : 0, f);

	if (config_exceeds_quota(config, f))
		return launch_end(t, CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
	return launch_end(t, real_cuLaunchKernelEx(config, f, params, extra));
}

CUresult hook_cuLaunchKernelEx_ptsz(const CUlaunchConfig *config, CUfunction f, void **params,
				    void **extra)
{
	struct thread_state *t = launch_begin(config ? stream_key_ptsz(config->hStream) : 0, f);

	if (config_exceeds_quota(config, f))
		return launch_end(t, CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
	return launch_end(t, real_cuLaunchKernelEx_ptsz(config, f, params, extra));
}

CUresult hook_cuLaunchCooperativeKernel(CUfunction f, unsigned int gx, unsigned int gy,
					unsigned int gz, unsigned int bx, unsigned int by,
					unsigned int bz, unsigned int shared, CUstream stream,
					void **params)
{
	struct gang gang = {f, (uint64_t)gx * gy * gz, (uint64_t)bx * by * bz, shared};
	struct thread_state *t = launch_begin(stream_key(stream), f);

	if (gang_exceeds_quota(&gang))
		return launch_end(t, CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
	return launch_end(t, real_cuLaunchCooperativeKernel(f, gx, gy, gz, bx, by, bz, shared,
							    stream, params));
}

CUresult hook_cuLaunchCooperativeKernel_ptsz(CUfunction f, unsigned int gx, unsigned int gy,
					     unsigned int gz, unsigned int bx, unsigned int by,
					     unsigned int bz, unsigned int shared, CUstream stream,
					     void **params)
{
	struct gang gang = {f, (uint64_t)gx * gy * gz, (uint64_t)bx * by * bz, shared};
	struct thread_state *t = launch_begin(stream_key_ptsz(stream), f);

	if (gang_exceeds_quota(&gang))
		return launch_end(t, CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
	return launch_end(t, real_cuLaunchCooperativeKernel_ptsz(f, gx, gy, gz, bx, by, bz, shared,
								 stream, params));
}

CUresult hook_cuLaunchCooperativeKernelMultiDevice(CUDA_LAUNCH_PARAMS *list, unsigned int n,
						   unsigned int flags)
{
	for (unsigned int i = 0; list && i < n; i++) {
		struct gang gang = {
			.func = list[i].function,
			.blocks = (uint64_t)list[i].gridDimX * list[i].gridDimY * list[i].gridDimZ,
			.threads =
				(uint64_t)list[i].blockDimX * list[i].blockDimY * list[i].blockDimZ,
			.shared_bytes = list[i].sharedMemBytes,
		};
		if (gang_exceeds_quota(&gang))
			return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
	}
	struct thread_state *t = launch_begin(KEY_NULL_STREAM, NULL);
	return launch_end(t, real_cuLaunchCooperativeKernelMultiDevice(list, n, flags));
}

CUresult hook_cuLaunch(CUfunction f)
{
	struct thread_state *t = launch_begin(KEY_NULL_STREAM, f);

	return launch_end(t, real_cuLaunch(f));
}

CUresult hook_cuLaunchGrid(CUfunction f, int width, int height)
{
	struct thread_state *t = launch_begin(KEY_NULL_STREAM, f);

	return launch_end(t, real_cuLaunchGrid(f, width, height));
}

CUresult hook_cuLaunchGridAsync(CUfunction f, int width, int height, CUstream stream)
{
	struct thread_state *t = launch_begin(stream_key(stream), f);

	return launch_end(t, real_cuLaunchGridAsync(f, width, height, stream));
}
