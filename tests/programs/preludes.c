/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The preludes on a device: every block of a gated or claimed launch runs exactly once, whatever is
 * cut, given up, disarmed, resumed or joined; a launch reports when it gave a block up, and only
 * then; and the reader reads machine code. Subscribes to the launch hook itself, so it runs without
 * the shim.
 *
 *   preludes [--preemptions N] [--blocks N] [--threads N] [--block-us N]
 *            [--peer-preemptions N] [--peer-block-us N] [--peer-dies]
 *            [--drains [--drain-...]] [--cost]
 *
 * lk_count adds one to the word of each block that ran. Preemption is tried with grids of --blocks,
 * in clusters of four too, and five times as many for the second process, so a machine that is slow
 * to react needs a larger --block-us, and one that simulates slowly fewer blocks; it goes on until
 * a kernel was cut. The second process, this program again with --peer, owns an epoch and raises
 * it; slots here name it through IPC memory. --peer-dies kills it while a kernel of ours reads its
 * epoch.
 *
 * Two measurements follow the tests when they are named: --drains, how long a launch takes to leave
 * (preludes_drains.c, with its options), and --cost, what gate and claim add to a kernel
 * (preludes_cost.c).
 */
#include "preludes_measure.h"
#include "preludes_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hw/code/gang.h"

#define MAX_BLOCKS   200000u /* of grids, but for --drains */
#define NR_CUT_TRIES 200     /* before a kernel that is never cut is a failure */
#define CODE_BYTES   2048u

_Static_assert(COST_MAX_BLOCKS <= MAX_BLOCKS, "");

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

static struct rig_launch launch_of(const struct shape *shape, void *params[2])
{
	params[0] = &rig.counts;
	/* The launch copies it before it returns. */
	params[1] = (void *)(uintptr_t)&shape->block_ns;
	return (struct rig_launch){.function = rig.prog.count,
				   .params = params,
				   .grid = {shape->grid[0], shape->grid[1], shape->grid[2]},
				   .threads = shape->threads,
				   .cluster = shape->cluster};
}

static void launch_gate(const struct shape *shape, uint32_t lo, uint32_t count)
{
	void *params[2];
	struct rig_launch launch = launch_of(shape, params);

	rig_launch_gate(&launch, lo, count);
}

static void launch_claim(const struct shape *shape, uint32_t first, uint32_t run, uint32_t late)
{
	void *params[2];
	struct rig_launch launch = launch_of(shape, params);

	rig_launch_claim(&launch, first, run, late);
}

static void disarm(uint32_t number)
{
	MUST(cu.MemsetD32(rig.words + 4, number, 1));
	MUST(cu.CtxSynchronize());
}

static void clear_counts(void)
{
	MUST(cu.MemsetD32(rig.counts, 0, rig.nr_words));
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
	first = rig_next_number();
	launch_claim(shape, first, first, 0);
	CHECK(wrong(n, 1) == 0);
	CHECK(rig_reported() == 0);
	CHECK(prog_count_other(rig.words + PRELUDE_HEADER_BYTES, n, first) ==
	      (shape->cluster ? n - n / shape->cluster : 0)); /* a word a cluster */
	launch_claim(shape, first, rig_next_number(),
		     1); /* nothing is left that could be given up */
	CHECK(wrong(n, 1) == 0);
	CHECK(rig_reported() == 0);
	first = rig_next_number();
	launch_claim(shape, first, first, 1);
	CHECK(wrong(n, 1) == 0);
	CHECK(rig_reported() == first);
	launch_claim(shape, first, rig_next_number(), 0);
	CHECK(wrong(n, 2) == 0);
	CHECK(rig_reported() == 0);
	first = rig_next_number();
	disarm(first);
	launch_claim(shape, first, first, 1);
	CHECK(wrong(n, 3) == 0);
	CHECK(rig_reported() == 0);
	first = rig_next_number();
	launch_claim(shape, first, first, (uint32_t)-1);
	CHECK(wrong(n, 4) == 0);
	first = rig_next_number(); /* the disarming was for an earlier one */
	launch_claim(shape, first, first, 2);
	CHECK(wrong(n, 4) == 0);
	CHECK(rig_reported() == first);
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
	uint32_t first = rig_next_number();
	int is_cut;

	clear_counts();
	launch_claim(shape, first, first, 0);
	usleep(after_us);
	double start = rig_now_us();
	raise();
	MUST(cu.StreamSynchronize(rig.stream));
	*cuts->drain_us = rig_now_us() - start;
	is_cut = prog_count_other(rig.counts, n, 1) != 0;
	CHECK(rig_reported() == (is_cut ? first : 0));
	cuts->nr_cut += (size_t)is_cut;
	cuts->nr_wrong += nr_split(shape);
	launch_claim(shape, first, rig_next_number(), 0);
	cuts->nr_wrong += wrong(n, 1);
	CHECK(rig_reported() == 0);
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
	rig_sort(drain, (size_t)times);
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
	CHECK(peer_raise(&rig.peer));
}

/* Another process stops this one's kernels. */
static void peers(const struct shape *shape, long times)
{
	if (!CHECK(peer_start(&rig.peer)))
		return;
	preemptions("peer_preemptions", shape, times, raise_there);
	CHECK(peer_stop(&rig.peer));
	rig.peer.pid = 0;
}

/*
 * The owner of the epoch is killed while blocks of ours read it: its memory must stay what it is
 * as long as it is open here, for the launch that runs and for the next one.
 */
