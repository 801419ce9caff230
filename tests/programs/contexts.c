/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contexts come and go, and every one of them launches: each version of cuCtxCreate, and the
 * primary context retained, released and reset, for 50 rounds (--rounds). What a layer keeps for a
 * context must not outlive it, and handles that the driver gives out again must not be taken for
 * the old ones.
 *
 * The versions are called by the names of the library, because cuda.h lets a program see only one.
 * A context of the first version belongs to the 32-bit API; where the driver refuses it the calls
 * of today, it is only created and destroyed.
 */
#include "prog.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define BLOCKS 40u

/* cuCtxCreate and its successors, NULL where the driver is older. */
static struct {
	CUresult (*v1)(CUcontext *context, unsigned int flags, CUdevice device);
	CUresult (*v2)(CUcontext *context, unsigned int flags, CUdevice device);
	CUresult (*v3)(CUcontext *context, void *affinity, int nr_affinity, unsigned int flags,
		       CUdevice device);
	CUresult (*v4)(CUcontext *context, void *params, unsigned int flags, CUdevice device);
} create;

static void find(const char *symbol, void *slot)
{
	void *address = dlsym(cu_handle, symbol);
	memcpy(slot, &address, sizeof(address));
}

/* Loads the module into the current context, counts once, checks, unloads. */
static void launch_here(void)
{
	struct prog prog = {0};
	CUmodule module;
	uint64_t ns = 0;
	MUST(cu.ModuleLoadData(&module, prog_ptx));
	prog_functions(&prog, module);
	CUdeviceptr counters = prog_words(BLOCKS, 0);
	void *params[] = {&counters, &ns};
	struct prog_launch launch = {.function = prog.count,
				     .grid = {BLOCKS, 1, 1},
				     .block = {64, 1, 1},
				     .params = params};
	MUST(prog_run(&launch));
	MUST(prog_run(&launch));
	MUST(cu.CtxSynchronize());
	CHECK(prog_count_other(counters, BLOCKS, 2) == 0);
	MUST(cu.MemFree(counters));
	MUST(cu.ModuleUnload(module));
}

static CUresult create_version(int version, CUcontext *context, CUdevice device)
{
	switch (version) {
	case 1:
		return create.v1 ? create.v1(context, 0, device) : CUDA_ERROR_NOT_FOUND;
	case 2:
		return create.v2 ? create.v2(context, 0, device) : CUDA_ERROR_NOT_FOUND;
	case 3:
		return create.v3 ? create.v3(context, NULL, 0, 0, device) : CUDA_ERROR_NOT_FOUND;
	default:
		return create.v4 ? create.v4(context, NULL, 0, device) : CUDA_ERROR_NOT_FOUND;
	}
}

static bool context_allocates(void)
{
	CUdeviceptr word;
	if (cu.MemAlloc(&word, sizeof(uint32_t)) != CUDA_SUCCESS)
		return false;
	MUST(cu.MemFree(word));
	return true;
}

/* One context of the given version; false when this driver does not have that version. */
static bool round_created(int version, CUdevice device)
{
	CUcontext context;
	CUresult result = create_version(version, &context, device);
	if (result == CUDA_ERROR_NOT_FOUND)
		return false;
	MUST(result);
	if (version > 1 || context_allocates())
		launch_here();
	MUST(cu.CtxDestroy(context));
	return true;
}

/* Retained twice, released twice: the context ends with the second. Every third round it is reset.
 */
static void round_primary(long round, CUdevice device)
{
	CUcontext first, second;
	MUST(cu.DevicePrimaryCtxRetain(&first, device));
	MUST(cu.DevicePrimaryCtxRetain(&second, device));
	CHECK(first == second);
	MUST(cu.CtxSetCurrent(first));
	launch_here();
	MUST(cu.DevicePrimaryCtxRelease(device));
	launch_here();
	MUST(cu.CtxSetCurrent(NULL));
	if (round % 3 == 0)
		MUST(cu.DevicePrimaryCtxReset(device));
	MUST(cu.DevicePrimaryCtxRelease(device));
}

int main(int argc, char **argv)
{
	long nr_rounds = prog_option(argc, argv, "--rounds", 50);
	unsigned int nr_created[5] = {0};
	struct prog prog;
	prog_open(&prog);
	prog_close(&prog);
	find("cuCtxCreate", &create.v1);
	find("cuCtxCreate_v2", &create.v2);
	find("cuCtxCreate_v3", &create.v3);
	find("cuCtxCreate_v4", &create.v4);

	for (long round = 0; round < nr_rounds; round++) {
		int version = (int)(round % 4) + 1;
		nr_created[version] += round_created(version, prog.device);
		round_primary(round, prog.device);
	}
	CHECK(nr_created[2] > 0);
	printf("program=contexts rounds=%ld v1=%u v2=%u v3=%u v4=%u ok=%d\n", nr_rounds,
	       nr_created[1], nr_created[2], nr_created[3], nr_created[4],
	       prog_result() == PROG_PASS);
	return prog_result();
}
