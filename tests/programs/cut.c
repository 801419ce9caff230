/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long kernels in the middle of other work: whoever cuts them into pieces must not be noticed.
 *
 *   cut [--rounds N] [--blocks N] [--us N] [--chain N] [--nap-ms N]
 *       kernels of so many blocks of so many us
 *   cut --pulse [--rounds N] [--gap-ms N] [--pulse-us N] [--fill]
 *       an owner: a kernel of 66 blocks of 20 us, and a gap
 *
 * In each of three streams (two of them blocking, and the NULL stream, which waits for both) a
 * round is: a long kernel that adds one to each block's word, or several behind one another, a copy
 * of the words to the host, an event, and in the other stream a wait for the event and a copy of
 * the same words. Each copy must see every block of the kernel in front of it, and none of a later
 * one. The host function behind it sees the copy. With --nap-ms each of several kernels has a copy
 * of its own, behind a host function that sleeps.
 *
 * With --fill the owner's work is no kernel of its own, but one of the driver: a fill of rows.
 * --pulse prints how long its kernels took from launch to end: median and longest, us.
 */
#include "prog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	NR_STREAMS = 3,
	MAX_PULSES = 4096
};

struct lane {
	CUstream stream;
	CUdeviceptr words;
	uint32_t *copy, *other; /* host memory, [nr_blocks] */
	CUevent event;
	uint32_t nr_expected;
	uint32_t nr_chained; /* kernels in front of a copy */
	uint32_t nr_wrong;   /* written by the host function */
	size_t nr_blocks;
	struct timespec nap;
};

/* A round of a stream. */
struct load {
	uint64_t ns; /* of a block */
	uint32_t nr_chained;
	long nap_ms;
};

static struct prog prog;

static size_t nr_other(const uint32_t *words, size_t nr, uint32_t expected)
{
	size_t nr_other_words = 0;

	for (size_t i = 0; i < nr; i++)
		nr_other_words += words[i] != expected;
	return nr_other_words;
}

/* The copy in front of it has ended. */
static void check_copy(void *arg)
{
	struct lane *lane = arg;

	lane->nr_expected += lane->nr_chained;
	lane->nr_wrong += nr_other(lane->copy, lane->nr_blocks, lane->nr_expected) != 0;
}

static void nap(void *span)
{
	CHECK(nanosleep(span, NULL) == 0);
}

static struct timespec span_of_ms(uint64_t ms)
{
	return (struct timespec){.tv_sec = (time_t)(ms / 1000),
				 .tv_nsec = (long)(ms % 1000 * 1000000)};
}

static void lane_open(struct lane *lane, size_t nr_blocks, int is_null)
{
	void *host = NULL;
	size_t bytes = nr_blocks * sizeof(uint32_t);

	*lane = (struct lane){.nr_blocks = nr_blocks};
	if (!is_null)
		MUST(cu.StreamCreate(&lane->stream, CU_STREAM_DEFAULT));
	MUST(cu.EventCreate(&lane->event, CU_EVENT_DISABLE_TIMING));
	MUST(cu.MemAllocHost(&host, 2 * bytes));
	lane->copy = host;
	lane->other = lane->copy + nr_blocks;
	lane->words = prog_words(nr_blocks, 0);
}

/* Kernels, and the copy that sees them. */
static void kernels_submit(struct lane *lane, uint64_t ns)
{
	void *params[] = {&lane->words, &ns};
	struct prog_launch launch = {.function = prog.count,
				     .grid = {(unsigned int)lane->nr_blocks, 1, 1},
				     .block = {32, 1, 1},
				     .stream = lane->stream,
				     .params = params};

	for (uint32_t i = 0; i < lane->nr_chained; i++)
		MUST(prog_run(&launch));
	if (lane->nap.tv_nsec)
		MUST(cu.LaunchHostFunc(lane->stream, nap, &lane->nap));
	MUST(cu.MemcpyDtoHAsync(lane->copy, lane->words, lane->nr_blocks * sizeof(uint32_t),
				lane->stream));
	MUST(cu.LaunchHostFunc(lane->stream, check_copy, lane));
}

