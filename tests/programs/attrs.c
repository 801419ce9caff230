/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program is told about the GPU, as one line of JSON: every device attribute, and the
 * occupancy calls for our kernels. Two runs (native and lithos, or two quotas) can then be compared
 * by a script: only the multiprocessor count and what follows from it may differ.
 */
#include "prog.h"

#include <stdio.h>

static const int block_sizes[] = {32, 64, 128, 256, 512, 1024};
#define NR_SIZES (sizeof(block_sizes) / sizeof(block_sizes[0]))

static void print_attributes(CUdevice device)
{
	printf("\"attributes\":{");
	const char *comma = "";
	/* Numbers, not names: the list grows with every driver. Unknown ones answer with an error.
	 */
	for (int i = 1; i < CU_DEVICE_ATTRIBUTE_MAX; i++) {
		int value = 0;
		if (cu.DeviceGetAttribute(&value, (CUdevice_attribute)i, device) != CUDA_SUCCESS)
			continue;
		printf("%s\"%d\":%d", comma, i, value);
		comma = ",";
	}
	printf("}");
}

static void print_occupancy(CUfunction function, const char *name, const char *comma)
{
	int min_grid = 0, block_size = 0;
	printf("%s\"%s\":{\"blocks_per_sm\":{", comma, name);
	for (size_t i = 0; i < NR_SIZES; i++) {
		int nr_blocks = -1;
		MUST(cu.OccupancyMaxBlocks(&nr_blocks, function, block_sizes[i], 0));
		CHECK(nr_blocks > 0);
		printf("%s\"%d\":%d", i ? "," : "", block_sizes[i], nr_blocks);
	}
	MUST(cu.OccupancyMaxBlockSize(&min_grid, &block_size, function, NULL, 0, 0));
	printf("},\"min_grid\":%d,\"block_size\":%d", min_grid, block_size);
	printf(",\"max_clusters\":{");
	for (unsigned int size = 1; size <= 8; size *= 2) {
		CUlaunchAttribute attribute;
		CUlaunchConfig config = prog_one_cluster(&attribute, size);
		int nr_clusters = -1;
		if (cu.OccupancyMaxClusters(&nr_clusters, function, &config) != CUDA_SUCCESS)
			nr_clusters = -1;
		printf("%s\"%u\":%d", size > 1 ? "," : "", size, nr_clusters);
	}
	printf("}}");
}

int main(void)
{
	struct prog prog;
	int version = 0;
	char name[128] = "";
	prog_open(&prog);
	MUST(cu.DriverGetVersion(&version));
	MUST(cu.DeviceGetName(name, (int)sizeof(name), prog.device));
	printf("{\"program\":\"attrs\",\"driver\":%d,\"name\":\"%s\",\"sms\":%d,", version, name,
	       prog.nr_sms);
	print_attributes(prog.device);
	printf(",\"occupancy\":{");
	print_occupancy(prog.null, "lk_null", "");
	print_occupancy(prog.where, "lk_where", ",");
	print_occupancy(prog.barrier, "lk_barrier", ",");
	printf("}}\n");
	prog_close(&prog);
	return prog_result();
}
