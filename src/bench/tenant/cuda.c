/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few driver calls of bench's tenants.
 *
 * Found with dlopen and dlsym, as real programs find them, so the loader decides between the shim
 * and the driver below it. Any refusal ends the program: a measurement with a call missing is worse
 * than none, and the last line of the log says which call it was.
 * Tested by tests/integration/bench.bats.
 */
#include "bench/tenant/cuda.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK_THREADS 1024

static struct {
	__typeof__(cuInit) *init;
	__typeof__(cuDriverGetVersion) *version;
	__typeof__(cuDeviceGetName) *device_name;
	__typeof__(cuDevicePrimaryCtxRetain) *retain;
	__typeof__(cuCtxSetCurrent) *set_current;
	__typeof__(cuModuleLoadData) *load;
	__typeof__(cuModuleGetFunction) *function;
	__typeof__(cuMemAlloc) *alloc;
	__typeof__(cuStreamCreate) *stream_create;
	__typeof__(cuStreamSynchronize) *stream_synchronize;
	__typeof__(cuStreamBeginCapture) *begin_capture;
	__typeof__(cuStreamEndCapture) *end_capture;
	__typeof__(cuEventCreate) *event_create;
	__typeof__(cuEventRecord) *event_record;
	__typeof__(cuEventSynchronize) *event_synchronize;
	__typeof__(cuGraphInstantiate) *instantiate;
	__typeof__(cuGraphLaunch) *graph_launch;
	__typeof__(cuLaunchKernel) *launch;
} cu;

static void fail(const char *what, int code)
{
	(void)fprintf(stderr, "%s: error %d\n", what, code);
	exit(1);
}

static void check(const char *what, CUresult result)
{
	if (result != CUDA_SUCCESS)
		fail(what, (int)result);
}

static void *symbol(void *driver, const char *name)
{
	void *address = dlsym(driver, name);

	if (address == NULL)
		fail(name, 0);
	return address;
}

static void driver_load(void)
{
	void *driver = dlopen("libcuda.so.1", RTLD_NOW);

	if (driver == NULL)
		fail("libcuda.so.1 cannot be loaded", 0);
	cu.init = symbol(driver, "cuInit");
	cu.version = symbol(driver, "cuDriverGetVersion");
	cu.device_name = symbol(driver, "cuDeviceGetName");
	cu.retain = symbol(driver, "cuDevicePrimaryCtxRetain");
	cu.set_current = symbol(driver, "cuCtxSetCurrent");
	cu.load = symbol(driver, "cuModuleLoadData");
	cu.function = symbol(driver, "cuModuleGetFunction");
	cu.alloc = symbol(driver, "cuMemAlloc_v2");
	cu.stream_create = symbol(driver, "cuStreamCreate");
	cu.stream_synchronize = symbol(driver, "cuStreamSynchronize");
	cu.begin_capture = symbol(driver, "cuStreamBeginCapture_v2");
	cu.end_capture = symbol(driver, "cuStreamEndCapture");
	cu.event_create = symbol(driver, "cuEventCreate");
	cu.event_record = symbol(driver, "cuEventRecord");
	cu.event_synchronize = symbol(driver, "cuEventSynchronize");
	cu.instantiate = symbol(driver, "cuGraphInstantiateWithFlags");
	cu.graph_launch = symbol(driver, "cuGraphLaunch");
	cu.launch = symbol(driver, "cuLaunchKernel");
}

void gpu_open(struct gpu *gpu)
{
	CUcontext ctx;

	driver_load();
	check("cuInit", cu.init(0));
	check("cuDriverGetVersion", cu.version(&gpu->driver_version));
	check("cuDeviceGetName", cu.device_name(gpu->device, sizeof(gpu->device), 0));
	check("cuDevicePrimaryCtxRetain", cu.retain(&ctx, 0));
	check("cuCtxSetCurrent", cu.set_current(ctx));
	check("cuStreamCreate", cu.stream_create(&gpu->stream, CU_STREAM_NON_BLOCKING));
}

CUfunction gpu_kernel(const char *ptx, const char *name)
{
	CUmodule module;
	CUfunction kernel;

	check("cuModuleLoadData", cu.load(&module, ptx));
	check("cuModuleGetFunction", cu.function(&kernel, module, name));
	return kernel;
}

CUdeviceptr gpu_memory(size_t bytes)
{
	CUdeviceptr memory;

	check("cuMemAlloc", cu.alloc(&memory, bytes));
	return memory;
}

void gpu_launch(const struct gpu *gpu, CUfunction kernel, unsigned int nr_blocks, void **params)
{
	check("cuLaunchKernel", cu.launch(kernel, nr_blocks, 1, 1, BLOCK_THREADS, 1, 1, 0,
					  gpu->stream, params, NULL));
}

void gpu_wait(const struct gpu *gpu)
{
	check("cuStreamSynchronize", cu.stream_synchronize(gpu->stream));
}

CUevent gpu_event(void)
{
	CUevent event;

	check("cuEventCreate", cu.event_create(&event, CU_EVENT_DISABLE_TIMING));
	return event;
}

void gpu_record(const struct gpu *gpu, CUevent event)
{
	check("cuEventRecord", cu.event_record(event, gpu->stream));
}

void gpu_wait_event(CUevent event)
{
	check("cuEventSynchronize", cu.event_synchronize(event));
}

void gpu_capture_begin(const struct gpu *gpu)
{
	check("cuStreamBeginCapture",
	      cu.begin_capture(gpu->stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
}

CUgraphExec gpu_capture_end(const struct gpu *gpu)
{
	CUgraph graph;
	CUgraphExec exec;

	check("cuStreamEndCapture", cu.end_capture(gpu->stream, &graph));
	check("cuGraphInstantiate", cu.instantiate(&exec, graph, 0));
	return exec;
}

void gpu_replay(const struct gpu *gpu, CUgraphExec exec)
{
	check("cuGraphLaunch", cu.graph_launch(exec, gpu->stream));
}
