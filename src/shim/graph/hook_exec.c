/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executable graphs as they come and change, for launches in steps (steps.h).
 *
 * A tenant without TPCs of its own has its graphs read when they are instantiated, and when they
 * are updated from another graph; new parameters of a kernel are noted. Every other change makes
 * the graph one that is launched whole. Owners have nothing read: they launch their graphs as they
 * are.
 *
 * Tested by tests/programs/graphs.c and tests/integration/graph_steps.bats.
 */
#include "shim/graph/hook_exec.h"

#include <stddef.h>

#include "shim/graph/steps.h"
#include "shim/link/share.h"
#include "shim/slots.h"
#include "shim/tenant.h"
#include "shim/track/execs.h"

void graph_changed(CUgraphExec handle, CUgraph graph)
{
	struct exec *exec;

	if (!tenant.stats || !handle || !share_is_on())
		return;
	exec = exec_of(thread_self(), handle);
	if (!exec)
		return;
	graph = graph && share_is_best_effort() ? graph : NULL;
	graph_steps_free(exec_swap_steps(exec, graph ? graph_steps_read(graph) : NULL));
}

static CUresult instantiated(CUresult result, const CUgraphExec *exec, CUgraph graph)
{
	if (result == CUDA_SUCCESS && exec)
		graph_changed(*exec, graph);
	return result;
}

CUresult hook_cuGraphInstantiate(CUgraphExec *exec, CUgraph graph, CUgraphNode *error_node,
				 char *log, size_t log_bytes)
{
	return instantiated(real_cuGraphInstantiate(exec, graph, error_node, log, log_bytes), exec,
			    graph);
}

CUresult hook_cuGraphInstantiate_v2(CUgraphExec *exec, CUgraph graph, CUgraphNode *error_node,
				    char *log, size_t log_bytes)
{
	return instantiated(real_cuGraphInstantiate_v2(exec, graph, error_node, log, log_bytes),
			    exec, graph);
}

CUresult hook_cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph,
					  unsigned long long flags)
{
	return instantiated(real_cuGraphInstantiateWithFlags(exec, graph, flags), exec, graph);
}

CUresult hook_cuGraphInstantiateWithParams(CUgraphExec *exec, CUgraph graph,
					   CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
	return instantiated(real_cuGraphInstantiateWithParams(exec, graph, params), exec, graph);
}

CUresult hook_cuGraphInstantiateWithParams_ptsz(CUgraphExec *exec, CUgraph graph,
						CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
	return instantiated(real_cuGraphInstantiateWithParams_ptsz(exec, graph, params), exec,
			    graph);
}

/* --- changes ---------------------------------------------------------------------------------- */

CUresult hook_cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphNode *error_node,
				CUgraphExecUpdateResult *ret_result)
{
	CUresult result = real_cuGraphExecUpdate(exec, graph, error_node, ret_result);

	graph_changed(exec, result == CUDA_SUCCESS ? graph : NULL);
	return result;
}

CUresult hook_cuGraphExecUpdate_v2(CUgraphExec exec, CUgraph graph,
				   CUgraphExecUpdateResultInfo *info)
{
	CUresult result = real_cuGraphExecUpdate_v2(exec, graph, info);

	graph_changed(exec, result == CUDA_SUCCESS ? graph : NULL);
	return result;
}

/* A refused change changes nothing. */
static void kernel_changed(CUgraphExec handle, CUgraphNode node,
			   const CUDA_KERNEL_NODE_PARAMS *params)
{
	struct exec *exec = tenant.stats && share_is_on() ? exec_of(thread_self(), handle) : NULL;
	struct graph_steps *steps = exec ? exec_steps(exec) : NULL;

	if (steps && graph_steps_change(steps, node, params))
		graph_changed(handle, NULL);
}

CUresult hook_cuGraphExecKernelNodeSetParams_v2(CUgraphExec exec, CUgraphNode node,
						const CUDA_KERNEL_NODE_PARAMS *params)
{
	CUresult result = real_cuGraphExecKernelNodeSetParams_v2(exec, node, params);

	if (result == CUDA_SUCCESS)
		kernel_changed(exec, node, params);
	return result;
}

