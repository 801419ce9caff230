/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tenant whose memory is looked at from outside: memory_holder NAME STEP... makes a file NAME.n
 * after its nth step (from 1) and goes on when somebody has removed it, or ends in failure after
 * two minutes.
 */
#include "prog.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MIB (1u << 20)

static struct {
	CUdeviceptr plain, managed, async;
	CUcontext ctx;
	struct prog prog;
} holder;

/* Driver calls that no other program makes. */
static struct {
	__typeof__(cuMemAllocManaged) *alloc_managed;
	__typeof__(cuMemAllocAsync) *alloc_async;
	__typeof__(cuMemFreeAsync) *free_async;
	CUresult (*ctx_create)(CUcontext *ctx, unsigned int flags, CUdevice device);
} more;

static void look_up(void)
{
	more.alloc_managed = dlsym(cu_handle, "cuMemAllocManaged");
	more.alloc_async = dlsym(cu_handle, "cuMemAllocAsync");
	more.free_async = dlsym(cu_handle, "cuMemFreeAsync");
	more.ctx_create = dlsym(cu_handle, "cuCtxCreate_v2");
	if (!more.alloc_managed || !more.alloc_async || !more.free_async || !more.ctx_create)
		exit(PROG_FAIL);
}

static void step_alloc(void)
{
	MUST(cu.MemAlloc(&holder.plain, (size_t)64 * MIB));
	MUST(more.alloc_managed(&holder.managed, (size_t)64 * MIB, CU_MEM_ATTACH_GLOBAL));
	MUST(more.alloc_async(&holder.async, (size_t)64 * MIB, NULL));
}

static void step_free(void)
{
	MUST(more.free_async(holder.async, NULL));
	MUST(cu.MemFree(holder.managed));
	MUST(cu.MemFree(holder.plain));
	MUST(cu.CtxSynchronize());
}

/* What the driver refuses changes nothing. */
static void step_refused(void)
{
	CUdeviceptr address = 0;

	CHECK(cu.MemAlloc(&address, (size_t)1 << 50) != CUDA_SUCCESS);
	CHECK(cu.MemFree(holder.plain + 4096) != CUDA_SUCCESS);
}

static void step_context(void)
{
	CUdeviceptr address;

	MUST(more.ctx_create(&holder.ctx, 0, holder.prog.device));
	MUST(cu.MemAlloc(&address, (size_t)32 * MIB));
}

static void step_destroy(void)
{
	MUST(cu.CtxDestroy(holder.ctx));
	MUST(cu.CtxSetCurrent(holder.prog.context));
}

static void step_reset(void)
{
	MUST(cu.DevicePrimaryCtxReset(holder.prog.device));
}

static const struct {
	const char *name;
	void (*run)(void);
} steps[] = {
	{"alloc", step_alloc},     {"free", step_free},       {"refused", step_refused},
	{"context", step_context}, {"destroy", step_destroy}, {"reset", step_reset},
};

static void step(const char *name)
{
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (!strcmp(steps[i].name, name))
			steps[i].run();
	}
}

static void wait_for_removal(const char *name, int n)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s.%d", name, n);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		exit(PROG_FAIL);
	(void)close(fd);
	for (int i = 0; i < 12000; i++) {
		if (access(path, F_OK))
			return;
		(void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	exit(PROG_FAIL);
}

int main(int argc, char **argv)
{
	prog_open(&holder.prog);
	look_up();
	for (int i = 2; i < argc; i++) {
		step(argv[i]);
		wait_for_removal(argv[1], i - 1);
	}
	return prog_result();
}
