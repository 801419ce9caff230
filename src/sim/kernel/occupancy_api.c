/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Occupancy calls: the same arithmetic the device places blocks by, on the descriptor such a launch
 * would have. Clusters: one block per SM, so a GPC of n SMs holds n / size of them (measured on
 * H200: 66, 30, 15, 7 for sizes 2, 4, 8, 16 at one block per SM). Tested by
 * tests/unit/sim_driver_occupancy.c.
 */
#include "sim/kernel/launch.h"

#define MAX_CLUSTER 16u
#define WARP        32

/* The operation such a launch would be; 0 with the lock held, or the error. */
static CUresult enter_op(CUfunction func, int block_size, size_t dynamic_shared,
			 struct op_kernel *ret_op)
{
	CUresult r = enter();

	if (r)
		return r;
	*ret_op = (struct op_kernel){.grid = {1, 1, 1},
				     .block = {(uint32_t)block_size, 1, 1},
				     .cluster = {1, 1, 1},
				     .dynamic_shared = (uint32_t)dynamic_shared};
	r = func_of_locked(func, &ret_op->func);
	if (!r && block_size <= 0)
		r = CUDA_ERROR_INVALID_VALUE;
	return r ? leave(r) : CUDA_SUCCESS;
}

/* 0 for what no launch may have. */
static int blocks_locked(const struct op_kernel *op)
{
	const int *attribute = op->func->attribute;

	if (op->block[0] > (uint32_t)attribute[CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK] ||
	    op->dynamic_shared >
		    (uint32_t)attribute[CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES])
		return 0;
	return (int)kernel_blocks_per_sm_locked(op);
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *numBlocks, CUfunction func, int blockSize,
						     size_t dynamicSMemSize)
{
	struct op_kernel op;
	CUresult r;

	if (!numBlocks || dynamicSMemSize > UINT32_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	r = enter_op(func, blockSize, dynamicSMemSize, &op);
	if (r)
		return r;
	*numBlocks = blocks_locked(&op);
	return leave(CUDA_SUCCESS);
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *numBlocks, CUfunction func,
							      int blockSize, size_t dynamicSMemSize,
							      unsigned int flags)
{
	if (flags & ~(unsigned int)CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE)
		return CUDA_ERROR_INVALID_VALUE;
	return cuOccupancyMaxActiveBlocksPerMultiprocessor(numBlocks, func, blockSize,
							   dynamicSMemSize);
}

CUresult cuOccupancyMaxPotentialBlockSize(int *minGridSize, int *blockSize, CUfunction func,
					  CUoccupancyB2DSize blockSizeToDynamicSMemSize,
					  size_t dynamicSMemSize, int blockSizeLimit)
{
	struct op_kernel op;
	int best = 0;
	CUresult r;

	if (!minGridSize || !blockSize)
		return CUDA_ERROR_INVALID_VALUE;
	r = enter_op(func, WARP, dynamicSMemSize, &op);
	if (r)
		return r;
	if (blockSizeLimit <= 0 || blockSizeLimit > 1024)
		blockSizeLimit = 1024;
	for (int size = blockSizeLimit / WARP * WARP; size > 0; size -= WARP) {
		int blocks;

		op.block[0] = (uint32_t)size;
		if (blockSizeToDynamicSMemSize)
			op.dynamic_shared = (uint32_t)blockSizeToDynamicSMemSize(size);
		blocks = blocks_locked(&op);
		if (blocks * size <= best)
			continue;
		best = blocks * size;
		*blockSize = size;
		*minGridSize = blocks * (int)sim.chip.nr_sms;
	}
	return leave(best ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
}

CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int *minGridSize, int *blockSize,
						   CUfunction func,
						   CUoccupancyB2DSize blockSizeToDynamicSMemSize,
						   size_t dynamicSMemSize, int blockSizeLimit,
						   unsigned int flags)
{
	if (flags & ~(unsigned int)CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE)
		return CUDA_ERROR_INVALID_VALUE;
	return cuOccupancyMaxPotentialBlockSize(minGridSize, blockSize, func,
						blockSizeToDynamicSMemSize, dynamicSMemSize,
						blockSizeLimit);
}

CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t *dynamicSmemSize, CUfunction func,
						 int numBlocks, int blockSize)
{
	const uint32_t reserved = 1024, most = 232448;
	struct op_kernel op;
	uint32_t per_block;
	CUresult r;

	if (!dynamicSmemSize || numBlocks <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	r = enter_op(func, blockSize, 0, &op);
	if (r)
		return r;
	per_block = sim.chip.limits.shared_bytes / (uint32_t)numBlocks / 128 * 128;
	per_block = per_block > reserved ? per_block - reserved : 0;
	if (per_block > most)
		per_block = most;
	*dynamicSmemSize = per_block > op.func->entry->shared_bytes
				   ? per_block - op.func->entry->shared_bytes
				   : 0;
	return leave(CUDA_SUCCESS);
}

static uint32_t cluster_blocks(const CUlaunchConfig *config)
{
	uint32_t blocks = 1;

	for (unsigned int i = 0; config->attrs && i < config->numAttrs; i++) {
		const CUlaunchAttribute *attribute = &config->attrs[i];

		if (attribute->id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
			blocks = attribute->value.clusterDim.x * attribute->value.clusterDim.y *
				 attribute->value.clusterDim.z;
	}
	return blocks;
}

static int clusters_locked(uint32_t cluster, const struct op_kernel *op)
{
	return (int)kernel_nr_clusters(cluster) * blocks_locked(op);
}

CUresult cuOccupancyMaxActiveClusters(int *numClusters, CUfunction func,
				      const CUlaunchConfig *config)
{
	struct op_kernel op;
	uint32_t cluster;
	CUresult r;

	if (!numClusters || !config)
		return CUDA_ERROR_INVALID_VALUE;
	r = enter_op(func, (int)(config->blockDimX * config->blockDimY * config->blockDimZ),
		     config->sharedMemBytes, &op);
	if (r)
		return r;
	cluster = cluster_blocks(config);
	if (!cluster || cluster > MAX_CLUSTER)
		return leave(CUDA_ERROR_INVALID_CLUSTER_SIZE);
	*numClusters = clusters_locked(cluster, &op);
	return leave(CUDA_SUCCESS);
}

CUresult cuOccupancyMaxPotentialClusterSize(int *clusterSize, CUfunction func,
					    const CUlaunchConfig *config)
{
	struct op_kernel op;
	uint32_t size;
	CUresult r;

	if (!clusterSize || !config)
		return CUDA_ERROR_INVALID_VALUE;
	r = enter_op(func, (int)(config->blockDimX * config->blockDimY * config->blockDimZ),
		     config->sharedMemBytes, &op);
	if (r)
		return r;
	size = op.func->attribute[CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED] ? 16 : 8;
	while (size > 1 && !clusters_locked(size, &op))
		size /= 2;
	*clusterSize = (int)size;
	return leave(CUDA_SUCCESS);
}
