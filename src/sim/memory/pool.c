/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory pools and stream-ordered allocation.
 *
 * An allocation takes its memory at the call and a free gives it back when the stream gets there,
 * so nothing is reused early. Pools count what they use; they keep no free memory, whatever the
 * release threshold. Neither call can be captured. Tested by tests/unit/sim_driver_memory.c.
 */
#include "sim/memory/memory.h"

#include <stdlib.h>
#include <string.h>

struct CUmemPoolHandle_st {
	struct object object;
	uint64_t release_threshold;
	uint64_t used;
	uint64_t used_high;
	int reuse[4]; /* the reuse attributes, kept and given back */
};

static struct CUmemPoolHandle_st default_pool = {.reuse = {1, 1, 1, 1}};
static struct CUmemPoolHandle_st *current_pool = &default_pool;

static int is_pool_locked(CUmemoryPool pool)
{
	return pool == &default_pool || object_is_locked(pool, OBJECT_POOL);
}

static CUresult get_pool(CUmemoryPool *ret_pool, CUdevice dev, int is_default)
{
	CUresult r = enter();

	if (r)
		return r;
	r = ret_pool ? device_check_id(dev) : CUDA_ERROR_INVALID_VALUE;
	if (!r)
		*ret_pool = is_default ? &default_pool : current_pool;
	return leave(r);
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool_out, CUdevice dev)
{
	return get_pool(pool_out, dev, 1);
}

CUresult cuDeviceGetMemPool(CUmemoryPool *pool, CUdevice dev)
{
	return get_pool(pool, dev, 0);
}

CUresult cuDeviceSetMemPool(CUdevice dev, CUmemoryPool pool)
{
	CUresult r = enter();

	if (r)
		return r;
	r = is_pool_locked(pool) ? device_check_id(dev) : CUDA_ERROR_INVALID_VALUE;
	if (!r)
		current_pool = pool;
	return leave(r);
}

CUresult cuMemPoolCreate(CUmemoryPool *pool, const CUmemPoolProps *poolProps)
{
	struct CUmemPoolHandle_st *made;
	CUresult r = enter();

	if (r)
		return r;
	if (!pool || !poolProps)
		return leave(CUDA_ERROR_INVALID_VALUE);
	made = calloc(1, sizeof(*made));
	if (!made)
		return leave(CUDA_ERROR_OUT_OF_MEMORY);
	memcpy(made->reuse, default_pool.reuse, sizeof(made->reuse));
	object_add_locked(&made->object, OBJECT_POOL);
	*pool = made;
	return leave(CUDA_SUCCESS);
}

CUresult cuMemPoolDestroy(CUmemoryPool pool)
{
	CUresult r = enter();

	if (r)
		return r;
	if (!object_is_locked(pool, OBJECT_POOL) || pool->used)
		return leave(CUDA_ERROR_INVALID_VALUE);
	if (current_pool == pool)
		current_pool = &default_pool;
	object_remove_locked(&pool->object);
	free(pool);
	return leave(CUDA_SUCCESS);
}

/* The 64-bit attribute, or NULL. */
static uint64_t *wide_attribute(struct CUmemPoolHandle_st *pool, CUmemPool_attribute attr)
{
	switch ((int)attr) {
	case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
		return &pool->release_threshold;
	case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
	case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
		return &pool->used;
	case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
	case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
		return &pool->used_high;
	default:
		return NULL;
	}
}

static int is_reuse(CUmemPool_attribute attr)
{
	return attr >= CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES &&
	       attr <= CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES;
}

