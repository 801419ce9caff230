/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executable graphs: instantiated, uploaded, launched, updated.
 *
 * As measured on hardware: the tools see each kernel node once, at the upload or else at the first
 * launch, the last node first; replays use the descriptor the tools left, so a release written into
 * it fires at every replay. Changing one node's parameters announces that node again at the next
 * launch; an update that changes nothing announces nothing.
 *
 * What it does badly: a launch runs the nodes one after the other in the stream, so branches of a
 * graph do not overlap. Tested by tests/unit/sim_driver_graphs.c.
 */
#include "sim/graph/exec.h"

#include <stdlib.h>
#include <string.h>

#include "sim/entry/tools.h"
#include "sim/kernel/launch.h"

struct exec_node *exec_node_of_locked(struct CUgraphExec_st *exec,
				      const struct CUgraphNode_st *node)
{
	if (!object_is_locked(exec, OBJECT_EXEC))
		return NULL;
	for (size_t i = 0; i < exec->nr_nodes; i++) {
		if (exec->node[i].origin == node)
			return &exec->node[i];
	}
	return NULL;
}

static void exec_free_locked(struct CUgraphExec_st *exec)
{
	for (size_t i = 0; i < exec->nr_nodes; i++)
		op_free(&exec->node[i].op);
	object_remove_locked(&exec->object);
	free(exec->node);
	free(exec);
}

/* Nodes of a graph in launch order; free it. */
static CUresult ordered(const struct CUgraph_st *graph, struct CUgraphNode_st ***ret_order)
{
	struct CUgraphNode_st **order = calloc(graph->nr_nodes + 1, sizeof(CUgraphNode));
	CUresult r = order ? graph_order_locked(graph, order) : CUDA_ERROR_OUT_OF_MEMORY;

	if (r)
		free(order);
	else
		*ret_order = order;
	return r;
}

static CUresult exec_fill(struct CUgraphExec_st *exec, const struct CUgraph_st *graph)
{
	struct CUgraphNode_st **order;
	CUresult r = ordered(graph, &order);

	if (r)
		return r;
	for (size_t i = 0; i < graph->nr_nodes && !r; i++) {
		r = op_clone(&order[i]->op, &exec->node[i].op);
		exec->node[i].origin = order[i];
		exec->nr_nodes += !r;
	}
	free(order);
	return r;
}

static CUresult instantiate(CUgraphExec *ret_exec, CUgraph graph, unsigned long long flags)
{
	struct CUgraphExec_st *exec;
	CUresult r = enter();

	if (r)
		return r;
	if (!ret_exec || !object_is_locked(graph, OBJECT_GRAPH))
		return leave(CUDA_ERROR_INVALID_VALUE);
	exec = calloc(1, sizeof(*exec));
	if (!exec)
		return leave(CUDA_ERROR_OUT_OF_MEMORY);
	object_add_locked(&exec->object, OBJECT_EXEC);
	exec->flags = flags;
	exec->node = calloc(graph->nr_nodes + 1, sizeof(*exec->node));
	r = exec->node ? exec_fill(exec, graph) : CUDA_ERROR_OUT_OF_MEMORY;
	if (r)
		exec_free_locked(exec);
	else
		*ret_exec = exec;
	return leave(r);
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *phGraphExec, CUgraph hGraph,
				     unsigned long long flags)
{
	return instantiate(phGraphExec, hGraph, flags);
}

CUresult cuGraphInstantiate_v2(CUgraphExec *phGraphExec, CUgraph hGraph, CUgraphNode *phErrorNode,
			       char *logBuffer, size_t bufferSize)
{
	if (phErrorNode)
		*phErrorNode = NULL;
	if (logBuffer && bufferSize)
		*logBuffer = 0;
	return instantiate(phGraphExec, hGraph, 0);
}

/* Announces what has no descriptor yet, the last node first; the lock is away meanwhile. */
static void upload_locked(struct CUgraphExec_st *exec, struct CUctx_st *ctx)
{
	for (size_t i = exec->nr_nodes; i-- > 0;) {
		struct exec_node *node = &exec->node[i];
		struct CUfunc_st *func = node->op.kernel.func;

		if (node->op.kind != OP_KERNEL || node->is_announced ||
		    !object_is_locked(func, OBJECT_FUNC))
			continue;
		kernel_qmd_locked(&node->op.kernel, 1, node->qmd);
		node->is_announced = 1;
		(void)leave(CUDA_SUCCESS);
		tools_announce(ctx, func->module, func, node->qmd);
		(void)pthread_mutex_lock(&sim.lock);
	}
}

static CUresult run_node_locked(struct CUstream_st *stream, const struct exec_node *node)
{
	if (node->op.kind != OP_KERNEL)
		return op_run_locked(stream, &node->op);
	/* The module may have been unloaded since. */
	if (!object_is_locked(node->op.kernel.func, OBJECT_FUNC))
		return CUDA_ERROR_INVALID_HANDLE;
	return kernel_submit_locked(stream, &node->op.kernel, node->qmd);
}

