/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hooked functions that do not launch: in which order the driver and the tenant hear of a
 * context, what the program is told of the GPU, which addresses it gets.
 */
#include "hook_fakes.h"

/* --- contexts --------------------------------------------------------------------------------- */

static CUresult primary_retain(CUcontext *ctx, CUdevice device)
{
	assert_int_equal(device, 3);
	*ctx = NEW;
	return driver_call();
}

static CUresult primary_call(CUdevice device)
{
	assert_int_equal(device, 3);
	return driver_call();
}

static CUresult create(CUcontext *ctx, unsigned int flags, CUdevice device)
{
	assert_int_equal(flags, 6);
	return primary_retain(ctx, device);
}

static CUresult create_v3(CUcontext *ctx, CUexecAffinityParam *params, int nr_params,
			  unsigned int flags, CUdevice device)
{
	assert_null(params);
	assert_int_equal(nr_params, 0);
	return create(ctx, flags, device);
}

static CUresult create_v4(CUcontext *ctx, CUctxCreateParams *params, unsigned int flags,
			  CUdevice device)
{
	assert_null(params);
	return create(ctx, flags, device);
}

static CUresult destroy(CUcontext ctx)
{
	assert_ptr_equal(ctx, NEW);
	return driver_call();
}

static void assert_opened(CUresult result, int is_primary)
{
	assert_int_equal(result, test.result);
	assert_string_equal(test.order, test.result ? "d" : "do");
	if (!test.result) {
		assert_ptr_equal(test.ctx, NEW);
		assert_int_equal(test.device, 3);
		assert_int_equal(test.is_primary, is_primary);
	}
	memset(test.order, 0, sizeof(test.order));
}

static void test_contexts_open(void **state)
{
	static const CUresult results[] = {CUDA_SUCCESS, CUDA_ERROR_OUT_OF_MEMORY};
	CUcontext ctx;

	(void)state;
	real_cuDevicePrimaryCtxRetain = primary_retain;
	real_cuCtxCreate = real_cuCtxCreate_v2 = create;
	real_cuCtxCreate_v3 = create_v3;
	real_cuCtxCreate_v4 = create_v4;
	for (int i = 0; i < 2; i++) {
		test.result = results[i];
		assert_opened(hook_cuDevicePrimaryCtxRetain(&ctx, 3), 1);
		assert_opened(hook_cuCtxCreate(&ctx, 6, 3), 0);
		assert_opened(hook_cuCtxCreate_v2(&ctx, 6, 3), 0);
		assert_opened(hook_cuCtxCreate_v3(&ctx, NULL, 0, 6, 3), 0);
		assert_opened(hook_cuCtxCreate_v4(&ctx, NULL, 6, 3), 0);
	}
}

static void test_contexts_close(void **state)
{
	(void)state;
	real_cuCtxDestroy = real_cuCtxDestroy_v2 = destroy;
	(void)hook_cuCtxDestroy(NEW);
	(void)hook_cuCtxDestroy_v2(NEW);
	assert_string_equal(test.order, "cdCcdC");
	/* What the driver did not destroy is not gone. */
	setup(state);
	test.result = CUDA_ERROR_INVALID_VALUE;
	(void)hook_cuCtxDestroy(NEW);
	(void)hook_cuCtxDestroy_v2(NEW);
	assert_string_equal(test.order, "cdcd");
}

static void test_primary_context(void **state)
{
	(void)state;
	real_cuDevicePrimaryCtxRelease = real_cuDevicePrimaryCtxRelease_v2 = primary_call;
	real_cuDevicePrimaryCtxReset = real_cuDevicePrimaryCtxReset_v2 = primary_call;
	(void)hook_cuDevicePrimaryCtxRelease(3);
	(void)hook_cuDevicePrimaryCtxRelease_v2(3);
	(void)hook_cuDevicePrimaryCtxReset(3);
	(void)hook_cuDevicePrimaryCtxReset_v2(3);
	assert_string_equal(test.order, "drdrRdRd");
	assert_int_equal(test.device, 3);
}

static CUresult green_create(CUgreenCtx *ctx, CUdevResourceDesc desc, CUdevice device,
			     unsigned int flags)
{
	(void)ctx;
	(void)desc;
	assert_int_equal(flags, 1);
	return primary_call(device);
}

static void test_green_context(void **state)
{
	CUgreenCtx ctx;

	(void)state;
	real_cuGreenCtxCreate = green_create;
	for (test.is_subscribed = 0; test.is_subscribed < 2; test.is_subscribed++) {
		test.result = CUDA_ERROR_NOT_SUPPORTED;
		assert_int_equal(hook_cuGreenCtxCreate(&ctx, NULL, 3, 1), test.result);
		test.result = CUDA_SUCCESS;
		assert_int_equal(hook_cuGreenCtxCreate(&ctx, NULL, 3, 1), CUDA_SUCCESS);
	}
}

/* --- what the program is told ----------------------------------------------------------------- */

static int told = 132; /* the driver's answer */

static CUresult get_attribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
	(void)attribute;
	(void)device;
	*value = told;
	return driver_call();
}

static void test_attribute(void **state)
{
	int value = 0;

	(void)state;
	real_cuDeviceGetAttribute = get_attribute;
	(void)hook_cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 3);
	assert_int_equal(value, 66);
	(void)hook_cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 4);
	assert_int_equal(value, 132);
	(void)hook_cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 3);
	assert_int_equal(value, 132);
	test.result = CUDA_ERROR_INVALID_VALUE;
	(void)hook_cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 3);
	assert_int_equal(value, 132);
}