CUresult cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attr, void *value)
{
	uint64_t *wide;
	CUresult r = enter();

	if (r)
		return r;
	if (!value || !is_pool_locked(pool))
		return leave(CUDA_ERROR_INVALID_VALUE);
	wide = wide_attribute(pool, attr);
	if (wide)
		memcpy(value, wide, sizeof(*wide));
	else if (is_reuse(attr))
		memcpy(value, &pool->reuse[attr], sizeof(pool->reuse[0]));
	return leave(wide || is_reuse(attr) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
}

CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attr, void *value)
{
	CUresult r = enter();

	if (r)
		return r;
	if (!value || !is_pool_locked(pool))
		return leave(CUDA_ERROR_INVALID_VALUE);
	if (is_reuse(attr))
		memcpy(&pool->reuse[attr], value, sizeof(pool->reuse[0]));
	else if (attr == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD)
		memcpy(&pool->release_threshold, value, sizeof(pool->release_threshold));
	else if (wide_attribute(pool, attr) == &pool->used_high)
		pool->used_high = pool->used; /* writing a high-water mark resets it */
	else
		r = CUDA_ERROR_INVALID_VALUE;
	return leave(r);
}

CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t minBytesToKeep)
{
	CUresult r = enter();

	(void)minBytesToKeep;
	return r ? r : leave(is_pool_locked(pool) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
}

static CUresult alloc_locked(struct CUstream_st *stream, struct CUmemPoolHandle_st *pool,
			     size_t bytes, CUdeviceptr *ret_address)
{
	struct allocation *row;
	CUresult r;

	if (stream->capture)
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	r = memory_new_locked(stream->ctx, bytes, MEMORY_DEVICE, &row);
	if (r)
		return r;
	row->pool = pool;
	pool->used += bytes;
	if (pool->used > pool->used_high)
		pool->used_high = pool->used;
	*ret_address = row->base;
	return CUDA_SUCCESS;
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr *dptr, size_t bytesize, CUmemoryPool pool,
				 CUstream hStream)
{
	struct CUstream_st *stream;
	CUresult r = enter_stream(hStream, &stream);

	if (r)
		return r;
	if (!dptr || !is_pool_locked(pool))
		return leave(CUDA_ERROR_INVALID_VALUE);
	return leave(alloc_locked(stream, pool, bytesize, dptr));
}

CUresult cuMemAllocAsync(CUdeviceptr *dptr, size_t bytesize, CUstream hStream)
{
	struct CUstream_st *stream;
	CUresult r = enter_stream(hStream, &stream);

	if (r)
		return r;
	if (!dptr)
		return leave(CUDA_ERROR_INVALID_VALUE);
	return leave(alloc_locked(stream, current_pool, bytesize, dptr));
}

struct free_task {
	struct sim_task task; /* first: the device hands this back */
	uintptr_t address;
	uint64_t id; /* of the allocation, which may be gone with its context */
};

static int free_run(struct sim_task *task, uint64_t now_ns, uint64_t *ret_ns)
{
	const struct free_task *call = (struct free_task *)task;
	struct allocation *row = memory_find_locked(call->address);

	(void)now_ns;
	*ret_ns = 0;
	if (!row || row->id != call->id)
		return 0;
	if (row->pool)
		row->pool->used -= row->size;
	memory_free_locked(row);
	return 0;
}

static void free_release(struct sim_task *task)
{
	free(task);
}

CUresult cuMemFreeAsync(CUdeviceptr dptr, CUstream hStream)
{
	const struct allocation *row;
	struct CUstream_st *stream;
	struct free_task *task;
	CUresult r = enter_stream(hStream, &stream);

	if (r)
		return r;
	row = memory_find_locked(dptr);
	if (stream->capture)
		return leave(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	if (!row || row->base != dptr || row->kind != MEMORY_DEVICE)
		return leave(CUDA_ERROR_INVALID_VALUE);
	task = calloc(1, sizeof(*task));
	if (!task)
		return leave(CUDA_ERROR_OUT_OF_MEMORY);
	task->task.run = free_run;
	task->task.release = free_release;
	task->task.never_waits = 1;
	task->address = dptr;
	task->id = row->id;
	return leave(stream_task_locked(stream, &task->task));
}
