/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs: nodes (operations) and what each waits for. All functions want the lock held. */
#ifndef LITHOS_SIM_GRAPH_H
#define LITHOS_SIM_GRAPH_H

#include "sim/driver/op.h"

struct CUgraphNode_st {
	struct object object;
	struct CUgraph_st *graph;
	struct op op;
	struct CUgraphNode_st **deps;
	size_t nr_deps;
	struct CUgraphNode_st *original; /* in the graph this one was cloned from; NULL: none */
	void **param_pointers; /* what GetParams hands out for a kernel; NULL until then */
	size_t index;          /* scratch of graph_order */
	int mark;              /* scratch of walks */
};

struct CUgraph_st {
	struct object object;
	struct CUgraphNode_st **node; /* in order of creation */
	size_t nr_nodes;
};

CUresult graph_new_locked(struct CUgraph_st **ret_graph);
void graph_free_locked(struct CUgraph_st *graph);

/* Copies the operation; checks that the dependencies are nodes of this graph. */
CUresult graph_add_locked(struct CUgraph_st *graph, const struct op *op, const CUgraphNode *deps,
			  size_t nr_deps, struct CUgraphNode_st **ret_node);
CUresult graph_add_dep_locked(struct CUgraphNode_st *from, struct CUgraphNode_st *to);
CUresult graph_clone_locked(const struct CUgraph_st *graph, struct CUgraph_st **ret_graph);

/* Every node after what it waits for, otherwise by creation; CUDA_ERROR_INVALID_VALUE for a cycle.
 */
CUresult graph_order_locked(const struct CUgraph_st *graph, struct CUgraphNode_st **ret_order);

/* node_params.c: a program's description of a node becomes an operation, to be freed with op_free.
 */
CUresult op_of_kernel_params_locked(const CUDA_KERNEL_NODE_PARAMS *params, struct op *ret_op);
CUresult op_of_copy_params_locked(const CUDA_MEMCPY3D *params, struct op *ret_op);
CUresult op_of_set_params_locked(const CUDA_MEMSET_NODE_PARAMS *params, struct op *ret_op);

#endif
