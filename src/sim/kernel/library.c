/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Libraries: code that belongs to no context. Each context gets a module of it when a kernel is
 * first used there; a CUkernel may be handed over wherever a CUfunction is asked for.
 */
#include "sim/kernel/module.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

CUresult library_module_locked(struct CUlib_st *library, struct CUctx_st *ctx,
			       struct CUmod_st **ret_module)
{
	CUresult r;

	for (struct CUmod_st *module = module_first_locked(); module; module = module->next) {
		if (module->library == library && module->ctx == ctx) {
			*ret_module = module;
			return CUDA_SUCCESS;
		}
	}
	r = module_new_locked(ctx, library->text, ret_module);
	if (!r)
		(*ret_module)->library = library;
	return r;
}

CUresult func_of_locked(CUfunction handle, struct CUfunc_st **ret_func)
{
	/* A CUkernel is accepted as well; both are told apart by the table of objects. */
	struct CUkern_st *kernel = (void *)handle;
	struct CUmod_st *module;
	struct CUctx_st *ctx;
	CUresult r;

	if (object_is_locked(handle, OBJECT_FUNC)) {
		*ret_func = handle;
		return CUDA_SUCCESS;
	}
	if (!object_is_locked(kernel, OBJECT_KERNEL))
		return CUDA_ERROR_INVALID_HANDLE;
	r = current_ctx_locked(&ctx);
	if (!r)
		r = library_module_locked(kernel->library, ctx, &module);
	if (!r)
		*ret_func = &module->funcs[kernel->index];
	return r;
}

static void library_free_locked(struct CUlib_st *library)
{
	struct CUmod_st *next;

	for (struct CUmod_st *module = module_first_locked(); module; module = next) {
		next = module->next;
		if (module->library == library)
			module_free_locked(module);
	}
	for (size_t i = 0; library->kernels && i < library->ptx.nr_entries; i++)
		object_remove_locked(&library->kernels[i].object);
	object_remove_locked(&library->object);
	ptx_free(&library->ptx);
	free(library->kernels);
	free(library->text);
	free(library);
}

static CUresult library_new_locked(const char *text, struct CUlib_st **ret_library)
{
	struct CUlib_st *library = calloc(1, sizeof(*library));
	int parsed;

	if (!library)
		return CUDA_ERROR_OUT_OF_MEMORY;
	object_add_locked(&library->object, OBJECT_LIBRARY);
	library->text = strdup(text);
	parsed = library->text ? ptx_parse(text, &library->ptx) : -ENOMEM;
	if (!parsed) {
		library->kernels = calloc(library->ptx.nr_entries + 1, sizeof(*library->kernels));
		parsed = library->kernels ? 0 : -ENOMEM;
	}
	if (parsed) {
		library_free_locked(library);
		return parsed == -EINVAL ? CUDA_ERROR_INVALID_PTX : CUDA_ERROR_OUT_OF_MEMORY;
	}
	for (size_t i = 0; i < library->ptx.nr_entries; i++) {
		library->kernels[i].library = library;
		library->kernels[i].index = i;
		object_add_locked(&library->kernels[i].object, OBJECT_KERNEL);
	}
	*ret_library = library;
	return CUDA_SUCCESS;
}

CUresult cuLibraryLoadData(CUlibrary *library, const void *code, CUjit_option *jitOptions,
			   void **jitOptionsValues, unsigned int numJitOptions,
			   CUlibraryOption *libraryOptions, void **libraryOptionValues,
			   unsigned int numLibraryOptions)
{
	CUresult r = enter();

	(void)jitOptions;
	(void)jitOptionsValues;
	(void)numJitOptions;
	(void)libraryOptions;
	(void)libraryOptionValues;
	(void)numLibraryOptions;
	if (r)
		return r;
	r = library ? image_check(code) : CUDA_ERROR_INVALID_VALUE;
	if (!r)
		r = library_new_locked(code, library);
	return leave(r);
}

CUresult cuLibraryLoadFromFile(CUlibrary *library, const char *fileName, CUjit_option *jitOptions,
			       void **jitOptionsValues, unsigned int numJitOptions,
			       CUlibraryOption *libraryOptions, void **libraryOptionValues,
			       unsigned int numLibraryOptions)
{
	char *text;
	CUresult r = image_read(fileName, &text);

	if (r)
		return r;
	r = cuLibraryLoadData(library, text, jitOptions, jitOptionsValues, numJitOptions,
			      libraryOptions, libraryOptionValues, numLibraryOptions);
	free(text);
	return r;
}

