/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions: where their parameters lie, and what launches the driver would refuse.
 *
 * A held launch is refused or accepted when the program calls, not when the driver gets it, so the
 * limits that the driver checks are checked here; whatever is not sure to be accepted is given to
 * the driver to judge. The first launch of a function that is held asks the driver for its
 * parameters one by one and keeps the answers; limits are asked for again after the program changed
 * some function's.
 *
 * A program may launch a kernel (CUkernel) in the place of a function: where the driver does not
 * answer for the handle as a function it is asked as a kernel. Tested by tests/unit/queue_launch.c.
 */
#include "shim/queue/funcs.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "shim/queue/driver.h"
#include "shim/queue/ops.h"

#define HASH_SLOTS 512u /* power of two */
#define MAX_PARAMS 1024u

static struct {
	struct func_info *hash[HASH_SLOTS]; /* under queue.lock */
	_Atomic uint32_t generation;
} funcs;

void funcs_limits_changed(void)
{
	(void)atomic_fetch_add_explicit(&funcs.generation, 1, memory_order_relaxed);
}

static uint32_t generation_now(void)
{
	return atomic_load_explicit(&funcs.generation, memory_order_relaxed);
}

static struct func_info **hash_slot(CUfunction func)
{
	return &funcs.hash[hash_pointer(func) & (HASH_SLOTS - 1)];
}

static struct func_info *func_find(CUfunction func)
{
	struct func_info *info = *hash_slot(func);

	while (info && info->func != func)
		info = info->next_hash;
	return info;
}

static CUresult ask_param(CUfunction func, int is_kernel, size_t i, struct func_param *ret_param)
{
	size_t offset = 0, size = 0;
	CUresult err = is_kernel ? queue_driver.kernel_param((CUkernel)func, i, &offset, &size)
				 : queue_driver.func_param(func, i, &offset, &size);

	*ret_param = (struct func_param){(uint32_t)offset, (uint32_t)size};
	return err;
}

/* A function without parameters answers CUDA_ERROR_INVALID_VALUE, an unknown handle another
 * error. */
static int is_func(CUfunction func, int is_kernel)
{
	struct func_param param;
	CUresult err = ask_param(func, is_kernel, 0, &param);

	return err == CUDA_SUCCESS || err == CUDA_ERROR_INVALID_VALUE;
}

static struct func_info *ask_params(CUfunction func, int is_kernel)
{
	struct func_info *info = calloc(1, sizeof(*info) + MAX_PARAMS * sizeof(info->param[0]));
	struct func_info *fitted;
	uint32_t n = 0;

	if (!info)
		return NULL;
	while (n < MAX_PARAMS && ask_param(func, is_kernel, n, &info->param[n]) == CUDA_SUCCESS) {
		uint32_t end = info->param[n].offset + info->param[n].size;
		if (end > info->param_bytes)
			info->param_bytes = end;
		n++;
	}
	info->func = func;
	info->nr_params = n;
	fitted = realloc(info, sizeof(*info) + n * sizeof(info->param[0]));
	return fitted ? fitted : info;
}

static int attribute_of(CUfunction func, CUfunction_attribute attribute)
{
	int value = 0;

	return queue_driver.func_attribute(&value, attribute, func) ? 0 : value;
}

static void ask_limits(struct func_info *info, CUfunction func)
{
	info->max_threads = attribute_of(func, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
	info->max_shared_bytes =
		attribute_of(func, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
	info->cluster[0] = attribute_of(func, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH);
	info->cluster[1] = attribute_of(func, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT);
	info->cluster[2] = attribute_of(func, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH);
}

static struct func_info *func_ask(CUfunction func)
{
	uint32_t generation = generation_now();
	int is_kernel = !is_func(func, 0);
	CUfunction in_context = func;
	struct func_info *info;

	if (is_kernel &&
	    (!is_func(func, 1) || queue_driver.kernel_function(&in_context, (CUkernel)func)))
		return NULL;
	info = ask_params(func, is_kernel);
	if (!info)
		return NULL;
	info->generation = generation;
	ask_limits(info, in_context);
	return info;
}

static void func_forget(CUfunction func)
{
	struct func_info **at = hash_slot(func);

	while (*at && (*at)->func != func)
		at = &(*at)->next_hash;
	if (*at) {
		struct func_info *info = *at;
		*at = info->next_hash;
		free(info);
	}
}

const struct func_info *func_info_locked(CUfunction func)
{
	struct func_info *info = func_find(func);

	if (info && info->generation == generation_now())
		return info;
	(void)pthread_mutex_unlock(&queue.lock);
	info = func ? func_ask(func) : NULL;
	(void)pthread_mutex_lock(&queue.lock);
	func_forget(func);
	if (!info)
		return NULL;
	info->next_hash = *hash_slot(func);
	*hash_slot(func) = info;
	return info;
}

void funcs_flush_locked(void)
{
	for (uint32_t i = 0; i < HASH_SLOTS; i++) {
		while (funcs.hash[i])
			func_forget(funcs.hash[i]->func);
	}
}

void funcs_after_fork(void)
{
	memset(funcs.hash, 0, sizeof(funcs.hash));
}
