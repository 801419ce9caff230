/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel table: one row of the statistics file per kernel name.
 *
 * Rows are added under a lock, at a thread's first launch of a kernel; later launches find the row
 * in the thread's own cache. The driver may give a handle to another kernel after a module was
 * unloaded, so unloading forgets all handles (rows stay: a kernel of the same name finds its row
 * again).
 */
#ifndef LITHOS_SHIM_TRACK_KERNELS_H
#define LITHOS_SHIM_TRACK_KERNELS_H

#include <stdint.h>

#include "shim/cuda_api.h"

#define KERNEL_NONE UINT32_MAX /* the table is full */

struct stats_region;
struct thread_state;

/* Resolves a handle to its name; NULL when it has none. Called without the table's lock held. */
typedef const char *(*kernel_name_fn)(CUfunction func);

/* The region is borrowed for the life of the process. */
void kernels_init(struct stats_region *region, kernel_name_fn name_of);

/* Row of a kernel, KERNEL_NONE when there is no room. Calls name_of at a thread's first sight of
 * it. */
uint32_t kernels_row(struct thread_state *t, CUfunction func);

/* Forgets all handles. Any thread. */
void kernels_flush(void);

void kernels_after_fork(void);

#endif
