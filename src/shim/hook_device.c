/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the program is told of the GPU: as many SMs as its quota has.
 *
 * Frameworks size persistent and cooperative kernels by the SM count; told the whole GPU's, a grid
 * that must be resident at once would hang on the quota. So the count, and every occupancy answer
 * that has the count in it, is that of the quota. Answers per SM are the driver's. A cooperative
 * launch that would not fit is refused.
 *
 * Tested by tests/programs/attrs.c, coop.c and clusters.c.
 */
#include <stddef.h>

#include "hw/topology.h"
#include "shim/device.h"
#include "shim/slots.h"
#include "shim/tenant.h"

CUresult hook_cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
	CUresult result = real_cuDeviceGetAttribute(value, attribute, device);

	if (attribute == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT && result == CUDA_SUCCESS)
		*value = (int)device_told_sms(device, (uint32_t)*value);
	return result;
}

/* Compiled into the function: 0 where the driver knows of no such thing. */
static uint32_t compiled_dim(CUfunction func, CUfunction_attribute dim)
{
	int value = 0;

	return tenant.ops.func_attribute(&value, dim, func) || value < 0 ? 0 : (uint32_t)value;
}

static uint32_t cluster_blocks(CUfunction func, const CUlaunchConfig *config)
{
	uint32_t compiled;

	for (unsigned int i = 0; config && config->attrs && i < config->numAttrs; i++) {
		const CUlaunchAttribute *attr = &config->attrs[i];
		if (attr->id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
			return attr->value.clusterDim.x * attr->value.clusterDim.y *
			       attr->value.clusterDim.z;
	}
	compiled = compiled_dim(func, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH) *
		   compiled_dim(func, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT) *
		   compiled_dim(func, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH);
	return compiled ? compiled : 1;
}

/* A cluster that fits no GPC of the quota is given a wider set when launched, one cluster at a
 * time. */
static int scale_clusters(const struct device *device, int nr_clusters, uint32_t blocks)
{
	uint32_t all = topology_nr_clusters(&device->topo, &device->topo.present, blocks);
	uint32_t ours = topology_nr_clusters(&device->topo, &device->allowed, blocks);
	uint64_t scaled;

	scaled = all ? (uint64_t)(uint32_t)nr_clusters * ours / all : 0;
	return scaled ? (int)scaled : 1;
}

CUresult hook_cuOccupancyMaxActiveClusters(int *nr_clusters, CUfunction func,
					   const CUlaunchConfig *config)
{
	CUresult result = real_cuOccupancyMaxActiveClusters(nr_clusters, func, config);
	const struct device *device = tenant_current_masked_device();

	if (result == CUDA_SUCCESS && device && *nr_clusters > 0)
		*nr_clusters = scale_clusters(device, *nr_clusters, cluster_blocks(func, config));
	return result;
}

CUresult hook_cuOccupancyMaxPotentialClusterSize(int *size, CUfunction func,
						 const CUlaunchConfig *config)
{
	CUresult result = real_cuOccupancyMaxPotentialClusterSize(size, func, config);
	const struct device *device = tenant_current_masked_device();

	if (result == CUDA_SUCCESS && device) {
		int largest = (int)topology_max_cluster(&device->topo, &device->allowed);
		if (*size > largest)
			*size = largest;
	}
	return result;
}

/* The smallest grid that fills the GPU is so many blocks an SM, times the SMs. */
static CUresult scale_grid(CUresult result, int *min_grid)
{
	const struct device *device = tenant_current_masked_device();

	if (result == CUDA_SUCCESS && device && min_grid)
		*min_grid = (int)((int64_t)*min_grid * device->nr_allowed / device->topo.nr_tpcs);
	return result;
}

CUresult hook_cuOccupancyMaxPotentialBlockSize(int *min_grid, int *block_size, CUfunction func,
					       CUoccupancyB2DSize shared_of_block,
					       size_t shared_bytes, int block_size_limit)
{
	return scale_grid(real_cuOccupancyMaxPotentialBlockSize(min_grid, block_size, func,
								shared_of_block, shared_bytes,
								block_size_limit),
			  min_grid);
}

CUresult hook_cuOccupancyMaxPotentialBlockSizeWithFlags(int *min_grid, int *block_size,
							CUfunction func,
							CUoccupancyB2DSize shared_of_block,
							size_t shared_bytes, int block_size_limit,
							unsigned int flags)
{
	return scale_grid(real_cuOccupancyMaxPotentialBlockSizeWithFlags(
				  min_grid, block_size, func, shared_of_block, shared_bytes,
				  block_size_limit, flags),
			  min_grid);
}
