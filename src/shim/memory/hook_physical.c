/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Physical memory (cuMemCreate) and where it is mapped.
 *
 * Only memory made here on a device counts: imported handles are memory of the process that made
 * it, and handles of host memory are none of a GPU. Other handles that the same calls take
 * (multicast objects) are unknown to account.c and change nothing.
 *
 * Tested by tests/unit/memory_hooks.c.
 */
#include <stddef.h>

#include "shim/memory/account.h"
#include "shim/slots.h"
#include "shim/tenant.h"

static int is_done(CUresult result)
{
	return result == CUDA_SUCCESS && tenant.wants_share;
}

CUresult hook_cuMemCreate(CUmemGenericAllocationHandle *handle, size_t bytes,
			  const CUmemAllocationProp *prop, unsigned long long flags)
{
	CUresult result = real_cuMemCreate(handle, bytes, prop, flags);

	if (is_done(result) && prop->location.type == CU_MEM_LOCATION_TYPE_DEVICE)
		memory_handle_created(*handle, bytes);
	return result;
}

CUresult hook_cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *address)
{
	CUresult result = real_cuMemRetainAllocationHandle(handle, address);

	if (is_done(result))
		memory_handle_retained(*handle);
	return result;
}

CUresult hook_cuMemRelease(CUmemGenericAllocationHandle handle)
{
	struct memory_entry was = {.kind = MEMORY_NONE};
	CUresult result;

	if (tenant.wants_share)
		was = memory_handle_releasing(handle);
	result = real_cuMemRelease(handle);
	if (result != CUDA_SUCCESS)
		memory_handle_not_released(&was);
	return result;
}

CUresult hook_cuMemMap(CUdeviceptr address, size_t bytes, size_t offset,
		       CUmemGenericAllocationHandle handle, unsigned long long flags)
{
	CUresult result = real_cuMemMap(address, bytes, offset, handle, flags);

	if (is_done(result))
		memory_mapped(address, bytes, handle);
	return result;
}

CUresult hook_cuMemUnmap(CUdeviceptr address, size_t bytes)
{
	CUresult result = real_cuMemUnmap(address, bytes);

	if (is_done(result))
		memory_unmapped(address, bytes);
	return result;
}