static void round_submit(struct lane *lane, struct lane *next, const struct load *load)
{
	size_t bytes = lane->nr_blocks * sizeof(uint32_t);

	for (uint32_t i = 0; i < load->nr_chained; i += lane->nr_chained)
		kernels_submit(lane, load->ns);
	MUST(cu.EventRecord(lane->event, lane->stream));
	MUST(cu.StreamWaitEvent(next->stream, lane->event, 0));
	MUST(cu.MemcpyDtoHAsync(lane->other, lane->words, bytes, next->stream));
}

static void cut(size_t nr_rounds, size_t nr_blocks, const struct load *load)
{
	struct lane lane[NR_STREAMS];
	uint32_t nr_kernels = (uint32_t)nr_rounds * load->nr_chained;
	size_t nr_wrong = 0;

	for (int i = 0; i < NR_STREAMS; i++) {
		lane_open(&lane[i], nr_blocks, i == NR_STREAMS - 1);
		lane[i].nap = span_of_ms((uint64_t)load->nap_ms);
		lane[i].nr_chained = load->nap_ms ? 1 : load->nr_chained;
	}
	for (uint32_t n = 1; n <= nr_rounds; n++) {
		for (int i = 0; i < NR_STREAMS; i++)
			round_submit(&lane[i], &lane[(i + 1) % NR_STREAMS], load);
		/* Of this round, whatever ran first: the words only grow in the next one. */
		MUST(cu.CtxSynchronize());
		for (int i = 0; i < NR_STREAMS; i++)
			nr_wrong += nr_other(lane[i].other, nr_blocks, n * load->nr_chained) != 0;
	}
	for (int i = 0; i < NR_STREAMS; i++) {
		CHECK(lane[i].nr_wrong == 0 && lane[i].nr_expected == nr_kernels);
		CHECK(prog_count_other(lane[i].words, nr_blocks, nr_kernels) == 0);
	}
	CHECK(nr_wrong == 0);
	printf("program=cut kernels=%u blocks=%zu ok=%d\n", nr_kernels * NR_STREAMS, nr_blocks,
	       prog_result() == PROG_PASS);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

static void pulse(size_t nr_rounds, uint64_t gap_ms, uint64_t ns, int is_fill)
{
	static double took[MAX_PULSES];
	const struct timespec gap = span_of_ms(gap_ms);
	CUdeviceptr words = prog_words(66, 0);
	void *params[] = {&words, &ns};
	struct prog_launch launch = {
		.function = prog.count, .grid = {66, 1, 1}, .block = {32, 1, 1}, .params = params};

	for (size_t i = 0; i < nr_rounds; i++) {
		double start = now_us();
		if (is_fill)
			MUST(cu.MemsetD2D32Async(words, 2 * sizeof(uint32_t), (uint32_t)i + 1, 2,
						 33, NULL));
		else
			MUST(prog_run(&launch));
		MUST(cu.CtxSynchronize());
		took[i] = now_us() - start;
		CHECK(nanosleep(&gap, NULL) == 0);
	}
	CHECK(prog_count_other(words, 66, (uint32_t)nr_rounds) == 0);
	qsort(took, nr_rounds, sizeof(took[0]), compare);
	printf("program=pulse kernels=%zu p50_us=%.0f max_us=%.0f ok=%d\n", nr_rounds,
	       took[nr_rounds / 2], took[nr_rounds - 1], prog_result() == PROG_PASS);
}

static int has_flag(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], name))
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	size_t nr_rounds = (size_t)prog_option(argc, argv, "--rounds", 5);
	size_t nr_blocks = (size_t)prog_option(argc, argv, "--blocks", 3000);
	struct load load = {
		.ns = (uint64_t)prog_option(argc, argv, "--us", 200) * 1000,
		.nr_chained = (uint32_t)prog_option(argc, argv, "--chain", 1),
		.nap_ms = prog_option(argc, argv, "--nap-ms", 0),
	};

	prog_open(&prog);
	if (has_flag(argc, argv, "--pulse"))
		pulse(nr_rounds < MAX_PULSES ? nr_rounds : MAX_PULSES,
		      (uint64_t)prog_option(argc, argv, "--gap-ms", 20),
		      (uint64_t)prog_option(argc, argv, "--pulse-us", 20) * 1000,
		      has_flag(argc, argv, "--fill"));
	else
		cut(nr_rounds, nr_blocks, &load);
	prog_close(&prog);
	return prog_result();
}
