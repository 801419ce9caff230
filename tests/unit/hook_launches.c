/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hooked launch functions one by one: what they pass on, which stream and graph they note while
 * the driver works, which cooperative launches never reach it.
 */
#include "hook_fakes.h"

/* --- launches --------------------------------------------------------------------------------- */

/* NOLINTNEXTLINE(readability-function-size): the driver's signature */
static CUresult launch_kernel(CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz,
			      unsigned int bx, unsigned int by, unsigned int bz,
			      unsigned int shared, CUstream stream, void **params, void **extra)
{
	assert_ptr_equal(f, (CUfunction)1);
	assert_int_equal(gx * 100000 + gy * 10000 + gz * 1000 + bx * 100 + by * 10 + bz, 234567);
	assert_int_equal(shared, 8);
	assert_true(!stream || stream == STREAM);
	assert_ptr_equal(params, (void **)9);
	assert_ptr_equal(extra, (void **)10);
	return driver_call();
}

/* NOLINTNEXTLINE(readability-function-size): the driver's signature */
static CUresult launch_cooperative(CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz,
				   unsigned int bx, unsigned int by, unsigned int bz,
				   unsigned int shared, CUstream stream, void **params)
{
	return launch_kernel(f, gx, gy, gz, bx, by, bz, shared, stream, params, (void **)10);
}

static CUresult launch_ex(const CUlaunchConfig *config, CUfunction f, void **params, void **extra)
{
	(void)config;
	assert_ptr_equal(f, (CUfunction)1);
	assert_ptr_equal(params, (void **)9);
	assert_ptr_equal(extra, (void **)10);
	return driver_call();
}

static CUresult launch_multi(CUDA_LAUNCH_PARAMS *list, unsigned int n, unsigned int flags)
{
	assert_non_null(list);
	assert_int_equal(n, 2);
	assert_int_equal(flags, 5);
	return driver_call();
}

static CUresult launch(CUfunction f)
{
	assert_ptr_equal(f, (CUfunction)1);
	return driver_call();
}

static CUresult launch_grid(CUfunction f, int width, int height)
{
	assert_int_equal(width * 10 + height, 23);
	return launch(f);
}

static CUresult launch_grid_async(CUfunction f, int width, int height, CUstream stream)
{
	assert_true(!stream || stream == STREAM);
	return launch_grid(f, width, height);
}

static void drive_launches(void)
{
	real_cuLaunchKernel = real_cuLaunchKernel_ptsz = launch_kernel;
	real_cuLaunchCooperativeKernel = real_cuLaunchCooperativeKernel_ptsz = launch_cooperative;
	real_cuLaunchKernelEx = real_cuLaunchKernelEx_ptsz = launch_ex;
	real_cuLaunchCooperativeKernelMultiDevice = launch_multi;
	real_cuLaunch = launch;
	real_cuLaunchGrid = launch_grid;
	real_cuLaunchGridAsync = launch_grid_async;
}

/* Every launch call, on a stream; the order is that of the enum. */
enum call {
	CALL_KERNEL,
	CALL_KERNEL_PTSZ,
	CALL_EX,
	CALL_EX_PTSZ,
	CALL_COOP,
	CALL_COOP_PTSZ,
	CALL_GRID_ASYNC,
	NR_CALLS
};

static CUlaunchConfig ex_config;

static CUresult call(enum call which, CUstream stream)
{
	CUfunction f = (CUfunction)1;
	void **params = (void **)9, **extra = (void **)10;

	ex_config.hStream = stream;
	switch (which) {
	case CALL_KERNEL:
		return hook_cuLaunchKernel(f, 2, 3, 4, 5, 6, 7, 8, stream, params, extra);
	case CALL_KERNEL_PTSZ:
		return hook_cuLaunchKernel_ptsz(f, 2, 3, 4, 5, 6, 7, 8, stream, params, extra);
	case CALL_EX:
		return hook_cuLaunchKernelEx(&ex_config, f, params, extra);
	case CALL_EX_PTSZ:
		return hook_cuLaunchKernelEx_ptsz(&ex_config, f, params, extra);
	case CALL_COOP:
		return hook_cuLaunchCooperativeKernel(f, 2, 3, 4, 5, 6, 7, 8, stream, params);
	case CALL_COOP_PTSZ:
		return hook_cuLaunchCooperativeKernel_ptsz(f, 2, 3, 4, 5, 6, 7, 8, stream, params);
	default:
		return hook_cuLaunchGridAsync(f, 2, 3, stream);
	}
}

