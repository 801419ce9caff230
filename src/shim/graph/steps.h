/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An executable graph as the launches that it consists of.
 *
 * Glossary
 *   step   one node of a graph as a call in a stream: a kernel, a copy, a set, or a host function
 *
 * The caller keeps two threads from changing or launching the same executable graph at once, as
 * CUDA asks of programs.
 */
#ifndef LITHOS_SHIM_GRAPH_STEPS_H
#define LITHOS_SHIM_GRAPH_STEPS_H

#include "shim/cuda_api.h"

struct graph_steps;

/*
 * Reads a graph that was just instantiated. NULL when it cannot be launched in steps: a node that
 * is no call in a stream, memory that moves while a copy waits, no memory. Owned by the caller.
 */
struct graph_steps *graph_steps_read(CUgraph graph);
void graph_steps_free(struct graph_steps *steps);

/* A kernel's node has new parameters in the executable graph; -ENOENT: the steps are of no use. */
int graph_steps_change(struct graph_steps *steps, CUgraphNode node,
		       const CUDA_KERNEL_NODE_PARAMS *params);

/*
 * Launches all steps in the stream, as a program that has no graph would; and what must stand in
 * front of and behind a launch of the whole graph, so that launches of one executable graph run one
 * after the other also when they are in different streams. is_per_thread: of a _ptsz call.
 */
CUresult graph_steps_launch(struct graph_steps *steps, CUstream stream, int is_per_thread);
CUresult graph_steps_before_whole(struct graph_steps *steps, CUstream stream, int is_per_thread);
void graph_steps_after_whole(struct graph_steps *steps, CUstream stream, int is_per_thread);

#endif
