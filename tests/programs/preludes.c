/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The preludes on a device: every block of a gated or claimed launch runs exactly once, whatever is
 * cut, given up, disarmed, resumed or joined; a launch reports when it gave a block up, and only then;
 * and the reader reads machine code. Subscribes to the launch hook itself, so it runs without the shim.
 *
 *   preludes [--preemptions N] [--blocks N] [--threads N] [--block-us N]
 *            [--peer-preemptions N] [--peer-block-us N] [--peer-dies] [--drains] [--cost]
 *
 * lk_count adds one to the word of each block that ran. A redirected launch is described by `edit`, as
 * the shim's launch path does it. Preemption is tried with grids of --blocks, in clusters of four too,
 * and five times as many for the second process, so a machine that is slow to react needs a larger
 * --block-us, and one that simulates slowly fewer blocks; it goes on until a kernel was cut. The second
 * process, this program again with --peer, owns an epoch and raises it; slots here name it through IPC
 * memory. --peer-dies kills it while a kernel of ours reads its epoch. --drains prints how long a
 * launch takes to drain by the length of its blocks, from the raising on; --cost what gate and claim
 * add to a kernel (medians of 15). These two fail nothing.
 */
#include "preludes_peer.h"
#include "prog.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hw/code/gang.h"
#include "hw/driver.h"
#include "hw/prelude/prelude.h"
#include "hw/qmd.h"
#include "hw/tools_hook.h"

#define NR_SLOTS     64u
#define MAX_BLOCKS   200000u
#define NR_CUT_TRIES 200 /* before a kernel that is never cut is a failure */
#define CODE_BYTES   2048u

struct rig {
	struct prog prog;
	struct driver_ops ops;
	struct prelude prelude;
	struct prelude_slot *slot; /* [NR_SLOTS], pinned */
	CUdeviceptr slot_address;
	uint32_t *report; /* [NR_SLOTS], pinned: of each slot's launch */
	CUdeviceptr report_address;
	CUdeviceptr counts, words, epoch;
	uint32_t value; /* of the epoch */
	CUstream stream, urgent;
	int has_clusters;
	uint32_t number; /* of the latest claimed launch */
};

/* What the next launch of this thread becomes; kind PRELUDE_NR: left as it is. */
static struct {
	enum prelude_kind kind;
	struct prelude_slot slot;
	uint64_t entry; /* out: of the kernel */
	uint32_t nr_launches;
	int error;
} edit = {.kind = PRELUDE_NR};

static struct rig rig;
static struct peer peer; /* pid 0: there is none */

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
	edit.entry = grid.entry;
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

static void *pinned(size_t bytes, CUdeviceptr *ret_address)
{
	void *host = NULL;

	MUST(cu.MemAllocHost(&host, bytes));
	MUST(rig.ops.host_device_pointer(ret_address, host, 0));
	memset(host, 0, bytes);
	return host;
}

static void rig_open(void)
{
	const char *missing = "";
	int major = 0, minor = 0;

	prog_open(&rig.prog);
	if (!CHECK(!driver_ops_load(&rig.ops, lookup, NULL, &missing)) ||
	    !CHECK(!tools_hook_subscribe(rig.ops.export_table, on_event)))
		exit(PROG_FAIL);
	rig.slot = pinned(NR_SLOTS * sizeof(struct prelude_slot), &rig.slot_address);
	rig.report = pinned(NR_SLOTS * sizeof(uint32_t), &rig.report_address);
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
	rig.words = prog_words(PRELUDE_HEADER_BYTES / 4 + MAX_BLOCKS, 0);
	rig.epoch = prog_words(1, 0);
	rig.has_clusters = rig.prelude.entry[PRELUDE_CLAIM_CLUSTER] != 0;
	CHECK(rig.has_clusters == (major >= 9));
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
	edit.kind = shape->cluster ? PRELUDE_GATE_CLUSTER : PRELUDE_GATE;
	edit.slot = (struct prelude_slot){.lo = lo, .count = count};
	launch(shape);
	edit.kind = PRELUDE_NR;
}