/* While the driver works the thread says which stream it is; before and after it says none. */
static void test_stream_keys(void **state)
{
	uint64_t null_key = 0, thread_key = 0;

	(void)state;
	drive_launches();
	for (uint32_t i = 0; i < NR_CALLS; i++) {
		uint64_t *default_key = i % 2 && i < CALL_GRID_ASYNC ? &thread_key : &null_key;

		test.result = CUDA_ERROR_LAUNCH_FAILED + i;
		assert_int_equal(call(i, STREAM), test.result);
		assert_int_equal(test.key, 0x5000);
		assert_int_equal(thread_self()->stream_key, 0);
		assert_int_equal(call(i, NULL), test.result);
		assert_int_not_equal(test.key, 0);
		if (*default_key)
			assert_int_equal(test.key, *default_key);
		*default_key = test.key;
		assert_int_equal(test.nr_driver_calls, 2 * i + 2);
	}
	/* The thread's own default stream is not the null stream. */
	assert_int_not_equal(null_key, thread_key);
	assert_int_equal(hook_cuLaunch((CUfunction)1), test.result);
	assert_int_equal(test.key, null_key);
	assert_int_equal(hook_cuLaunchGrid((CUfunction)1, 2, 3), test.result);
	assert_int_equal(test.key, null_key);
	assert_int_equal(thread_self()->stream_key, 0);
}

/* The driver's to refuse. */
static void test_no_config(void **state)
{
	(void)state;
	drive_launches();
	(void)hook_cuLaunchKernelEx(NULL, (CUfunction)1, (void **)9, (void **)10);
	(void)hook_cuLaunchKernelEx_ptsz(NULL, (CUfunction)1, (void **)9, (void **)10);
	assert_int_equal(test.nr_driver_calls, 2);
	assert_int_equal(test.key, 0);
}

/* --- cooperative launches --------------------------------------------------------------------- */

