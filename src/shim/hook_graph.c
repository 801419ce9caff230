/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executable graphs: which one is being uploaded, and how often each was launched.
 *
 * The driver announces a graph's kernel nodes to the descriptor hook when it uploads the graph, in
 * the thread that called cuGraphUpload or made the first launch. Noting the graph in the thread
 * lets the hook give each node its record. Replays pass only through the launch function here.
 *
 * Tested by tests/programs/graphs.c.
 */
#include <stddef.h>

#include "base/clock.h"
#include "shim/graph/hook_exec.h"
#include "shim/slots.h"
#include "shim/split/code.h"
#include "shim/tenant.h"
#include "shim/track/execs.h"
#include "shim/track/kernels.h"

typedef CUresult (*graph_fn)(CUgraphExec exec, CUstream stream);

/* Runs `call` with the graph noted in the thread. Without statistics there is nothing to note. */
static CUresult with_exec(graph_fn call, CUgraphExec handle, CUstream stream, int is_launch)
{
	struct thread_state *t = thread_self();
	struct exec *exec = tenant.stats && handle ? exec_of(t, handle) : NULL;
	uint64_t submitted_ns = exec ? clock_now_ns() : 0;
	CUresult result;

	t->exec = exec;
	t->stream_key = handle ? (uint64_t)(uintptr_t)handle : 0;
	result = call(handle, stream);
	t->exec = NULL;
	t->stream_key = 0;
	if (exec && is_launch && result == CUDA_SUCCESS) {
		exec_launched(exec, submitted_ns);
		thread_count(STATS_graph_launches);
	}
	return result;
}

CUresult hook_cuGraphLaunch(CUgraphExec exec, CUstream stream)
{
	return with_exec(real_cuGraphLaunch, exec, stream, 1);
}

CUresult hook_cuGraphLaunch_ptsz(CUgraphExec exec, CUstream stream)
{
	return with_exec(real_cuGraphLaunch_ptsz, exec, stream, 1);
}

CUresult hook_cuGraphUpload(CUgraphExec exec, CUstream stream)
{
	return with_exec(real_cuGraphUpload, exec, stream, 0);
}

CUresult hook_cuGraphUpload_ptsz(CUgraphExec exec, CUstream stream)
{
	return with_exec(real_cuGraphUpload_ptsz, exec, stream, 0);
}

CUresult hook_cuGraphExecDestroy(CUgraphExec exec)
{
	if (tenant.stats && exec) {
		graph_changed(exec, NULL);
		exec_forget(exec);
	}
	return real_cuGraphExecDestroy(exec);
}

/*
 * Kernel handles mean other kernels once the driver has given them up, which is somewhere within
 * the call. What is known is forgotten before, so that whoever is given a handle meanwhile inherits
 * nothing; and after, as a launch that was under way may have noted the old kernel once more.
 */
static void handles_flush(void)
{
	kernels_flush();
	code_flush();
}

CUresult hook_cuModuleUnload(CUmodule module)
{
	CUresult result;

	handles_flush();
	result = real_cuModuleUnload(module);
	handles_flush();
	return result;
}

CUresult hook_cuLibraryUnload(CUlibrary library)
{
	CUresult result;

	handles_flush();
	result = real_cuLibraryUnload(library);
	handles_flush();
	return result;
}