/*
 * `late`: as if so many raises had come since. The first epoch is ours; the second the peer's, as
 * long as there is one.
 */
static void launch_claim(const struct shape *shape, uint32_t first, uint32_t run, uint32_t late)
{
	edit.kind = shape->cluster ? PRELUDE_CLAIM_CLUSTER : PRELUDE_CLAIM;
	edit.slot = (struct prelude_slot){
		.state = rig.words + PRELUDE_HEADER_BYTES,
		.flag = {rig.epoch, peer.pid ? peer.epoch : rig.epoch},
		.calm = {rig.value - late, peer.pid ? peer.value : rig.value},
		.first = first,
		.run = run,
	};
	launch(shape);
	edit.kind = PRELUDE_NR;
}

/* What the latest redirected launch reported. */
static uint32_t reported(void)
{
	MUST(cu.StreamSynchronize(rig.stream));
	return __atomic_load_n(&rig.report[(edit.nr_launches - 1) % NR_SLOTS], __ATOMIC_ACQUIRE);
}

static void disarm(uint32_t number)
{
	MUST(cu.MemsetD32(rig.words + 4, number, 1));
	MUST(cu.CtxSynchronize());
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
	/* A range that begins inside a cluster and ends before the next one holds no cluster. */
	if (shape->cluster)
		launch_gate(shape, 1, shape->cluster - 1);
	for (unsigned int i = 0; i < atoms; i++) {
		uint32_t lo = (uint32_t)((uint64_t)n * i / atoms);
		uint32_t hi = (uint32_t)((uint64_t)n * (i + 1) / atoms);
		launch_gate(shape, lo, hi - lo);
	}
	CHECK(wrong(n, 1) == 0);
}

