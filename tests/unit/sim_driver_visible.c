/* SPDX-License-Identifier: Apache-2.0 */
/* CUDA_VISIBLE_DEVICES: each child reads it once. Also two devices in one thread. */
#include "sim_program.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST  "GPU-6c697468-6f73-696d-2d73-6d616c6c0000"
#define SECOND "GPU-6c697469-6f73-696d-2d73-6d616c6c0001"

/* What a child with this list sees: PCI buses in order, from 0x3b, as one number; 0 for none. */
static int seen_with(const char *list)
{
	int status = -1, n, seen = 0, bus;
	pid_t pid = fork();

	if (pid) {
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		return WEXITSTATUS(status);
	}
	(void)setenv("CUDA_VISIBLE_DEVICES", list, 1);
	if (cuInit(0) == CUDA_ERROR_NO_DEVICE)
		_exit(0);
	if (cuDeviceGetCount(&n))
		_exit(99);
	for (int i = 0; i < n; i++) {
		if (cuDeviceGetAttribute(&bus, CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, i))
			_exit(99);
		seen = seen * 10 + bus - 0x3b + 1;
	}
	_exit(seen);
}

static void test_lists(void **state)
{
	(void)state;
	assert_int_equal(seen_with(""), 12);
	assert_int_equal(seen_with("0"), 1);
	assert_int_equal(seen_with("1"), 2);
	assert_int_equal(seen_with("1,0"), 21);
	assert_int_equal(seen_with("1,7,0"), 2);
	assert_int_equal(seen_with("0,0"), 1);
	assert_int_equal(seen_with("-1"), 0);
	assert_int_equal(seen_with("GPU-"), 0);
	assert_int_equal(seen_with(FIRST), 1);
	assert_int_equal(seen_with(SECOND), 2);
	assert_int_equal(seen_with(SECOND ",0"), 21);
	assert_int_equal(seen_with("GPU-6c697468"), 1);
	assert_int_equal(seen_with("GPU-6c697469"), 2);
	assert_int_equal(seen_with("GPU-6C697469,GPU-6c697468"), 21);
	assert_int_equal(seen_with(SECOND "0"), 0);
}

/* Contexts of both devices; a thread has one stream of its own in each, whichever it used last. */
static void test_two_devices(void **state)
{
	unsigned long long id[3];
	CUcontext ctx[2];
	CUdevice device;
	CUdeviceptr p;
	int ordinal;

	(void)state;
	(void)setenv("CUDA_VISIBLE_DEVICES", "1,0", 1);
	OK(cuInit(0));
	for (int i = 0; i < 2; i++)
		OK(cuDevicePrimaryCtxRetain(&ctx[i], i));
	assert_ptr_not_equal(ctx[0], ctx[1]);
	OK(cuCtxSetCurrent(ctx[1]));
	OK(cuCtxGetDevice(&device));
	assert_int_equal(device, 1);
	OK(cuMemAlloc(&p, 100));
	OK(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, p));
	assert_int_equal(ordinal, 1);
	OK(cuStreamGetId(CU_STREAM_PER_THREAD, &id[0]));
	OK(cuCtxSetCurrent(ctx[0]));
	OK(cuStreamGetId(CU_STREAM_PER_THREAD, &id[1]));
	OK(cuCtxSetCurrent(ctx[1]));
	OK(cuStreamGetId(CU_STREAM_PER_THREAD, &id[2]));
	assert_true(id[0] == id[2] && id[0] != id[1]);
	OK(cuDevicePrimaryCtxReset(0));
	OK(cuMemsetD32(p, 1, 25));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_two_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
