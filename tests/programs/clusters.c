/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cluster launches of 2 to 16 blocks: for each size, how many clusters the driver says can be
 * resident (one block an SM, by its shared memory), and a launch of twice as many. The launch must
 * either run, each block exactly once, or be refused; it must never hang. A size for which the
 * answer is 0 need not run; a size for which it is not must.
 *
 * What is told depends on the set of SMs, so the line differs between quotas; --expect-none C makes
 * the program check that clusters of C blocks are reported as impossible.
 */
#include "prog.h"

#include <stdio.h>

#define MAX_BLOCKS 4096u

struct clusters {
	struct prog prog;
	CUdeviceptr counters;
	int shared_bytes; /* so much that a second block does not fit on the SM */
};

static CUlaunchConfig config_of(const struct clusters *clusters, CUlaunchAttribute *attribute,
				unsigned int nr_blocks)
{
	return (CUlaunchConfig){.gridDimX = nr_blocks,
				.gridDimY = 1,
				.gridDimZ = 1,
				.blockDimX = 64,
				.blockDimY = 1,
				.blockDimZ = 1,
				.sharedMemBytes = (unsigned int)clusters->shared_bytes,
				.attrs = attribute,
				.numAttrs = 1};
}

static CUresult launch(struct clusters *clusters, unsigned int size, unsigned int nr_blocks)
{
	CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
				       .value.clusterDim = {size, 1, 1}};
	CUlaunchConfig config = config_of(clusters, &attribute, nr_blocks);
	uint64_t ns = 5000;
	void *params[] = {&clusters->counters, &ns};
	MUST(cu.MemsetD32(clusters->counters, 0, MAX_BLOCKS));
	MUST(cu.CtxSynchronize());
	CUresult result = cu.LaunchKernelEx(&config, clusters->prog.count, params, NULL);
	MUST(cu.CtxSynchronize());
	if (result == CUDA_SUCCESS)
		CHECK(prog_count_other(clusters->counters, nr_blocks, 1) == 0);
	else
		CHECK(prog_count_other(clusters->counters, nr_blocks, 0) == 0);
	return result;
}

static void try_size(struct clusters *clusters, unsigned int size, long expect_none)
{
	CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
				       .value.clusterDim = {size, 1, 1}};
	CUlaunchConfig config = config_of(clusters, &attribute, size);
	int nr_clusters = -1;
	CUresult asked = cu.OccupancyMaxClusters(&nr_clusters, clusters->prog.count, &config);
	if (asked != CUDA_SUCCESS)
		nr_clusters = 0;
	unsigned int nr_blocks = size * 2 * (unsigned int)(nr_clusters > 0 ? nr_clusters : 1);
	CUresult result = launch(clusters, size, nr_blocks);
	if (nr_clusters > 0)
		CHECK(result == CUDA_SUCCESS);
	if (expect_none == (long)size)
		CHECK(nr_clusters == 0);
	printf(" max_%u=%d launch_%u=%s", size, nr_clusters, size, cu_name(result));
}

int main(int argc, char **argv)
{
	struct clusters clusters = {0};
	int largest_size = 0;
	long expect_none = prog_option(argc, argv, "--expect-none", -1);
	prog_open(&clusters.prog);
	int major = 0;
	MUST(cu.DeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
				   clusters.prog.device));
	if (major < 9) {
		printf("skipped=1 why=\"no clusters before compute capability 9\"\n");
		return PROG_SKIP;
	}
	MUST(cu.DeviceGetAttribute(&clusters.shared_bytes,
				   CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
				   clusters.prog.device));
	/* Sizes above 8 have to be asked for. */
	MUST(cu.FuncSetAttribute(clusters.prog.count,
				 CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1));
	MUST(cu.FuncSetAttribute(clusters.prog.count,
				 CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
				 clusters.shared_bytes));
	clusters.counters = prog_words(MAX_BLOCKS, 0);
	CUlaunchConfig config = config_of(&clusters, NULL, 16);
	config.numAttrs = 0;
	MUST(cu.OccupancyMaxClusterSize(&largest_size, clusters.prog.count, &config));
	printf("program=clusters reported_sms=%d largest_size=%d", clusters.prog.nr_sms,
	       largest_size);
	for (unsigned int size = 2; size <= 16; size *= 2)
		try_size(&clusters, size, expect_none);
	printf("\n");
	MUST(cu.MemFree(clusters.counters));
	prog_close(&clusters.prog);
	return prog_result();
}
