/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adding nodes by description, and reading and changing descriptions of kernels.
 *
 * Copies are rectangles: a depth above 1 is refused. Kernel parameters are copied when the node is
 * made, as CUDA promises. Tested by tests/unit/sim_driver_graphs.c, sim_driver_nodes.c.
 */
#include "sim/graph/graph.h"

#include <stdlib.h>
#include <string.h>

#include "sim/graph/exec.h"
#include "sim/kernel/launch.h"
#include "sim/memory/memory.h"

CUresult op_of_kernel_params_locked(const CUDA_KERNEL_NODE_PARAMS *params, struct op *ret_op)
{
	struct op_kernel *kernel = &ret_op->kernel;
	CUfunction handle = params->func ? params->func : (CUfunction)(void *)params->kern;
	CUresult r;

	memset(ret_op, 0, sizeof(*ret_op));
	r = func_of_locked(handle, &kernel->func);
	if (r)
		return r;
	kernel->grid[0] = params->gridDimX;
	kernel->grid[1] = params->gridDimY;
	kernel->grid[2] = params->gridDimZ;
	kernel->block[0] = params->blockDimX;
	kernel->block[1] = params->blockDimY;
	kernel->block[2] = params->blockDimZ;
	kernel->dynamic_shared = params->sharedMemBytes;
	for (int i = 0; i < 3; i++) {
		const uint32_t *fixed = kernel->func->entry->cluster;

		kernel->cluster[i] = fixed[0] ? fixed[i] : 1;
	}
	r = kernel_check_locked(kernel);
	if (!r)
		r = kernel_params_read(
			kernel, &(struct launch_params){params->kernelParams, params->extra});
	ret_op->kind = OP_KERNEL;
	return r;
}

CUresult op_of_copy_params_locked(const CUDA_MEMCPY3D *p, struct op *ret_op)
{
	struct op_copy *copy = &ret_op->copy;
	const char *src =
		p->srcMemoryType == CU_MEMORYTYPE_HOST ? p->srcHost : (const void *)p->srcDevice;
	char *dst = p->dstMemoryType == CU_MEMORYTYPE_HOST ? p->dstHost : (void *)p->dstDevice;

	memset(ret_op, 0, sizeof(*ret_op));
	if (p->Depth > 1 || p->srcMemoryType == CU_MEMORYTYPE_ARRAY ||
	    p->dstMemoryType == CU_MEMORYTYPE_ARRAY)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (!src || !dst || p->srcZ || p->dstZ)
		return CUDA_ERROR_INVALID_VALUE;
	ret_op->kind = OP_COPY;
	copy->src_pitch = p->srcPitch ? p->srcPitch : p->WidthInBytes;
	copy->dst_pitch = p->dstPitch ? p->dstPitch : p->WidthInBytes;
	copy->src = src + p->srcY * copy->src_pitch + p->srcXInBytes;
	copy->dst = dst + p->dstY * copy->dst_pitch + p->dstXInBytes;
	copy->width = p->WidthInBytes;
	copy->height = p->Height;
	copy->crosses_bus =
		p->srcMemoryType == CU_MEMORYTYPE_HOST || p->dstMemoryType == CU_MEMORYTYPE_HOST;
	return CUDA_SUCCESS;
}

CUresult op_of_set_params_locked(const CUDA_MEMSET_NODE_PARAMS *p, struct op *ret_op)
{
	size_t row = p->width * p->elementSize;

	if (p->elementSize != 1 && p->elementSize != 2 && p->elementSize != 4)
		return CUDA_ERROR_INVALID_VALUE;
	*ret_op = (struct op){.kind = OP_SET,
			      .set = {.dst = (void *)p->dst,
				      .pitch = p->pitch,
				      .value = p->value,
				      .element = p->elementSize,
				      .width = p->width,
				      .height = p->height}};
	return p->height ? memory_check_locked(p->dst, p->pitch * (p->height - 1) + row)
			 : CUDA_ERROR_INVALID_VALUE;
}

