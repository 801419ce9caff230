/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pointer is: attributes of the allocation it points into.
 *
 * A pointer that no allocation holds is plain host memory, of which the single call knows nothing,
 * while the call for several answers zeros. Attributes that have no row here, such as those of IPC
 * and virtual memory, are refused. Tested by tests/unit/sim_driver_memory.c.
 */
#include <stdbool.h>
#include <string.h>

#include "sim/memory/memory.h"

static CUmemorytype type_of(const struct allocation *row)
{
	return row->kind >= MEMORY_HOST ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
}

static CUresult put(void *data, const void *value, size_t size)
{
	memcpy(data, value, size);
	return CUDA_SUCCESS;
}

static CUresult attribute_locked(void *data, CUpointer_attribute attribute,
				 const struct allocation *row, CUdeviceptr ptr)
{
	const unsigned int type = type_of(row);
	const unsigned int is_managed = row->kind == MEMORY_MANAGED;
	const int device = row->ctx->device;
	const unsigned long long id = row->id;
	const uintptr_t base = row->base;
	const bool yes = true, no = false;
	const bool can_export = row->kind == MEMORY_DEVICE && !row->pool && !row->nr_opens;

	switch ((int)attribute) {
	case CU_POINTER_ATTRIBUTE_CONTEXT:
		return put(data, &row->ctx, sizeof(CUcontext));
	case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
		return put(data, &type, sizeof(type));
	case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
		return put(data, &ptr, sizeof(ptr));
	case CU_POINTER_ATTRIBUTE_HOST_POINTER:
		if (row->kind == MEMORY_DEVICE)
			return CUDA_ERROR_INVALID_VALUE;
		return put(data, &ptr, sizeof(ptr));
	case CU_POINTER_ATTRIBUTE_BUFFER_ID:
		return put(data, &id, sizeof(id));
	case CU_POINTER_ATTRIBUTE_IS_MANAGED:
		return put(data, &is_managed, sizeof(is_managed));
	case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
		return put(data, &device, sizeof(device));
	case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
		return put(data, &base, sizeof(base));
	case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
		return put(data, &row->size, sizeof(row->size));
	case CU_POINTER_ATTRIBUTE_MAPPED:
		return put(data, &yes, sizeof(yes));
	case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
		return put(data, &no, sizeof(no));
	case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
		return put(data, &can_export, sizeof(can_export));
	case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
		return put(data, &row->pool, sizeof(CUmemoryPool));
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr ptr)
{
	const struct allocation *row;
	CUresult r = enter();

	if (r)
		return r;
	row = memory_find_locked(ptr);
	if (!data || !row)
		return leave(CUDA_ERROR_INVALID_VALUE);
	return leave(attribute_locked(data, attribute, row, ptr));
}

/* What the call for several answers where there is nothing to say. */
static void put_nothing(void *data, CUpointer_attribute attribute)
{
	const int no_device = -2;

	switch ((int)attribute) {
	case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
		memcpy(data, &no_device, sizeof(no_device));
		break;
	case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
	case CU_POINTER_ATTRIBUTE_IS_MANAGED:
		memset(data, 0, sizeof(unsigned int));
		break;
	case CU_POINTER_ATTRIBUTE_MAPPED:
	case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
	case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
	case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
		memset(data, 0, sizeof(bool));
		break;
	default:
		memset(data, 0, sizeof(void *));
		break;
	}
}

/* Unlike the single form, a pointer that is unknown gives zeros and no error. */
CUresult cuPointerGetAttributes(unsigned int numAttributes, CUpointer_attribute *attributes,
				void **data, CUdeviceptr ptr)
{
	const struct allocation *row;
	CUresult r = enter();

	if (r)
		return r;
	if (!attributes || !data)
		return leave(CUDA_ERROR_INVALID_VALUE);
	row = memory_find_locked(ptr);
	for (unsigned int i = 0; i < numAttributes; i++) {
		if (!row || attribute_locked(data[i], attributes[i], row, ptr))
			put_nothing(data[i], attributes[i]);
	}
	return leave(CUDA_SUCCESS);
}
