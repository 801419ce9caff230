/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries and their kernels: one code, a function of it in every context. */
#include "sim_program.h"

#include <stdio.h>
#include <unistd.h>

static struct program program;
static CUlibrary library;

static const char library_ptx[] =
	".version 7.0\n.target sm_90\n.address_size 64\n"
	".global .align 4 .u32 counter[3];\n"
	".visible .entry lk_count(.param .u64 p, .param .u64 ns){ret;}\n"
	".visible .entry second(.param .u32 x, .param .align 16 .b8 y[24])"
	"{.shared .align 4 .b8 s[2048]; ret;}\n";

static int setup(void **state)
{
	(void)state;
	program_open(&program);
	OK(cuLibraryLoadData(&library, library_ptx, NULL, NULL, 0, NULL, NULL, 0));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	OK(cuLibraryUnload(library));
	assert_int_equal(cuLibraryUnload(library), CUDA_ERROR_INVALID_HANDLE);
	return 0;
}

static CUkernel kernel_of(const char *name)
{
	CUkernel kernel;

	OK(cuLibraryGetKernel(&kernel, library, name));
	return kernel;
}

static void test_kernels_are_found(void **state)
{
	CUkernel kernel, all[3] = {NULL, NULL, NULL};
	const char *name;
	unsigned int n = 0;

	(void)state;
	OK(cuLibraryGetKernelCount(&n, library));
	assert_int_equal(n, 2);
	OK(cuLibraryEnumerateKernels(all, 3, library));
	assert_ptr_equal(all[0], kernel_of("lk_count"));
	assert_ptr_equal(all[1], kernel_of("second"));
	assert_null(all[2]);
	OK(cuKernelGetName(&name, all[1]));
	assert_string_equal(name, "second");
	assert_int_equal(cuLibraryGetKernel(&kernel, library, "third"), CUDA_ERROR_NOT_FOUND);
	assert_int_equal(cuLibraryGetKernel(&kernel, (CUlibrary)(void *)program.ctx, "second"),
			 CUDA_ERROR_INVALID_HANDLE);
}

static void test_parameters(void **state)
{
	CUkernel kernel = kernel_of("second");
	CUfunction func;
	size_t offset = 0, size = 0;

	(void)state;
	OK(cuKernelGetParamInfo(kernel, 1, &offset, &size));
	assert_int_equal(offset, 16);
	assert_int_equal(size, 24);
	assert_int_equal(cuKernelGetParamInfo(kernel, 2, &offset, &size), CUDA_ERROR_INVALID_VALUE);
	OK(cuKernelGetFunction(&func, kernel));
	OK(cuFuncGetParamInfo(func, 0, &offset, NULL));
	assert_int_equal(offset, 0);
}

static void test_attributes(void **state)
{
	CUkernel kernel = kernel_of("second");
	CUfunction func;
	int value = 0;

	(void)state;
	OK(cuKernelGetAttribute(&value, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, kernel, 0));
	assert_int_equal(value, 2048);
	OK(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 100000, kernel,
				0));
	OK(cuKernelGetFunction(&func, kernel));
	OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, func));
	assert_int_equal(value, 100000);
	assert_int_equal(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
					      232448, kernel, 0),
			 CUDA_ERROR_INVALID_VALUE);
	assert_int_equal(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_NUM_REGS, 1, kernel, 0),
			 CUDA_ERROR_INVALID_VALUE);
	assert_int_equal(
		cuKernelGetAttribute(&value, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, kernel, 1),
		CUDA_ERROR_INVALID_DEVICE);
}

static void test_each_context_has_its_own_function(void **state)
{
	CUcontext other;
	CUfunction here, again, there;
	CUmodule module, from;

	(void)state;
	OK(cuKernelGetFunction(&here, kernel_of("lk_count")));
	OK(cuKernelGetFunction(&again, kernel_of("lk_count")));
	assert_ptr_equal(here, again);
	OK(cuLibraryGetModule(&module, library));
	OK(cuFuncGetModule(&from, here));
	assert_ptr_equal(module, from);
	assert_int_equal(cuModuleUnload(module), CUDA_ERROR_NOT_PERMITTED);
	OK(program_ctx_new(&other));
	OK(cuKernelGetFunction(&there, kernel_of("lk_count")));
	assert_ptr_not_equal(here, there);
	OK(cuCtxDestroy(other));
	OK(cuCtxSetCurrent(program.ctx));
	OK(cuKernelGetFunction(&again, kernel_of("lk_count")));
	assert_ptr_equal(here, again);
}

static void test_a_kernel_is_launched_as_itself(void **state)
{
	CUfunction handles[2];
	uint64_t ns = 10;
	CUdeviceptr words = program.words;

	(void)state;
	OK(cuMemsetD32(program.words, 0, 4));
	handles[0] = (CUfunction)(void *)kernel_of("lk_count");
	OK(cuKernelGetFunction(&handles[1], kernel_of("lk_count")));
	for (int i = 0; i < 2; i++)
		OK(cuLaunchKernel(handles[i], 3, 1, 1, 32, 1, 1, 0, program.stream,
				  (void *[]){&words, &ns}, NULL));
	OK(cuStreamSynchronize(program.stream));
	assert_int_equal(program_word(&program, 2), 2);
	assert_int_equal(program_word(&program, 3), 0);
}

static void test_globals(void **state)
{
	CUdeviceptr p;
	size_t bytes = 0;
	uint32_t word = 1;

	(void)state;
	OK(cuLibraryGetGlobal(&p, &bytes, library, "counter"));
	assert_int_equal(bytes, 12);
	OK(cuMemcpyDtoH(&word, p + 8, 4));
	assert_int_equal(word, 0);
	assert_int_equal(cuLibraryGetGlobal(&p, &bytes, library, "none"), CUDA_ERROR_NOT_FOUND);
}

static void test_from_a_file(void **state)
{
	char path[] = "/tmp/sim_driver_library.XXXXXX";
	int fd = mkstemp(path);
	CUlibrary loaded;
	unsigned int n = 0;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, library_ptx, strlen(library_ptx)), strlen(library_ptx));
	assert_int_equal(close(fd), 0);
	OK(cuLibraryLoadFromFile(&loaded, path, NULL, NULL, 0, NULL, NULL, 0));
	assert_int_equal(unlink(path), 0);
	OK(cuLibraryGetKernelCount(&n, loaded));
	assert_int_equal(n, 2);
	OK(cuLibraryUnload(loaded));
	assert_int_equal(cuLibraryLoadFromFile(&loaded, path, NULL, NULL, 0, NULL, NULL, 0),
			 CUDA_ERROR_FILE_NOT_FOUND);
}

static void test_what_is_no_ptx_is_refused(void **state)
{
	CUlibrary loaded;

	(void)state;
	assert_int_equal(cuLibraryLoadData(&loaded, "hello", NULL, NULL, 0, NULL, NULL, 0),
			 CUDA_ERROR_INVALID_PTX);
	assert_int_equal(cuLibraryLoadData(&loaded,
					   "\x7f"
					   "ELF and so on",
					   NULL, NULL, 0, NULL, NULL, 0),
			 CUDA_ERROR_NO_BINARY_FOR_GPU);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernels_are_found),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_each_context_has_its_own_function),
		cmocka_unit_test(test_a_kernel_is_launched_as_itself),
		cmocka_unit_test(test_globals),
		cmocka_unit_test(test_from_a_file),
		cmocka_unit_test(test_what_is_no_ptx_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
