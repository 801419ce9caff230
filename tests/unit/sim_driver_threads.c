/* SPDX-License-Identifier: Apache-2.0 */
/* 64 threads launch at once; every block runs exactly once. A hung grid keeps its stream, not the
 * rest. */
#include "sim_program.h"

#include <pthread.h>

#define NR_THREADS  64
#define NR_LAUNCHES 20

static struct program program;

static void *launch_many(void *arg)
{
	CUstream stream;

	(void)arg;
	OK(cuCtxSetCurrent(program.ctx));
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	for (int i = 0; i < NR_LAUNCHES; i++)
		OK(program_launch(&program, "lk_count", 8, stream, 1000));
	OK(cuStreamSynchronize(stream));
	OK(cuStreamDestroy(stream));
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t thread[NR_THREADS];

	(void)state;
	for (int i = 0; i < NR_THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, launch_many, NULL), 0);
	for (int i = 0; i < NR_THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(program_word(&program, i), NR_THREADS * NR_LAUNCHES);
}

static void test_hung_grid(void **state)
{
	CUcontext ctx;
	CUstream stream;
	CUmodule module;
	CUfunction func;
	CUdeviceptr word;
	uint64_t ns = 100;
	void *params[] = {&word, &ns};

	(void)state;
	OK(program_ctx_new(&ctx));
	OK(cuModuleLoadData(&module, program_ptx));
	OK(cuModuleGetFunction(&func, module, "lk_barrier"));
	OK(cuMemAlloc(&word, 4));
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuFuncSetAttribute(func, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 200 * 1024));
	OK(cuLaunchKernel(func, 133, 1, 1, 32, 1, 1, 200 * 1024, stream, params, NULL));
	/* A shared device says so a moment later. */
	while (!lithos_sim_nr_hung())
		assert_int_equal(cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
	assert_int_equal(lithos_sim_nr_hung(), 1);
	assert_int_equal(cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
	OK(cuCtxDestroy(ctx));
	OK(cuCtxSetCurrent(program.ctx));
	OK(program_launch(&program, "lk_count", 8, program.stream, 1000));
	OK(cuStreamSynchronize(program.stream));
}

static int setup(void **state)
{
	(void)state;
	program_open(&program);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_hung_grid),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
