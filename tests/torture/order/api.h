/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver as a table: filled from libcuda.so.1, or from the double (double.h). The kernels of
 * both are those of kernels.ptx.
 */
#ifndef LITHOS_TESTS_ORDER_API_H
#define LITHOS_TESTS_ORDER_API_H

#include <cuda.h>

struct order_api {
#define API(member, name) __typeof__(name) *(member);
#include "api.def"
#undef API
};

extern struct order_api api;

/* kernels.ptx, NUL-terminated. */
extern const char order_ptx[];

/* 0; -ENOENT without a libcuda.so.1; -ENOSYS when it lacks a call (named on stderr). */
int api_open(void);

#endif
