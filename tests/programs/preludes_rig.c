/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launches through preludes without the shim: the launch hook is subscribed to here, and a thread
 * says in `edit` what its next launch becomes, before it makes it.
 *
 * Slots and reports are used in turn, so at most NR_SLOTS redirected launches may be on the device
 * at once; every caller waits long before. One thread launches.
 */
#include "preludes_rig.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hw/qmd.h"
#include "hw/tools_hook.h"

#define NR_SLOTS 64u

struct rig rig;

/* What the next launch of this thread becomes; kind PRELUDE_NR: left as it is. */
static struct {
	enum prelude_kind kind;
	struct prelude_slot slot;
	uint32_t nr_launches;
	int error;
} edit = {.kind = PRELUDE_NR};

static void on_event(const struct qmd_event *event)
{
	const struct qmd_layout *layout = qmd_layout_of(event->qmd, 9);
	uint32_t i = edit.nr_launches % NR_SLOTS;
	struct qmd_grid grid;

	if (prelude_hook(event))
		return;
	edit.error = layout ? qmd_decode_grid(layout, event->qmd, &grid) : -1;
	if (edit.error)
		return;
	rig.entry = grid.entry;
	if (edit.kind == PRELUDE_NR)
		return;
	edit.slot.entry = grid.entry;
	edit.slot.report = rig.report_address + i * sizeof(uint32_t);
	rig.slot[i] = edit.slot;
	__atomic_store_n(&rig.report[i], 0, __ATOMIC_RELAXED);
	/* The GPU reads the slot once the descriptor is uploaded: it must be in memory by then. */
	__atomic_store_n(&rig.slot[i].run, edit.slot.run, __ATOMIC_SEQ_CST);
	edit.error = prelude_redirect(layout, event->qmd, rig.prelude.entry[edit.kind],
				      rig.slot_address + i * sizeof(struct prelude_slot));
	edit.nr_launches++;
}

static void *lookup(void *cookie, const char *symbol)
{
	(void)cookie;
	return dlsym(cu_handle, symbol);
}

void *rig_pinned(size_t bytes, CUdeviceptr *ret_address)
{
	void *host = NULL;

	MUST(cu.MemAllocHost(&host, bytes));
	MUST(rig.ops.host_device_pointer(ret_address, host, 0));
	memset(host, 0, bytes);
	return host;
}

static void open_preludes(void)
{
	int major = 0, minor = 0, r;

	rig.slot = rig_pinned(NR_SLOTS * sizeof(struct prelude_slot), &rig.slot_address);
	rig.report = rig_pinned(NR_SLOTS * sizeof(uint32_t), &rig.report_address);
	MUST(rig.ops.device_attribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
				      rig.prog.device));
	MUST(rig.ops.device_attribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
				      rig.prog.device));
	r = prelude_open(&rig.ops, major, minor, rig.slot, rig.slot_address, &rig.prelude);
	printf("program=preludes open=%d gate=%llx claim=%llx\n", r,
	       (unsigned long long)rig.prelude.entry[PRELUDE_GATE],
	       (unsigned long long)rig.prelude.entry[PRELUDE_CLAIM]);
	if (!CHECK(r == 0))
		exit(PROG_FAIL);
	rig.has_clusters = rig.prelude.entry[PRELUDE_CLAIM_CLUSTER] != 0;
	CHECK(rig.has_clusters == (major >= 9));
}

void rig_open(size_t nr_words)
{
	const char *missing = "";

	prog_open(&rig.prog);
	if (!CHECK(!driver_ops_load(&rig.ops, lookup, NULL, &missing)) ||
	    !CHECK(!tools_hook_subscribe(rig.ops.export_table, on_event)))
		exit(PROG_FAIL);
	open_preludes();
	rig.nr_words = nr_words;
	rig.counts = prog_words(nr_words, 0);
	rig.words = prog_words(PRELUDE_HEADER_BYTES / 4 + nr_words, 0);
	rig.epoch = prog_words(1, 0);
	rig.number = PRELUDE_NUMBER_STEP;
	MUST(cu.StreamCreate(&rig.stream, CU_STREAM_NON_BLOCKING));
	rig.urgent = urgent_stream();
}

void rig_close(void)
{
	tools_hook_unsubscribe();
	prog_close(&rig.prog);
}

void rig_launch(const struct rig_launch *launch)
{
	CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
				       .value.clusterDim = {launch->cluster, 1, 1}};
	CUlaunchConfig config = {.gridDimX = launch->grid[0],
				 .gridDimY = launch->grid[1],
				 .gridDimZ = launch->grid[2],
				 .blockDimX = launch->threads,
				 .blockDimY = 1,
				 .blockDimZ = 1,
				 .sharedMemBytes = launch->shared_bytes,
				 .hStream = rig.stream,
				 .attrs = &attribute,
				 .numAttrs = launch->cluster ? 1 : 0};

	MUST(cu.LaunchKernelEx(&config, launch->function, launch->params, NULL));
	CHECK(edit.kind == PRELUDE_NR || edit.error == 0);
	edit.kind = PRELUDE_NR;
}

void rig_launch_gate(const struct rig_launch *launch, uint32_t lo, uint32_t count)
{
	edit.kind = launch->cluster ? PRELUDE_GATE_CLUSTER : PRELUDE_GATE;
	edit.slot = (struct prelude_slot){.lo = lo, .count = count};
	rig_launch(launch);
}

void rig_launch_claim(const struct rig_launch *launch, uint32_t first, uint32_t run, uint32_t late)
{
	const struct peer *peer = &rig.peer;

	edit.kind = launch->cluster ? PRELUDE_CLAIM_CLUSTER : PRELUDE_CLAIM;
	edit.slot = (struct prelude_slot){
		.state = rig.words + PRELUDE_HEADER_BYTES,
		.flag = {rig.epoch, peer->pid ? peer->epoch : rig.epoch},
		.calm = {rig.value - late, peer->pid ? peer->value : rig.value},
		.first = first,
		.run = run,
		.lead = rig.lead ? rig.lead : run,
	};
	rig_launch(launch);
}

uint32_t rig_reported_before(uint32_t nr_later)
{
	MUST(cu.StreamSynchronize(rig.stream));
	return __atomic_load_n(&rig.report[(edit.nr_launches - 1 - nr_later) % NR_SLOTS],
			       __ATOMIC_ACQUIRE);
}

uint32_t rig_reported(void)
{
	return rig_reported_before(0);
}

uint32_t rig_next_number(void)
{
	rig.number += PRELUDE_NUMBER_STEP;
	return rig.number;
}

double rig_now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

void rig_sort(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
}