static CUresult max_potential(int *min_grid, int *block, CUfunction f, CUoccupancyB2DSize shared_of,
			      size_t shared_bytes, int limit)
{
	assert_ptr_equal(f, (CUfunction)1);
	assert_null(shared_of);
	assert_int_equal(shared_bytes * 10 + (size_t)limit, 23);
	*min_grid = told;
	*block = 256;
	return driver_call();
}

/* NOLINTNEXTLINE(readability-function-size): the driver's signature */
static CUresult max_potential_flags(int *min_grid, int *block, CUfunction f,
				    CUoccupancyB2DSize shared_of, size_t shared_bytes, int limit,
				    unsigned int flags)
{
	assert_int_equal(flags, 1);
	return max_potential(min_grid, block, f, shared_of, shared_bytes, limit);
}

static void test_grid_that_fills(void **state)
{
	int grid, block;

	(void)state;
	real_cuOccupancyMaxPotentialBlockSize = max_potential;
	real_cuOccupancyMaxPotentialBlockSizeWithFlags = max_potential_flags;
	(void)hook_cuOccupancyMaxPotentialBlockSize(&grid, &block, (CUfunction)1, NULL, 2, 3);
	assert_int_equal(grid, 132);
	confine(11, 1);
	(void)hook_cuOccupancyMaxPotentialBlockSize(&grid, &block, (CUfunction)1, NULL, 2, 3);
	assert_int_equal(grid, 22);
	assert_int_equal(block, 256);
	(void)hook_cuOccupancyMaxPotentialBlockSizeWithFlags(&grid, &block, (CUfunction)1, NULL, 2,
							     3, 1);
	assert_int_equal(grid, 22);
	test.result = CUDA_ERROR_INVALID_VALUE;
	(void)hook_cuOccupancyMaxPotentialBlockSize(&grid, &block, (CUfunction)1, NULL, 2, 3);
	assert_int_equal(grid, 132);
}

static int compiled_width;

static CUresult func_attribute(int *value, CUfunction_attribute attribute, CUfunction func)
{
	assert_ptr_equal(func, (CUfunction)1);
	*value = attribute == CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH ? compiled_width
								       : compiled_width != 0;
	return CUDA_SUCCESS;
}

static CUresult max_clusters(int *nr_clusters, CUfunction func, const CUlaunchConfig *config)
{
	(void)func, (void)config;
	*nr_clusters = 16;
	return driver_call();
}

static int told_clusters(const CUlaunchConfig *config)
{
	int nr_clusters = 0;

	(void)hook_cuOccupancyMaxActiveClusters(&nr_clusters, (CUfunction)1, config);
	return nr_clusters;
}

/* Of a GPC of 4 TPCs, 3 are the quota's. */
static void test_clusters(void **state)
{
	CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
				       .value.clusterDim = {2, 1, 1}};
	CUlaunchConfig config = {.attrs = &attribute};

	(void)state;
	real_cuOccupancyMaxActiveClusters = max_clusters;
	tenant.ops.func_attribute = func_attribute;
	confine(3, 1);
	test.masked->topo.nr_gpcs = 1;
	for (uint32_t i = 0; i < 4; i++) {
		tpcset_add(&test.masked->topo.present, i);
		if (i < 3)
			tpcset_add(&test.masked->allowed, i);
	}
	test.masked->topo.gpc[0] = test.masked->topo.present;
	assert_int_equal(told_clusters(&config), 12);
	/* One that the attribute makes of 4 blocks, and one that was compiled with 4. */
	config.numAttrs = 1;
	attribute.value.clusterDim.x = 4;
	assert_int_equal(told_clusters(&config), 8);
	config.numAttrs = 0;
	compiled_width = 4;
	assert_int_equal(told_clusters(&config), 8);
	compiled_width = 8;
	assert_int_equal(told_clusters(&config), 1);
}

/* --- addresses and tables --------------------------------------------------------------------- */

static void *found;

static CUresult proc_address(const char *symbol, void **function, int version, cuuint64_t flags)
{
	assert_string_equal(symbol, "cuX");
	assert_int_equal((cuuint64_t)version * 10 + flags, 12345);
	if (function)
		*function = found;
	return driver_call();
}

static CUresult proc_address_v2(const char *symbol, void **function, int version, cuuint64_t flags,
				CUdriverProcAddressQueryResult *status)
{
	assert_null(status);
	return proc_address(symbol, function, version, flags);
}

static void test_addresses(void **state)
{
	void *function = NULL;

	(void)state;
	real_cuGetProcAddress = proc_address;
	real_cuGetProcAddress_v2 = proc_address_v2;
	found = &test;
	(void)hook_cuGetProcAddress("cuX", &function, 1234, 5);
	assert_ptr_equal(function, &tenant);
	(void)hook_cuGetProcAddress_v2("cuX", &function, 1234, 5, NULL);
	assert_ptr_equal(function, &tenant);
	/* Asking whether a function is there. */
	found = NULL;
	(void)hook_cuGetProcAddress("cuX", &function, 1234, 5);
	assert_null(function);
	(void)hook_cuGetProcAddress_v2("cuX", NULL, 1234, 5, NULL);
	found = &test;
	test.result = CUDA_ERROR_NOT_FOUND;
	assert_int_equal(hook_cuGetProcAddress("cuX", &function, 1234, 5), CUDA_ERROR_NOT_FOUND);
	assert_ptr_equal(function, &test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_contexts_open, setup),
		cmocka_unit_test_setup(test_contexts_close, setup),
		cmocka_unit_test_setup(test_primary_context, setup),
		cmocka_unit_test_setup(test_green_context, setup),
		cmocka_unit_test_setup(test_attribute, setup),
		cmocka_unit_test_setup(test_grid_that_fills, setup),
		cmocka_unit_test_setup(test_clusters, setup),
		cmocka_unit_test_setup(test_addresses, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
