/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cuda.h for those who implement it: every version of every function under its exported name,
 * without the macros that map cuMemAlloc to cuMemAlloc_v2, and exported from this library.
 */
#ifndef LITHOS_SIM_API_H
#define LITHOS_SIM_API_H

#define __CUDA_API_VERSION_INTERNAL /* NOLINT(bugprone-reserved-identifier): cuda.h's own switch  \
				      */
#pragma GCC visibility push(default)
#include <cuda.h>
#pragma GCC visibility pop

#define SIM_EXPORT __attribute__((visibility("default")))

/* What this driver has and headers from 12.4 on may not have yet, as later headers declare it. */
#if CUDA_VERSION < 12050
typedef struct CUctxCreateParams_st {
	CUexecAffinityParam *execAffinityParams;
	int numExecAffinityParams;
	void *cigParams;
} CUctxCreateParams;

SIM_EXPORT CUresult cuCtxCreate_v4(CUcontext *pctx, CUctxCreateParams *ctxCreateParams,
				   unsigned int flags, CUdevice dev);
SIM_EXPORT CUresult cuKernelGetLibrary(CUlibrary *pLib, CUkernel kernel);
#endif
#if CUDA_VERSION < 12080
SIM_EXPORT CUresult cuEventElapsedTime_v2(float *pMilliseconds, CUevent hStart, CUevent hEnd);
#endif
#if CUDA_VERSION < 13000
#define CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER ((CUresult)36)
SIM_EXPORT CUresult cuCtxGetDevice_v2(CUdevice *device, CUcontext ctx);
SIM_EXPORT CUresult cuCtxSynchronize_v2(CUcontext ctx);
#endif

/* Of cudaProfiler.h, which not every installation has. */
SIM_EXPORT CUresult cuProfilerStart(void);
SIM_EXPORT CUresult cuProfilerStop(void);

/* Grids that are over, hung ones included, and hung ones, since the process started. For tests. */
SIM_EXPORT uint64_t lithos_sim_nr_grids(void);
SIM_EXPORT int lithos_sim_nr_hung(void);
SIM_EXPORT int lithos_sim_nr_faults(void);

#endif