/* What every cuGraphAdd call has in common. */
struct place {
	CUgraphNode *ret_node;
	CUgraph graph;
	const CUgraphNode *deps;
	size_t nr_deps;
};

static CUresult enter_place(const struct place *place, const void *params)
{
	CUresult r = enter();

	if (r)
		return r;
	if (!place->ret_node || !params || (place->nr_deps && !place->deps) ||
	    !object_is_locked(place->graph, OBJECT_GRAPH))
		return leave(CUDA_ERROR_INVALID_VALUE);
	return CUDA_SUCCESS;
}

/* Adds the operation unless making it failed, frees it, and gives the lock back. */
static CUresult add_and_leave(const struct place *place, struct op *op, CUresult r)
{
	if (!r)
		r = graph_add_locked(place->graph, op, place->deps, place->nr_deps,
				     place->ret_node);
	op_free(op);
	return leave(r);
}

CUresult cuGraphAddKernelNode_v2(CUgraphNode *phGraphNode, CUgraph hGraph,
				 const CUgraphNode *dependencies, size_t numDependencies,
				 const CUDA_KERNEL_NODE_PARAMS *nodeParams)
{
	struct place place = {phGraphNode, hGraph, dependencies, numDependencies};
	struct op op;
	CUresult r = enter_place(&place, nodeParams);

	return r ? r : add_and_leave(&place, &op, op_of_kernel_params_locked(nodeParams, &op));
}

static CUDA_KERNEL_NODE_PARAMS from_v1(const CUDA_KERNEL_NODE_PARAMS_v1 *old)
{
	return (CUDA_KERNEL_NODE_PARAMS){
		.func = old->func,
		.gridDimX = old->gridDimX,
		.gridDimY = old->gridDimY,
		.gridDimZ = old->gridDimZ,
		.blockDimX = old->blockDimX,
		.blockDimY = old->blockDimY,
		.blockDimZ = old->blockDimZ,
		.sharedMemBytes = old->sharedMemBytes,
		.kernelParams = old->kernelParams,
		.extra = old->extra,
	};
}

CUresult cuGraphAddKernelNode(CUgraphNode *phGraphNode, CUgraph hGraph,
			      const CUgraphNode *dependencies, size_t numDependencies,
			      const CUDA_KERNEL_NODE_PARAMS_v1 *nodeParams)
{
	CUDA_KERNEL_NODE_PARAMS params;

	if (!nodeParams)
		return CUDA_ERROR_INVALID_VALUE;
	params = from_v1(nodeParams);
	return cuGraphAddKernelNode_v2(phGraphNode, hGraph, dependencies, numDependencies, &params);
}

CUresult cuGraphAddMemcpyNode(CUgraphNode *phGraphNode, CUgraph hGraph,
			      const CUgraphNode *dependencies, size_t numDependencies,
			      const CUDA_MEMCPY3D *copyParams, CUcontext ctx)
{
	struct place place = {phGraphNode, hGraph, dependencies, numDependencies};
	struct op op;
	CUresult r = enter_place(&place, copyParams);

	(void)ctx;
	return r ? r : add_and_leave(&place, &op, op_of_copy_params_locked(copyParams, &op));
}

CUresult cuGraphAddMemsetNode(CUgraphNode *phGraphNode, CUgraph hGraph,
			      const CUgraphNode *dependencies, size_t numDependencies,
			      const CUDA_MEMSET_NODE_PARAMS *memsetParams, CUcontext ctx)
{
	struct place place = {phGraphNode, hGraph, dependencies, numDependencies};
	struct op op = {.kind = OP_EMPTY};
	CUresult r = enter_place(&place, memsetParams);

	(void)ctx;
	return r ? r : add_and_leave(&place, &op, op_of_set_params_locked(memsetParams, &op));
}

