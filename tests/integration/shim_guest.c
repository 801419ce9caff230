/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tenant that brings a profiler: it subscribes through the driver's own tools table, the way
 * CUPTI does, takes release 1 of every descriptor for a record of its own, and checks that each of
 * its records was written. What lithos adds must leave them alone. One line of key=value.
 */
#include "prog.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "hw/qmd_fast.h"

#define NR_LAUNCHES   300u
#define DOMAIN_LAUNCH 0xb
#define ID_PRE_UPLOAD 1

typedef int (*event_fn)(void *user, int domain, int id, const void *params);

/* The entries of the table that a profiler uses; see docs/hardware.md. */
struct tools_table {
	void *opaque_0[6];
	int (*enable)(uint32_t on, uint32_t handle, int domain, int id);
	void *opaque_7[4];
	int (*subscribe)(uint32_t *ret_handle, event_fn callback, void *user);
};

static struct {
	volatile uint32_t (*record)[4]; /* host memory, one a launch */
	CUdeviceptr address;
	unsigned int nr_seen;
	unsigned int nr_taken; /* descriptors whose release 1 was somebody's already */
} profiler;

static int on_event(void *user, int domain, int id, const void *params)
{
	uint32_t *qmd;

	(void)user;
	if (domain != DOMAIN_LAUNCH || id != ID_PRE_UPLOAD || profiler.nr_seen == NR_LAUNCHES)
		return 0;
	memcpy(&qmd, (const char *)params + 32, sizeof(qmd));
	profiler.nr_taken += !qmd_v04_00_release1_is_free(qmd);
	qmd_v04_00_arm_release1(qmd, profiler.address + profiler.nr_seen * 16u,
				profiler.nr_seen + 1);
	profiler.nr_seen++;
	return 0;
}

static void *driver_symbol(const char *name)
{
	void *symbol = dlsym(cu_handle, name);
	CHECK(symbol != NULL);
	return symbol;
}

static void profiler_memory(void)
{
	CUresult (*alloc)(void **p, size_t bytes, unsigned int flags);
	CUresult (*address_of)(CUdeviceptr * address, void *p, unsigned int flags);
	void *memory = NULL;
	alloc = driver_symbol("cuMemHostAlloc");
	address_of = driver_symbol("cuMemHostGetDevicePointer_v2");
	MUST(alloc(&memory, (size_t)NR_LAUNCHES * 16, CU_MEMHOSTALLOC_DEVICEMAP));
	memset(memory, 0, (size_t)NR_LAUNCHES * 16);
	MUST(address_of(&profiler.address, memory, 0));
	profiler.record = memory;
}

static void profiler_attach(void)
{
	static const CUuuid uuid = {{0x2c, (char)0x8e, 0x0a, (char)0xd8, 0x07, 0x10, (char)0xab,
				     0x4e, (char)0x90, (char)0xdd, 0x54, 0x71, (char)0x9f,
				     (char)0xe5, (char)0xf7, 0x4b}};
	CUresult (*export_table)(const void **table, const CUuuid *uuid);
	const void *table = NULL;
	uint32_t handle = 0;
	export_table = driver_symbol("cuGetExportTable");
	MUST(export_table(&table, &uuid));
	const struct tools_table *tools = table;
	CHECK(tools->subscribe(&handle, on_event, NULL) == 0);
	CHECK(tools->enable(1, handle, DOMAIN_LAUNCH, ID_PRE_UPLOAD) == 0);
}

int main(void)
{
	unsigned int nr_written = 0;
	struct prog prog;
	prog_open(&prog);
	profiler_memory();
	profiler_attach();
	struct prog_launch launch = {.function = prog.null, .grid = {3, 1, 1}, .block = {32, 1, 1}};
	for (unsigned int i = 0; i < NR_LAUNCHES; i++)
		MUST(prog_run(&launch));
	MUST(cu.CtxSynchronize());
	for (unsigned int i = 0; i < NR_LAUNCHES; i++)
		nr_written += profiler.record[i][0] == i + 1;
	CHECK(profiler.nr_seen == NR_LAUNCHES);
	CHECK(profiler.nr_taken == 0);
	CHECK(nr_written == NR_LAUNCHES);
	printf("program=guest seen=%u written=%u\n", profiler.nr_seen, nr_written);
	prog_close(&prog);
	return prog_result();
}
