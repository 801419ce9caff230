/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of allocations, and the calls that fill it.
 *
 * A sorted array, searched by bisection: programs allocate rarely and copy often. Large allocations
 * come from mmap without reserve, so a program may "allocate" 80 GiB on a small machine as long as
 * it does not touch it all. Freeing waits for the context's work, as the real driver does.
 *
 * Tested by tests/unit/sim_driver_streams.c.
 */
#include "sim/memory/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sim/driver/context.h"

#define ALIGNMENT       512u
#define MAP_FROM_BYTES  (1u << 20)
#define PITCH_ALIGNMENT 512u

static struct {
	struct allocation *row; /* by base */
	size_t nr;
	size_t room;
} table;

/* Index of the first allocation whose base is above the address. */
static size_t upper_bound(uintptr_t address)
{
	size_t lo = 0, hi = table.nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (table.row[mid].base <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct allocation *memory_find_locked(uintptr_t address)
{
	size_t i = upper_bound(address);
	struct allocation *row = i ? &table.row[i - 1] : NULL;

	return row && address - row->base < row->size ? row : NULL;
}

CUresult memory_check_locked(CUdeviceptr address, size_t bytes)
{
	const struct allocation *row;

	if (!bytes)
		return CUDA_SUCCESS;
	row = memory_find_locked(address);
	if (!row || bytes > row->size - (address - row->base))
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

int memory_is_pageable_locked(const void *address)
{
	return !memory_find_locked((uintptr_t)address);
}

static uint64_t accounted(const struct allocation *row)
{
	if ((row->kind != MEMORY_DEVICE && row->kind != MEMORY_MANAGED) || row->nr_opens)
		return 0;
	return (row->size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static struct allocation *insert(const struct allocation *row)
{
	size_t i = upper_bound(row->base);

	if (table.nr == table.room) {
		size_t room = table.room ? 2 * table.room : 64;
		struct allocation *rows = realloc(table.row, room * sizeof(*rows));

		if (!rows)
			return NULL;
		table.row = rows;
		table.room = room;
	}
	memmove(&table.row[i + 1], &table.row[i], (table.nr - i) * sizeof(*table.row));
	table.row[i] = *row;
	table.row[i].id = sim.next_id++;
	table.nr++;
	return &table.row[i];
}

struct allocation *memory_add_locked(const struct allocation *row)
{
	return insert(row);
}

struct allocation *memory_at_locked(size_t n)
{
	return n < table.nr ? &table.row[n] : NULL;
}

static void give_back(const struct allocation *row)
{
	if (row->kind == MEMORY_REGISTERED)
		return;
	if (row->is_mapped)
		(void)munmap((void *)row->base, row->size);
	else
		free((void *)row->base);
	if (row->shared_fd)
		(void)close(row->shared_fd - 1);
}

void memory_free_locked(struct allocation *allocation)
{
	size_t i = (size_t)(allocation - table.row);

	if (accounted(allocation))
		gpu_memory_give_locked(allocation->ctx->gpu, accounted(allocation));
	give_back(allocation);
	table.nr--;
	memmove(&table.row[i], &table.row[i + 1], (table.nr - i) * sizeof(*table.row));
}

void ctx_memory_free_locked(struct CUctx_st *ctx)
{
	for (size_t i = table.nr; i-- > 0;) {
		if (table.row[i].ctx == ctx)
			memory_free_locked(&table.row[i]);
	}
}

/* Device memory is whole pages, so that it can be shared (ipc.c). */
static void *take(size_t bytes, enum memory_kind kind, int *ret_is_mapped)
{
	void *p;

	*ret_is_mapped = bytes >= MAP_FROM_BYTES || kind == MEMORY_DEVICE;
	if (!*ret_is_mapped)
		return aligned_alloc(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		 -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

CUresult memory_new_locked(struct CUctx_st *ctx, size_t bytes, enum memory_kind kind,
			   struct allocation **ret_allocation)
{
	struct allocation row = {.size = bytes, .kind = kind, .ctx = ctx};
	int r = 0;

	if (!bytes)
		return CUDA_ERROR_INVALID_VALUE;
	if (bytes > SIZE_MAX / 2)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (accounted(&row))
		r = gpu_memory_take_locked(ctx->gpu, accounted(&row));
	if (r)
		return r == -EPIPE ? (CUresult)sim.lost : CUDA_ERROR_OUT_OF_MEMORY;
	row.base = (uintptr_t)take(bytes, kind, &row.is_mapped);
	*ret_allocation = row.base ? insert(&row) : NULL;
	if (*ret_allocation)
		return CUDA_SUCCESS;
	if (row.base)
		give_back(&row);
	if (accounted(&row))
		gpu_memory_give_locked(ctx->gpu, accounted(&row));
	return CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult alloc_device(CUdeviceptr *dptr, size_t bytes, enum memory_kind kind)
{
	struct CUctx_st *ctx;
	struct allocation *allocation = NULL;
	CUresult r = enter_ctx(&ctx);

	if (r)
		return r;
	r = dptr ? ctx_may_wait_locked(ctx) : CUDA_ERROR_INVALID_VALUE;
	if (!r)
		r = memory_new_locked(ctx, bytes, kind, &allocation);
	if (!r && allocation)
		*dptr = allocation->base;
	return leave(r);
}

CUresult cuMemAlloc_v2(CUdeviceptr *dptr, size_t bytesize)
{
	return alloc_device(dptr, bytesize, MEMORY_DEVICE);
}

CUresult cuMemAllocManaged(CUdeviceptr *dptr, size_t bytesize, unsigned int flags)
{
	if (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST)
		return CUDA_ERROR_INVALID_VALUE;
	return alloc_device(dptr, bytesize, MEMORY_MANAGED);
}

CUresult cuMemAllocPitch_v2(CUdeviceptr *dptr, size_t *pPitch, size_t WidthInBytes, size_t Height,
			    unsigned int ElementSizeBytes)
{
	size_t pitch = (WidthInBytes + PITCH_ALIGNMENT - 1) / PITCH_ALIGNMENT * PITCH_ALIGNMENT;
	size_t bytes;
	CUresult r;

	if (!pPitch || (ElementSizeBytes != 4 && ElementSizeBytes != 8 && ElementSizeBytes != 16) ||
	    __builtin_mul_overflow(pitch, Height, &bytes))
		return CUDA_ERROR_INVALID_VALUE;
	r = alloc_device(dptr, bytes, MEMORY_DEVICE);
	if (!r)
		*pPitch = pitch;
	return r;
}

/* Frees what starts at the address, if it is of one of two kinds, once the context is idle. */
static CUresult free_at(uintptr_t address, enum memory_kind kind, enum memory_kind or_kind)
{
	struct allocation *row;
	CUresult r = enter();

	if (r)
		return r;
	row = memory_find_locked(address);
	if (!row || row->base != address || (row->kind != kind && row->kind != or_kind) ||
	    row->nr_opens)
		return leave(CUDA_ERROR_INVALID_VALUE);
	r = ctx_wait_locked(row->ctx);
	/* The table may have moved, or another thread been faster, while the lock was away. */
	row = memory_find_locked(address);
	if (!r && (!row || row->base != address))
		r = CUDA_ERROR_INVALID_VALUE;
	if (!r)
		memory_free_locked(row);
	return leave(r);
}

CUresult cuMemFree_v2(CUdeviceptr dptr)
{
	return dptr ? free_at(dptr, MEMORY_DEVICE, MEMORY_MANAGED) : CUDA_SUCCESS;
}

CUresult cuMemFreeHost(void *p)
{
	return p ? free_at((uintptr_t)p, MEMORY_HOST, MEMORY_HOST) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemHostUnregister(void *p)
{
	CUresult r = free_at((uintptr_t)p, MEMORY_REGISTERED, MEMORY_REGISTERED);

	return r == CUDA_ERROR_INVALID_VALUE ? CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED : r;
}

CUresult cuMemHostAlloc(void **pp, size_t bytesize, unsigned int Flags)
{
	struct CUctx_st *ctx;
	struct allocation *allocation;
	CUresult r = enter_ctx(&ctx);

	if (r)
		return r;
	if (!pp || Flags > 7)
		return leave(CUDA_ERROR_INVALID_VALUE);
	r = memory_new_locked(ctx, bytesize, MEMORY_HOST, &allocation);
	if (!r) {
		allocation->flags = Flags | CU_MEMHOSTALLOC_DEVICEMAP;
		*pp = (void *)allocation->base;
	}
	return leave(r);
}

CUresult cuMemAllocHost_v2(void **pp, size_t bytesize)
{
	return cuMemHostAlloc(pp, bytesize, 0);
}

static int overlaps_locked(uintptr_t base, size_t bytes)
{
	size_t i = upper_bound(base + bytes - 1);

	return i && table.row[i - 1].base + table.row[i - 1].size > base;
}

CUresult cuMemHostRegister_v2(void *p, size_t bytesize, unsigned int Flags)
{
	struct allocation row = {.base = (uintptr_t)p, .size = bytesize, .flags = Flags};
	CUresult r = enter_ctx(&row.ctx);

	if (r)
		return r;
	if (!p || !bytesize || Flags > 0xf || bytesize > UINTPTR_MAX - (uintptr_t)p)
		return leave(CUDA_ERROR_INVALID_VALUE);
	row.kind = MEMORY_REGISTERED;
	r = ctx_may_wait_locked(row.ctx);
	if (r)
		return leave(r);
	if (overlaps_locked(row.base, bytesize))
		return leave(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
	return leave(insert(&row) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY);
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *pdptr, void *p, unsigned int Flags)
{
	const struct allocation *row;
	CUresult r = enter();

	if (r)
		return r;
	row = memory_find_locked((uintptr_t)p);
	if (!pdptr || Flags || !row || row->kind < MEMORY_HOST)
		return leave(CUDA_ERROR_INVALID_VALUE);
	*pdptr = (CUdeviceptr)p;
	return leave(CUDA_SUCCESS);
}

CUresult cuMemHostGetFlags(unsigned int *pFlags, void *p)
{
	const struct allocation *row;
	CUresult r = enter();

	if (r)
		return r;
	row = memory_find_locked((uintptr_t)p);
	if (!pFlags || !row || row->kind < MEMORY_HOST)
		return leave(CUDA_ERROR_INVALID_VALUE);
	*pFlags = row->flags;
	return leave(CUDA_SUCCESS);
}

CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total)
{
	uint64_t used;
	struct CUctx_st *ctx;
	CUresult r = enter_ctx(&ctx);

	if (r)
		return r;
	if (!free_bytes || !total)
		return leave(CUDA_ERROR_INVALID_VALUE);
	if (gpu_memory_used_locked(ctx->gpu, &used))
		return leave((CUresult)sim.lost);
	*free_bytes = sim.chip.memory_bytes - used;
	*total = sim.chip.memory_bytes;
	return leave(CUDA_SUCCESS);
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr *pbase, size_t *psize, CUdeviceptr dptr)
{
	const struct allocation *row;
	CUresult r = enter();

	if (r)
		return r;
	row = memory_find_locked(dptr);
	if (!row)
		return leave(CUDA_ERROR_NOT_FOUND);
	if (pbase)
		*pbase = row->base;
	if (psize)
		*psize = row->size;
	return leave(CUDA_SUCCESS);
}
