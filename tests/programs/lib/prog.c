/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The harness of the test programs: no framework, because they run on machines that have only libc.
 * A failed check is counted and reported and the program goes on, so that one run shows every
 * difference; a failed prerequisite ends it. Checks may be made from several threads.
 *
 * It does badly at nothing but hangs: a launch that never ends is for the caller's `timeout` to
 * see.
 */
#include "prog.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_uint nr_failures;

bool prog_check(bool condition, const char *what, int line)
{
	if (condition)
		return true;
	/* Enough to understand; a wrong array would otherwise print for minutes. */
	if (atomic_fetch_add_explicit(&nr_failures, 1, memory_order_relaxed) < 20)
		fprintf(stderr, "%s:%d: failed: %s\n", program_invocation_short_name, line, what);
	return false;
}

void prog_must(CUresult result, const char *what, int line)
{
	if (result == CUDA_SUCCESS)
		return;
	fprintf(stderr, "%s:%d: %s = %d %s\n", program_invocation_short_name, line, what,
		(int)result, cu_name(result));
	/* Not exit(): other threads may still be inside the driver. */
	fflush(stdout);
	_Exit(PROG_FAIL);
}

int prog_result(void)
{
	unsigned int failures = atomic_load_explicit(&nr_failures, memory_order_relaxed);
	if (failures)
		fprintf(stderr, "%s: %u checks failed\n", program_invocation_short_name, failures);
	return failures ? PROG_FAIL : PROG_PASS;
}

long prog_option(int argc, char **argv, const char *name, long fallback)
{
	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], name))
			return strtol(argv[i + 1], NULL, 0);
	return fallback;
}

bool prog_flag(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return false;
}

static void skip(const char *why)
{
	printf("skipped=1 why=\"%s\"\n", why);
	exit(PROG_SKIP);
}

static void open_driver(void)
{
	int err = cu_open();
	if (err == -ENOENT)
		skip("no libcuda.so.1");
	if (err)
		exit(PROG_FAIL);
	CUresult result = cu.Init(0);
	if (result == CUDA_ERROR_NO_DEVICE || result == CUDA_ERROR_STUB_LIBRARY)
		skip(cu_name(result));
	MUST(result);
}

void prog_functions(struct prog *prog, CUmodule module)
{
	MUST(cu.ModuleGetFunction(&prog->null, module, "lk_null"));
	MUST(cu.ModuleGetFunction(&prog->where, module, "lk_where"));
	MUST(cu.ModuleGetFunction(&prog->count, module, "lk_count"));
	MUST(cu.ModuleGetFunction(&prog->saxpy, module, "lk_saxpy"));
	MUST(cu.ModuleGetFunction(&prog->barrier, module, "lk_barrier"));
	MUST(cu.ModuleGetFunction(&prog->fill, module, "lk_fill"));
}

void prog_open(struct prog *prog)
{
	open_driver();
	MUST(cu.DeviceGet(&prog->device, 0));
	MUST(cu.DeviceGetAttribute(&prog->nr_sms, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT,
				   prog->device));
	MUST(cu.DevicePrimaryCtxRetain(&prog->context, prog->device));
	MUST(cu.CtxSetCurrent(prog->context));
	MUST(cu.ModuleLoadData(&prog->module, prog_ptx));
	prog_functions(prog, prog->module);
}

void prog_close(struct prog *prog)
{
	MUST(cu.CtxSynchronize());
	MUST(cu.ModuleUnload(prog->module));
	MUST(cu.CtxSetCurrent(NULL));
	MUST(cu.DevicePrimaryCtxRelease(prog->device));
}

CUlaunchConfig prog_one_cluster(CUlaunchAttribute *attribute, unsigned int nr_blocks)
{
	*attribute = (CUlaunchAttribute){.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
					 .value.clusterDim = {nr_blocks, 1, 1}};
	return (CUlaunchConfig){.gridDimX = nr_blocks,
				.gridDimY = 1,
				.gridDimZ = 1,
				.blockDimX = 1024,
				.blockDimY = 1,
				.blockDimZ = 1,
				.attrs = attribute,
				.numAttrs = 1};
}

CUresult prog_run(const struct prog_launch *launch)
{
	return cu.LaunchKernel(launch->function, launch->grid[0], launch->grid[1], launch->grid[2],
			       launch->block[0], launch->block[1], launch->block[2], 0,
			       launch->stream, launch->params, NULL);
}

CUdeviceptr prog_words(size_t n, uint32_t value)
{
	CUdeviceptr words = 0;
	MUST(cu.MemAlloc(&words, n * sizeof(uint32_t)));
	MUST(cu.MemsetD32(words, value, n));
	MUST(cu.CtxSynchronize());
	return words;
}

uint32_t *prog_read(CUdeviceptr from, size_t n)
{
	uint32_t *words = calloc(n, sizeof(*words));
	if (!words)
		exit(PROG_FAIL);
	MUST(cu.MemcpyDtoH(words, from, n * sizeof(*words)));
	return words;
}

size_t prog_count_other(CUdeviceptr from, size_t n, uint32_t expected)
{
	uint32_t *words = prog_read(from, n);
	size_t nr_other = 0;
	for (size_t i = 0; i < n; i++)
		nr_other += words[i] != expected;
	free(words);
	return nr_other;
}
