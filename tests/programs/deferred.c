/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program may rely on although its launches are held back: arguments and small sources are
 * read when it calls, the NULL stream orders the blocking ones, an executable graph keeps its
 * parameters for the launches before an update, destroyed streams and events finish their work,
 * queries come to an end, and so does the program (--leave) without waiting for anything.
 *
 * Each part leaves exact numbers in memory. Run natively it tests the test.
 */
#include "prog.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N      20000u
#define ROUNDS 40

static struct {
	struct prog prog;
	CUdeviceptr x, y, counters;
	CUresult (*StreamQuery)(CUstream stream);
	CUresult (*MemcpyHtoDAsync)(CUdeviceptr to, const void *from, size_t bytes,
				    CUstream stream);
} test;

static void fill(CUstream stream, CUdeviceptr words, uint32_t value)
{
	uint32_t n = N;
	void *params[] = {&words, &value, &n};
	struct prog_launch launch = {.function = test.prog.fill,
				     .grid = {(N + 255) / 256, 1, 1},
				     .block = {256, 1, 1},
				     .stream = stream,
				     .params = params};
	MUST(prog_run(&launch));
	/* The caller's memory is its own again. */
	words = 0;
	value = n = UINT32_MAX;
	__asm__ volatile("" ::"r"(params) : "memory");
}

/* y = x + y */
static void add(CUstream stream, CUdeviceptr x, CUdeviceptr y)
{
	uint32_t n = N;
	float one = 1;
	void *params[] = {&x, &y, &one, &n};
	struct prog_launch launch = {.function = test.prog.saxpy,
				     .grid = {(N + 255) / 256, 1, 1},
				     .block = {256, 1, 1},
				     .stream = stream,
				     .params = params};
	MUST(prog_run(&launch));
}

static uint32_t bits_of(float value)
{
	uint32_t bits;
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* x and y grow in turn in the NULL stream and in two streams that synchronise with it. */
static float null_stream(void)
{
	CUstream streams[4] = {NULL, NULL, NULL, CU_STREAM_LEGACY};
	float x = 1, y = 1;
	MUST(cu.StreamCreate(&streams[1], CU_STREAM_DEFAULT));
	fill(NULL, test.x, bits_of(1));
	fill(streams[1], test.y, bits_of(1));
	for (int i = 0; i < 20; i++) {
		/* Blocking streams never follow each other: the NULL stream is between them. */
		CUstream stream = streams[i % 4];
		add(stream, i % 2 ? test.y : test.x, i % 2 ? test.x : test.y);
		if (i % 2)
			x += y;
		else
			y += x;
	}
	CHECK(prog_count_other(test.x, N, bits_of(x)) == 0);
	CHECK(prog_count_other(test.y, N, bits_of(y)) == 0);
	MUST(cu.StreamDestroy(streams[1]));
	return y;
}

/* A small pageable source may be written again at once, and a pageable destination can be read. */
static unsigned int pageable(CUstream stream)
{
	uint32_t from[64], to[64];
	unsigned int nr_right = 0;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		fill(stream, test.x, i);
		for (uint32_t k = 0; k < 64; k++)
			from[k] = 1000 + i;
		MUST(test.MemcpyHtoDAsync(test.x, from, sizeof(from), stream));
		memset(from, 0xee, sizeof(from));
		__asm__ volatile("" ::"r"(from) : "memory");
		MUST(cu.MemcpyDtoHAsync(to, test.x, sizeof(to), stream));
		nr_right += to[0] == 1000 + i && to[63] == 1000 + i;
	}
	CHECK(nr_right == ROUNDS);
	return nr_right;
}

static CUDA_KERNEL_NODE_PARAMS count_node(CUdeviceptr *counter, uint64_t *ns, void **params)
{
	params[0] = counter;
	params[1] = ns;
	return (CUDA_KERNEL_NODE_PARAMS){.func = test.prog.count,
					 .gridDimX = 1,
					 .gridDimY = 1,
					 .gridDimZ = 1,
					 .blockDimX = 32,
					 .blockDimY = 1,
					 .blockDimZ = 1,
					 .kernelParams = params};
}

/* Launches before an update count on the old word, those after it on the new one. */
static void graph_updates(CUstream stream)
{
	CUdeviceptr counter = test.counters;
	uint64_t ns = 0;
	void *params[2];
	CUDA_KERNEL_NODE_PARAMS node_params = count_node(&counter, &ns, params);
	CUgraph graph;
	CUgraphNode node;
	CUgraphExec exec;
	MUST(cu.MemsetD32Async(test.counters, 0, ROUNDS, stream));
	MUST(cu.GraphCreate(&graph, 0));
	MUST(cu.GraphAddKernelNode(&node, graph, NULL, 0, &node_params));
	MUST(cu.GraphInstantiate(&exec, graph, 0));
	for (uint32_t i = 0; i < ROUNDS; i++) {
		for (uint32_t k = 0; k < 3; k++)
			MUST(cu.GraphLaunch(exec, stream));
		counter = test.counters + 4 * (i + 1) % (4 * ROUNDS);
		MUST(cu.GraphExecKernelNodeSetParams(exec, node, &node_params));
	}
	MUST(cu.GraphExecDestroy(exec));
	MUST(cu.GraphDestroy(graph));
	MUST(cu.StreamSynchronize(stream));
	CHECK(prog_count_other(test.counters, ROUNDS, 3) == 0);
}

