/* SPDX-License-Identifier: Apache-2.0 */
/* Executable graphs. */
#ifndef LITHOS_SIM_EXEC_H
#define LITHOS_SIM_EXEC_H

#include "sim/graph/graph.h"
#include "sim/kernel/qmd_build.h"

struct exec_node {
	struct op op;
	const struct CUgraphNode_st *origin; /* compared, never followed: it may be gone */
	int is_announced;                    /* kernels: the descriptor below is ready */
	uint32_t qmd[QMD_BUILD_BYTES / 4];   /* kept for every replay, as the tools left it */
};

struct CUgraphExec_st {
	struct object object;
	unsigned long long flags;
	struct exec_node *node; /* in an order that respects the graph */
	size_t nr_nodes;
};

/* NULL when the executable has no such node. */
struct exec_node *exec_node_of_locked(struct CUgraphExec_st *exec,
				      const struct CUgraphNode_st *node);

#endif
