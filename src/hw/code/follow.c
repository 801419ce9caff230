/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Post-dominators: for each block the nearest one that every way to the end goes through.
 *
 * A branch decides whether a block runs exactly if the block lies on the way from one of the
 * branch's successors to the branch's own `follows`. That tells branches that only choose what is
 * done within an iteration from those that choose whether it is the last. The method is that of
 * Cooper, Harvey and Kennedy ("A Simple, Fast Dominance Algorithm", 2001) on the reversed graph:
 * walk against the edges from the end, number blocks as they are left, iterate to a fixed point.
 *
 * Blocks from which no way leads to the end (endless loops) get GRAPH_NONE.
 *
 * Tested by tests/unit/code_corpus.c: kernels where only control, not data, carries the value.
 */
#include "hw/code/graph.h"

#define UNSEEN GRAPH_NONE

/* Fills `order` in all blocks and returns them in `list` as left: the end comes last. */
static uint32_t number_backwards(struct graph *graph, uint32_t *list)
{
	uint32_t *stack = graph->scratch + graph->nr_blocks;
	uint32_t *at = stack + graph->nr_blocks; /* next predecessor to look at */
	uint32_t depth = 0, count = 0;

	for (uint32_t i = 0; i < graph->nr_blocks; i++)
		at[i] = UNSEEN;
	stack[depth++] = GRAPH_LEAVES;
	at[GRAPH_LEAVES] = graph->pred_first[GRAPH_LEAVES];
	while (depth > 0) {
		uint32_t block = stack[depth - 1];

		if (at[block] == graph->pred_first[block + 1]) {
			graph->blocks[block].order = count;
			list[count++] = block;
			depth--;
			continue;
		}

		uint32_t pred = graph->preds[at[block]++];

		if (at[pred] == UNSEEN) {
			at[pred] = graph->pred_first[pred];
			stack[depth++] = pred;
		}
	}
	return count;
}

static uint32_t common(const struct graph *graph, uint32_t a, uint32_t b)
{
	const struct block *blocks = graph->blocks;

	while (a != b) {
		if (blocks[a].order < blocks[b].order)
			a = blocks[a].follows;
		else
			b = blocks[b].follows;
	}
	return a;
}

static uint32_t follows_of(const struct graph *graph, const struct block *block)
{
	uint32_t best = GRAPH_NONE;

	for (int edge = 0; edge < 2; edge++) {
		uint32_t next = block->next[edge];

		if (next == GRAPH_NONE || graph->blocks[next].follows == GRAPH_NONE)
			continue;
		best = best == GRAPH_NONE ? next : common(graph, best, next);
	}
	return best;
}

void graph_find_follows(struct graph *graph)
{
	uint32_t *list = graph->scratch;
	uint32_t count = number_backwards(graph, list);
	int changed = 1;

	for (uint32_t i = 0; i < graph->nr_blocks; i++)
		graph->blocks[i].follows = GRAPH_NONE;
	graph->blocks[GRAPH_LEAVES].follows = GRAPH_LEAVES;
	while (changed) {
		changed = 0;
		for (uint32_t i = count - 1; i-- > 0;) {
			struct block *block = &graph->blocks[list[i]];
			uint32_t follows = follows_of(graph, block);

			changed |= follows != block->follows;
			block->follows = follows;
		}
	}
}
