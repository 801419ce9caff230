/* SPDX-License-Identifier: Apache-2.0 */
/* What must be known of a function to hold a launch of it: its parameters and limits. */
#ifndef LITHOS_SHIM_QUEUE_FUNCS_H
#define LITHOS_SHIM_QUEUE_FUNCS_H

#include <stdint.h>

#include "shim/cuda_api.h"

struct func_param {
	uint32_t offset, size;
};

struct func_info {
	CUfunction func; /* as the program names it: a function, or a kernel cast to one */
	struct func_info *next_hash;
	uint32_t generation; /* of the limits */
	uint32_t param_bytes;
	int max_threads;      /* of a block */
	int max_shared_bytes; /* dynamic */
	int cluster[3];       /* compiled in; 0 = none */
	uint32_t nr_params;
	struct func_param param[];
};

/*
 * What is known of the function, NULL when its parameters cannot be learnt. With queue.lock held,
 * which is given back while the driver is asked; the answer is good until the lock is released.
 */
const struct func_info *func_info_locked(CUfunction func);

/* Limits changed: they are asked for again. Any thread, no lock. */
void funcs_limits_changed(void);

/* Handles may mean other functions from here on. */
void funcs_flush_locked(void);

void funcs_after_fork(void);

#endif
