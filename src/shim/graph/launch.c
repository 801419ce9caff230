/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graph launches of a program under a daemon: as one, or in steps.
 *
 * Who borrows TPCs from an owner launches only what can be taken back, and a graph cannot: so it
 * goes in steps (steps.c). Where nobody could come back for the TPCs, it goes as one.
 *
 * Tested by tests/integration/graph_steps.bats.
 */
#include <stddef.h>

#include "shim/graph/steps.h"
#include "shim/link/share.h"
#include "shim/queue/launch.h"
#include "shim/queue/mode.h"
#include "shim/queue/ops.h"
#include "shim/queue/streams.h"
#include "shim/tenant.h"
#include "shim/thread.h"
#include "shim/track/execs.h"

/* The steps of a graph that may have to be launched in steps, now or another time; NULL: never. */
static struct graph_steps *steps_of(CUgraphExec handle, CUstream stream, int is_per_thread_call)
{
	struct exec *exec;

	if (!tenant.stats || !handle || !share_is_best_effort())
		return NULL;
	exec = exec_of(thread_self(), handle);
	if (!exec || !exec_steps(exec))
		return NULL;
	if ((atomic_load_explicit(&queue_state, memory_order_relaxed) & STATE_CAPTURE) &&
	    stream_is_captured(stream, is_per_thread_call))
		return NULL;
	return exec_steps(exec);
}

static CUresult graph_launch(CUgraphExec exec, CUstream stream, int is_per_thread_call)
{
	struct graph_steps *steps = steps_of(exec, stream, is_per_thread_call);
	CUresult result;

	if (!steps)
		return launch_graph_whole(exec, stream, is_per_thread_call);
	if (share_must_yield() && !queue_never_holds()) {
		thread_count(STATS_graphs_in_steps);
		return graph_steps_launch(steps, stream, is_per_thread_call);
	}
	result = graph_steps_before_whole(steps, stream, is_per_thread_call);
	if (result == CUDA_SUCCESS)
		result = launch_graph_whole(exec, stream, is_per_thread_call);
	if (result == CUDA_SUCCESS)
		graph_steps_after_whole(steps, stream, is_per_thread_call);
	return result;
}

CUresult queued_cuGraphLaunch(CUgraphExec exec, CUstream stream)
{
	return graph_launch(exec, stream, 0);
}

CUresult queued_cuGraphLaunch_ptsz(CUgraphExec exec, CUstream stream)
{
	return graph_launch(exec, stream, 1);
}