static void count(CUstream stream, CUdeviceptr counter)
{
	uint64_t ns = 0;
	void *params[] = {&counter, &ns};
	struct prog_launch launch = {.function = test.prog.count,
				     .grid = {1, 1, 1},
				     .block = {32, 1, 1},
				     .stream = stream,
				     .params = params};
	MUST(prog_run(&launch));
	counter = 0;
	ns = UINT64_MAX;
	__asm__ volatile("" ::"r"(params) : "memory");
}

/* Streams and events that are destroyed at once: their work is done nevertheless, in order. */
static void destroyed(void)
{
	MUST(cu.MemsetD32(test.counters, 0, ROUNDS));
	for (uint32_t i = 0; i < ROUNDS; i++) {
		CUstream a, b;
		CUevent event;
		MUST(cu.StreamCreate(&a, CU_STREAM_NON_BLOCKING));
		MUST(cu.StreamCreate(&b, CU_STREAM_NON_BLOCKING));
		MUST(cu.EventCreate(&event, CU_EVENT_DISABLE_TIMING));
		count(a, test.counters + 4 * i);
		MUST(cu.EventRecord(event, a));
		MUST(cu.StreamWaitEvent(b, event, 0));
		MUST(cu.EventDestroy(event));
		MUST(cu.MemsetD32Async(test.counters + 4 * i, 7, 1, b));
		MUST(cu.StreamDestroy(a));
		MUST(cu.StreamDestroy(b));
	}
	MUST(cu.CtxSynchronize());
	CHECK(prog_count_other(test.counters, ROUNDS, 7) == 0);
}

/* Programs that never wait but ask: the answer becomes yes, and is true then. */
static void queries(CUstream stream)
{
	CUevent event;
	MUST(cu.EventCreate(&event, CU_EVENT_DISABLE_TIMING));
	for (uint32_t i = 0; i < ROUNDS; i++) {
		CUresult answer;
		fill(stream, test.x, i);
		MUST(cu.EventRecord(event, stream));
		do
			answer = i % 2 ? cu.EventQuery(event) : test.StreamQuery(stream);
		while (answer == CUDA_ERROR_NOT_READY);
		CHECK(answer == CUDA_SUCCESS);
		CHECK(prog_count_other(test.x, N, i) == 0);
	}
	MUST(cu.EventDestroy(event));
}

/* Recorded in a capture: launches of before are not part of it. */
static void captures(CUstream stream)
{
	CUgraph graph;
	CUgraphExec exec;
	MUST(cu.MemsetD32Async(test.counters, 0, 2, stream));
	count(stream, test.counters);
	MUST(cu.StreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
	count(stream, test.counters + 4);
	MUST(cu.StreamEndCapture(stream, &graph));
	MUST(cu.GraphInstantiate(&exec, graph, 0));
	for (uint32_t i = 0; i < ROUNDS; i++)
		MUST(cu.GraphLaunch(exec, stream));
	MUST(cu.StreamSynchronize(stream));
	CHECK(prog_count_other(test.counters, 1, 1) == 0);
	CHECK(prog_count_other(test.counters + 4, 1, ROUNDS) == 0);
	MUST(cu.GraphExecDestroy(exec));
	MUST(cu.GraphDestroy(graph));
}

/* What CUDA refuses it refuses when it is called, not later. */
static void refusals(CUstream stream)
{
	struct prog_launch launch = {.function = test.prog.null,
				     .grid = {1, 1, 1},
				     .block = {2048, 1, 1},
				     .stream = stream};
	count(stream, test.counters);
	CHECK(prog_run(&launch) == CUDA_ERROR_INVALID_VALUE);
	launch.block[0] = 32;
	launch.grid[0] = 0;
	CHECK(prog_run(&launch) == CUDA_ERROR_INVALID_VALUE);
	MUST(cu.StreamSynchronize(stream));
}

int main(int argc, char **argv)
{
	CUstream stream;
	prog_open(&test.prog);
	test.StreamQuery = dlsym(cu_handle, "cuStreamQuery");
	test.MemcpyHtoDAsync = dlsym(cu_handle, "cuMemcpyHtoDAsync_v2");
	if (!CHECK(test.StreamQuery && test.MemcpyHtoDAsync))
		return PROG_FAIL;
	test.x = prog_words(N, 0);
	test.y = prog_words(N, 0);
	test.counters = prog_words(ROUNDS, 0);
	MUST(cu.StreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	if (prog_flag(argc, argv, "--leave")) {
		for (uint32_t i = 0; i < 500; i++)
			fill(stream, test.x, i);
		printf("program=deferred left=1\n");
		return PROG_PASS;
	}
	float y = null_stream();
	unsigned int nr_right = pageable(stream);
	graph_updates(stream);
	destroyed();
	queries(stream);
	captures(stream);
	refusals(stream);
	MUST(cu.StreamDestroy(stream));
	prog_close(&test.prog);
	printf("program=deferred null_stream=%.0f pageable=%u ok=%d\n", (double)y, nr_right,
	       prog_result() == PROG_PASS);
	return prog_result();
}