static CUresult enter_exec(CUgraphExec exec, CUstream handle, struct CUstream_st **ret_stream)
{
	CUresult r = enter_stream(handle, ret_stream);

	if (r)
		return r;
	if (!object_is_locked(exec, OBJECT_EXEC))
		return leave(CUDA_ERROR_INVALID_VALUE);
	if ((*ret_stream)->capture)
		return leave(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	return CUDA_SUCCESS;
}

CUresult cuGraphUpload(CUgraphExec hGraphExec, CUstream hStream)
{
	struct CUstream_st *stream;
	CUresult r = enter_exec(hGraphExec, hStream, &stream);

	if (r)
		return r;
	upload_locked(hGraphExec, stream->ctx);
	return leave(CUDA_SUCCESS);
}

CUresult cuGraphLaunch(CUgraphExec hGraphExec, CUstream hStream)
{
	struct CUstream_st *stream;
	CUresult r = enter_exec(hGraphExec, hStream, &stream);

	if (r)
		return r;
	upload_locked(hGraphExec, stream->ctx);
	for (size_t i = 0; i < hGraphExec->nr_nodes && !r; i++)
		r = run_node_locked(stream, &hGraphExec->node[i]);
	return leave(r);
}

CUresult cuGraphInstantiateWithParams(CUgraphExec *phGraphExec, CUgraph hGraph,
				      CUDA_GRAPH_INSTANTIATE_PARAMS *instantiateParams)
{
	CUresult r;

	if (!instantiateParams)
		return CUDA_ERROR_INVALID_VALUE;
	instantiateParams->hErrNode_out = NULL;
	r = instantiate(phGraphExec, hGraph, instantiateParams->flags);
	if (!r && instantiateParams->flags & CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD)
		r = cuGraphUpload(*phGraphExec, instantiateParams->hUploadStream);
	instantiateParams->result_out =
		r ? CUDA_GRAPH_INSTANTIATE_ERROR : CUDA_GRAPH_INSTANTIATE_SUCCESS;
	return r;
}

CUresult cuGraphInstantiateWithParams_ptsz(CUgraphExec *phGraphExec, CUgraph hGraph,
					   CUDA_GRAPH_INSTANTIATE_PARAMS *instantiateParams)
{
	if (instantiateParams && !instantiateParams->hUploadStream)
		instantiateParams->hUploadStream = CU_STREAM_PER_THREAD;
	return cuGraphInstantiateWithParams(phGraphExec, hGraph, instantiateParams);
}

CUresult cuGraphExecDestroy(CUgraphExec hGraphExec)
{
	CUresult r = enter();

	if (r)
		return r;
	if (!object_is_locked(hGraphExec, OBJECT_EXEC))
		return leave(CUDA_ERROR_INVALID_VALUE);
	/* What is queued has copied what it needs. */
	exec_free_locked(hGraphExec);
	return leave(CUDA_SUCCESS);
}

CUresult cuGraphExecGetFlags(CUgraphExec hGraphExec, cuuint64_t *flags)
{
	CUresult r = enter();

	if (r)
		return r;
	if (!flags || !object_is_locked(hGraphExec, OBJECT_EXEC))
		return leave(CUDA_ERROR_INVALID_VALUE);
	*flags = hGraphExec->flags;
	return leave(CUDA_SUCCESS);
}

static int same_kernel(const struct op_kernel *a, const struct op_kernel *b)
{
	return a->func == b->func && !memcmp(a->grid, b->grid, sizeof(a->grid)) &&
	       !memcmp(a->block, b->block, sizeof(a->block)) &&
	       !memcmp(a->cluster, b->cluster, sizeof(a->cluster)) &&
	       a->dynamic_shared == b->dynamic_shared && a->cooperative == b->cooperative &&
	       a->params_bytes == b->params_bytes && !memcmp(a->params, b->params, a->params_bytes);
}

static CUresult update_node(struct exec_node *node, const struct CUgraphNode_st *from)
{
	struct op op;
	CUresult r;

	if (node->op.kind != from->op.kind)
		return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
	if (from->op.kind == OP_KERNEL && same_kernel(&node->op.kernel, &from->op.kernel))
		return CUDA_SUCCESS;
	r = op_clone(&from->op, &op);
	if (r)
		return r;
	op_free(&node->op);
	node->op = op;
	node->is_announced = 0;
	return CUDA_SUCCESS;
}

static CUresult update_locked(struct CUgraphExec_st *exec, const struct CUgraph_st *graph,
			      struct CUgraphNode_st **ret_error)
{
	struct CUgraphNode_st **order;
	CUresult r;

	if (exec->nr_nodes != graph->nr_nodes)
		return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
	r = ordered(graph, &order);
	if (r)
		return r;
	for (size_t i = 0; i < exec->nr_nodes && !r; i++) {
		r = update_node(&exec->node[i], order[i]);
		if (r)
			*ret_error = order[i];
	}
	free(order);
	return r;
}

CUresult cuGraphExecUpdate_v2(CUgraphExec hGraphExec, CUgraph hGraph,
			      CUgraphExecUpdateResultInfo *resultInfo)
{
	struct CUgraphNode_st *error = NULL;
	CUresult r = enter();

	if (r)
		return r;
	if (!resultInfo || !object_is_locked(hGraphExec, OBJECT_EXEC) ||
	    !object_is_locked(hGraph, OBJECT_GRAPH))
		return leave(CUDA_ERROR_INVALID_VALUE);
	r = update_locked(hGraphExec, hGraph, &error);
	memset(resultInfo, 0, sizeof(*resultInfo));
	resultInfo->errorNode = error;
	resultInfo->result = !r      ? CU_GRAPH_EXEC_UPDATE_SUCCESS
			     : error ? CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED
				     : CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
	return leave(r);
}

CUresult cuGraphExecUpdate(CUgraphExec hGraphExec, CUgraph hGraph, CUgraphNode *hErrorNode_out,
			   CUgraphExecUpdateResult *updateResult_out)
{
	CUgraphExecUpdateResultInfo info = {0};
	CUresult r = cuGraphExecUpdate_v2(hGraphExec, hGraph, &info);

	if (r && r != CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE)
		return r;
	if (hErrorNode_out)
		*hErrorNode_out = info.errorNode;
	if (updateResult_out)
		*updateResult_out = info.result;
	return r;
}
