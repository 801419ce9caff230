/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What it costs to make a kernel in atoms, and whether what follows it sees every block.
 *
 *   overlap [--rounds N] [--waves N] [--us N] [--extra N] [--early]
 *
 * A kernel of so many waves of blocks of so many us, and --extra blocks more, adds one to each
 * block's word; the kernel behind it adds the words to sums. A sum must be 1 + 2 + ... of the
 * rounds, so a block that the second kernel did not see shows. The time between two events around
 * the first kernel is printed twice, medians: launched (in atoms, with LITHOS_SPLIT=atoms:N), and
 * as a graph, which nobody splits. The first round of each is not timed.
 *
 * With --early the kernel behind may begin before the first one has ended, if that lets it. It does
 * not wait for the rest: for simulated GPUs, where the end of a kernel is seen by whatever begins
 * after it.
 */
#include "prog.h"

#include <stdio.h>
#include <stdlib.h>

#define THREADS     1024u
#define SUM_THREADS 32u
#define MAX_ROUNDS  1000

struct kernels {
	struct prog prog;
	CUstream stream;
	CUgraphExec exec; /* of the first kernel */
	CUevent begin, end;
	CUdeviceptr words, sums; /* [nr_blocks] */
	unsigned int nr_blocks;
	uint64_t ns;
	bool is_early;
	uint32_t nr_runs;
};

static void launch_count(struct kernels *k)
{
	void *params[] = {&k->words, &k->ns};
	struct prog_launch launch = {.function = k->prog.count,
				     .grid = {k->nr_blocks, 1, 1},
				     .block = {THREADS, 1, 1},
				     .stream = k->stream,
				     .params = params};

	MUST(prog_run(&launch));
}

/* Words are small integers, which as bits of numbers far below 1.0 add up as integers do. */
static void launch_sum(struct kernels *k)
{
	float one = 1;
	void *params[] = {&k->words, &k->sums, &one, &k->nr_blocks};
	CUlaunchAttribute early = {.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION};
	CUlaunchConfig config = {.gridDimX = (k->nr_blocks + SUM_THREADS - 1) / SUM_THREADS,
				 .gridDimY = 1,
				 .gridDimZ = 1,
				 .blockDimX = SUM_THREADS,
				 .blockDimY = 1,
				 .blockDimZ = 1,
				 .hStream = k->stream,
				 .attrs = &early,
				 .numAttrs = k->is_early};

	early.value.programmaticStreamSerializationAllowed = 1;
	MUST(cu.LaunchKernelEx(&config, k->prog.saxpy, params, NULL));
}

static void make_graph(struct kernels *k)
{
	CUgraph graph;

	MUST(cu.StreamBeginCapture(k->stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
	launch_count(k);
	MUST(cu.StreamEndCapture(k->stream, &graph));
	MUST(cu.GraphInstantiate(&k->exec, graph, 0));
	MUST(cu.GraphDestroy(graph));
}

/* With no event between the two kernels. */
static void run_pair(struct kernels *k)
{
	launch_count(k);
	launch_sum(k);
	MUST(cu.StreamSynchronize(k->stream));
	k->nr_runs++;
}

static double run_timed(struct kernels *k, bool as_graph)
{
	float ms = 0;

	MUST(cu.EventRecord(k->begin, k->stream));
	if (as_graph)
		MUST(cu.GraphLaunch(k->exec, k->stream));
	else
		launch_count(k);
	MUST(cu.EventRecord(k->end, k->stream));
	launch_sum(k);
	MUST(cu.StreamSynchronize(k->stream));
	MUST(cu.EventElapsedTime(&ms, k->begin, k->end));
	k->nr_runs++;
	return (double)ms * 1e3;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median_us(struct kernels *k, long nr_rounds, bool as_graph)
{
	static double us[MAX_ROUNDS];

	(void)run_timed(k, as_graph);
	for (long i = 0; i < nr_rounds; i++)
		us[i] = run_timed(k, as_graph);
	qsort(us, (size_t)nr_rounds, sizeof(us[0]), compare);
	return us[nr_rounds / 2];
}

static void kernels_open(struct kernels *k, int argc, char **argv)
{
	int per_sm = 0;

	prog_open(&k->prog);
	MUST(cu.OccupancyMaxBlocks(&per_sm, k->prog.count, (int)THREADS, 0));
	k->nr_blocks =
		(unsigned int)(prog_option(argc, argv, "--waves", 50) * per_sm * k->prog.nr_sms +
			       prog_option(argc, argv, "--extra", 0));
	k->ns = (uint64_t)prog_option(argc, argv, "--us", 20) * 1000;
	k->is_early = prog_flag(argc, argv, "--early");
	k->words = prog_words(k->nr_blocks, 0);
	k->sums = prog_words(k->nr_blocks, 0);
	MUST(cu.StreamCreate(&k->stream, CU_STREAM_NON_BLOCKING));
	MUST(cu.EventCreate(&k->begin, CU_EVENT_DEFAULT));
	MUST(cu.EventCreate(&k->end, CU_EVENT_DEFAULT));
	make_graph(k);
}

int main(int argc, char **argv)
{
	static struct kernels k;
	long nr_rounds = prog_option(argc, argv, "--rounds", 20);
	double launched_us, graph_us;

	if (nr_rounds < 1 || nr_rounds > MAX_ROUNDS)
		return PROG_FAIL;
	kernels_open(&k, argc, argv);
	graph_us = median_us(&k, nr_rounds, true);
	launched_us = median_us(&k, nr_rounds, false);
	for (long i = 0; i < nr_rounds; i++)
		run_pair(&k);
	CHECK(prog_count_other(k.words, k.nr_blocks, k.nr_runs) == 0);
	CHECK(prog_count_other(k.sums, k.nr_blocks, k.nr_runs * (k.nr_runs + 1) / 2) == 0);
	MUST(cu.GraphExecDestroy(k.exec));
	MUST(cu.StreamDestroy(k.stream));
	prog_close(&k.prog);
	printf("program=overlap blocks=%u runs=%u graph_us=%.1f launched_us=%.1f ok=%d\n",
	       k.nr_blocks, k.nr_runs, graph_us, launched_us, prog_result() == PROG_PASS);
	return prog_result();
}
