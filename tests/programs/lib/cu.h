/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver as a table, opened at run time: the programs need cuda.h to build and no libcuda, and
 * run on whichever libcuda.so.1 the loader finds: the shim, the simulated driver, or NVIDIA's.
 */
#ifndef LITHOS_TESTS_CU_H
#define LITHOS_TESTS_CU_H

#include <cuda.h>

struct cu_api {
#define CU(member, name) __typeof__(name) *(member);
#include "cu.def"
#undef CU
};

extern struct cu_api cu;

/* The handle of libcuda.so.1 after cu_open(); for programs that look symbols up themselves. */
extern void *cu_handle;

/* 0, -ENOENT without a libcuda.so.1, -ENOSYS when it lacks a symbol of cu.def (named on stderr). */
int cu_open(void);

/* What it opens, for programs that come in by another door. */
extern const char *cu_library;

/* "CUDA_SUCCESS" and so on, also before cuInit; never NULL. */
const char *cu_name(CUresult result);

#endif
