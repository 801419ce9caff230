/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CUDA graphs give the results their launches ask for, however the executable came about: captured
 * and replayed many times, updated from another graph, one node changed, two executables of one
 * graph, uploaded before the first launch, or with branches, copies, sets and host functions in it.
 * A layer that edits nodes may do so once and must not lose track of which node is which; every
 * step therefore counts on words of its own.
 */
#include "prog.h"

#include <stdio.h>
#include <string.h>

#define BLOCKS 67u
#define WORDS  4096u

struct graphs {
	struct prog prog;
	CUstream stream;
	CUdeviceptr counters; /* 4 x BLOCKS */
	CUdeviceptr x, y;
	long nr_replays;
};

static CUdeviceptr counters_of(const struct graphs *graphs, unsigned int set)
{
	return graphs->counters + (size_t)set * BLOCKS * sizeof(uint32_t);
}

static size_t wrong(const struct graphs *graphs, unsigned int set, long expected)
{
	return prog_count_other(counters_of(graphs, set), BLOCKS, (uint32_t)expected);
}

static void clear(const struct graphs *graphs)
{
	MUST(cu.CtxSynchronize());
	MUST(cu.MemsetD32(graphs->counters, 0, 4 * BLOCKS));
	MUST(cu.MemsetD32(graphs->x, 0x3f800000, WORDS)); /* 1.0f */
	MUST(cu.MemsetD32(graphs->y, 0, WORDS));
	MUST(cu.CtxSynchronize());
}

static void launch_count(struct graphs *graphs, unsigned int set)
{
	CUdeviceptr counters = counters_of(graphs, set);
	uint64_t ns = 0;
	void *params[] = {&counters, &ns};
	struct prog_launch launch = {.function = graphs->prog.count,
				     .grid = {BLOCKS, 1, 1},
				     .block = {64, 1, 1},
				     .stream = graphs->stream,
				     .params = params};
	MUST(prog_run(&launch));
}

static void launch_saxpy(struct graphs *graphs)
{
	float a = 1;
	uint32_t n = WORDS;
	void *params[] = {&graphs->x, &graphs->y, &a, &n};
	struct prog_launch launch = {.function = graphs->prog.saxpy,
				     .grid = {WORDS / 128, 1, 1},
				     .block = {128, 1, 1},
				     .stream = graphs->stream,
				     .params = params};
	MUST(prog_run(&launch));
}

