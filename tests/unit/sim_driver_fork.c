/* SPDX-License-Identifier: Apache-2.0 */
/* A child of an initialised process gets CUDA_ERROR_NOT_INITIALIZED; one of a fresh process works.
 */
#include "sim_program.h"

#include <sys/wait.h>
#include <unistd.h>

static int status_of_child(int (*run)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (!pid)
		_exit(run());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int use_gpu(void)
{
	CUcontext ctx;
	CUdeviceptr p;
	uint32_t value = 0;

	if (cuInit(0) || cuDevicePrimaryCtxRetain(&ctx, 0) || cuCtxSetCurrent(ctx))
		return 1;
	if (cuMemAlloc(&p, 4) || cuMemsetD32(p, 3, 1) || cuMemcpyDtoH(&value, p, 4))
		return 2;
	return value == 3 ? 0 : 3;
}

static int is_refused(void)
{
	int n;

	return cuInit(0) == CUDA_ERROR_NOT_INITIALIZED &&
			       cuDeviceGetCount(&n) == CUDA_ERROR_NOT_INITIALIZED &&
			       cuCtxSynchronize() == CUDA_ERROR_NOT_INITIALIZED
		       ? 0
		       : 1;
}

static void test_fork(void **state)
{
	(void)state;
	assert_int_equal(status_of_child(use_gpu), 0);
	assert_int_equal(use_gpu(), 0);
	assert_int_equal(status_of_child(is_refused), 0);
	assert_int_equal(use_gpu(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