/* The calls above launch 24 blocks of 210 threads. */
static void test_gangs(void **state)
{
	uint64_t refused = thread_total(STATS_coop_refused);

	(void)state;
	drive_launches();
	confine(3, 4);
	assert_int_equal(call(CALL_COOP, STREAM), CUDA_SUCCESS);
	assert_int_equal(occupancy.threads, 210);
	assert_int_equal(occupancy.shared_bytes, 8);
	confine(3, 3);
	assert_int_equal(call(CALL_COOP, STREAM), CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
	assert_int_equal(call(CALL_COOP_PTSZ, STREAM), CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
	assert_int_equal(test.nr_driver_calls, 1);
	assert_int_equal(thread_self()->stream_key, 0);
	assert_int_equal(thread_total(STATS_coop_refused), refused + 2);
	/* Ordinary launches of any size wait their turn. */
	assert_int_equal(call(CALL_KERNEL, STREAM), CUDA_SUCCESS);
	/* What the driver cannot tell, it is asked to judge. */
	occupancy.result = CUDA_ERROR_INVALID_VALUE;
	assert_int_equal(call(CALL_COOP, STREAM), CUDA_SUCCESS);
	confine(3, 0);
	assert_int_equal(call(CALL_COOP, STREAM), CUDA_SUCCESS);
	test.masked = NULL;
	assert_int_equal(call(CALL_COOP, STREAM), CUDA_SUCCESS);
	assert_int_equal(thread_total(STATS_coop_refused), refused + 2);
}

static void test_gangs_by_attribute(void **state)
{
	CUlaunchAttribute attrs[2] = {
		{.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, .value.clusterDim = {1, 1, 1}},
		{.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE, .value.cooperative = 1}};

	(void)state;
	drive_launches();
	confine(3, 3);
	ex_config = (CUlaunchConfig){.gridDimX = 19,
				     .gridDimY = 1,
				     .gridDimZ = 1,
				     .blockDimX = 32,
				     .blockDimY = 1,
				     .blockDimZ = 1,
				     .sharedMemBytes = 77,
				     .attrs = attrs,
				     .numAttrs = 2};
	assert_int_equal(call(CALL_EX, STREAM), CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
	assert_int_equal(call(CALL_EX_PTSZ, STREAM), CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
	assert_int_equal(occupancy.shared_bytes, 77);
	assert_int_equal(thread_self()->stream_key, 0);
	ex_config.gridDimX = 18;
	assert_int_equal(call(CALL_EX, STREAM), CUDA_SUCCESS);
	ex_config.gridDimX = 19;
	attrs[1].value.cooperative = 0;
	assert_int_equal(call(CALL_EX, STREAM), CUDA_SUCCESS);
	/* cppcheck-suppress unreadVariable ; read through ex_config.attrs */
	attrs[1].value.cooperative = 1;
	ex_config.numAttrs = 1;
	assert_int_equal(call(CALL_EX, STREAM), CUDA_SUCCESS);
	/* More threads than a block can have, or none: the driver's to refuse. */
	ex_config.numAttrs = 2;
	ex_config.blockDimX = 1025;
	assert_int_equal(call(CALL_EX, STREAM), CUDA_SUCCESS);
	ex_config.blockDimX = 0;
	assert_int_equal(call(CALL_EX, STREAM), CUDA_SUCCESS);
	assert_int_equal(test.nr_driver_calls, 5);
	memset(&ex_config, 0, sizeof(ex_config));
}

static void test_gangs_on_several_devices(void **state)
{
	CUDA_LAUNCH_PARAMS list[2] = {{.function = (CUfunction)1,
				       .gridDimX = 18,
				       .gridDimY = 1,
				       .gridDimZ = 1,
				       .blockDimX = 64,
				       .blockDimY = 1,
				       .blockDimZ = 1,
				       .sharedMemBytes = 3},
				      {.function = (CUfunction)1,
				       .gridDimX = 6,
				       .gridDimY = 3,
				       .gridDimZ = 1,
				       .blockDimX = 64,
				       .blockDimY = 1,
				       .blockDimZ = 1}};

	(void)state;
	drive_launches();
	confine(3, 3);
	assert_int_equal(hook_cuLaunchCooperativeKernelMultiDevice(list, 2, 5), CUDA_SUCCESS);
	list[1].gridDimX = 7;
	assert_int_equal(hook_cuLaunchCooperativeKernelMultiDevice(list, 2, 5),
			 CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
	assert_int_equal(test.nr_driver_calls, 1);
}

/* --- graphs ----------------------------------------------------------------------------------- */

static CUresult graph_call(CUgraphExec exec, CUstream stream)
{
	assert_ptr_equal(exec, GRAPH);
	assert_ptr_equal(stream, STREAM);
	return driver_call();
}

static CUresult graph_destroy(CUgraphExec exec)
{
	assert_ptr_equal(exec, GRAPH);
	return driver_call();
}

static void test_graphs(void **state)
{
	uint64_t launches = thread_total(STATS_graph_launches);

	(void)state;
	real_cuGraphLaunch = real_cuGraphLaunch_ptsz = graph_call;
	real_cuGraphUpload = real_cuGraphUpload_ptsz = graph_call;
	real_cuGraphExecDestroy = graph_destroy;
	/* Without statistics there is nothing to note of the graph. */
	assert_int_equal(hook_cuGraphLaunch(GRAPH, STREAM), CUDA_SUCCESS);
	assert_null(test.exec);
	assert_int_equal(hook_cuGraphExecDestroy(GRAPH), CUDA_SUCCESS);
	assert_int_equal(test.nr_forgotten, 0);
	tenant.stats = some_region;
	assert_int_equal(hook_cuGraphUpload(GRAPH, STREAM), CUDA_SUCCESS);
	assert_ptr_equal(test.exec, some_exec);
	assert_null(thread_self()->exec);
	assert_int_equal(hook_cuGraphUpload_ptsz(GRAPH, STREAM), CUDA_SUCCESS);
	assert_int_equal(test.nr_graph_launches, 0);
	assert_int_equal(hook_cuGraphLaunch(GRAPH, STREAM), CUDA_SUCCESS);
	assert_int_equal(hook_cuGraphLaunch_ptsz(GRAPH, STREAM), CUDA_SUCCESS);
	assert_int_equal(test.nr_graph_launches, 2);
	/* A launch that failed is none. */
	test.result = CUDA_ERROR_INVALID_VALUE;
	assert_int_equal(hook_cuGraphLaunch(GRAPH, STREAM), CUDA_ERROR_INVALID_VALUE);
	assert_int_equal(test.nr_graph_launches, 2);
	assert_int_equal(thread_total(STATS_graph_launches), launches + 2);
	(void)hook_cuGraphExecDestroy(GRAPH);
	assert_int_equal(test.nr_forgotten, 1);
}

static CUresult module_unload(CUmodule module)
{
	assert_ptr_equal(module, (CUmodule)4);
	return driver_call();
}

static CUresult library_unload(CUlibrary library)
{
	assert_ptr_equal(library, (CUlibrary)5);
	return driver_call();
}

/* Handles are forgotten before the driver can give them out again, and once it may have. */
static void test_unloading(void **state)
{
	(void)state;
	real_cuModuleUnload = module_unload;
	real_cuLibraryUnload = library_unload;
	(void)hook_cuModuleUnload((CUmodule)4);
	(void)hook_cuLibraryUnload((CUlibrary)5);
	assert_string_equal(test.order, "fdffdf");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_stream_keys, setup),
		cmocka_unit_test_setup(test_no_config, setup),
		cmocka_unit_test_setup(test_gangs, setup),
		cmocka_unit_test_setup(test_gangs_by_attribute, setup),
		cmocka_unit_test_setup(test_gangs_on_several_devices, setup),
		cmocka_unit_test_setup(test_graphs, setup),
		cmocka_unit_test_setup(test_unloading, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
