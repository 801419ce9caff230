/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver of four functions: older than anything lithos knows, except for one function that is
 * newer.
 */
#define __CUDA_API_VERSION_INTERNAL
#include <cuda.h>

#include <string.h>

CUresult cuInit(unsigned int flags)
{
	return flags ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *driverVersion)
{
	*driverVersion = 13000;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *pi, CUdevice_attribute attrib, CUdevice dev)
{
	(void)dev;
	*pi = attrib == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT ? 44 : 1;
	return CUDA_SUCCESS;
}

static CUresult brand_new(void)
{
	return (CUresult)4711;
}

CUresult cuGetProcAddress(const char *symbol, void **pfn, int cudaVersion, cuuint64_t flags)
{
	(void)cudaVersion;
	(void)flags;
	if (!strcmp(symbol, "cuInit"))
		*pfn = (void *)cuInit;
	else if (!strcmp(symbol, "cuBrandNew"))
		*pfn = (void *)brand_new;
	else
		return CUDA_ERROR_NOT_FOUND;
	return CUDA_SUCCESS;
}
