/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that allocate device memory by address, and those that free it.
 *
 * The driver does the work; account.c is told. Only in tenants of a daemon, which reads the sum.
 * While launches are held, the queue stands in front of these functions: a free that waits behind a
 * launch is counted when it goes to the driver, then perhaps by the dispatching thread. Frees in
 * stream order count at once when they are given to the driver, some time before the memory is
 * free.
 *
 * Memory of pools belongs to no context. Host memory is not counted.
 *
 * Tested by tests/unit/memory_hooks.c and tests/integration/memory.bats.
 */
#include <stddef.h>

#include "shim/memory/account.h"
#include "shim/slots.h"
#include "shim/tenant.h"

static CUcontext current_context(void)
{
	CUcontext ctx = NULL;

	return tenant.ops.ctx_current(&ctx) == CUDA_SUCCESS ? ctx : NULL;
}

/* --- allocation --- */

static CUresult allocated(CUresult result, const CUdeviceptr *address, uint64_t bytes)
{
	if (result == CUDA_SUCCESS && tenant.wants_share)
		memory_allocated(MEMORY_ADDRESS, *address, bytes, current_context());
	return result;
}

static CUresult allocated_v1(CUresult result, const CUdeviceptr_v1 *address, uint64_t bytes)
{
	if (result == CUDA_SUCCESS && tenant.wants_share)
		memory_allocated(MEMORY_ADDRESS, *address, bytes, current_context());
	return result;
}

static CUresult allocated_of_pool(CUresult result, const CUdeviceptr *address, uint64_t bytes)
{
	if (result == CUDA_SUCCESS && tenant.wants_share)
		memory_allocated(MEMORY_ADDRESS, *address, bytes, NULL);
	return result;
}

CUresult hook_cuMemAlloc(CUdeviceptr_v1 *address, unsigned int bytes)
{
	return allocated_v1(real_cuMemAlloc(address, bytes), address, bytes);
}

CUresult hook_cuMemAlloc_v2(CUdeviceptr *address, size_t bytes)
{
	return allocated(real_cuMemAlloc_v2(address, bytes), address, bytes);
}

CUresult hook_cuMemAllocPitch(CUdeviceptr_v1 *address, unsigned int *pitch, unsigned int width,
			      unsigned int height, unsigned int element_bytes)
{
	CUresult result = real_cuMemAllocPitch(address, pitch, width, height, element_bytes);

	return allocated_v1(result, address, result ? 0 : (uint64_t)*pitch * height);
}

CUresult hook_cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch, size_t width, size_t height,
				 unsigned int element_bytes)
{
	CUresult result = real_cuMemAllocPitch_v2(address, pitch, width, height, element_bytes);

	return allocated(result, address, result ? 0 : (uint64_t)*pitch * height);
}

CUresult hook_cuMemAllocManaged(CUdeviceptr *address, size_t bytes, unsigned int flags)
{
	return allocated(real_cuMemAllocManaged(address, bytes, flags), address, bytes);
}

CUresult hook_cuMemAllocAsync(CUdeviceptr *address, size_t bytes, CUstream stream)
{
	return allocated_of_pool(real_cuMemAllocAsync(address, bytes, stream), address, bytes);
}

CUresult hook_cuMemAllocAsync_ptsz(CUdeviceptr *address, size_t bytes, CUstream stream)
{
	return allocated_of_pool(real_cuMemAllocAsync_ptsz(address, bytes, stream), address, bytes);
}

CUresult hook_cuMemAllocFromPoolAsync(CUdeviceptr *address, size_t bytes, CUmemoryPool pool,
				      CUstream stream)
{
	return allocated_of_pool(real_cuMemAllocFromPoolAsync(address, bytes, pool, stream),
				 address, bytes);
}

CUresult hook_cuMemAllocFromPoolAsync_ptsz(CUdeviceptr *address, size_t bytes, CUmemoryPool pool,
					   CUstream stream)
{
	return allocated_of_pool(real_cuMemAllocFromPoolAsync_ptsz(address, bytes, pool, stream),
				 address, bytes);
}

/* --- freeing --- */

static struct memory_entry freeing(CUdeviceptr address)
{
	if (!tenant.wants_share)
		return (struct memory_entry){.kind = MEMORY_NONE};
	return memory_freeing(MEMORY_ADDRESS, address);
}

static CUresult freed(CUresult result, const struct memory_entry *was)
{
	if (result != CUDA_SUCCESS)
		memory_not_freed(was);
	return result;
}

CUresult hook_cuMemFree(CUdeviceptr_v1 address)
{
	struct memory_entry was = freeing(address);

	return freed(real_cuMemFree(address), &was);
}

CUresult hook_cuMemFree_v2(CUdeviceptr address)
{
	struct memory_entry was = freeing(address);

	return freed(real_cuMemFree_v2(address), &was);
}

CUresult hook_cuMemFreeAsync(CUdeviceptr address, CUstream stream)
{
	struct memory_entry was = freeing(address);

	return freed(real_cuMemFreeAsync(address, stream), &was);
}

CUresult hook_cuMemFreeAsync_ptsz(CUdeviceptr address, CUstream stream)
{
	struct memory_entry was = freeing(address);

	return freed(real_cuMemFreeAsync_ptsz(address, stream), &was);
}