/* 0 with the lock held and the handle good, or the error. */
static CUresult enter_library(CUlibrary library, const void *out)
{
	CUresult r = enter();

	if (r)
		return r;
	if (!out)
		return leave(CUDA_ERROR_INVALID_VALUE);
	return object_is_locked(library, OBJECT_LIBRARY) ? CUDA_SUCCESS
							 : leave(CUDA_ERROR_INVALID_HANDLE);
}

CUresult cuLibraryUnload(CUlibrary library)
{
	CUresult r = enter_library(library, &library);

	if (r)
		return r;
	library_free_locked(library);
	return leave(CUDA_SUCCESS);
}

CUresult cuLibraryGetKernel(CUkernel *pKernel, CUlibrary library, const char *name)
{
	CUresult r = enter_library(library, pKernel);

	if (r)
		return r;
	for (size_t i = 0; name && i < library->ptx.nr_entries; i++) {
		if (!strcmp(library->ptx.entry[i].name, name)) {
			*pKernel = &library->kernels[i];
			return leave(CUDA_SUCCESS);
		}
	}
	return leave(name ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_INVALID_VALUE);
}

CUresult cuLibraryGetKernelCount(unsigned int *count, CUlibrary lib)
{
	CUresult r = enter_library(lib, count);

	if (r)
		return r;
	*count = (unsigned int)lib->ptx.nr_entries;
	return leave(CUDA_SUCCESS);
}

CUresult cuLibraryEnumerateKernels(CUkernel *kernels, unsigned int numKernels, CUlibrary lib)
{
	CUresult r = enter_library(lib, kernels);

	if (r)
		return r;
	for (size_t i = 0; i < numKernels && i < lib->ptx.nr_entries; i++)
		kernels[i] = &lib->kernels[i];
	return leave(CUDA_SUCCESS);
}

CUresult cuLibraryGetModule(CUmodule *pMod, CUlibrary library)
{
	struct CUctx_st *ctx;
	CUresult r = enter_library(library, pMod);

	if (r)
		return r;
	r = current_ctx_locked(&ctx);
	if (!r)
		r = library_module_locked(library, ctx, pMod);
	return leave(r);
}

CUresult cuLibraryGetGlobal(CUdeviceptr *dptr, size_t *bytes, CUlibrary library, const char *name)
{
	CUmodule module;
	CUresult r = cuLibraryGetModule(&module, library);

	return r ? r : cuModuleGetGlobal_v2(dptr, bytes, module, name);
}

static CUresult enter_kernel(CUkernel kernel, const void *out)
{
	CUresult r = enter();

	if (r)
		return r;
	if (!out)
		return leave(CUDA_ERROR_INVALID_VALUE);
	return object_is_locked(kernel, OBJECT_KERNEL) ? CUDA_SUCCESS
						       : leave(CUDA_ERROR_INVALID_HANDLE);
}

CUresult cuKernelGetFunction(CUfunction *pFunc, CUkernel kernel)
{
	struct CUctx_st *ctx;
	struct CUmod_st *module;
	CUresult r = enter_kernel(kernel, pFunc);

	if (r)
		return r;
	r = current_ctx_locked(&ctx);
	if (!r)
		r = library_module_locked(kernel->library, ctx, &module);
	if (!r)
		*pFunc = &module->funcs[kernel->index];
	return leave(r);
}

CUresult cuKernelGetLibrary(CUlibrary *pLib, CUkernel kernel)
{
	CUresult r = enter_kernel(kernel, pLib);

	if (r)
		return r;
	*pLib = kernel->library;
	return leave(CUDA_SUCCESS);
}

CUresult cuKernelGetName(const char **name, CUkernel hfunc)
{
	CUresult r = enter_kernel(hfunc, name);

	if (r)
		return r;
	*name = hfunc->library->ptx.entry[hfunc->index].name;
	return leave(CUDA_SUCCESS);
}