/* Runs; nothing left; given up before it began; resumed; to go, and disarmed; an older epoch. */
static void claims(const struct shape *shape)
{
	unsigned int n = blocks_of(shape);
	uint32_t first;

	clear_counts();
	first = next_number();
	launch_claim(shape, first, first, 0);
	CHECK(wrong(n, 1) == 0);
	CHECK(reported() == 0);
	CHECK(prog_count_other(rig.words + PRELUDE_HEADER_BYTES, n, first) ==
	      (shape->cluster ? n - n / shape->cluster : 0)); /* a word a cluster */
	launch_claim(shape, first, next_number(), 1); /* nothing is left that could be given up */
	CHECK(wrong(n, 1) == 0);
	CHECK(reported() == 0);
	first = next_number();
	launch_claim(shape, first, first, 1);
	CHECK(wrong(n, 1) == 0);
	CHECK(reported() == first);
	launch_claim(shape, first, next_number(), 0);
	CHECK(wrong(n, 2) == 0);
	CHECK(reported() == 0);
	first = next_number();
	disarm(first);
	launch_claim(shape, first, first, 1);
	CHECK(wrong(n, 3) == 0);
	CHECK(reported() == 0);
	first = next_number();
	launch_claim(shape, first, first, (uint32_t)-1);
	CHECK(wrong(n, 4) == 0);
	first = next_number(); /* the disarming was for an earlier one */
	launch_claim(shape, first, first, 2);
	CHECK(wrong(n, 4) == 0);
	CHECK(reported() == first);
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

/* How many blocks have not the count of the first one of their cluster. */
static size_t nr_split(const struct shape *shape)
{
	uint32_t *count;
	size_t n = 0;

	if (!shape->cluster)
		return 0;
	count = prog_read(rig.counts, blocks_of(shape));
	for (size_t i = 0; i < blocks_of(shape); i++)
		n += count[i] != count[i - i % shape->cluster];
	free(count);
	return n;
}

/* Stops a kernel by `raise` after a while, resumes it; every block once. */
static void cut(struct cuts *cuts, const struct shape *shape, useconds_t after_us,
		void (*raise)(void))
{
	unsigned int n = blocks_of(shape);
	uint32_t first = next_number();
	int is_cut;

	clear_counts();
	launch_claim(shape, first, first, 0);
	usleep(after_us);
	double start = now_us();
	raise();
	MUST(cu.StreamSynchronize(rig.stream));
	*cuts->drain_us = now_us() - start;
	is_cut = prog_count_other(rig.counts, n, 1) != 0;
	CHECK(reported() == (is_cut ? first : 0));
	cuts->nr_cut += (size_t)is_cut;
	cuts->nr_wrong += nr_split(shape);
	launch_claim(shape, first, next_number(), 0);
	cuts->nr_wrong += wrong(n, 1);
	CHECK(reported() == 0);
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
	printf("%s=%ld cluster=%u block_us=%u cut=%zu wrong=%zu drain_p50_us=%.1f "
	       "drain_p99_us=%.1f\n",
	       name, i, shape->cluster, block_us, cuts.nr_cut, cuts.nr_wrong, drain[times / 2],
	       drain[times * 99 / 100]);
	free(drain);
}

static void raise_here(void)
{
	epoch_write(rig.urgent, rig.epoch, ++rig.value);
}

static void raise_there(void)
{
	CHECK(peer_raise(&peer));
}

/* Another process stops this one's kernels. */
static void peers(const struct shape *shape, long times)
{
	if (!CHECK(peer_start(&peer)))
		return;
	preemptions("peer_preemptions", shape, times, raise_there);
	CHECK(peer_stop(&peer));
	peer.pid = 0;
}

/*
 * The owner of the epoch is killed while blocks of ours read it: its memory must stay what it is
 * as long as it is open here, for the launch that runs and for the next one.
 */
static void peer_dies(const struct shape *shape)
{
	uint32_t first = next_number();
	CUresult ended, closed;
	size_t nr_wrong;

	if (!CHECK(peer_start(&peer)))
		return;
	CHECK(peer_raise(&peer));
	clear_counts();
	pid_t pid = peer.pid;
	launch_claim(shape, first, first, 0);
	usleep((useconds_t)(2 * shape->block_ns / 1000));
	int is_running = rig.ops.stream_query(rig.stream) == CUDA_ERROR_NOT_READY;
	peer_kill(&peer);
	peer.pid = pid; /* gone, but its epoch is still named by launches */
	ended = cu.StreamSynchronize(rig.stream);
	printf("peer_dies=1 running=%d ended=%d", is_running, (int)ended);
	(void)fflush(stdout);
	MUST(ended);
	nr_wrong = wrong(blocks_of(shape), 1);
	first = next_number();
	launch_claim(shape, first, first, 0);
	nr_wrong += wrong(blocks_of(shape), 2);
	uint32_t *value = prog_read(peer.epoch, 1);
	closed = peer_close(&peer);
	printf(" wrong=%zu reported=%u epoch=%u expected=%u closed=%d\n", nr_wrong, reported(),
	       *value, peer.value, (int)closed);
	CHECK(nr_wrong == 0 && *value == peer.value && closed == CUDA_SUCCESS);
	free(value);
	peer.pid = 0;
}

/* A second launch joins a running one; every block once. */
static void helper(const struct shape *shape)
{
	CUstream other = rig.stream;

	for (int i = 0; i < 10; i++) {
		uint32_t first = next_number();
		clear_counts();
		launch_claim(shape, first, first, 0);
		rig.stream = rig.urgent;
		launch_claim(shape, first, next_number(), 0);
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
			launch_claim(shape, number, number, 0);
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

/* By the length of blocks: the rest of a block, and what reacting takes. */
static void drains(unsigned int blocks, unsigned int threads)
{
	static const uint64_t block_us[] = {5, 20, 50, 200, 1000};

	for (size_t i = 0; i < sizeof(block_us) / sizeof(block_us[0]); i++) {
		struct shape shape = {{blocks, 1, 1}, threads, block_us[i] * 1000, 0};

		preemptions("drains", &shape, 40, raise_here);
	}
}

static enum code_verdict verdict_of(CUfunction function)
{
	CUdeviceptr bar = prog_words(1, 0), to = 0;
	void *host = pinned(CODE_BYTES, &to);
	uint64_t ns = 0;
	uint32_t nr_words = CODE_BYTES / 8;
	void *params[] = {&bar, &ns}, *reader_params[] = {&edit.entry, &to, &nr_words};
	struct prog_launch once = {function, {1, 1, 1}, {32, 1, 1}, rig.stream, params};
	struct prog_launch reader = {
		rig.prelude.reader, {1, 1, 1}, {256, 1, 1}, rig.stream, reader_params};
	struct code_answer answer = {.verdict = CODE_UNSURE};
	int major = 0, minor = 0;

	/* The hook leaves the entry in `edit`. */
	MUST(prog_run(&once));
	MUST(prog_run(&reader));
	MUST(cu.StreamSynchronize(rig.stream));
	MUST(rig.ops.device_attribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
				      rig.prog.device));
	MUST(rig.ops.device_attribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
				      rig.prog.device));
	CHECK(code_find_gang(&(struct code_input){host, CODE_BYTES, major, minor}, &answer) == 0);
	return answer.verdict;
}

/* Machine code, read through the GPU. */
static void code(void)
{
	enum code_verdict count = verdict_of(rig.prog.count);
	enum code_verdict barrier = verdict_of(rig.prog.barrier);

	printf("code count=%s barrier=%s\n", code_verdict_name(count), code_verdict_name(barrier));
	CHECK(count == CODE_FREE && barrier == CODE_GANG);
}

/* Cuts, claims and resumes without hurry. */
static void shapes_run(void)
{
	static const struct shape shapes[] = {
		{{1000, 1, 1}, 64, 0, 0}, {{1000, 1, 1}, 1024, 0, 0}, {{1000, 1, 1}, 33, 0, 0},
		{{100, 80, 1}, 64, 0, 0}, {{10, 8, 6}, 128, 0, 0},    {{1, 1, 1}, 1, 0, 0},
		{{1000, 1, 1}, 64, 0, 2}, {{64, 20, 1}, 128, 0, 4},   {{16, 8, 6}, 64, 0, 8},
	};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		if (shapes[i].cluster && !rig.has_clusters)
			continue;
		gates(&shapes[i], 1);
		gates(&shapes[i], 7);
		claims(&shapes[i]);
	}
}

