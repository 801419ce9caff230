/* SPDX-License-Identifier: Apache-2.0 */
/* A library that asks about the GPU by itself, as cuBLAS does. Built under two names: see asks.c. */
#include "asks_library.h"

int library_sms(get_attribute_function *get_attribute, CUdevice device)
{
	int value = 0;
	CUresult result = get_attribute(&value, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device);

	return result == CUDA_SUCCESS ? value : -(int)result;
}

int library_clusters(max_clusters_function *max_clusters, CUfunction function)
{
	CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
				       .value.clusterDim = {2, 1, 1}};
	CUlaunchConfig config = {.gridDimX = 2,
				 .gridDimY = 1,
				 .gridDimZ = 1,
				 .blockDimX = 1024,
				 .blockDimY = 1,
				 .blockDimZ = 1,
				 .attrs = &attribute,
				 .numAttrs = 1};
	int value = 0;
	CUresult result = max_clusters(&value, function, &config);

	return result == CUDA_SUCCESS ? value : -(int)result;
}