static void peer_dies(const struct shape *shape)
{
	uint32_t first = rig_next_number();
	CUresult ended, closed;
	size_t nr_wrong;

	if (!CHECK(peer_start(&rig.peer)))
		return;
	CHECK(peer_raise(&rig.peer));
	clear_counts();
	pid_t pid = rig.peer.pid;
	launch_claim(shape, first, first, 0);
	usleep((useconds_t)(2 * shape->block_ns / 1000));
	int is_running = rig.ops.stream_query(rig.stream) == CUDA_ERROR_NOT_READY;
	peer_kill(&rig.peer);
	rig.peer.pid = pid; /* gone, but its epoch is still named by launches */
	ended = cu.StreamSynchronize(rig.stream);
	printf("peer_dies=1 running=%d ended=%d", is_running, (int)ended);
	(void)fflush(stdout);
	MUST(ended);
	nr_wrong = wrong(blocks_of(shape), 1);
	first = rig_next_number();
	launch_claim(shape, first, first, 0);
	nr_wrong += wrong(blocks_of(shape), 2);
	uint32_t *value = prog_read(rig.peer.epoch, 1);
	closed = peer_close(&rig.peer);
	printf(" wrong=%zu reported=%u epoch=%u expected=%u closed=%d\n", nr_wrong, rig_reported(),
	       *value, rig.peer.value, (int)closed);
	CHECK(nr_wrong == 0 && *value == rig.peer.value && closed == CUDA_SUCCESS);
	free(value);
	rig.peer.pid = 0;
}

/* The next launch of a work, in this stream. */
static void join(const struct shape *shape, uint32_t first, CUstream stream, uint32_t late)
{
	CUstream own = rig.stream;

	rig.stream = stream;
	rig.lead = first;
	launch_claim(shape, first, rig_next_number(), late);
	rig.lead = 0;
	rig.stream = own;
}

/* A second launch joins a running one; every block once. */
static void helper(const struct shape *shape)
{
	for (int i = 0; i < 10; i++) {
		uint32_t first = rig_next_number();

		clear_counts();
		launch_claim(shape, first, first, 0);
		join(shape, first, rig.urgent, 0);
		MUST(cu.CtxSynchronize());
		CHECK(wrong(blocks_of(shape), 1) == 0);
	}
}

/*
 * A launch and its helper are told to go, each between blocks of the other, and a rescue that is
 * not told joins them: every block once, though both gave it up.
 */
static void rescue(const struct shape *shape, long times)
{
	CUstream third;
	size_t nr_wrong = 0, nr_reports = 0;
	long nr = 0;

	MUST(cu.StreamCreate(&third, CU_STREAM_NON_BLOCKING));
	/* On, until both were told once: a machine that is busy may need more than so many. */
	for (; nr < times || (nr_reports == 0 && nr < 10 * times); nr++) {
		uint32_t first = rig_next_number();

		clear_counts();
		launch_claim(shape, first, first, 0);
		join(shape, first, third, 0);
		usleep((useconds_t)(shape->block_ns / 1000 * (uint64_t)(nr % 20) / 10));
		raise_here();
		/* Sometimes the helper has begun by then. */
		usleep((useconds_t)(shape->block_ns / 1000 * (uint64_t)(nr % 3)));
		join(shape, first, rig.urgent, (uint32_t)-1000);
		MUST(cu.CtxSynchronize());
		nr_wrong += wrong(blocks_of(shape), 1);
		CHECK(rig_reported() == 0);
		nr_reports += rig_reported_before(2) != 0 && rig_reported_before(1) != 0;
	}
	printf("rescues=%ld both_told=%zu wrong=%zu\n", nr, nr_reports, nr_wrong);
	CHECK(nr_wrong == 0);
	CHECK(nr_reports > 0 || times == 0);
	MUST(cu.StreamDestroy(third));
}

static enum code_verdict verdict_of(CUfunction function)
{
	CUdeviceptr bar = prog_words(1, 0), to = 0;
	void *host = rig_pinned(CODE_BYTES, &to);
	uint64_t ns = 0;
	uint32_t nr_words = CODE_BYTES / 8;
	void *params[] = {&bar, &ns}, *reader_params[] = {&rig.entry, &to, &nr_words};
	struct prog_launch once = {function, {1, 1, 1}, {32, 1, 1}, rig.stream, params};
	struct prog_launch reader = {
		rig.prelude.reader, {1, 1, 1}, {256, 1, 1}, rig.stream, reader_params};
	struct code_answer answer = {.verdict = CODE_UNSURE};
	int major = 0, minor = 0;

	/* The hook leaves the entry in the rig. */
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

/* Of the largest grid that will be launched. */
static size_t max_blocks(int argc, char **argv)
{
	size_t most = MAX_BLOCKS, drained = drains_max_blocks(argc, argv);

	if (prog_flag(argc, argv, "--drains") && drained > most)
		most = drained;
	return most;
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
	rig_open(max_blocks(argc, argv));
	code();
	shapes_run();
	preemptions("preemptions", &shape, times, raise_here);
	if (rig.has_clusters)
		preemptions("preemptions", &cluster_shape, times, raise_here);
	helper(&shape);
	rescue(&shape, times);
	peers(&peer_shape, prog_option(argc, argv, "--peer-preemptions", 5));
	if (prog_flag(argc, argv, "--peer-dies"))
		peer_dies(&peer_shape);
	if (prog_flag(argc, argv, "--drains"))
		drains(argc, argv);
	if (prog_flag(argc, argv, "--cost"))
		costs();
	rig_close();
	return prog_result();
}
