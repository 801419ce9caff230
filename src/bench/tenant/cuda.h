/* SPDX-License-Identifier: Apache-2.0 */
/* The few driver calls of bench's tenants, from whichever libcuda.so.1 the loader finds. */
#ifndef LITHOS_BENCH_TENANT_CUDA_H
#define LITHOS_BENCH_TENANT_CUDA_H

#include <stddef.h>

#include <cuda.h>

struct gpu {
	CUstream stream;
	char device[128];
	int driver_version;
};

/* Every function here ends the program with 1 when the driver refuses. */
void gpu_open(struct gpu *gpu);
CUfunction gpu_kernel(const char *ptx, const char *name);
CUdeviceptr gpu_memory(size_t bytes);
/* Blocks of 1,024 threads, of which an SM holds two. */
void gpu_launch(const struct gpu *gpu, CUfunction kernel, unsigned int nr_blocks, void **params);
void gpu_wait(const struct gpu *gpu);
CUevent gpu_event(void);
void gpu_record(const struct gpu *gpu, CUevent event);
void gpu_wait_event(CUevent event);
void gpu_capture_begin(const struct gpu *gpu);
CUgraphExec gpu_capture_end(const struct gpu *gpu);
void gpu_replay(const struct gpu *gpu, CUgraphExec exec);

#endif