CUresult hook_cuGraphExecKernelNodeSetParams(CUgraphExec exec, CUgraphNode node,
					     const CUDA_KERNEL_NODE_PARAMS_v1 *params)
{
	CUresult result = real_cuGraphExecKernelNodeSetParams(exec, node, params);
	CUDA_KERNEL_NODE_PARAMS newer;

	if (result != CUDA_SUCCESS)
		return result;
	newer = (CUDA_KERNEL_NODE_PARAMS){
		.func = params->func,
		.gridDimX = params->gridDimX,
		.gridDimY = params->gridDimY,
		.gridDimZ = params->gridDimZ,
		.blockDimX = params->blockDimX,
		.blockDimY = params->blockDimY,
		.blockDimZ = params->blockDimZ,
		.sharedMemBytes = params->sharedMemBytes,
		.kernelParams = params->kernelParams,
		.extra = params->extra,
	};
	kernel_changed(exec, node, &newer);
	return result;
}

/* --- changes that make it a graph to be launched whole ---------------------------------------- */

CUresult hook_cuGraphExecNodeSetParams(CUgraphExec exec, CUgraphNode node,
				       CUgraphNodeParams *params)
{
	graph_changed(exec, NULL);
	return real_cuGraphExecNodeSetParams(exec, node, params);
}

CUresult hook_cuGraphExecMemcpyNodeSetParams(CUgraphExec exec, CUgraphNode node,
					     const CUDA_MEMCPY3D *params, CUcontext ctx)
{
	graph_changed(exec, NULL);
	return real_cuGraphExecMemcpyNodeSetParams(exec, node, params, ctx);
}

CUresult hook_cuGraphExecMemsetNodeSetParams(CUgraphExec exec, CUgraphNode node,
					     const CUDA_MEMSET_NODE_PARAMS *params, CUcontext ctx)
{
	graph_changed(exec, NULL);
	return real_cuGraphExecMemsetNodeSetParams(exec, node, params, ctx);
}

CUresult hook_cuGraphExecHostNodeSetParams(CUgraphExec exec, CUgraphNode node,
					   const CUDA_HOST_NODE_PARAMS *params)
{
	graph_changed(exec, NULL);
	return real_cuGraphExecHostNodeSetParams(exec, node, params);
}

CUresult hook_cuGraphExecChildGraphNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraph child)
{
	graph_changed(exec, NULL);
	return real_cuGraphExecChildGraphNodeSetParams(exec, node, child);
}

CUresult hook_cuGraphExecEventRecordNodeSetEvent(CUgraphExec exec, CUgraphNode node, CUevent event)
{
	graph_changed(exec, NULL);
	return real_cuGraphExecEventRecordNodeSetEvent(exec, node, event);
}

CUresult hook_cuGraphExecEventWaitNodeSetEvent(CUgraphExec exec, CUgraphNode node, CUevent event)
{
	graph_changed(exec, NULL);
	return real_cuGraphExecEventWaitNodeSetEvent(exec, node, event);
}

CUresult
hook_cuGraphExecExternalSemaphoresSignalNodeSetParams(CUgraphExec exec, CUgraphNode node,
						      const CUDA_EXT_SEM_SIGNAL_NODE_PARAMS *params)
{
	graph_changed(exec, NULL);
	return real_cuGraphExecExternalSemaphoresSignalNodeSetParams(exec, node, params);
}

CUresult
hook_cuGraphExecExternalSemaphoresWaitNodeSetParams(CUgraphExec exec, CUgraphNode node,
						    const CUDA_EXT_SEM_WAIT_NODE_PARAMS *params)
{
	graph_changed(exec, NULL);
	return real_cuGraphExecExternalSemaphoresWaitNodeSetParams(exec, node, params);
}

CUresult hook_cuGraphExecBatchMemOpNodeSetParams(CUgraphExec exec, CUgraphNode node,
						 const CUDA_BATCH_MEM_OP_NODE_PARAMS *params)
{
	graph_changed(exec, NULL);
	return real_cuGraphExecBatchMemOpNodeSetParams(exec, node, params);
}

CUresult hook_cuGraphNodeSetEnabled(CUgraphExec exec, CUgraphNode node, unsigned int is_enabled)
{
	graph_changed(exec, NULL);
	return real_cuGraphNodeSetEnabled(exec, node, is_enabled);
}
