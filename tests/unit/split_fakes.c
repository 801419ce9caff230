/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Splitting and steps of graphs, where the parts under test only call them: nobody is told
 * anything, no code is known.
 */
#include "shim/graph/hook_exec.h"
#include "shim/split/arena.h"
#include "shim/split/code.h"
#include "shim/split/epoch.h"

void epoch_raise(struct thread_state *t)
{
	(void)t;
}

void epoch_write_slow(struct thread_state *t)
{
	(void)t;
}

void code_flush(void)
{
}

int arena_run_was_joined(uint32_t run)
{
	(void)run;
	return 0;
}

void graph_changed(CUgraphExec handle, CUgraph graph)
{
	(void)handle;
	(void)graph;
}
