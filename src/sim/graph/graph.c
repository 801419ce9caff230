/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graphs and the calls that look at or change their shape.
 *
 * A node keeps its operation and pointers to what it waits for. Nodes are few and walks rare, so
 * lists are arrays and searches linear. What nodes do is node_params.c's and exec.c's.
 *
 * Tested by tests/unit/sim_driver_graphs.c.
 */
#include "sim/graph/graph.h"

#include <stdlib.h>
#include <string.h>

CUresult graph_new_locked(struct CUgraph_st **ret_graph)
{
	struct CUgraph_st *graph = calloc(1, sizeof(*graph));

	if (!graph)
		return CUDA_ERROR_OUT_OF_MEMORY;
	object_add_locked(&graph->object, OBJECT_GRAPH);
	*ret_graph = graph;
	return CUDA_SUCCESS;
}

static void node_free_locked(struct CUgraphNode_st *node)
{
	object_remove_locked(&node->object);
	op_free(&node->op);
	free(node->deps);
	free(node->param_pointers);
	free(node);
}

void graph_free_locked(struct CUgraph_st *graph)
{
	for (size_t i = 0; i < graph->nr_nodes; i++)
		node_free_locked(graph->node[i]);
	object_remove_locked(&graph->object);
	free(graph->node);
	free(graph);
}

CUresult graph_add_dep_locked(struct CUgraphNode_st *from, struct CUgraphNode_st *to)
{
	struct CUgraphNode_st **deps = realloc(to->deps, (to->nr_deps + 1) * sizeof(CUgraphNode));

	if (!deps)
		return CUDA_ERROR_OUT_OF_MEMORY;
	to->deps = deps;
	deps[to->nr_deps++] = from;
	return CUDA_SUCCESS;
}

static CUresult add_deps(struct CUgraphNode_st *node, const CUgraphNode *deps, size_t nr_deps)
{
	CUresult r = CUDA_SUCCESS;

	for (size_t i = 0; i < nr_deps && !r; i++) {
		if (!object_is_locked(deps[i], OBJECT_NODE) || deps[i]->graph != node->graph)
			return CUDA_ERROR_INVALID_VALUE;
		r = graph_add_dep_locked(deps[i], node);
	}
	return r;
}

CUresult graph_add_locked(struct CUgraph_st *graph, const struct op *op, const CUgraphNode *deps,
			  size_t nr_deps, struct CUgraphNode_st **ret_node)
{
	struct CUgraphNode_st **nodes =
		realloc(graph->node, (graph->nr_nodes + 1) * sizeof(CUgraphNode));
	struct CUgraphNode_st *node = calloc(1, sizeof(*node));
	CUresult r = nodes && node ? op_clone(op, &node->op) : CUDA_ERROR_OUT_OF_MEMORY;

	if (nodes)
		graph->node = nodes;
	if (r) {
		free(node);
		return r;
	}
	node->graph = graph;
	object_add_locked(&node->object, OBJECT_NODE);
	r = add_deps(node, deps, nr_deps);
	if (r) {
		node_free_locked(node);
		return r;
	}
	nodes[graph->nr_nodes++] = node;
	*ret_node = node;
	return CUDA_SUCCESS;
}

/* Deps of a clone by position: the clone's nodes are in the same order. */
static CUresult clone_deps(const struct CUgraph_st *graph, struct CUgraph_st *copy)
{
	CUresult r = CUDA_SUCCESS;

	for (size_t i = 0; i < graph->nr_nodes; i++)
		graph->node[i]->index = i;
	for (size_t i = 0; i < graph->nr_nodes; i++) {
		const struct CUgraphNode_st *node = graph->node[i];

		for (size_t d = 0; d < node->nr_deps && !r; d++)
			r = graph_add_dep_locked(copy->node[node->deps[d]->index], copy->node[i]);
	}
	return r;
}

CUresult graph_clone_locked(const struct CUgraph_st *graph, struct CUgraph_st **ret_graph)
{
	struct CUgraph_st *copy;
	CUresult r = graph_new_locked(&copy);

	if (r)
		return r;
	for (size_t i = 0; i < graph->nr_nodes && !r; i++) {
		struct CUgraphNode_st *node;

		r = graph_add_locked(copy, &graph->node[i]->op, NULL, 0, &node);
		if (!r)
			node->original = graph->node[i];
	}
	if (!r)
		r = clone_deps(graph, copy);
	if (r)
		graph_free_locked(copy);
	else
		*ret_graph = copy;
	return r;
}

