/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that names libcuda.so.1 as its dependency, so that the loader binds cuInit and the
 * others before main. dlsym(RTLD_NEXT) from the program must find the very functions it was bound
 * to.
 *
 * It shares only the PTX with the other programs: their table is what is not tested here.
 */
#include <cuda.h>

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>

#define BLOCKS 200u

extern const char prog_ptx[];

static int check(CUresult result, const char *what)
{
	const char *name = NULL;
	if (result == CUDA_SUCCESS)
		return 0;
	(void)cuGetErrorName(result, &name);
	fprintf(stderr, "%s: %d %s\n", what, (int)result, name ? name : "?");
	return 1;
}

static unsigned int count_wrong(CUdeviceptr counters)
{
	uint32_t count[BLOCKS] = {0};
	unsigned int nr_wrong = 0;
	if (check(cuMemcpyDtoH(count, counters, sizeof(count)), "cuMemcpyDtoH"))
		return BLOCKS;
	for (unsigned int i = 0; i < BLOCKS; i++)
		nr_wrong += count[i] != 5;
	return nr_wrong;
}

static int launch(void)
{
	CUmodule module;
	CUfunction function;
	CUdeviceptr counters;
	uint64_t ns = 1000;
	void *params[] = {&counters, &ns};
	if (check(cuModuleLoadData(&module, prog_ptx), "cuModuleLoadData") ||
	    check(cuModuleGetFunction(&function, module, "lk_count"), "cuModuleGetFunction") ||
	    check(cuMemAlloc(&counters, BLOCKS * sizeof(uint32_t)), "cuMemAlloc") ||
	    check(cuMemsetD32(counters, 0, BLOCKS), "cuMemsetD32"))
		return 1;
	for (int i = 0; i < 5; i++)
		if (check(cuLaunchKernel(function, BLOCKS, 1, 1, 64, 1, 1, 0, NULL, params, NULL),
			  "cuLaunchKernel"))
			return 1;
	if (check(cuCtxSynchronize(), "cuCtxSynchronize"))
		return 1;
	unsigned int nr_wrong = count_wrong(counters);
	int next_is_same = dlsym(RTLD_NEXT, "cuLaunchKernel") == (void *)cuLaunchKernel;
	printf("program=linked wrong=%u next_is_same=%d ok=%d\n", nr_wrong, next_is_same,
	       !nr_wrong && next_is_same);
	return nr_wrong || !next_is_same || check(cuMemFree(counters), "cuMemFree") ||
	       check(cuModuleUnload(module), "cuModuleUnload");
}

int main(void)
{
	CUdevice device;
	CUcontext context;
	CUresult result = cuInit(0);
	if (result == CUDA_ERROR_NO_DEVICE || result == CUDA_ERROR_STUB_LIBRARY) {
		printf("skipped=1 why=\"no device\"\n");
		return 77;
	}
	if (check(result, "cuInit") || check(cuDeviceGet(&device, 0), "cuDeviceGet") ||
	    check(cuDevicePrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain") ||
	    check(cuCtxSetCurrent(context), "cuCtxSetCurrent"))
		return 1;
	if (launch())
		return 1;
	return check(cuDevicePrimaryCtxRelease(device), "cuDevicePrimaryCtxRelease");
}
