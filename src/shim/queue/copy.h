/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of launches that are held. Any thread; the memory is the caller's. */
#ifndef LITHOS_SHIM_QUEUE_COPY_H
#define LITHOS_SHIM_QUEUE_COPY_H

#include <stddef.h>
#include <stdint.h>

#include "shim/cuda_api.h"

struct func_info;

enum launch_kind {
	LAUNCH_KERNEL,
	LAUNCH_EX,
	LAUNCH_COOPERATIVE,
};

/* A kernel launch as the program asked for it; in the payload of a held one, with copies behind
 * it. */
struct launch {
	enum launch_kind kind;
	int is_per_thread_call;
	CUfunction func;
	CUlaunchConfig config;
	void **params;
	void **extra;
};

/* Where the copies go in the payload of a held launch. */
struct copy_layout {
	uint32_t params_at; /* the array of pointers, or struct packed */
	uint32_t attrs_at;
	uint32_t data_at;
	uint32_t bytes;
	const void *extra; /* packed parameters of the program, or NULL */
	size_t extra_bytes;
};

/* 0, or -1 when the launch cannot be held. */
int copy_layout(const struct launch *launch, const struct func_info *info,
		struct copy_layout *ret_layout);

/* Into `payload`, of ret_layout.bytes and aligned to 16; it begins with a struct launch. */
void copy_launch(void *payload, const struct launch *launch, const struct func_info *info,
		 const struct copy_layout *at);

#endif