static int is_ready(const struct CUgraphNode_st *node)
{
	if (node->mark)
		return 0;
	for (size_t d = 0; d < node->nr_deps; d++) {
		if (!node->deps[d]->mark)
			return 0;
	}
	return 1;
}

CUresult graph_order_locked(const struct CUgraph_st *graph, struct CUgraphNode_st **ret_order)
{
	size_t done = 0;
	size_t before;

	for (size_t i = 0; i < graph->nr_nodes; i++)
		graph->node[i]->mark = 0;
	do {
		before = done;
		for (size_t i = 0; i < graph->nr_nodes; i++) {
			if (!is_ready(graph->node[i]))
				continue;
			graph->node[i]->mark = 1;
			ret_order[done++] = graph->node[i];
		}
	} while (done > before);
	return done == graph->nr_nodes ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* 0 with the lock held and the handle good, or the error. */
static CUresult enter_object(const void *handle, enum object_kind kind, const void *out)
{
	CUresult r = enter();

	if (r)
		return r;
	return out && object_is_locked(handle, kind) ? CUDA_SUCCESS
						     : leave(CUDA_ERROR_INVALID_VALUE);
}

CUresult cuGraphCreate(CUgraph *phGraph, unsigned int flags)
{
	CUresult r = enter();

	if (r)
		return r;
	if (!phGraph || flags)
		return leave(CUDA_ERROR_INVALID_VALUE);
	return leave(graph_new_locked(phGraph));
}

CUresult cuGraphDestroy(CUgraph hGraph)
{
	CUresult r = enter_object(hGraph, OBJECT_GRAPH, hGraph);

	if (r)
		return r;
	graph_free_locked(hGraph);
	return leave(CUDA_SUCCESS);
}

CUresult cuGraphClone(CUgraph *phGraphClone, CUgraph originalGraph)
{
	CUresult r = enter_object(originalGraph, OBJECT_GRAPH, phGraphClone);

	return r ? r : leave(graph_clone_locked(originalGraph, phGraphClone));
}

CUresult cuGraphNodeFindInClone(CUgraphNode *phNode, CUgraphNode hOriginalNode,
				CUgraph hClonedGraph)
{
	CUresult r = enter_object(hClonedGraph, OBJECT_GRAPH, phNode);

	if (r)
		return r;
	for (size_t i = 0; i < hClonedGraph->nr_nodes; i++) {
		if (hClonedGraph->node[i]->original == hOriginalNode) {
			*phNode = hClonedGraph->node[i];
			return leave(CUDA_SUCCESS);
		}
	}
	return leave(CUDA_ERROR_INVALID_VALUE);
}

/* An answer list: copied as far as the caller has room, counted always. */
struct answer {
	CUgraphNode *list; /* NULL: only count */
	size_t room;
	size_t nr;
};

static void answer_add(struct answer *answer, CUgraphNode node)
{
	if (answer->list && answer->nr < answer->room)
		answer->list[answer->nr] = node;
	answer->nr++;
}

/* CUDA: without a list the number there is; with one the number written. */
static void answer_end(const struct answer *answer, size_t *ret_nr)
{
	for (size_t i = answer->nr; answer->list && i < answer->room; i++)
		answer->list[i] = NULL;
	*ret_nr = answer->list && answer->nr > answer->room ? answer->room : answer->nr;
}

CUresult cuGraphGetNodes(CUgraph hGraph, CUgraphNode *nodes, size_t *numNodes)
{
	CUresult r = enter_object(hGraph, OBJECT_GRAPH, numNodes);
	struct answer answer = {.list = nodes, .room = !r && nodes ? *numNodes : 0};

	if (r)
		return r;
	for (size_t i = 0; i < hGraph->nr_nodes; i++)
		answer_add(&answer, hGraph->node[i]);
	answer_end(&answer, numNodes);
	return leave(CUDA_SUCCESS);
}

CUresult cuGraphGetRootNodes(CUgraph hGraph, CUgraphNode *rootNodes, size_t *numRootNodes)
{
	CUresult r = enter_object(hGraph, OBJECT_GRAPH, numRootNodes);
	struct answer answer = {.list = rootNodes, .room = !r && rootNodes ? *numRootNodes : 0};

	if (r)
		return r;
	for (size_t i = 0; i < hGraph->nr_nodes; i++) {
		if (!hGraph->node[i]->nr_deps)
			answer_add(&answer, hGraph->node[i]);
	}
	answer_end(&answer, numRootNodes);
	return leave(CUDA_SUCCESS);
}

CUresult cuGraphGetEdges(CUgraph hGraph, CUgraphNode *from, CUgraphNode *to, size_t *numEdges)
{
	CUresult r = enter_object(hGraph, OBJECT_GRAPH, numEdges);
	struct answer sources = {.list = from, .room = !r && from ? *numEdges : 0};
	struct answer targets = {.list = to, .room = !r && to ? *numEdges : 0};

	if (r)
		return r;
	for (size_t i = 0; i < hGraph->nr_nodes; i++) {
		for (size_t d = 0; d < hGraph->node[i]->nr_deps; d++) {
			answer_add(&sources, hGraph->node[i]->deps[d]);
			answer_add(&targets, hGraph->node[i]);
		}
	}
	answer_end(&targets, numEdges);
	answer_end(&sources, numEdges);
	return leave(CUDA_SUCCESS);
}

CUresult cuGraphNodeGetDependencies(CUgraphNode hNode, CUgraphNode *dependencies,
				    size_t *numDependencies)
{
	CUresult r = enter_object(hNode, OBJECT_NODE, numDependencies);
	struct answer answer = {.list = dependencies,
				.room = !r && dependencies ? *numDependencies : 0};

	if (r)
		return r;
	for (size_t d = 0; d < hNode->nr_deps; d++)
		answer_add(&answer, hNode->deps[d]);
	answer_end(&answer, numDependencies);
	return leave(CUDA_SUCCESS);
}

CUresult cuGraphAddDependencies(CUgraph hGraph, const CUgraphNode *from, const CUgraphNode *to,
				size_t numDependencies)
{
	CUresult r = enter_object(hGraph, OBJECT_GRAPH, hGraph);

	if (r)
		return r;
	for (size_t i = 0; i < numDependencies && !r; i++) {
		if (!object_is_locked(to[i], OBJECT_NODE) || to[i]->graph != hGraph)
			r = CUDA_ERROR_INVALID_VALUE;
		else
			r = add_deps(to[i], &from[i], 1);
	}
	return leave(r);
}

/* Edges carry no data here: what is read is zero, and nothing but zero is taken. */
static CUresult edge_data_check(const CUgraphEdgeData *data, size_t n)
{
	static const CUgraphEdgeData plain;

	for (size_t i = 0; data && i < n; i++) {
		if (memcmp(&data[i], &plain, sizeof(plain)) != 0)
			return CUDA_ERROR_NOT_SUPPORTED;
	}
	return CUDA_SUCCESS;
}

static CUresult edge_data_clear(CUresult r, CUgraphEdgeData *data, const size_t *n)
{
	if (!r && data)
		memset(data, 0, *n * sizeof(*data));
	return r;
}

CUresult cuGraphGetEdges_v2(CUgraph hGraph, CUgraphNode *from, CUgraphNode *to,
			    CUgraphEdgeData *edgeData, size_t *numEdges)
{
	return edge_data_clear(cuGraphGetEdges(hGraph, from, to, numEdges), from ? edgeData : NULL,
			       numEdges);
}

CUresult cuGraphNodeGetDependencies_v2(CUgraphNode hNode, CUgraphNode *dependencies,
				       CUgraphEdgeData *edgeData, size_t *numDependencies)
{
	return edge_data_clear(cuGraphNodeGetDependencies(hNode, dependencies, numDependencies),
			       dependencies ? edgeData : NULL, numDependencies);
}

CUresult cuGraphAddDependencies_v2(CUgraph hGraph, const CUgraphNode *from, const CUgraphNode *to,
				   const CUgraphEdgeData *edgeData, size_t numDependencies)
{
	CUresult r = edge_data_check(edgeData, numDependencies);

	return r ? r : cuGraphAddDependencies(hGraph, from, to, numDependencies);
}

CUresult cuGraphNodeGetType(CUgraphNode hNode, CUgraphNodeType *type)
{
	static const CUgraphNodeType types[] = {
		[OP_EMPTY] = CU_GRAPH_NODE_TYPE_EMPTY,
		[OP_KERNEL] = CU_GRAPH_NODE_TYPE_KERNEL,
		[OP_COPY] = CU_GRAPH_NODE_TYPE_MEMCPY,
		[OP_SET] = CU_GRAPH_NODE_TYPE_MEMSET,
		[OP_HOST] = CU_GRAPH_NODE_TYPE_HOST,
		[OP_RECORD] = CU_GRAPH_NODE_TYPE_EVENT_RECORD,
		[OP_WAIT] = CU_GRAPH_NODE_TYPE_WAIT_EVENT,
	};
	CUresult r = enter_object(hNode, OBJECT_NODE, type);

	if (r)
		return r;
	*type = types[hNode->op.kind];
	return leave(CUDA_SUCCESS);
}
