/* SPDX-License-Identifier: Apache-2.0 */
/* Launches under a daemon: given to the driver at once, or held. In front of the launch hooks. */
#ifndef LITHOS_SHIM_QUEUE_LAUNCH_H
#define LITHOS_SHIM_QUEUE_LAUNCH_H

#include "shim/cuda_api.h"
#include "shim/split/claim.h"

#define CALL(...)
#define TYPED(name) extern __typeof__(name) queued_##name;
#include "calls.def"
#undef CALL
#undef TYPED

struct launch;
struct op;
struct share_request;
struct tpcset;

/* Fills in what is known of a graph; `mask` is where its set is kept for the request. */
void launch_describe_graph(CUgraphExec handle, struct share_request *request, struct tpcset *mask);

/* As when the program calls: at once, or held. `launch` is the caller's. */
CUresult launch_by_program(const struct launch *launch);
CUresult launch_graph_whole(CUgraphExec exec, CUstream stream, int is_per_thread_call);

/* Another launch of the claimed kernel of an operation, beside what is there of it. */
CUresult launch_help(struct op *op, enum claim_help help);

/* Graphs may contain events from here on: a held graph launch would have to stand in their
 * lanes. */
void launch_graphs_have_events(void);

#endif