int main(int argc, char **argv)
{
	uint64_t block_us = (uint64_t)prog_option(argc, argv, "--block-us", 20);
	uint64_t peer_us = (uint64_t)prog_option(argc, argv, "--peer-block-us", 1000);
	unsigned int blocks = (unsigned int)prog_option(argc, argv, "--blocks", 20000);
	unsigned int threads = (unsigned int)prog_option(argc, argv, "--threads", 64);
	const struct shape shape = {{blocks, 1, 1}, threads, block_us * 1000, 0};
	const struct shape cluster_shape = {{blocks / 4 * 4, 1, 1}, threads, block_us * 1000, 4};
	const long times = prog_option(argc, argv, "--preemptions", 20);
	const struct shape peer_shape = {{5 * blocks, 1, 1}, threads, peer_us * 1000, 0};

	if (argc == 2 && !strcmp(argv[1], "--peer"))
		return peer_main();
	rig_open();
	code();
	shapes_run();
	preemptions("preemptions", &shape, times, raise_here);
	if (rig.has_clusters)
		preemptions("preemptions", &cluster_shape, times, raise_here);
	helper(&shape);
	peers(&peer_shape, prog_option(argc, argv, "--peer-preemptions", 5));
	if (prog_flag(argc, argv, "--peer-dies"))
		peer_dies(&peer_shape);
	if (prog_flag(argc, argv, "--drains"))
		drains(blocks, threads);
	if (prog_flag(argc, argv, "--cost"))
		costs();
	tools_hook_unsubscribe();
	prog_close(&rig.prog);
	return prog_result();
}
