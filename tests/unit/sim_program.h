/* SPDX-License-Identifier: Apache-2.0 */
/* What programs on the simulated driver have in common. */
#ifndef LITHOS_TEST_SIM_PROGRAM_H
#define LITHOS_TEST_SIM_PROGRAM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cuda.h>

int lithos_sim_nr_hung(void);
uint64_t lithos_sim_nr_grids(void);

#define OK(call) assert_int_equal(call, CUDA_SUCCESS)

static const char program_ptx[] =
	".version 7.0\n.target sm_90\n.address_size 64\n"
	".visible .entry lk_count(.param .u64 p, .param .u64 ns){ret;}\n"
	".visible .entry lk_barrier(.param .u64 p, .param .u64 ns){ret;}\n"
	".visible .entry unknown(.param .u32 x){ret;}\n"
	".visible .entry lk_where(.param .u64 p, .param .u64 ns){ret;}\n";

struct program {
	CUcontext ctx;
	CUmodule module;
	CUstream stream;
	CUdeviceptr words;
};

#define PROGRAM_WORDS 4096

static inline void program_open(struct program *program)
{
	CUdevice device;

	OK(cuInit(0));
	OK(cuDeviceGet(&device, 0));
	OK(cuDevicePrimaryCtxRetain(&program->ctx, device));
	OK(cuCtxSetCurrent(program->ctx));
	OK(cuModuleLoadData(&program->module, program_ptx));
	OK(cuStreamCreate(&program->stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc(&program->words, PROGRAM_WORDS * 4));
	OK(cuMemsetD32(program->words, 0, PROGRAM_WORDS));
	OK(cuCtxSynchronize());
}

/* A context of its own; the call that makes one has other parameters in older headers. */
static inline CUresult program_ctx_new(CUcontext *ret_ctx)
{
#if CUDA_VERSION < 13000
	return cuCtxCreate(ret_ctx, 0, 0);
#else
	return cuCtxCreate(ret_ctx, NULL, 0, 0);
#endif
}

static inline CUfunction program_kernel(const struct program *program, const char *name)
{
	CUfunction func;

	OK(cuModuleGetFunction(&func, program->module, name));
	return func;
}

static inline CUresult program_launch(const struct program *program, const char *name,
				      unsigned int blocks, CUstream stream, uint64_t ns)
{
	CUdeviceptr words = program->words;
	void *params[] = {&words, &ns};

	return cuLaunchKernel(program_kernel(program, name), blocks, 1, 1, 32, 1, 1, 0, stream,
			      params, NULL);
}

static inline uint32_t program_word(const struct program *program, unsigned int i)
{
	uint32_t value;

	OK(cuMemcpyDtoH(&value, program->words + 4 * i, 4));
	return value;
}

#endif
