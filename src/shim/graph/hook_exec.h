/* SPDX-License-Identifier: Apache-2.0 */
/* Executable graphs as they come, change and go. */
#ifndef LITHOS_SHIM_GRAPH_HOOK_EXEC_H
#define LITHOS_SHIM_GRAPH_HOOK_EXEC_H

#include "shim/cuda_api.h"

/* The executable graph is now what `graph` says; NULL: it is something that nobody can say. */
void graph_changed(CUgraphExec handle, CUgraph graph);

#endif
