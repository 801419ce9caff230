/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What surrounds the hooked functions in the tests of them: a driver whose functions are the test's
 * and a tenant that notes what it is told. Included once a program.
 */
#ifndef LITHOS_TESTS_HOOK_FAKES_H
#define LITHOS_TESTS_HOOK_FAKES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "hw/tools_hook.h"
#include "shim/device.h"
#include "shim/slots.h"
#include "shim/tenant.h"
#include "shim/track/execs.h"
#include "shim/track/kernels.h"

/* --- what slots.c, tenant.c, execs.c, device.c and the tools hook are to the hooks ------------ */

#define PASS(name)
#define HOOK(name) __typeof__(name) *real_##name;
#include "../../api/cuda.def"
#undef PASS
#undef HOOK

struct tenant tenant;

#define STREAM (CUstream)0x5000
#define GRAPH  (CUgraphExec)0x6000
#define NEW    (CUcontext)0x7000

static struct {
	CUresult result; /* what every driver function answers */
	uint32_t nr_driver_calls;
	uint64_t key; /* the thread's notes while the driver worked */
	struct exec *exec;
	char order[16]; /* d the driver, o opened, c closing, C closed, r released, R reset, f */
	int is_primary;
	CUcontext ctx;
	CUdevice device;
	struct device *masked;
	uint32_t nr_graph_launches, nr_forgotten;
	int is_subscribed;
} test;

static struct stats_region *const some_region = (struct stats_region *)0x1000;
static struct exec *const some_exec = (struct exec *)0x2000;

static inline void happened(char what)
{
	size_t n = strlen(test.order);

	if (n + 1 < sizeof(test.order))
		test.order[n] = what;
}

static inline CUresult driver_call(void)
{
	happened('d');
	test.nr_driver_calls++;
	test.key = thread_self()->stream_key;
	test.exec = thread_self()->exec;
	return test.result;
}

void tenant_context_created(CUcontext handle, CUdevice device, int is_primary)
{
	happened('o');
	test.ctx = handle;
	test.device = device;
	test.is_primary = is_primary;
}

void tenant_context_closing(CUcontext handle)
{
	happened('c');
	test.ctx = handle;
}

void tenant_context_closed(CUcontext handle)
{
	happened('C');
	test.ctx = handle;
}

void tenant_primary_released(CUdevice device)
{
	happened('r');
	test.device = device;
}

void tenant_primary_resetting(CUdevice device)
{
	happened('R');
	test.device = device;
}

struct device *tenant_current_masked_device(void)
{
	return test.masked;
}

uint32_t device_told_sms(CUdevice handle, uint32_t nr_sms)
{
	return handle == 3 ? nr_sms / 2 : nr_sms;
}

struct exec *exec_of(struct thread_state *t, CUgraphExec handle)
{
	(void)t;
	return handle == GRAPH ? some_exec : NULL;
}

void exec_launched(struct exec *exec, uint64_t submitted_ns)
{
	assert_ptr_equal(exec, some_exec);
	assert_true(submitted_ns != 0);
	test.nr_graph_launches++;
}

void exec_forget(CUgraphExec handle)
{
	assert_ptr_equal(handle, GRAPH);
	test.nr_forgotten++;
}

void kernels_flush(void)
{
	happened('f');
}

int tools_hook_is_subscribed(void)
{
	return test.is_subscribed;
}

void *slots_entry_of(void *real)
{
	return real == &test ? &tenant : real;
}

static inline int setup(void **state)
{
	(void)state;
	memset(&test, 0, sizeof(test));
	memset(&tenant, 0, sizeof(tenant));
	return 0;
}

/* --- a quota --- */

static struct {
	CUresult result;
	int per_sm;
	int threads;
	size_t shared_bytes;
} occupancy;

static inline CUresult occupancy_blocks(int *blocks, CUfunction f, int threads, size_t shared_bytes)
{
	assert_ptr_equal(f, (CUfunction)1);
	occupancy.threads = threads;
	occupancy.shared_bytes = shared_bytes;
	*blocks = occupancy.per_sm;
	return occupancy.result;
}

/* A quota of so many TPCs on a GPU of 66. */
static inline void confine(uint32_t nr_allowed, int per_sm)
{
	static struct device device;

	device.nr_allowed = nr_allowed;
	device.topo.sms_per_tpc = 2;
	device.topo.nr_tpcs = 66;
	test.masked = &device;
	occupancy.result = CUDA_SUCCESS;
	occupancy.per_sm = per_sm;
	tenant.ops.occupancy_blocks = occupancy_blocks;
}

#endif