/* Counts on `set`, adds x to y, counts on `set + 1`. */
static CUgraph capture(struct graphs *graphs, unsigned int set)
{
	CUgraph graph;
	MUST(cu.StreamBeginCapture(graphs->stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
	launch_count(graphs, set);
	launch_saxpy(graphs);
	launch_count(graphs, set + 1);
	MUST(cu.StreamEndCapture(graphs->stream, &graph));
	return graph;
}

static void replay(struct graphs *graphs, CUgraphExec exec, long n)
{
	for (long i = 0; i < n; i++)
		MUST(cu.GraphLaunch(exec, graphs->stream));
	MUST(cu.StreamSynchronize(graphs->stream));
}

static uint32_t float_bits(float value)
{
	uint32_t bits;
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static void test_replay(struct graphs *graphs)
{
	CUgraphExec exec;
	clear(graphs);
	CUgraph graph = capture(graphs, 0);
	CHECK(wrong(graphs, 0, 0) == 0); /* capturing launches nothing */
	MUST(cu.GraphInstantiate(&exec, graph, 0));
	MUST(cu.GraphDestroy(graph));
	replay(graphs, exec, graphs->nr_replays);
	CHECK(wrong(graphs, 0, graphs->nr_replays) == 0);
	CHECK(wrong(graphs, 1, graphs->nr_replays) == 0);
	CHECK(wrong(graphs, 2, 0) == 0);
	CHECK(prog_count_other(graphs->y, WORDS, float_bits((float)graphs->nr_replays)) == 0);
	MUST(cu.GraphExecDestroy(exec));
}

static void test_update(struct graphs *graphs)
{
	CUgraphExec exec;
	CUgraphExecUpdateResultInfo info = {0};
	clear(graphs);
	CUgraph graph = capture(graphs, 0);
	CUgraph other = capture(graphs, 2);
	MUST(cu.GraphInstantiate(&exec, graph, 0));
	replay(graphs, exec, 3);
	MUST(cu.GraphExecUpdate(exec, other, &info));
	CHECK(info.result == CU_GRAPH_EXEC_UPDATE_SUCCESS);
	replay(graphs, exec, 5);
	MUST(cu.GraphExecUpdate(exec, graph, &info));
	replay(graphs, exec, 7);
	CHECK(wrong(graphs, 0, 10) == 0);
	CHECK(wrong(graphs, 1, 10) == 0);
	CHECK(wrong(graphs, 2, 5) == 0);
	CHECK(wrong(graphs, 3, 5) == 0);
	MUST(cu.GraphExecDestroy(exec));
	MUST(cu.GraphDestroy(other));
	MUST(cu.GraphDestroy(graph));
}

static void count_node(const struct graphs *graphs, void **params, CUDA_KERNEL_NODE_PARAMS *node,
		       unsigned int nr_blocks)
{
	*node = (CUDA_KERNEL_NODE_PARAMS){.func = graphs->prog.count,
					  .gridDimX = nr_blocks,
					  .gridDimY = 1,
					  .gridDimZ = 1,
					  .blockDimX = 64,
					  .blockDimY = 1,
					  .blockDimZ = 1,
					  .kernelParams = params};
}

/* Two nodes of a graph made by hand; the second one's grid and words change in the executable. */
static void test_set_params(struct graphs *graphs)
{
	CUgraph graph;
	CUgraphExec exec;
	CUgraphNode first, second;
	CUDA_KERNEL_NODE_PARAMS node;
	CUdeviceptr counters = counters_of(graphs, 0);
	uint64_t ns = 0;
	void *params[] = {&counters, &ns}; /* read anew by each call that takes the node */
	clear(graphs);
	MUST(cu.GraphCreate(&graph, 0));
	count_node(graphs, params, &node, BLOCKS);
	MUST(cu.GraphAddKernelNode(&first, graph, NULL, 0, &node));
	counters = counters_of(graphs, 1);
	MUST(cu.GraphAddKernelNode(&second, graph, &first, 1, &node));
	MUST(cu.GraphInstantiate(&exec, graph, 0));
	replay(graphs, exec, 4);
	/* cppcheck-suppress redundantAssignment ; read through params */
	counters = counters_of(graphs, 2);
	count_node(graphs, params, &node, BLOCKS - 1);
	MUST(cu.GraphExecKernelNodeSetParams(exec, second, &node));
	replay(graphs, exec, 6);
	CHECK(wrong(graphs, 0, 10) == 0);
	CHECK(wrong(graphs, 1, 4) == 0);
	CHECK(prog_count_other(counters, BLOCKS - 1, 6) == 0);
	CHECK(prog_count_other(counters + (BLOCKS - 1) * sizeof(uint32_t), 1, 0) == 0);
	MUST(cu.GraphExecDestroy(exec));
	MUST(cu.GraphDestroy(graph));
}

/* The second executable is uploaded first, so it meets its nodes there and not at a launch. */
static void test_two_execs(struct graphs *graphs)
{
	CUgraphExec one, two;
	clear(graphs);
	CUgraph graph = capture(graphs, 0);
	CUgraph other = capture(graphs, 2);
	MUST(cu.GraphInstantiate(&one, graph, 0));
	MUST(cu.GraphInstantiate(&two, graph, 0));
	MUST(cu.GraphUpload(two, graphs->stream));
	for (int i = 0; i < 10; i++) {
		replay(graphs, one, 1);
		replay(graphs, two, 2);
	}
	CUgraphExecUpdateResultInfo info = {0};
	MUST(cu.GraphExecUpdate(two, other, &info));
	replay(graphs, one, 5);
	replay(graphs, two, 6);
	MUST(cu.GraphExecDestroy(one));
	replay(graphs, two, 1);
	CHECK(wrong(graphs, 0, 35) == 0);
	CHECK(wrong(graphs, 1, 35) == 0);
	CHECK(wrong(graphs, 2, 7) == 0);
	CHECK(wrong(graphs, 3, 7) == 0);
	MUST(cu.GraphExecDestroy(two));
	MUST(cu.GraphDestroy(other));
	MUST(cu.GraphDestroy(graph));
}

static void CUDA_CB count_call(void *calls)
{
	(*(unsigned int *)calls)++;
}

/* x = 1 in one branch and counting in the other; then y = x, y += x, and a host function. */
static CUgraph capture_mixed(struct graphs *graphs, CUstream side, unsigned int *calls)
{
	CUevent fork, join;
	CUgraph graph;

	MUST(cu.EventCreate(&fork, CU_EVENT_DISABLE_TIMING));
	MUST(cu.EventCreate(&join, CU_EVENT_DISABLE_TIMING));
	MUST(cu.StreamBeginCapture(graphs->stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
	MUST(cu.EventRecord(fork, graphs->stream));
	MUST(cu.StreamWaitEvent(side, fork, 0));
	MUST(cu.MemsetD32Async(graphs->x, 0x3f800000, WORDS, side));
	MUST(cu.EventRecord(join, side));
	launch_count(graphs, 0);
	MUST(cu.StreamWaitEvent(graphs->stream, join, 0));
	MUST(cu.MemcpyDtoDAsync(graphs->y, graphs->x, WORDS * sizeof(float), graphs->stream));
	launch_saxpy(graphs);
	MUST(cu.LaunchHostFunc(graphs->stream, count_call, calls));
	MUST(cu.MemsetD2D32Async(counters_of(graphs, 2), sizeof(uint32_t), 9, 1, BLOCKS,
				 graphs->stream));
	MUST(cu.StreamEndCapture(graphs->stream, &graph));
	MUST(cu.EventDestroy(fork));
	MUST(cu.EventDestroy(join));
	return graph;
}

/* Launches of one executable follow one another, whatever stream they are in. */
static void test_mixed(struct graphs *graphs)
{
	unsigned int calls = 0;
	CUgraphExec exec;
	CUstream side;

	clear(graphs);
	MUST(cu.MemsetD32(graphs->x, 0, WORDS));
	MUST(cu.CtxSynchronize());
	MUST(cu.StreamCreate(&side, CU_STREAM_NON_BLOCKING));
	CUgraph graph = capture_mixed(graphs, side, &calls);
	MUST(cu.GraphInstantiate(&exec, graph, 0));
	MUST(cu.GraphDestroy(graph));
	for (int i = 0; i < 20; i++)
		MUST(cu.GraphLaunch(exec, i % 3 ? graphs->stream : side));
	MUST(cu.CtxSynchronize());
	CHECK(calls == 20);
	CHECK(wrong(graphs, 0, 20) == 0);
	CHECK(wrong(graphs, 2, 9) == 0);
	CHECK(prog_count_other(graphs->x, WORDS, float_bits(1)) == 0);
	CHECK(prog_count_other(graphs->y, WORDS, float_bits(2)) == 0);
	MUST(cu.GraphExecDestroy(exec));
	MUST(cu.StreamDestroy(side));
}

int main(int argc, char **argv)
{
	struct graphs graphs = {.nr_replays = prog_option(argc, argv, "--replays", 1000)};
	prog_open(&graphs.prog);
	MUST(cu.StreamCreate(&graphs.stream, CU_STREAM_NON_BLOCKING));
	graphs.counters = prog_words(4 * BLOCKS, 0);
	graphs.x = prog_words(WORDS, 0);
	graphs.y = prog_words(WORDS, 0);

	test_replay(&graphs);
	test_update(&graphs);
	test_set_params(&graphs);
	test_two_execs(&graphs);
	test_mixed(&graphs);

	MUST(cu.MemFree(graphs.counters));
	MUST(cu.MemFree(graphs.x));
	MUST(cu.MemFree(graphs.y));
	MUST(cu.StreamDestroy(graphs.stream));
	prog_close(&graphs.prog);
	printf("program=graphs replays=%ld ok=%d\n", graphs.nr_replays, prog_result() == PROG_PASS);
	return prog_result();
}
