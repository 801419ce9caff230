/* SPDX-License-Identifier: Apache-2.0 */
/* Launches under a daemon: given to the driver at once, or held. In front of the launch hooks. */
#ifndef LITHOS_SHIM_QUEUE_LAUNCH_H
#define LITHOS_SHIM_QUEUE_LAUNCH_H

#include "shim/cuda_api.h"

#define CALL(...)
#define TYPED(name) extern __typeof__(name) queued_##name;
#include "calls.def"
#undef CALL
#undef TYPED

struct op;
struct share_request;
struct tpcset;

/* Fills in what is known of a graph; `mask` is where its set is kept for the request. */
void launch_describe_graph(CUgraphExec handle, struct share_request *request, struct tpcset *mask);

/* A second launch of the kernel of an operation, in the stream of plan_stream(). */
CUresult launch_help(struct op *op);

/* Graphs may contain events from here on: a held graph launch would have to stand in their lanes. */
void launch_graphs_have_events(void);

#endif
