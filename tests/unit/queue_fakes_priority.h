/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of queue_fakes.h that are about priorities: all handles have the same one. */
#ifndef LITHOS_TESTS_QUEUE_FAKES_PRIORITY_H
#define LITHOS_TESTS_QUEUE_FAKES_PRIORITY_H

#include "shim/cuda_api.h"

static struct {
	int priority; /* of all streams and nodes */
} fake_priority;

static CUresult q_get_priority(CUstream stream, int *priority)
{
	*priority = fake_priority.priority;
	return stream ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult q_get_attribute(const void *handle, CUlaunchAttributeID id,
				CUlaunchAttributeValue *value)
{
	assert_int_equal(id, CU_LAUNCH_ATTRIBUTE_PRIORITY);
	value->priority = fake_priority.priority;
	return handle ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult q_set_attribute(const void *handle, CUlaunchAttributeID id,
				const CUlaunchAttributeValue *value)
{
	assert_int_equal(id, CU_LAUNCH_ATTRIBUTE_PRIORITY);
	fake_priority.priority = value->priority;
	return handle ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult q_copy_attributes(const void *to, const void *from)
{
	return to && from ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult q_destroy_node(CUgraphNode node)
{
	return node ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult q_green_create(CUstream *stream, CUgreenCtx ctx, unsigned int flags, int priority)
{
	(void)ctx, (void)flags;
	fake_priority.priority = priority;
	*stream = (CUstream)0x10090;
	return CUDA_SUCCESS;
}

#endif
