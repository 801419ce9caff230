/* SPDX-License-Identifier: Apache-2.0 */
/* Modules, libraries, kernels and functions: what a program loads and launches. */
#ifndef LITHOS_SIM_MODULE_H
#define LITHOS_SIM_MODULE_H

#include "sim/driver/state.h"
#include "sim/kernel/ptx.h"
#include "sim/sim_kernel.h"

#define FUNC_LEGACY_PARAMS_BYTES 4096

struct CUfunc_st {
	struct object object;
	struct CUmod_st *module;
	const struct ptx_entry *entry;   /* the module's */
	const struct sim_kernel *kernel; /* NULL: no body */
	uint64_t address;                /* of its code: unique (text.h) */
	enum sim_program program;        /* of a prelude's functions: which */
	int attribute[CU_FUNC_ATTRIBUTE_MAX];
	/* What cuFuncSetBlockShape and cuParamSet leave for cuLaunchGrid. */
	uint32_t legacy_block[3];
	uint32_t legacy_shared;
	uint8_t legacy_params[FUNC_LEGACY_PARAMS_BYTES];
};

struct CUmod_st {
	struct object object;
	struct CUmod_st *next;
	struct CUctx_st *ctx;
	struct CUlib_st *library; /* NULL: loaded by the program itself */
	struct ptx_module ptx;
	struct CUfunc_st *funcs; /* one for each entry */
	CUdeviceptr *globals;    /* one for each global */
};

struct CUkern_st {
	struct object object;
	struct CUlib_st *library;
	size_t index; /* of the entry */
};

struct CUlib_st {
	struct object object;
	struct CUlib_st *next;
	char *text;
	struct ptx_module ptx;
	struct CUkern_st *kernels;
};

/* A module of this text in a context. */
CUresult module_new_locked(struct CUctx_st *ctx, const char *text, struct CUmod_st **ret_module);
void module_free_locked(struct CUmod_st *module);
struct CUmod_st *module_first_locked(void);

/* The module a library has in a context, made when first asked for. */
CUresult library_module_locked(struct CUlib_st *library, struct CUctx_st *ctx,
			       struct CUmod_st **ret_module);

/* The function behind a handle that may also be a CUkernel, in the current context. */
CUresult func_of_locked(CUfunction handle, struct CUfunc_st **ret_func);

/* CUDA_ERROR_INVALID_IMAGE and the like for what is not PTX. */
CUresult image_check(const void *image);
/* The whole file, NUL-terminated; free it. */
CUresult image_read(const char *path, char **ret_text);

#endif
