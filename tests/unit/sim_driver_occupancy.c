/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Occupancy calls on the simulated H100: numbers measured on hardware where there are some, and
 * that a grid of the promised size is really resident at once.
 */
#include "sim_program.h"

static struct program program;

#define ONE_PER_SM (200 * 1024)

static int setup(void **state)
{
	(void)state;
	program_open(&program);
	return 0;
}

/* A fresh function, so that no test sees another's attributes. */
static CUfunction fresh(CUmodule *ret_module)
{
	CUfunction func;

	OK(cuModuleLoadData(ret_module, program_ptx));
	OK(cuModuleGetFunction(&func, *ret_module, "lk_barrier"));
	return func;
}

static int blocks_per_sm(CUfunction func, int threads, size_t dynamic)
{
	int n = -1;

	OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&n, func, threads, dynamic));
	return n;
}

static void test_blocks_per_sm(void **state)
{
	CUmodule module;
	CUfunction func = fresh(&module);
	int n = -1;

	(void)state;
	assert_int_equal(blocks_per_sm(func, 32, 0), 32);
	assert_int_equal(blocks_per_sm(func, 100, 2048), 16);
	assert_int_equal(blocks_per_sm(func, 256, 4096), 8);
	assert_int_equal(blocks_per_sm(func, 1024, 6144), 2);
	/* More than the function was allowed, and more threads than a block has. */
	assert_int_equal(blocks_per_sm(func, 32, ONE_PER_SM), 0);
	assert_int_equal(blocks_per_sm(func, 1056, 0), 0);
	OK(cuFuncSetAttribute(func, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, ONE_PER_SM));
	assert_int_equal(blocks_per_sm(func, 32, ONE_PER_SM), 1);
	assert_int_equal(cuOccupancyMaxActiveBlocksPerMultiprocessor(&n, func, 0, 0),
			 CUDA_ERROR_INVALID_VALUE);
	OK(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&n, func, 256, 0, 0));
	assert_int_equal(n, 8);
	assert_int_equal(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&n, func, 256, 0, 8),
			 CUDA_ERROR_INVALID_VALUE);
	OK(cuModuleUnload(module));
}

static void test_the_promised_grid_is_resident(void **state)
{
	CUmodule module;
	CUfunction func = fresh(&module);
	uint64_t ns = 100;
	CUdeviceptr words = program.words;
	void *params[] = {&words, &ns};
	const unsigned int most = 132u * (unsigned int)blocks_per_sm(func, 256, 4096);

	(void)state;
	OK(cuLaunchCooperativeKernel(func, most, 1, 1, 256, 1, 1, 4096, program.stream, params));
	OK(cuStreamSynchronize(program.stream));
	assert_int_equal(lithos_sim_nr_hung(), 0);
	assert_int_equal(cuLaunchCooperativeKernel(func, most + 1, 1, 1, 256, 1, 1, 4096,
						   program.stream, params),
			 CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
	OK(cuModuleUnload(module));
}

static CUlaunchConfig clusters_of(CUlaunchAttribute *attribute, unsigned int size)
{
	*attribute = (CUlaunchAttribute){.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
					 .value.clusterDim = {size, 1, 1}};
	return (CUlaunchConfig){.gridDimX = size,
				.gridDimY = 1,
				.gridDimZ = 1,
				.blockDimX = 32,
				.blockDimY = 1,
				.blockDimZ = 1,
				.sharedMemBytes = ONE_PER_SM,
				.attrs = attribute,
				.numAttrs = 1};
}

static int clusters(CUfunction func, unsigned int size)
{
	CUlaunchAttribute attribute;
	CUlaunchConfig config = clusters_of(&attribute, size);
	int n = -1;

	OK(cuOccupancyMaxActiveClusters(&n, func, &config));
	return n;
}

static void test_clusters(void **state)
{
	CUlaunchAttribute attribute;
	CUlaunchConfig config = clusters_of(&attribute, 17);
	CUmodule module;
	CUfunction func = fresh(&module);
	int n = -1;

	(void)state;
	OK(cuFuncSetAttribute(func, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, ONE_PER_SM));
	OK(cuFuncSetAttribute(func, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1));
	assert_int_equal(clusters(func, 2), 66);
	assert_int_equal(clusters(func, 4), 30);
	assert_int_equal(clusters(func, 8), 15);
	assert_int_equal(clusters(func, 16), 7);
	assert_int_equal(cuOccupancyMaxActiveClusters(&n, func, &config),
			 CUDA_ERROR_INVALID_CLUSTER_SIZE);
	OK(cuModuleUnload(module));
}

static void test_largest_cluster(void **state)
{
	CUlaunchAttribute attribute;
	CUlaunchConfig config = clusters_of(&attribute, 1);
	CUmodule module;
	CUfunction func = fresh(&module);
	int n = -1;

	(void)state;
	OK(cuFuncSetAttribute(func, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, ONE_PER_SM));
	OK(cuOccupancyMaxPotentialClusterSize(&n, func, &config));
	assert_int_equal(n, 8);
	OK(cuFuncSetAttribute(func, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1));
	OK(cuOccupancyMaxPotentialClusterSize(&n, func, &config));
	assert_int_equal(n, 16);
	OK(cuModuleUnload(module));
}

/* 1 KiB of shared memory for each warp. */
static size_t CUDA_CB shared_by_threads(int threads)
{
	return (size_t)threads / 32 * 1024;
}

static void test_best_block_size(void **state)
{
	CUmodule module;
	CUfunction func = fresh(&module);
	int grid = 0, block = 0;
	size_t bytes = 0;

	(void)state;
	OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, func, NULL, 0, 0));
	assert_int_equal(block, 1024);
	assert_int_equal(grid, 2 * 132);
	OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, func, NULL, 0, 300));
	assert_true(block <= 300 && block * (grid / 132) <= 2048);
	OK(cuOccupancyMaxPotentialBlockSizeWithFlags(&grid, &block, func, shared_by_threads, 0, 0,
						     0));
	assert_int_equal(blocks_per_sm(func, block, shared_by_threads(block)), grid / 132);
	OK(cuOccupancyAvailableDynamicSMemPerBlock(&bytes, func, 2, 128));
	OK(cuFuncSetAttribute(func, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, (int)bytes));
	assert_int_equal(blocks_per_sm(func, 128, bytes), 2);
	assert_int_equal(cuOccupancyAvailableDynamicSMemPerBlock(&bytes, func, 0, 128),
			 CUDA_ERROR_INVALID_VALUE);
	OK(cuModuleUnload(module));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks_per_sm),
		cmocka_unit_test(test_the_promised_grid_is_resident),
		cmocka_unit_test(test_clusters),
		cmocka_unit_test(test_largest_cluster),
		cmocka_unit_test(test_best_block_size),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