CUresult cuGraphAddHostNode(CUgraphNode *phGraphNode, CUgraph hGraph,
			    const CUgraphNode *dependencies, size_t numDependencies,
			    const CUDA_HOST_NODE_PARAMS *nodeParams)
{
	struct place place = {phGraphNode, hGraph, dependencies, numDependencies};
	struct op op = {.kind = OP_HOST};
	CUresult r = enter_place(&place, nodeParams);

	if (r)
		return r;
	op.host.fn = nodeParams->fn;
	op.host.user = nodeParams->userData;
	return add_and_leave(&place, &op, op.host.fn ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
}

CUresult cuGraphAddEmptyNode(CUgraphNode *phGraphNode, CUgraph hGraph,
			     const CUgraphNode *dependencies, size_t numDependencies)
{
	struct place place = {phGraphNode, hGraph, dependencies, numDependencies};
	struct op op = {.kind = OP_EMPTY};
	CUresult r = enter_place(&place, &place);

	return r ? r : add_and_leave(&place, &op, CUDA_SUCCESS);
}

static CUresult add_event(const struct place *place, CUevent event, enum op_kind kind)
{
	struct op op = {.kind = kind, .event = event};
	CUresult r = enter_place(place, event);

	if (r)
		return r;
	return add_and_leave(place, &op,
			     object_is_locked(event, OBJECT_EVENT) ? CUDA_SUCCESS
								   : CUDA_ERROR_INVALID_HANDLE);
}

CUresult cuGraphAddEventRecordNode(CUgraphNode *phGraphNode, CUgraph hGraph,
				   const CUgraphNode *dependencies, size_t numDependencies,
				   CUevent event)
{
	struct place place = {phGraphNode, hGraph, dependencies, numDependencies};

	return add_event(&place, event, OP_RECORD);
}

CUresult cuGraphAddEventWaitNode(CUgraphNode *phGraphNode, CUgraph hGraph,
				 const CUgraphNode *dependencies, size_t numDependencies,
				 CUevent event)
{
	struct place place = {phGraphNode, hGraph, dependencies, numDependencies};

	return add_event(&place, event, OP_WAIT);
}

CUresult cuGraphAddNode(CUgraphNode *phGraphNode, CUgraph hGraph, const CUgraphNode *dependencies,
			size_t numDependencies, CUgraphNodeParams *nodeParams)
{
	if (!nodeParams)
		return CUDA_ERROR_INVALID_VALUE;
	switch ((int)nodeParams->type) {
	case CU_GRAPH_NODE_TYPE_KERNEL: {
		/* The third layout of the same description differs in its tail only. */
		CUDA_KERNEL_NODE_PARAMS params;

		memcpy(&params, &nodeParams->kernel, sizeof(params));
		return cuGraphAddKernelNode_v2(phGraphNode, hGraph, dependencies, numDependencies,
					       &params);
	}
	case CU_GRAPH_NODE_TYPE_MEMCPY:
		return cuGraphAddMemcpyNode(phGraphNode, hGraph, dependencies, numDependencies,
					    &nodeParams->memcpy.copyParams, NULL);
	case CU_GRAPH_NODE_TYPE_EMPTY:
		return cuGraphAddEmptyNode(phGraphNode, hGraph, dependencies, numDependencies);
	default:
		return CUDA_ERROR_NOT_SUPPORTED;
	}
}

CUresult cuGraphAddNode_v2(CUgraphNode *phGraphNode, CUgraph hGraph,
			   const CUgraphNode *dependencies, const CUgraphEdgeData *dependencyData,
			   size_t numDependencies, CUgraphNodeParams *nodeParams)
{
	(void)dependencyData;
	return cuGraphAddNode(phGraphNode, hGraph, dependencies, numDependencies, nodeParams);
}

static CUresult enter_kernel_node(CUgraphNode node, const void *params)
{
	CUresult r = enter();

	if (r)
		return r;
	if (!params || !object_is_locked(node, OBJECT_NODE) || node->op.kind != OP_KERNEL)
		return leave(CUDA_ERROR_INVALID_VALUE);
	return CUDA_SUCCESS;
}

static CUresult point_at_params(struct CUgraphNode_st *node)
{
	const struct ptx_entry *entry = node->op.kernel.func->entry;
	void **pointers = calloc(entry->nr_params + 1, sizeof(*pointers));

	if (!pointers)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (uint32_t i = 0; i < entry->nr_params; i++)
		pointers[i] = (char *)node->op.kernel.params + entry->param[i].offset;
	free(node->param_pointers);
	node->param_pointers = pointers;
	return CUDA_SUCCESS;
}

CUresult cuGraphKernelNodeGetParams_v2(CUgraphNode hNode, CUDA_KERNEL_NODE_PARAMS *nodeParams)
{
	const struct op_kernel *kernel;
	CUresult r = enter_kernel_node(hNode, nodeParams);

	if (r)
		return r;
	r = point_at_params(hNode);
	if (r)
		return leave(r);
	kernel = &hNode->op.kernel;
	*nodeParams = (CUDA_KERNEL_NODE_PARAMS){
		.func = kernel->func,
		.gridDimX = kernel->grid[0],
		.gridDimY = kernel->grid[1],
		.gridDimZ = kernel->grid[2],
		.blockDimX = kernel->block[0],
		.blockDimY = kernel->block[1],
		.blockDimZ = kernel->block[2],
		.sharedMemBytes = kernel->dynamic_shared,
		.kernelParams = hNode->param_pointers,
	};
	return leave(CUDA_SUCCESS);
}

CUresult cuGraphKernelNodeGetParams(CUgraphNode hNode, CUDA_KERNEL_NODE_PARAMS_v1 *nodeParams)
{
	CUDA_KERNEL_NODE_PARAMS params;
	CUresult r = nodeParams ? cuGraphKernelNodeGetParams_v2(hNode, &params)
				: CUDA_ERROR_INVALID_VALUE;

	/* The newer layout begins with the older one. */
	if (!r)
		memcpy(nodeParams, &params, sizeof(*nodeParams));
	return r;
}

/* The new operation keeps what the description does not say: cluster and cooperative. */
static void replace_op(struct op *op, struct op *fresh)
{
	memcpy(fresh->kernel.cluster, op->kernel.cluster, sizeof(op->kernel.cluster));
	fresh->kernel.cooperative = op->kernel.cooperative;
	op_free(op);
	*op = *fresh;
}

CUresult cuGraphKernelNodeSetParams_v2(CUgraphNode hNode, const CUDA_KERNEL_NODE_PARAMS *nodeParams)
{
	struct op op;
	CUresult r = enter_kernel_node(hNode, nodeParams);

	if (r)
		return r;
	r = op_of_kernel_params_locked(nodeParams, &op);
	if (!r)
		replace_op(&hNode->op, &op);
	return leave(r);
}

CUresult cuGraphKernelNodeSetParams(CUgraphNode hNode, const CUDA_KERNEL_NODE_PARAMS_v1 *nodeParams)
{
	CUDA_KERNEL_NODE_PARAMS params;

	if (!nodeParams)
		return CUDA_ERROR_INVALID_VALUE;
	params = from_v1(nodeParams);
	return cuGraphKernelNodeSetParams_v2(hNode, &params);
}

CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec hGraphExec, CUgraphNode hNode,
					   const CUDA_KERNEL_NODE_PARAMS *nodeParams)
{
	struct exec_node *node;
	struct op op;
	CUresult r = enter_kernel_node(hNode, nodeParams);

	if (r)
		return r;
	node = exec_node_of_locked(hGraphExec, hNode);
	if (!node)
		return leave(CUDA_ERROR_INVALID_VALUE);
	r = op_of_kernel_params_locked(nodeParams, &op);
	if (!r) {
		replace_op(&node->op, &op);
		node->is_announced = 0;
	}
	return leave(r);
}

CUresult cuGraphExecKernelNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode,
					const CUDA_KERNEL_NODE_PARAMS_v1 *nodeParams)
{
	CUDA_KERNEL_NODE_PARAMS params;

	if (!nodeParams)
		return CUDA_ERROR_INVALID_VALUE;
	params = from_v1(nodeParams);
	return cuGraphExecKernelNodeSetParams_v2(hGraphExec, hNode, &params);
}