static CUresult param_info(const struct ptx_entry *entry, size_t index, size_t *offset,
			   size_t *size)
{
	if (index >= entry->nr_params)
		return CUDA_ERROR_INVALID_VALUE;
	*offset = entry->param[index].offset;
	if (size)
		*size = entry->param[index].size;
	return CUDA_SUCCESS;
}

CUresult cuKernelGetParamInfo(CUkernel kernel, size_t paramIndex, size_t *paramOffset,
			      size_t *paramSize)
{
	CUresult r = enter_kernel(kernel, paramOffset);

	if (r)
		return r;
	return leave(param_info(&kernel->library->ptx.entry[kernel->index], paramIndex, paramOffset,
				paramSize));
}

/* 0 with the lock held and the function found, or the error. */
static CUresult enter_func(CUfunction handle, const void *out, struct CUfunc_st **ret_func)
{
	CUresult r = enter();

	if (r)
		return r;
	r = out ? func_of_locked(handle, ret_func) : CUDA_ERROR_INVALID_VALUE;
	return r ? leave(r) : CUDA_SUCCESS;
}

CUresult cuFuncGetParamInfo(CUfunction func, size_t paramIndex, size_t *paramOffset,
			    size_t *paramSize)
{
	struct CUfunc_st *f;
	CUresult r = enter_func(func, paramOffset, &f);

	if (r)
		return r;
	return leave(param_info(f->entry, paramIndex, paramOffset, paramSize));
}

CUresult cuFuncGetName(const char **name, CUfunction hfunc)
{
	struct CUfunc_st *func;
	CUresult r = enter_func(hfunc, name, &func);

	if (r)
		return r;
	*name = func->entry->name;
	return leave(CUDA_SUCCESS);
}

CUresult cuFuncGetModule(CUmodule *hmod, CUfunction hfunc)
{
	struct CUfunc_st *func;
	CUresult r = enter_func(hfunc, hmod, &func);

	if (r)
		return r;
	*hmod = func->module;
	return leave(CUDA_SUCCESS);
}

CUresult cuFuncGetAttribute(int *pi, CUfunction_attribute attrib, CUfunction hfunc)
{
	struct CUfunc_st *func;
	CUresult r = enter_func(hfunc, pi, &func);

	if (r)
		return r;
	if ((unsigned int)attrib >= CU_FUNC_ATTRIBUTE_MAX)
		return leave(CUDA_ERROR_INVALID_VALUE);
	*pi = func->attribute[attrib];
	return leave(CUDA_SUCCESS);
}

static int is_settable(CUfunction_attribute attrib)
{
	return attrib == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES ||
	       attrib == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT ||
	       (attrib >= CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH &&
		attrib < CU_FUNC_ATTRIBUTE_MAX);
}

CUresult cuFuncSetAttribute(CUfunction hfunc, CUfunction_attribute attrib, int value)
{
	struct CUfunc_st *func;
	CUresult r = enter_func(hfunc, hfunc, &func);

	if (r)
		return r;
	if (!is_settable(attrib))
		return leave(CUDA_ERROR_INVALID_VALUE);
	if (attrib == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES &&
	    (value < 0 || (uint32_t)value + func->entry->shared_bytes > 232448))
		return leave(CUDA_ERROR_INVALID_VALUE);
	func->attribute[attrib] = value;
	return leave(CUDA_SUCCESS);
}

CUresult cuFuncSetCacheConfig(CUfunction hfunc, CUfunc_cache config)
{
	struct CUfunc_st *func;
	CUresult r = enter_func(hfunc, hfunc, &func);

	(void)config;
	return r ? r : leave(CUDA_SUCCESS);
}

/* A kernel's attributes are those of its function in the current context. */
CUresult cuKernelGetAttribute(int *pi, CUfunction_attribute attrib, CUkernel kernel, CUdevice dev)
{
	CUfunction func;
	CUresult r = dev ? CUDA_ERROR_INVALID_DEVICE : cuKernelGetFunction(&func, kernel);

	return r ? r : cuFuncGetAttribute(pi, attrib, func);
}

CUresult cuKernelSetAttribute(CUfunction_attribute attrib, int val, CUkernel kernel, CUdevice dev)
{
	CUfunction func;
	CUresult r = dev ? CUDA_ERROR_INVALID_DEVICE : cuKernelGetFunction(&func, kernel);

	return r ? r : cuFuncSetAttribute(func, attrib, val);
}
