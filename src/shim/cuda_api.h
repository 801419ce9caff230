/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cuda.h with every spelling of every function declared: legacy, _v2, _ptsz.
 *
 * The header normally renames the newest version to the plain name; the shim exports each spelling,
 * so it needs them all under their own names. Functions that are newer than the oldest supported
 * header (12.4) are declared here for that header.
 */
#ifndef LITHOS_SHIM_CUDA_API_H
#define LITHOS_SHIM_CUDA_API_H

/* Set for the whole target, because any header may include cuda.h first. */
#ifndef __CUDA_API_VERSION_INTERNAL
#error "the shim is compiled with __CUDA_API_VERSION_INTERNAL"
#endif
#include <cuda.h>

#if CUDA_VERSION < 12050
typedef struct CUctxCreateParams_st CUctxCreateParams;
CUresult CUDAAPI cuCtxCreate_v4(CUcontext *ctx, CUctxCreateParams *params, unsigned int flags,
				CUdevice device);
#endif

#endif
