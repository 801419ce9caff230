/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which SMs a launch reaches, whichever way it is made.
 *
 * Each way launches lk_where with 8 blocks for every SM the program is told of; each block notes
 * its %smid and stays for some microseconds, so that the whole grid is resident and every SM that
 * may be used is. The number of different SMs must then be the number the program is told (or
 * --expect-sms N). The SMs of a few rounds are united, because a busy GPU may finish a block before
 * the last is placed; an SM that should not have been used stays in the union.
 *
 * The memset is a kernel of the driver's own and cannot tell where it ran: only its result is
 * checked.
 */
#include "prog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SMS       512
#define BLOCKS_PER_SM 8
#define ROUNDS        4

struct where {
	struct prog prog;
	CUstream stream;
	CUdeviceptr sm;
	uint64_t ns;
	void *params[2];
	unsigned int nr_blocks;
};

struct way {
	const char *name;
	CUresult (*launch)(struct where *where);
};

static struct prog_launch grid_of(struct where *where)
{
	return (struct prog_launch){.function = where->prog.where,
				    .grid = {where->nr_blocks, 1, 1},
				    .block = {32, 1, 1},
				    .stream = where->stream,
				    .params = where->params};
}

static CUlaunchConfig config_of(struct where *where, CUlaunchAttribute *attribute)
{
	return (CUlaunchConfig){.gridDimX = where->nr_blocks,
				.gridDimY = 1,
				.gridDimZ = 1,
				.blockDimX = 32,
				.blockDimY = 1,
				.blockDimZ = 1,
				.hStream = where->stream,
				.attrs = attribute,
				.numAttrs = attribute ? 1 : 0};
}

static CUresult way_launch(struct where *where)
{
	struct prog_launch launch = grid_of(where);
	return prog_run(&launch);
}

static CUresult way_launch_ex(struct where *where)
{
	CUlaunchConfig config = config_of(where, NULL);
	return cu.LaunchKernelEx(&config, where->prog.where, where->params, NULL);
}

static CUresult way_cooperative(struct where *where)
{
	return cu.LaunchCooperativeKernel(where->prog.where, where->nr_blocks, 1, 1, 32, 1, 1, 0,
					  where->stream, where->params);
}

static CUresult way_cooperative_ex(struct where *where)
{
	CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE,
				       .value.cooperative = 1};
	CUlaunchConfig config = config_of(where, &attribute);
	return cu.LaunchKernelEx(&config, where->prog.where, where->params, NULL);
}

static CUresult way_cluster(struct where *where)
{
	CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
				       .value.clusterDim = {2, 1, 1}};
	CUlaunchConfig config = config_of(where, &attribute);
	return cu.LaunchKernelEx(&config, where->prog.where, where->params, NULL);
}

static CUresult launch_graph(struct where *where, CUgraph graph)
{
	CUgraphExec exec;
	MUST(cu.GraphInstantiate(&exec, graph, 0));
	CUresult result = cu.GraphLaunch(exec, where->stream);
	MUST(cu.StreamSynchronize(where->stream));
	MUST(cu.GraphExecDestroy(exec));
	MUST(cu.GraphDestroy(graph));
	return result;
}

static CUresult way_graph(struct where *where)
{
	CUDA_KERNEL_NODE_PARAMS node = {.func = where->prog.where,
					.gridDimX = where->nr_blocks,
					.gridDimY = 1,
					.gridDimZ = 1,
					.blockDimX = 32,
					.blockDimY = 1,
					.blockDimZ = 1,
					.kernelParams = where->params};
	CUgraph graph;
	CUgraphNode added;
	MUST(cu.GraphCreate(&graph, 0));
	MUST(cu.GraphAddKernelNode(&added, graph, NULL, 0, &node));
	return launch_graph(where, graph);
}

