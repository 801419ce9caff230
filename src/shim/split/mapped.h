/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of other processes, by its IPC handle, as it is mapped into the arena's context. Opening
 * and closing may wait for the whole context, so a thread of ours does it. Dispatcher only, but for
 * mapped_serve().
 */
#ifndef LITHOS_SHIM_SPLIT_MAPPED_H
#define LITHOS_SHIM_SPLIT_MAPPED_H

#include <stdint.h>

#include "shim/cuda_api.h"

/*
 * Where the memory is. 0; -EAGAIN it is being opened, which takes milliseconds: soon; -ENOENT it
 * cannot be opened, or not for now.
 */
int mapped_word(const uint8_t handle[64], CUdeviceptr *ret_word);

/* The thread aside (aside.h): opens what is wanted. */
void mapped_serve(void);

#endif
