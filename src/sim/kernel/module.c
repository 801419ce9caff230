/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modules: PTX text becomes functions and global variables.
 *
 * Machine code (cubin) and compressed containers (fatbin) are refused with the error the real
 * driver has for code that fits no device, so a program sees "no binary for this GPU"; the preludes
 * of lithos are the exception (code.c).
 * Code addresses are unique; what lies there is said in text.c.
 *
 * Tested by tests/unit/sim_driver_streams.c.
 */
#include "sim/kernel/module.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/driver/context.h"
#include "sim/kernel/code.h"
#include "sim/kernel/registry.h"
#include "sim/kernel/text.h"
#include "sim/memory/memory.h"

#define REGISTERS 32

static struct CUmod_st *modules;

CUresult image_check(const void *image)
{
	static const uint8_t elf[4] = {0x7f, 'E', 'L', 'F'};
	static const uint8_t fatbin[4] = {0x50, 0xed, 0x55, 0xba};
	static const uint8_t fatbin_wrapper[4] = {0xb1, 0x43, 0x62, 0x46};

	if (!image)
		return CUDA_ERROR_INVALID_VALUE;
	if (!memcmp(image, elf, 4) || !memcmp(image, fatbin, 4) ||
	    !memcmp(image, fatbin_wrapper, 4))
		return CUDA_ERROR_NO_BINARY_FOR_GPU;
	return CUDA_SUCCESS;
}

CUresult image_read(const char *path, char **ret_text)
{
	FILE *file = path ? fopen(path, "rbe") : NULL;
	CUresult r = CUDA_ERROR_OUT_OF_MEMORY;
	char *text = NULL;
	long size;

	if (!file)
		return CUDA_ERROR_FILE_NOT_FOUND;
	if (!fseek(file, 0, SEEK_END) && (size = ftell(file)) >= 0 && !fseek(file, 0, SEEK_SET))
		text = calloc(1, (size_t)size + 4);
	if (text) {
		r = fread(text, 1, (size_t)size, file) == (size_t)size
			    ? CUDA_SUCCESS
			    : CUDA_ERROR_OPERATING_SYSTEM;
	}
	(void)fclose(file);
	if (r)
		free(text);
	else
		*ret_text = text;
	return r;
}

static void func_init_locked(struct CUmod_st *module, size_t i)
{
	struct CUfunc_st *func = &module->funcs[i];
	const struct ptx_entry *entry = &module->ptx.entry[i];

	func->module = module;
	func->entry = entry;
	func->kernel = registry_find(entry->name);
	if (func->kernel && func->kernel->min_params_bytes > entry->param_bytes)
		func->kernel = NULL;
	func->address =
		text_new_locked(func->kernel && func->kernel->flags & SIM_KERNEL_GRID_BARRIER);
	func->attribute[CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK] =
		entry->max_threads ? (int)entry->max_threads : 1024;
	func->attribute[CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES] = (int)entry->shared_bytes;
	func->attribute[CU_FUNC_ATTRIBUTE_NUM_REGS] = REGISTERS;
	func->attribute[CU_FUNC_ATTRIBUTE_PTX_VERSION] = 90;
	func->attribute[CU_FUNC_ATTRIBUTE_BINARY_VERSION] = 90;
	func->attribute[CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES] =
		49152 - (int)entry->shared_bytes;
	func->attribute[CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT] = -1;
	func->attribute[CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET] = entry->cluster[0] != 0;
	func->attribute[CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH] = (int)entry->cluster[0];
	func->attribute[CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT] = (int)entry->cluster[1];
	func->attribute[CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH] = (int)entry->cluster[2];
	object_add_locked(&func->object, OBJECT_FUNC);
}

static CUresult globals_init_locked(struct CUmod_st *module)
{
	for (size_t i = 0; i < module->ptx.nr_globals; i++) {
		size_t size = module->ptx.global[i].size;
		struct allocation *allocation;
		CUresult r =
			memory_new_locked(module->ctx, size ? size : 1, MEMORY_DEVICE, &allocation);

		if (r)
			return r;
		memset((void *)allocation->base, 0, allocation->size);
		module->globals[i] = allocation->base;
	}
	return CUDA_SUCCESS;
}

CUresult module_new_locked(struct CUctx_st *ctx, const char *text, struct CUmod_st **ret_module)
{
	struct CUmod_st *module = calloc(1, sizeof(*module));
	CUresult r = CUDA_ERROR_OUT_OF_MEMORY;
	int parsed;

	if (!module)
		return r;
	module->ctx = ctx;
	module->next = modules;
	modules = module;
	object_add_locked(&module->object, OBJECT_MODULE);
	parsed = ptx_parse(text, &module->ptx);
	if (parsed) {
		r = parsed == -EINVAL ? CUDA_ERROR_INVALID_PTX : r;
		goto out;
	}
	/* One more than needed, so that NULL means no memory. */
	module->funcs = calloc(module->ptx.nr_entries + 1, sizeof(*module->funcs));
	module->globals = calloc(module->ptx.nr_globals + 1, sizeof(*module->globals));
	if (!module->funcs || !module->globals)
		goto out;
	for (size_t i = 0; i < module->ptx.nr_entries; i++)
		func_init_locked(module, i);
	r = globals_init_locked(module);
out:
	if (r)
		module_free_locked(module);
	else
		*ret_module = module;
	return r;
}