static CUresult way_captured(struct where *where)
{
	CUgraph graph;
	MUST(cu.StreamBeginCapture(where->stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
	CUresult result = way_launch(where);
	MUST(cu.StreamEndCapture(where->stream, &graph));
	return result ? result : launch_graph(where, graph);
}

/* The per-thread default stream: the entry that cuGetProcAddress gives for that flag, and stream 0.
 */
static CUresult way_per_thread(struct where *where)
{
	void *address = NULL;
	CUdriverProcAddressQueryResult status;
	MUST(cu.GetProcAddress("cuLaunchKernel", &address, 12000,
			       CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, &status));
	if (!CHECK(address != NULL))
		return CUDA_ERROR_NOT_FOUND;
	__typeof__(cuLaunchKernel) *launch;
	memcpy(&launch, &address, sizeof(launch));
	return launch(where->prog.where, where->nr_blocks, 1, 1, 32, 1, 1, 0, NULL, where->params,
		      NULL);
}

/* A context-free kernel, launched as itself or through the function of the current context. */
static CUresult launch_library(struct where *where, bool as_function)
{
	CUlibrary library;
	CUkernel kernel;
	MUST(cu.LibraryLoadData(&library, prog_ptx, NULL, NULL, 0, NULL, NULL, 0));
	MUST(cu.LibraryGetKernel(&kernel, library, "lk_where"));
	struct prog_launch launch = grid_of(where);
	launch.function = (CUfunction)kernel;
	if (as_function)
		MUST(cu.KernelGetFunction(&launch.function, kernel));
	CUresult result = prog_run(&launch);
	MUST(cu.CtxSynchronize());
	MUST(cu.LibraryUnload(library));
	return result;
}

static CUresult way_library_kernel(struct where *where)
{
	return launch_library(where, false);
}

static CUresult way_library_function(struct where *where)
{
	return launch_library(where, true);
}

static const struct way ways[] = {
	{"launch", way_launch},
	{"launch_ex", way_launch_ex},
	{"cooperative", way_cooperative},
	{"cooperative_ex", way_cooperative_ex},
	{"cluster", way_cluster},
	{"graph", way_graph},
	{"captured", way_captured},
	{"per_thread", way_per_thread},
	{"library_kernel", way_library_kernel},
	{"library_function", way_library_function},
};

/* Adds the SMs of one finished launch to the set; returns how many the set holds then. */
static unsigned int unite(struct where *where, bool seen[MAX_SMS])
{
	uint32_t *sm = prog_read(where->sm, where->nr_blocks);
	for (unsigned int i = 0; i < where->nr_blocks; i++)
		if (CHECK(sm[i] < MAX_SMS))
			seen[sm[i]] = true;
	free(sm);
	unsigned int nr_seen = 0;
	for (unsigned int i = 0; i < MAX_SMS; i++)
		nr_seen += seen[i];
	return nr_seen;
}

static void try_way(struct where *where, const struct way *way, unsigned int expected)
{
	bool seen[MAX_SMS] = {false};
	unsigned int nr_seen = 0;
	for (int round = 0; round < ROUNDS; round++) {
		MUST(cu.MemsetD32(where->sm, UINT32_MAX, where->nr_blocks));
		MUST(cu.CtxSynchronize());
		CUresult result = way->launch(where);
		if (!CHECK(result == CUDA_SUCCESS)) {
			printf(" %s=%s", way->name, cu_name(result));
			return;
		}
		MUST(cu.CtxSynchronize());
		nr_seen = unite(where, seen);
	}
	printf(" %s=%u", way->name, nr_seen);
	if (!CHECK(nr_seen == expected))
		fprintf(stderr, "%s: %u SMs, not %u\n", way->name, nr_seen, expected);
}

/* A pitched memset: 1000 rows of 1000 words inside rows of 1024, whose last 24 must stay as they
 * were. */
static void try_memset(struct where *where)
{
	const size_t pitch = 1024, width = 1000, height = 1000;
	CUdeviceptr words = prog_words(pitch * height, 7);
	MUST(cu.MemsetD2D32Async(words, pitch * sizeof(uint32_t), 9, width, height, where->stream));
	MUST(cu.StreamSynchronize(where->stream));
	uint32_t *copy = prog_read(words, pitch * height);
	size_t nr_wrong = 0;
	for (size_t i = 0; i < pitch * height; i++)
		nr_wrong += copy[i] != (i % pitch < width ? 9 : 7);
	CHECK(nr_wrong == 0);
	printf(" memset2d=%s\n", nr_wrong ? "wrong" : "ok");
	free(copy);
	MUST(cu.MemFree(words));
}

int main(int argc, char **argv)
{
	struct where where = {.ns = (uint64_t)prog_option(argc, argv, "--ns", 50000)};
	prog_open(&where.prog);
	unsigned int reported = (unsigned int)where.prog.nr_sms;
	unsigned int expected = (unsigned int)prog_option(argc, argv, "--expect-sms", reported);
	CHECK(reported == expected);
	where.nr_blocks = BLOCKS_PER_SM * reported;
	where.sm = prog_words(where.nr_blocks, UINT32_MAX);
	where.params[0] = &where.sm;
	where.params[1] = &where.ns;
	MUST(cu.StreamCreate(&where.stream, CU_STREAM_NON_BLOCKING));

	printf("program=where reported_sms=%u", reported);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		try_way(&where, &ways[i], expected);
	try_memset(&where);

	MUST(cu.StreamDestroy(where.stream));
	MUST(cu.MemFree(where.sm));
	prog_close(&where.prog);
	return prog_result();
}
