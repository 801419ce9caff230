/* SPDX-License-Identifier: Apache-2.0 */
/* A library that asks about the GPU by itself, as cuBLAS does. Built under two names: see asks.c. */
#include "asks_library.h"

int library_sms(get_attribute_function *get_attribute, CUdevice device)
{
	int value = 0;
	CUresult result = get_attribute(&value, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device);

	return result == CUDA_SUCCESS ? value : -(int)result;
}

int library_clusters(max_clusters_function *max_clusters, CUfunction function,
		     const CUlaunchConfig *config)
{
	int value = 0;
	CUresult result = max_clusters(&value, function, config);

	return result == CUDA_SUCCESS ? value : -(int)result;
}
