/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory the driver knows of: allocated on the device, pinned on the host, or registered.
 *
 * Device memory is host memory, and a CUdeviceptr is its address; only the accounting differs.
 */
#ifndef LITHOS_SIM_MEMORY_H
#define LITHOS_SIM_MEMORY_H

#include "sim/driver/state.h"

enum memory_kind {
	MEMORY_DEVICE,
	MEMORY_MANAGED,
	MEMORY_HOST,
	MEMORY_REGISTERED
};

struct allocation {
	uintptr_t base;
	size_t size;
	enum memory_kind kind;
	unsigned int flags; /* of cuMemHostAlloc or cuMemHostRegister */
	struct CUctx_st *ctx;
	struct CUmemPoolHandle_st *pool; /* NULL: none */
	uint64_t id;
	int is_mapped; /* mmap rather than malloc */
};

/* The allocation that holds this address; NULL when none does. Valid until the next change. */
struct allocation *memory_find_locked(uintptr_t address);
/* CUDA_ERROR_INVALID_VALUE unless one device-accessible allocation holds the whole range. */
CUresult memory_check_locked(CUdeviceptr address, size_t bytes);
/* Host memory the device cannot reach on its own. */
int memory_is_pageable_locked(const void *address);

CUresult memory_new_locked(struct CUctx_st *ctx, size_t bytes, enum memory_kind kind,
			   struct allocation **ret_allocation);
void memory_free_locked(struct allocation *allocation);
uint64_t memory_used_locked(void);

/* context.c: waits for everything in the context. */
CUresult ctx_wait_locked(struct CUctx_st *ctx);

#endif
