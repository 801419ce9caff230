/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The preludes on a device: every block of a gated or claimed launch runs exactly once, whatever is
 * cut, given up, resumed or joined. Subscribes to the launch hook itself, so it runs without the
 * shim.
 *
 *   preludes [--preemptions N] [--blocks N] [--threads N] [--block-us N]
 *            [--peer-preemptions N] [--peer-block-us N] [--cost]
 *
 * lk_count adds one to the word of each block that ran. A redirected launch is described by `edit`, as
 * the shim's launch path does it. Preemption is tried with grids of --blocks, and five times as many
 * for the second process, so a machine that is slow to react needs a larger --block-us, and one that
 * simulates slowly fewer blocks; it goes on until a kernel was cut. A second process, this program
 * again with --peer, raises the flag of this one through IPC memory. --cost prints what gate and
 * claim add to a kernel (medians of 15); it fails nothing.
 */
#include "preludes_peer.h"
#include "prog.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hw/driver.h"
#include "hw/prelude/prelude.h"
#include "hw/qmd.h"
#include "hw/tools_hook.h"

#define NR_SLOTS     64u
#define MAX_BLOCKS   200000u
#define NR_CUT_TRIES 200 /* before a kernel that is never cut is a failure */

struct rig {
	struct prog prog;
	struct driver_ops ops;
	struct prelude prelude;
	struct prelude_slot *slot; /* [NR_SLOTS], pinned */
	CUdeviceptr slot_address;
	CUdeviceptr counts, words, flag;
	CUstream stream, urgent;
	uint32_t number; /* of the latest claimed launch */
};

/* What the next launch of this thread becomes; kind PRELUDE_NR: left as it is. */
static struct {
	enum prelude_kind kind;
	struct prelude_slot slot;
	uint32_t nr_launches;
	int error;
} edit = {.kind = PRELUDE_NR};

static struct rig rig;

static void on_event(const struct qmd_event *event)
{
	const struct qmd_layout *layout = qmd_layout_of(event->qmd, 9);
	uint32_t i = edit.nr_launches % NR_SLOTS;
	struct qmd_grid grid;

	if (prelude_hook(event) || edit.kind == PRELUDE_NR)
		return;
	edit.error = layout ? qmd_decode_grid(layout, event->qmd, &grid) : -1;
	if (edit.error)
		return;
	edit.slot.entry = grid.entry;
	rig.slot[i] = edit.slot;
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

static void rig_open(void)
{
	const char *missing = "";
	int major = 0, minor = 0;
	void *host = NULL;

	prog_open(&rig.prog);
	if (!CHECK(!driver_ops_load(&rig.ops, lookup, NULL, &missing)) ||
	    !CHECK(!tools_hook_subscribe(rig.ops.export_table, on_event)))
		exit(PROG_FAIL);
	MUST(cu.MemAllocHost(&host, NR_SLOTS * sizeof(struct prelude_slot)));
	rig.slot = host;
	MUST(rig.ops.host_device_pointer(&rig.slot_address, host, 0));
	MUST(rig.ops.device_attribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
				      rig.prog.device));
	MUST(rig.ops.device_attribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
				      rig.prog.device));
	int r = prelude_open(&rig.ops, major, minor, rig.slot, rig.slot_address, &rig.prelude);
	printf("program=preludes open=%d gate=%llx claim=%llx\n", r,
	       (unsigned long long)rig.prelude.entry[PRELUDE_GATE],
	       (unsigned long long)rig.prelude.entry[PRELUDE_CLAIM]);
	if (!CHECK(r == 0))
		exit(PROG_FAIL);
	rig.counts = prog_words(MAX_BLOCKS, 0);
	rig.words = prog_words(MAX_BLOCKS, 0);
	rig.flag = prog_words(1, 0);
	rig.number = 2;
	MUST(cu.StreamCreate(&rig.stream, CU_STREAM_NON_BLOCKING));
	rig.urgent = urgent_stream();
}

struct shape {
	unsigned int grid[3];
	unsigned int threads;
	uint64_t block_ns;
	unsigned int cluster; /* blocks in x; 0: none */
};

static unsigned int blocks_of(const struct shape *shape)
{
	return shape->grid[0] * shape->grid[1] * shape->grid[2];
}

static void launch(const struct shape *shape)
{
	uint64_t ns = shape->block_ns;
	void *params[] = {&rig.counts, &ns};
	CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
				       .value.clusterDim = {shape->cluster, 1, 1}};
	CUlaunchConfig config = {.gridDimX = shape->grid[0],
				 .gridDimY = shape->grid[1],
				 .gridDimZ = shape->grid[2],
				 .blockDimX = shape->threads,
				 .blockDimY = 1,
				 .blockDimZ = 1,
				 .hStream = rig.stream,
				 .attrs = &attribute,
				 .numAttrs = shape->cluster ? 1 : 0};

	MUST(cu.LaunchKernelEx(&config, rig.prog.count, params, NULL));
	CHECK(edit.kind == PRELUDE_NR || edit.error == 0);
}

