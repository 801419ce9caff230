/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops as strongly connected components, in rounds.
 *
 * A round finds the maximal sets of blocks that reach one another (Tarjan 1972, without recursion).
 * Each is a loop, whatever it looks like; also one with two entries, which natural loops do not
 * cover. Then the edges into one block of each, its header, are cut: what still reaches itself in
 * the next round is a loop inside. The header is the block that is entered from outside, the first
 * in the code if there are several.
 *
 * What it does badly: two loops with one header are one, as in most compilers; of a loop with two
 * entries the inner loops depend on the choice of the header.
 *
 * Tested by tests/unit/code_corpus.c.
 */
#include "hw/code/loops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNSEEN UINT32_MAX

int loops_open(struct loops *loops, const struct graph *graph)
{
	size_t count = graph->nr_blocks;

	*loops = (struct loops){.graph = graph};
	loops->region_of = calloc(7 * count + 1, sizeof(uint32_t));
	loops->is_header = calloc(2 * count, 1);
	if (!loops->region_of || !loops->is_header)
		return -ENOMEM;
	loops->members = loops->region_of + count;
	loops->index = loops->members + count;
	loops->low = loops->index + count;
	loops->stack = loops->low + count;
	loops->calls = loops->stack + count;
	loops->starts = loops->calls + count;
	loops->on_stack = loops->is_header + count;
	return 0;
}

void loops_close(struct loops *loops)
{
	free(loops->region_of);
	free(loops->is_header);
}

void loops_reset(struct loops *loops)
{
	memset(loops->is_header, 0, loops->graph->nr_blocks);
}

struct search {
	uint32_t counter, nr_stack, nr_members;
};

static int is_self_loop(const struct loops *loops, uint32_t block)
{
	const uint32_t *next = loops->graph->blocks[block].next;

	return !loops->is_header[block] && (next[0] == block || next[1] == block);
}

/* The component that ends with `block` lies on top of the stack. Blocks in no loop are dropped. */
static void take_component(struct loops *loops, struct search *search, uint32_t block)
{
	uint32_t start = search->nr_members;
	uint32_t popped;

	do {
		popped = loops->stack[--search->nr_stack];
		loops->on_stack[popped] = 0;
		loops->members[search->nr_members++] = popped;
	} while (popped != block);
	if (search->nr_members == start + 1 && !is_self_loop(loops, block)) {
		search->nr_members = start;
		return;
	}
	loops->starts[loops->nr_loops++] = start;
	for (uint32_t i = start; i < search->nr_members; i++)
		loops->region_of[loops->members[i]] = loops->nr_loops;
}

static void enter(struct loops *loops, struct search *search, uint32_t block)
{
	loops->index[block] = loops->low[block] = search->counter++;
	loops->stack[search->nr_stack++] = block;
	loops->on_stack[block] = 1;
}

static void lower(struct loops *loops, uint32_t block, uint32_t value)
{
	if (value < loops->low[block])
		loops->low[block] = value;
}

/* Looks at the edges of `block`; returns a block that has to be entered first, or UNSEEN. */
static uint32_t next_to_enter(struct loops *loops, uint32_t block)
{
	const uint32_t *next = loops->graph->blocks[block].next;

	for (int edge = 0; edge < 2; edge++) {
		uint32_t to = next[edge];

		if (to == GRAPH_NONE || to == GRAPH_LEAVES || loops->is_header[to])
			continue;
		if (loops->index[to] == UNSEEN)
			return to;
		/* Once more after `to` was left, too: its low is final then. */
		if (loops->on_stack[to])
			lower(loops, block, loops->low[to]);
	}
	return UNSEEN;
}

static void search_from(struct loops *loops, struct search *search, uint32_t root)
{
	uint32_t depth = 0;

	enter(loops, search, root);
	loops->calls[depth++] = root;
	while (depth > 0) {
		uint32_t block = loops->calls[depth - 1];
		uint32_t to = next_to_enter(loops, block);

		if (to != UNSEEN) {
			enter(loops, search, to);
			loops->calls[depth++] = to;
			continue;
		}
		if (loops->low[block] == loops->index[block])
			take_component(loops, search, block);
		depth--;
	}
}

uint32_t loops_find(struct loops *loops)
{
	uint32_t count = loops->graph->nr_blocks;
	struct search search = {0};

	loops->nr_loops = 0;
	memset(loops->region_of, 0, count * sizeof(*loops->region_of));
	for (uint32_t i = 0; i < count; i++)
		loops->index[i] = UNSEEN;
	for (uint32_t i = 1; i < count; i++) {
		if (loops->index[i] == UNSEEN)
			search_from(loops, &search, i);
	}
	loops->starts[loops->nr_loops] = search.nr_members;
	return loops->nr_loops;
}

static int is_entered(const struct loops *loops, uint32_t block)
{
	const struct graph *graph = loops->graph;

	for (uint32_t i = graph->pred_first[block]; i < graph->pred_first[block + 1]; i++) {
		if (loops->region_of[graph->preds[i]] != loops->region_of[block])
			return 1;
	}
	return 0;
}

void loops_cut(struct loops *loops)
{
	for (uint32_t loop = 0; loop < loops->nr_loops; loop++) {
		uint32_t header = UNSEEN, first = UNSEEN;

		for (uint32_t i = loops->starts[loop]; i < loops->starts[loop + 1]; i++) {
			uint32_t block = loops->members[i];

			first = block < first ? block : first;
			if (block < header && is_entered(loops, block))
				header = block;
		}
		loops->is_header[header != UNSEEN ? header : first] = 1;
	}
}
