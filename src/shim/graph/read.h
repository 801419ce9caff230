/* SPDX-License-Identifier: Apache-2.0 */
/* What steps.c and read.c share: the steps of a graph, and how they are read from its nodes. */
#ifndef LITHOS_SHIM_GRAPH_READ_H
#define LITHOS_SHIM_GRAPH_READ_H

#include <stdint.h>

#include "shim/cuda_api.h"

#define STEP_ATTRS 2u

enum step_kind {
	STEP_NOTHING,
	STEP_KERNEL,
	STEP_COPY,
	STEP_SET,
	STEP_HOST,
};

struct step {
	enum step_kind kind;
	CUgraphNode node; /* in the copy of the graph, which owns the kernel's parameters */
	CUfunction func;
	uint32_t nr_attrs;
	CUlaunchAttribute attr[STEP_ATTRS];
	union {
		CUDA_KERNEL_NODE_PARAMS kernel;
		CUDA_MEMCPY2D copy;
		CUDA_MEMSET_NODE_PARAMS set;
		CUDA_HOST_NODE_PARAMS host;
	};
};

/* The driver's functions for graphs; NULL where it lacks one. */
struct graph_driver {
	CUresult (*clone)(CUgraph *clone, CUgraph original);
	CUresult (*destroy)(CUgraph graph);
	CUresult (*find_in_clone)(CUgraphNode *node, CUgraphNode original, CUgraph clone);
	CUresult (*nodes)(CUgraph graph, CUgraphNode *nodes, size_t *nr);
	CUresult (*edges)(CUgraph graph, CUgraphNode *from, CUgraphNode *to, CUgraphEdgeData *data,
			  size_t *nr);
	CUresult (*type)(CUgraphNode node, CUgraphNodeType *type);
	CUresult (*kernel)(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS *params);
	CUresult (*kernel_set)(CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS *params);
	CUresult (*attribute)(CUgraphNode node, CUlaunchAttributeID id,
			      CUlaunchAttributeValue *value);
	CUresult (*copy)(CUgraphNode node, CUDA_MEMCPY3D *params);
	CUresult (*set)(CUgraphNode node, CUDA_MEMSET_NODE_PARAMS *params);
	CUresult (*host)(CUgraphNode node, CUDA_HOST_NODE_PARAMS *params);
	CUresult (*kernel_function)(CUfunction *func, CUkernel kernel);
	CUresult (*pointer)(void *value, CUpointer_attribute attribute, CUdeviceptr at);
};

/* Looked up at the first call; NULL when the driver lacks one of them. */
const struct graph_driver *graph_driver(void);

/*
 * Nodes of the graph, each behind those that it waits for: *ret_nr of them, to be freed; or NULL.
 */
CUgraphNode *graph_order(const struct graph_driver *driver, CUgraph graph, size_t *ret_nr);

/* 0, or -ENOTSUP: the node cannot be made a call in a stream. */
int step_read(const struct graph_driver *driver, CUgraphNode node, struct step *ret_step);

#endif