static void launch_gate(const struct shape *shape, uint32_t lo, uint32_t count)
{
	edit.kind = PRELUDE_GATE;
	edit.slot = (struct prelude_slot){.lo = lo, .count = count};
	launch(shape);
	edit.kind = PRELUDE_NR;
}

static void launch_claim(const struct shape *shape, uint32_t first, uint32_t run, uint32_t stride)
{
	edit.kind = PRELUDE_CLAIM;
	edit.slot = (struct prelude_slot){
		.state = rig.words, .flag = rig.flag, .first = first, .run = run, .stride = stride};
	launch(shape);
	edit.kind = PRELUDE_NR;
}

static uint32_t next_number(void)
{
	rig.number += 2;
	return rig.number;
}

static void clear_counts(void)
{
	MUST(cu.MemsetD32(rig.counts, 0, MAX_BLOCKS));
	MUST(cu.CtxSynchronize());
}

/* How many of the first n counts are not `expected`. */
static size_t wrong(size_t n, uint32_t expected)
{
	MUST(cu.StreamSynchronize(rig.stream));
	return prog_count_other(rig.counts, n, expected);
}

static void gates(const struct shape *shape, unsigned int atoms)
{
	unsigned int n = blocks_of(shape);

	clear_counts();
	for (unsigned int i = 0; i < atoms; i++) {
		uint32_t lo = (uint32_t)((uint64_t)n * i / atoms);
		uint32_t hi = (uint32_t)((uint64_t)n * (i + 1) / atoms);
		launch_gate(shape, lo, hi - lo);
	}
	CHECK(wrong(n, 1) == 0);
}

static void flag_set(uint32_t value)
{
	MUST(cu.MemsetD32(rig.flag, value, 1));
	MUST(cu.CtxSynchronize());
}

/* Runs; given up before it began; resumed. */
static void claims(const struct shape *shape, uint32_t stride)
{
	unsigned int n = blocks_of(shape);
	uint32_t first;

	clear_counts();
	flag_set(0);
	first = next_number();
	launch_claim(shape, first, first, stride);
	CHECK(wrong(n, 1) == 0);
	launch_claim(shape, first, next_number(), stride); /* nothing is left of this work */
	CHECK(wrong(n, 1) == 0);
	flag_set(1);
	first = next_number();
	launch_claim(shape, first, first, stride);
	CHECK(wrong(n, 1) == 0);
	flag_set(0);
	launch_claim(shape, first, next_number(), stride);
	CHECK(wrong(n, 2) == 0);
}

static double now_us(void)
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

struct cuts {
	size_t nr_cut, nr_wrong;
	double *drain_us;
};

/* Stops a kernel by `raise` after a while, resumes it; every block once. */
static void cut(struct cuts *cuts, const struct shape *shape, useconds_t after_us,
		void (*raise)(void))
{
	unsigned int n = blocks_of(shape);
	uint32_t first = next_number();

	clear_counts();
	flag_set(0);
	launch_claim(shape, first, first, 4);
	usleep(after_us);
	double start = now_us();
	raise();
	MUST(cu.StreamSynchronize(rig.stream));
	*cuts->drain_us = now_us() - start;
	cuts->nr_cut += prog_count_other(rig.counts, n, 1) != 0;
	flag_set(0);
	launch_claim(shape, first, next_number(), 4);
	cuts->nr_wrong += wrong(n, 1);
}

static void preemptions(const char *name, const struct shape *shape, long times,
			void (*raise)(void))
{
	double *drain = calloc((size_t)times + 1, sizeof(*drain));
	struct cuts cuts = {0};
	useconds_t block_us = (useconds_t)(shape->block_ns / 1000);
	long i = 0;

	for (; i < times || (times && !cuts.nr_cut && i < NR_CUT_TRIES); i++) {
		cuts.drain_us = &drain[i < times ? i : times];
		cut(&cuts, shape, block_us + block_us * 7 / 20 * (useconds_t)(i % 20), raise);
	}
	qsort(drain, (size_t)times, sizeof(*drain), compare);
	CHECK(cuts.nr_wrong == 0);
	CHECK(cuts.nr_cut > 0 || times == 0);
	printf("%s=%ld cut=%zu wrong=%zu drain_p50_us=%.1f drain_p99_us=%.1f\n", name, i,
	       cuts.nr_cut, cuts.nr_wrong, drain[times / 2], drain[times * 99 / 100]);
	free(drain);
}

