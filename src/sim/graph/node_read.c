/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading what a node does: copies, sets, host functions, and the attributes of kernels.
 *
 * Whether a copy was described by a host or a device pointer is not kept: both ends are said to be
 * unified, which is true of all memory here. Of the attributes, cluster and cooperative are known;
 * others read as zero. Tested by tests/unit/sim_driver_nodes.c and
 * tests/integration/graph_steps.bats.
 */
#include <string.h>

#include "sim/graph/graph.h"

static CUresult enter_node(CUgraphNode node, enum op_kind kind, const void *params)
{
	CUresult r = enter();

	if (r)
		return r;
	if (!params || !object_is_locked(node, OBJECT_NODE) || node->op.kind != kind)
		return leave(CUDA_ERROR_INVALID_VALUE);
	return CUDA_SUCCESS;
}

CUresult cuGraphMemcpyNodeGetParams(CUgraphNode hNode, CUDA_MEMCPY3D *nodeParams)
{
	CUresult r = enter_node(hNode, OP_COPY, nodeParams);
	const struct op_copy *copy;

	if (r)
		return r;
	copy = &hNode->op.copy;
	*nodeParams = (CUDA_MEMCPY3D){
		.srcMemoryType = CU_MEMORYTYPE_UNIFIED,
		.srcDevice = (CUdeviceptr)copy->src,
		.srcPitch = copy->src_pitch,
		.dstMemoryType = CU_MEMORYTYPE_UNIFIED,
		.dstDevice = (CUdeviceptr)copy->dst,
		.dstPitch = copy->dst_pitch,
		.WidthInBytes = copy->width,
		.Height = copy->height,
		.Depth = 1,
	};
	return leave(CUDA_SUCCESS);
}

CUresult cuGraphMemsetNodeGetParams(CUgraphNode hNode, CUDA_MEMSET_NODE_PARAMS *nodeParams)
{
	CUresult r = enter_node(hNode, OP_SET, nodeParams);
	const struct op_set *set;

	if (r)
		return r;
	set = &hNode->op.set;
	*nodeParams = (CUDA_MEMSET_NODE_PARAMS){
		.dst = (CUdeviceptr)set->dst,
		.pitch = set->pitch,
		.value = set->value,
		.elementSize = set->element,
		.width = set->width,
		.height = set->height,
	};
	return leave(CUDA_SUCCESS);
}

CUresult cuGraphHostNodeGetParams(CUgraphNode hNode, CUDA_HOST_NODE_PARAMS *nodeParams)
{
	CUresult r = enter_node(hNode, OP_HOST, nodeParams);

	if (r)
		return r;
	memset(nodeParams, 0, sizeof(*nodeParams));
	nodeParams->fn = hNode->op.host.fn;
	nodeParams->userData = hNode->op.host.user;
	return leave(CUDA_SUCCESS);
}

CUresult cuGraphKernelNodeGetAttribute(CUgraphNode hNode, CUkernelNodeAttrID attr,
				       CUkernelNodeAttrValue *value_out)
{
	CUresult r = enter_node(hNode, OP_KERNEL, value_out);
	const struct op_kernel *kernel;

	if (r)
		return r;
	kernel = &hNode->op.kernel;
	memset(value_out, 0, sizeof(*value_out));
	if (attr == CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
		value_out->cooperative = kernel->cooperative;
	if (attr == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION &&
	    kernel->cluster[0] * kernel->cluster[1] * kernel->cluster[2] > 1) {
		value_out->clusterDim.x = kernel->cluster[0];
		value_out->clusterDim.y = kernel->cluster[1];
		value_out->clusterDim.z = kernel->cluster[2];
	}
	return leave(CUDA_SUCCESS);
}
