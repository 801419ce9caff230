/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cuBLAS is told of the GPU, where that differs from what the program is told.
 */
#ifndef LITHOS_SHIM_TOLD_CUBLAS_H
#define LITHOS_SHIM_TOLD_CUBLAS_H

#include <stdint.h>

/* Reads the option `told_cublas`, at load. 1 a number, 0 none, -EINVAL bad text (logged, and none then). */
int cublas_read_told(const char *text);

/*
 * 1 when a number was given and the code at this address is cuBLAS'. Any thread; takes the dynamic loader's lock
 * at the first sight of an address.
 */
int cublas_has(const void *address);

/* SMs to tell it of, on a device of `nr_sms`, of which the program is told `told`. Any thread. */
uint32_t cublas_told_sms(uint32_t nr_sms, uint32_t told);

#endif
