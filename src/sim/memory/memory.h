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
	int is_mapped;         /* mmap rather than malloc */
	int shared_fd;         /* plus one: of the file other processes may map; 0: none */
	unsigned int nr_opens; /* memory of another process: how often it was opened; 0: our own */
};

/* The allocation that holds this address; NULL when none does. Valid until the next change. */
struct allocation *memory_find_locked(uintptr_t address);
/* The n-th, by address; NULL behind the last. */
struct allocation *memory_at_locked(size_t n);
/* CUDA_ERROR_INVALID_VALUE unless one device-accessible allocation holds the whole range. */
CUresult memory_check_locked(CUdeviceptr address, size_t bytes);
/* Host memory the device cannot reach on its own. */
int memory_is_pageable_locked(const void *address);

/* A row for memory of another process that was mapped at the base. NULL when memory is short. */
struct allocation *memory_add_locked(const struct allocation *row);
CUresult memory_new_locked(struct CUctx_st *ctx, size_t bytes, enum memory_kind kind,
			   struct allocation **ret_allocation);
void memory_free_locked(struct allocation *allocation);

/* context.c: waits for everything in the context. */
CUresult ctx_wait_locked(struct CUctx_st *ctx);
/* For calls of which nobody promises that they do not: waits with the fault `calls-wait`. */
CUresult ctx_may_wait_locked(struct CUctx_st *ctx);

#endif
