/* SPDX-License-Identifier: Apache-2.0 */
/* Memory, stream order, events, waits on memory and the entry point table of the simulated driver.
 */
#include "sim_program.h"

#include <dlfcn.h>

static struct program program;

static int setup(void **state)
{
	(void)state;
	program_open(&program);
	return 0;
}

static void test_memory(void **state)
{
	static uint32_t host[1000];
	CUdeviceptr p;
	size_t free_before, free_after, total;

	(void)state;
	OK(cuMemGetInfo(&free_before, &total));
	OK(cuMemAlloc(&p, 4000));
	OK(cuMemGetInfo(&free_after, &total));
	assert_true(free_after < free_before);
	OK(cuMemsetD32(p, 0x12345678, 1000));
	OK(cuMemcpyDtoH(host, p, 4000));
	assert_int_equal(host[999], 0x12345678);
	assert_int_equal(cuMemcpyDtoH(host, p, 4001), CUDA_ERROR_INVALID_VALUE);
	assert_int_equal(cuMemFree(p + 4), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemFree(p));
	assert_int_equal(cuMemFree(p), CUDA_ERROR_INVALID_VALUE);
	assert_int_equal(cuMemAlloc(&p, total), CUDA_ERROR_OUT_OF_MEMORY);
	OK(cuMemGetInfo(&free_after, &total));
	assert_int_equal(free_after, free_before);
}

static void test_events_order_streams(void **state)
{
	CUstream other;
	CUevent first, last;
	float ms;

	(void)state;
	OK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
	OK(cuEventCreate(&first, 0));
	OK(cuEventCreate(&last, 0));
	OK(cuEventRecord(first, program.stream));
	OK(program_launch(&program, "lk_count", 1, program.stream, 2000000));
	OK(cuEventRecord(last, program.stream));
	OK(cuStreamWaitEvent(other, last, 0));
	OK(cuMemsetD32Async(program.words, 50, 1, other));
	OK(cuStreamSynchronize(other));
	assert_int_equal(program_word(&program, 0), 50);
	OK(cuEventElapsedTime(&ms, first, last));
	assert_true(ms >= 2.0f);
	OK(cuEventDestroy(first));
	OK(cuEventDestroy(last));
	OK(cuStreamDestroy(other));
}

static void test_null_stream_waits_for_blocking_streams(void **state)
{
	CUstream blocking;

	(void)state;
	OK(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
	OK(cuMemsetD32(program.words, 0, 1));
	OK(program_launch(&program, "lk_count", 1, blocking, 3000000));
	OK(program_launch(&program, "lk_count", 1, NULL, 1000));
	OK(cuStreamSynchronize(NULL));
	assert_int_equal(cuStreamQuery(blocking), CUDA_SUCCESS);
	assert_int_equal(program_word(&program, 0), 2);
	OK(cuStreamDestroy(blocking));
}

/* What makes the NULL stream wait for a stream is none of that stream's work. */
static void test_null_stream_keeps_no_stream_busy(void **state)
{
	enum {
		NR_TRIES = 10000, /* the kernel should end just when the NULL stream is used */
		LONGEST_NS = 60000
	};
	CUstream blocking;
	CUevent event;

	(void)state;
	OK(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
	OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
	for (uint64_t i = 0; i < NR_TRIES; i++) {
		OK(program_launch(&program, "lk_count", 1, blocking, LONGEST_NS * i / NR_TRIES));
		OK(cuEventRecord(event, blocking));
		OK(cuMemsetD32Async(program.words, 0, 1, NULL));
		while (cuEventQuery(event) == CUDA_ERROR_NOT_READY)
			;
		assert_int_equal(cuStreamQuery(blocking), CUDA_SUCCESS);
		OK(cuStreamSynchronize(NULL));
	}
	OK(cuEventDestroy(event));
	OK(cuStreamDestroy(blocking));
}

static void test_wait_for_a_word(void **state)
{
	(void)state;
	OK(cuMemsetD32(program.words, 0, 2));
	OK(cuStreamWaitValue32(program.stream, program.words, 7, CU_STREAM_WAIT_VALUE_EQ));
	OK(cuMemsetD32Async(program.words + 4, 9, 1, program.stream));
	assert_int_equal(cuStreamQuery(program.stream), CUDA_ERROR_NOT_READY);
	OK(cuStreamWriteValue32(CU_STREAM_PER_THREAD, program.words, 7, 0));
	OK(cuStreamSynchronize(program.stream));
	assert_int_equal(program_word(&program, 1), 9);
}

static void count_call(void *arg)
{
	++*(int *)arg;
}

static void test_host_function(void **state)
{
	int nr_calls = 0;

	(void)state;
	OK(cuLaunchHostFunc(program.stream, count_call, &nr_calls));
	OK(cuStreamSynchronize(program.stream));
	assert_int_equal(nr_calls, 1);
}

static void test_errors_of_launches(void **state)
{
	(void)state;
	assert_int_equal(program_launch(&program, "lk_count", 0, program.stream, 1),
			 CUDA_ERROR_INVALID_VALUE);
	assert_int_equal(cuLaunchKernel(program_kernel(&program, "unknown"), 1, 1, 1, 1025, 1, 1, 0,
					program.stream, (void *[]){&(uint32_t){1}}, NULL),
			 CUDA_ERROR_INVALID_VALUE);
	assert_int_equal(cuLaunchCooperativeKernel(program_kernel(&program, "unknown"),
						   132 * 32 + 1, 1, 1, 32, 1, 1, 0, program.stream,
						   (void *[]){&(uint32_t){1}}),
			 CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
}

static void test_entry_points(void **state)
{
	void *self = dlopen("libcuda.so.1", RTLD_NOW);
	CUdriverProcAddressQueryResult status;
	void *fn;

	(void)state;
	assert_non_null(self);
	OK(cuGetProcAddress("cuMemAlloc", &fn, 12000, 0, &status));
	assert_ptr_equal(fn, dlsym(self, "cuMemAlloc_v2"));
	OK(cuGetProcAddress("cuLaunchKernel", &fn, 12000,
			    CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, &status));
	assert_ptr_equal(fn, dlsym(self, "cuLaunchKernel_ptsz"));
	assert_int_equal(cuGetProcAddress("cuNoSuchThing", &fn, 12000, 0, &status),
			 CUDA_ERROR_NOT_FOUND);
	assert_int_equal(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
	assert_null(dlsym(self, "cuTexRefCreate"));
	(void)dlclose(self);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_events_order_streams),
		cmocka_unit_test(test_null_stream_waits_for_blocking_streams),
		cmocka_unit_test(test_null_stream_keeps_no_stream_busy),
		cmocka_unit_test(test_wait_for_a_word),
		cmocka_unit_test(test_host_function),
		cmocka_unit_test(test_errors_of_launches),
		cmocka_unit_test(test_entry_points),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
