/* SPDX-License-Identifier: Apache-2.0 */
/* LITHOS_SIM_KERNELS: the kernels of a shared object run, and come before the builtin ones. */
#include "sim_program.h"

static struct program program;

static const char mine_ptx[] = ".version 7.0\n.target sm_90\n.address_size 64\n"
			       ".visible .entry mine(.param .u64 p, .param .u32 factor){ret;}\n";
static const char short_ptx[] = ".version 7.0\n.target sm_90\n.address_size 64\n"
				".visible .entry mine(.param .u64 p){ret;}\n";

static int setup(void **state)
{
	(void)state;
	program_open(&program);
	return 0;
}

static CUfunction mine_of(const char *ptx, CUmodule *ret_module)
{
	CUfunction func;

	OK(cuModuleLoadData(ret_module, ptx));
	OK(cuModuleGetFunction(&func, *ret_module, "mine"));
	return func;
}

static void test_its_body_and_cost(void **state)
{
	CUdeviceptr words = program.words;
	uint32_t factor = 3;
	CUevent before, after;
	CUmodule module;
	CUfunction func = mine_of(mine_ptx, &module);
	float ms = 0;

	(void)state;
	OK(cuEventCreate(&before, 0));
	OK(cuEventCreate(&after, 0));
	OK(cuEventRecord(before, program.stream));
	OK(cuLaunchKernel(func, 4, 2, 1, 2, 1, 1, 0, program.stream, (void *[]){&words, &factor},
			  NULL));
	OK(cuEventRecord(after, program.stream));
	OK(cuStreamSynchronize(program.stream));
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(program_word(&program, i), 3 * (i + 1));
	assert_int_equal(program_word(&program, 8), 0);
	/* Device time: two threads cost two milliseconds, whatever the machine does. */
	OK(cuEventElapsedTime(&ms, before, after));
	assert_true(ms >= 2.0f);
	OK(cuEventDestroy(before));
	OK(cuEventDestroy(after));
	OK(cuModuleUnload(module));
}

static void test_too_few_parameters_run_no_body(void **state)
{
	CUdeviceptr words = program.words;
	CUmodule module;
	CUfunction func = mine_of(short_ptx, &module);

	(void)state;
	OK(cuMemsetD32(program.words, 5, 4));
	OK(cuLaunchKernel(func, 4, 1, 1, 2, 1, 1, 0, program.stream, (void *[]){&words}, NULL));
	OK(cuStreamSynchronize(program.stream));
	assert_int_equal(program_word(&program, 0), 5);
	OK(cuModuleUnload(module));
}

static void test_it_comes_before_the_builtin(void **state)
{
	(void)state;
	OK(cuMemsetD32(program.words, 0, 4));
	OK(program_launch(&program, "lk_count", 1, program.stream, 10));
	OK(program_launch(&program, "lk_where", 2, program.stream, 10));
	OK(cuStreamSynchronize(program.stream));
	OK(program_launch(&program, "lk_count", 2, program.stream, 10));
	OK(cuStreamSynchronize(program.stream));
	/* The builtin lk_where noted an SM in between, which is less than 132. */
	assert_in_range(program_word(&program, 0), 100, 231);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_its_body_and_cost),
		cmocka_unit_test(test_too_few_parameters_run_no_body),
		cmocka_unit_test(test_it_comes_before_the_builtin),
	};

	if (setenv("LITHOS_SIM_KERNELS", SIM_KERNELS_OBJECT, 1))
		return 1;
	return cmocka_run_group_tests(tests, setup, NULL);
}