void module_free_locked(struct CUmod_st *module)
{
	struct CUmod_st **link = &modules;

	while (*link != module)
		link = &(*link)->next;
	*link = module->next;
	for (size_t i = 0; module->funcs && i < module->ptx.nr_entries; i++)
		object_remove_locked(&module->funcs[i].object);
	for (size_t i = 0; module->globals && i < module->ptx.nr_globals; i++) {
		struct allocation *row = memory_find_locked(module->globals[i]);

		if (row)
			memory_free_locked(row);
	}
	object_remove_locked(&module->object);
	ptx_free(&module->ptx);
	free(module->funcs);
	free(module->globals);
	free(module);
}

struct CUmod_st *module_first_locked(void)
{
	return modules;
}

void ctx_modules_free_locked(struct CUctx_st *ctx)
{
	struct CUmod_st *next;

	for (struct CUmod_st *module = modules; module; module = next) {
		next = module->next;
		if (module->ctx == ctx)
			module_free_locked(module);
	}
}

CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
	struct CUctx_st *ctx;
	CUresult r = enter_ctx(&ctx);

	if (r)
		return r;
	r = ctx_may_wait_locked(ctx);
	if (r)
		return leave(r);
	if (module && image && code_is_prelude_image(image))
		return leave(code_prelude_module_locked(ctx, module));
	r = module ? image_check(image) : CUDA_ERROR_INVALID_VALUE;
	if (!r)
		r = module_new_locked(ctx, image, module);
	return leave(r);
}

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int numOptions,
			    CUjit_option *options, void **optionValues)
{
	(void)numOptions;
	(void)options;
	(void)optionValues;
	return cuModuleLoadData(module, image);
}

CUresult cuModuleLoadFatBinary(CUmodule *module, const void *fatCubin)
{
	return cuModuleLoadData(module, fatCubin);
}

CUresult cuModuleLoad(CUmodule *module, const char *fname)
{
	char *text;
	CUresult r = image_read(fname, &text);

	if (r)
		return r;
	r = cuModuleLoadData(module, text);
	free(text);
	return r;
}

/* 0 with the lock held and the handle good, or the error. */
static CUresult enter_module(CUmodule module)
{
	CUresult r = enter();

	if (r)
		return r;
	return object_is_locked(module, OBJECT_MODULE) ? CUDA_SUCCESS
						       : leave(CUDA_ERROR_INVALID_HANDLE);
}

CUresult cuModuleUnload(CUmodule hmod)
{
	CUresult r = enter_module(hmod);

	if (r)
		return r;
	if (hmod->library)
		return leave(CUDA_ERROR_NOT_PERMITTED);
	r = ctx_may_wait_locked(hmod->ctx);
	/* Another thread may have been faster while the lock was away. */
	if (!r && !object_is_locked(hmod, OBJECT_MODULE))
		r = CUDA_ERROR_INVALID_HANDLE;
	/* Queued launches have copied what they need of the module. */
	if (!r)
		module_free_locked(hmod);
	return leave(r);
}

CUresult cuModuleGetFunction(CUfunction *hfunc, CUmodule hmod, const char *name)
{
	CUresult r = enter_module(hmod);

	if (r)
		return r;
	r = hfunc && name ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; r == CUDA_ERROR_NOT_FOUND && i < hmod->ptx.nr_entries; i++) {
		if (!strcmp(hmod->ptx.entry[i].name, name)) {
			*hfunc = &hmod->funcs[i];
			r = CUDA_SUCCESS;
		}
	}
	return leave(r);
}

CUresult cuModuleGetFunctionCount(unsigned int *count, CUmodule mod)
{
	CUresult r = enter_module(mod);

	if (r)
		return r;
	if (!count)
		return leave(CUDA_ERROR_INVALID_VALUE);
	*count = (unsigned int)mod->ptx.nr_entries;
	return leave(CUDA_SUCCESS);
}

CUresult cuModuleEnumerateFunctions(CUfunction *functions, unsigned int numFunctions, CUmodule mod)
{
	CUresult r = enter_module(mod);

	if (r)
		return r;
	if (!functions)
		return leave(CUDA_ERROR_INVALID_VALUE);
	for (size_t i = 0; i < numFunctions && i < mod->ptx.nr_entries; i++)
		functions[i] = &mod->funcs[i];
	return leave(CUDA_SUCCESS);
}

static CUresult find_global_locked(const struct CUmod_st *module, CUdeviceptr *ret_address,
				   size_t *ret_bytes, const char *name)
{
	for (size_t i = 0; i < module->ptx.nr_globals; i++) {
		if (strcmp(module->ptx.global[i].name, name) != 0)
			continue;
		if (ret_address)
			*ret_address = module->globals[i];
		if (ret_bytes)
			*ret_bytes = module->ptx.global[i].size;
		return CUDA_SUCCESS;
	}
	return CUDA_ERROR_NOT_FOUND;
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr *dptr, size_t *bytes, CUmodule hmod, const char *name)
{
	CUresult r = enter_module(hmod);

	if (r)
		return r;
	if (!name)
		return leave(CUDA_ERROR_INVALID_VALUE);
	return leave(find_global_locked(hmod, dptr, bytes, name));
}

CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode *mode)
{
	if (!mode)
		return CUDA_ERROR_INVALID_VALUE;
	*mode = CU_MODULE_EAGER_LOADING;
	return CUDA_SUCCESS;
}