static void raise_here(void)
{
	flag_raise(rig.urgent, rig.flag);
}

static void raise_there(void)
{
	CHECK(peer_raise());
}

/* Another process stops this one's kernels. */
static void peers(const struct shape *shape, long times)
{
	pid_t pid = peer_start(rig.flag);

	if (!CHECK(pid > 0))
		return;
	preemptions("peer_preemptions", shape, times, raise_there);
	CHECK(peer_stop(pid));
}

/* A second launch joins a running one; every block once. */
static void helper(const struct shape *shape)
{
	CUstream other = rig.stream;

	for (int i = 0; i < 10; i++) {
		uint32_t first = next_number();
		clear_counts();
		flag_set(0);
		launch_claim(shape, first, first, 4);
		rig.stream = rig.urgent;
		launch_claim(shape, first, next_number(), 4);
		rig.stream = other;
		MUST(cu.CtxSynchronize());
		CHECK(wrong(blocks_of(shape), 1) == 0);
	}
}

static double cost_us(const struct shape *shape, enum prelude_kind kind)
{
	double took[15];

	for (int i = 0; i < 15; i++) {
		uint32_t number = next_number();
		double start = now_us();
		if (kind == PRELUDE_NR)
			launch(shape);
		else if (kind == PRELUDE_GATE)
			launch_gate(shape, 0, blocks_of(shape));
		else
			launch_claim(shape, number, number, 4);
		MUST(cu.StreamSynchronize(rig.stream));
		took[i] = now_us() - start;
	}
	qsort(took, 15, sizeof(took[0]), compare);
	return took[7];
}

static void costs(void)
{
	static const struct shape shapes[] = {{{66000, 1, 1}, 256, 2000, 0},
					      {{66000, 1, 1}, 256, 10000, 0},
					      {{26400, 1, 1}, 256, 50000, 0},
					      {{13200, 1, 1}, 1024, 20000, 0}};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		double plain = cost_us(&shapes[i], PRELUDE_NR);
		double gate = cost_us(&shapes[i], PRELUDE_GATE);
		double claim = cost_us(&shapes[i], PRELUDE_CLAIM);
		printf("cost block_us=%.0f threads=%u native_us=%.1f gate_pct=%.2f "
		       "claim_pct=%.2f\n",
		       (double)shapes[i].block_ns / 1e3, shapes[i].threads, plain,
		       (gate / plain - 1) * 100, (claim / plain - 1) * 100);
	}
}

/* Cuts, claims and resumes without hurry. */
static void shapes_run(void)
{
	static const struct shape shapes[] = {
		{{1000, 1, 1}, 64, 0, 0}, {{1000, 1, 1}, 1024, 0, 0}, {{1000, 1, 1}, 33, 0, 0},
		{{100, 80, 1}, 64, 0, 0}, {{10, 8, 6}, 128, 0, 0},    {{1, 1, 1}, 1, 0, 0},
		{{1000, 1, 1}, 64, 0, 2}, {{64, 20, 1}, 128, 0, 4},   {{16, 8, 6}, 64, 0, 8},
	};
	int major = 0;

	MUST(rig.ops.device_attribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
				      rig.prog.device));
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		if (shapes[i].cluster && major < 9)
			continue;
		gates(&shapes[i], 1);
		gates(&shapes[i], 7);
		claims(&shapes[i], 4);
		claims(&shapes[i], 0);
	}
}

int main(int argc, char **argv)
{
	uint64_t block_us = (uint64_t)prog_option(argc, argv, "--block-us", 20);
	uint64_t peer_us = (uint64_t)prog_option(argc, argv, "--peer-block-us", 1000);
	unsigned int blocks = (unsigned int)prog_option(argc, argv, "--blocks", 20000);
	unsigned int threads = (unsigned int)prog_option(argc, argv, "--threads", 64);
	const struct shape shape = {{blocks, 1, 1}, threads, block_us * 1000, 0};
	const struct shape peer_shape = {{5 * blocks, 1, 1}, threads, peer_us * 1000, 0};

	if (argc == 3 && !strcmp(argv[1], "--peer"))
		return peer_main(argv[2]);
	rig_open();
	shapes_run();
	preemptions("preemptions", &shape, prog_option(argc, argv, "--preemptions", 20),
		    raise_here);
	helper(&shape);
	peers(&peer_shape, prog_option(argc, argv, "--peer-preemptions", 5));
	if (prog_flag(argc, argv, "--cost"))
		costs();
	tools_hook_unsubscribe();
	prog_close(&rig.prog);
	return prog_result();
}
