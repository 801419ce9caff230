/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Basic blocks of a kernel whose end is not known.
 *
 * Code is read from the entry along the edges of control flow, so what lies behind the kernel
 * (padding, other kernels) is never looked at. Calls to constant targets add functions; they are
 * taken to come back to the next instruction, which is what compilers do. BSYNC goes on to the next
 * instruction, BREAK and WARPSYNC likewise: they order the threads of a warp and jump nowhere.
 *
 * A jump through a table ends a block like an exit. Its cases are not reached; whoever asks gets
 * `tables` set, and graph_scan() looks through all code up to the end mark that compilers write: a
 * branch to itself that nothing reaches.
 *
 * What it does badly: a call whose return address is not the next instruction would be misread.
 *
 * Tested by tests/unit/code_corpus.c, and with damaged code by tests/unit/code_damage.c.
 */
#include "hw/code/graph.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct walk {
	struct graph *graph;
	uint32_t
		*pending; /* instructions still to visit; each at most once for each edge into it */
	uint32_t nr_pending;
	int error;
};

static void walk_to(struct walk *walk, int64_t target, uint32_t from)
{
	struct graph *graph = walk->graph;

	if (target < 0 || (uint64_t)target >= graph->nr_insns) {
		if (graph->truncated == GRAPH_NONE)
			graph->truncated = from;
		return;
	}
	if (!(graph->marks[target] & MARK_LEADER))
		walk->pending[walk->nr_pending++] = (uint32_t)target;
	graph->marks[target] |= MARK_LEADER;
}

static void note(uint32_t *first, uint32_t index)
{
	if (*first == GRAPH_NONE)
		*first = index;
}

static void walk_call(struct walk *walk, const struct insn *insn, uint32_t index)
{
	struct graph *graph = walk->graph;
	int64_t target = insn_target(insn, index);

	/* Through a register. */
	if (insn_form(insn) != 4) {
		note(&graph->indirect, index);
		return;
	}
	walk_to(walk, target, index);
	if (target < 0 || (uint64_t)target >= graph->nr_insns)
		return;
	for (uint32_t i = 0; i < graph->nr_roots; i++) {
		if (graph->roots[i] == (uint32_t)target)
			return;
	}
	if (graph->nr_roots == GRAPH_MAX_FUNCTIONS) {
		walk->error = -E2BIG;
		return;
	}
	graph->roots[graph->nr_roots++] = (uint32_t)target;
}

static int ends_block(enum op_class class)
{
	return class == OP_BRANCH || class == OP_EXIT || class == OP_RETURN || class == OP_SWITCH ||
	       class == OP_INDIRECT;
}

static int is_unknown_jump(const struct insn *insn)
{
	return insn->op->class == OP_UNKNOWN && insn_opcode(insn) < 0x160;
}

/* Returns whether control may go on to the next instruction. */
static int walk_insn(struct walk *walk, const struct insn *insn, uint32_t index)
{
	struct graph *graph = walk->graph;
	enum op_class class = (enum op_class)insn->op->class;
	int is_call = class == OP_INDIRECT && insn_opcode(insn) == 0x143;

	if (class == OP_BRANCH)
		walk_to(walk, insn_target(insn, index), index);
	if (class == OP_CALL)
		walk_call(walk, insn, index);
	if (class == OP_SWITCH)
		note(&graph->tables, index);
	if (class == OP_INDIRECT)
		note(&graph->indirect, index);
	if (is_unknown_jump(insn))
		note(&graph->unknown, index);
	graph->nr_sources += (uint32_t)insn_reads_other_blocks(insn);
	return is_call || !ends_block(class) || !insn_is_unconditional(insn);
}

static void walk_from(struct walk *walk, uint32_t index)
{
	struct graph *graph = walk->graph;

	for (;;) {
		if (graph->marks[index] & MARK_REACHED)
			return;
		graph->marks[index] |= MARK_REACHED;

		struct insn insn = graph_insn(graph, index);

		if (!walk_insn(walk, &insn, index))
			return;
		/* What follows a jump is a block of its own. */
		if (ends_block((enum op_class)insn.op->class)) {
			walk_to(walk, (int64_t)index + 1, index);
			return;
		}
		if (index + 1 >= graph->nr_insns) {
			note(&graph->truncated, index);
			return;
		}
		index++;
	}
}

static int find_leaders(struct graph *graph)
{
	struct walk walk = {.graph = graph, .pending = graph->block_of};

	/* block_of is not in use yet, and each instruction becomes a leader once. */
	graph->roots[graph->nr_roots++] = 0;
	walk_to(&walk, 0, 0);
	while (walk.nr_pending > 0)
		walk_from(&walk, walk.pending[--walk.nr_pending]);
	return walk.error;
}

static void number_blocks(struct graph *graph)
{
	uint32_t current = GRAPH_LEAVES;

	graph->blocks[GRAPH_LEAVES] = (struct block){.next = {GRAPH_NONE, GRAPH_NONE}};
	graph->nr_blocks = 1;
	for (uint32_t i = 0; i < graph->nr_insns; i++) {
		graph->block_of[i] = GRAPH_NONE;
		if (!(graph->marks[i] & MARK_REACHED))
			continue;
		if (graph->marks[i] & MARK_LEADER) {
			current = graph->nr_blocks++;
			graph->blocks[current].first = i;
		}
		graph->block_of[i] = current;
		graph->blocks[current].end = i + 1;
	}
}

static uint32_t block_at(const struct graph *graph, int64_t index)
{
	if (index < 0 || (uint64_t)index >= graph->nr_insns)
		return GRAPH_LEAVES;
	return graph->block_of[index];
}

static void link_block(const struct graph *graph, struct block *block)
{
	uint32_t last = block->end - 1;
	struct insn insn = graph_insn(graph, last);
	enum op_class class = (enum op_class)insn.op->class;
	int is_jump = ends_block(class) && !(class == OP_INDIRECT && insn_opcode(&insn) == 0x143);

	block->next[0] = GRAPH_NONE;
	block->next[1] = GRAPH_NONE;
	if (!is_jump || !insn_is_unconditional(&insn))
		block->next[0] = block_at(graph, block->end);
	if (class == OP_BRANCH)
		block->next[1] = block_at(graph, insn_target(&insn, last));
	else if (is_jump)
		block->next[1] = GRAPH_LEAVES;
}

static void list_preds(struct graph *graph)
{
	uint32_t *first = graph->pred_first;

	for (uint32_t i = 1; i < graph->nr_blocks; i++) {
		for (int edge = 0; edge < 2; edge++) {
			if (graph->blocks[i].next[edge] != GRAPH_NONE)
				first[graph->blocks[i].next[edge]]++;
		}
	}
	/* From counts to ends; filling moves each to its start. */
	for (uint32_t i = 1; i <= graph->nr_blocks; i++)
		first[i] += first[i - 1];
	for (uint32_t i = 1; i < graph->nr_blocks; i++) {
		for (int edge = 0; edge < 2; edge++) {
			uint32_t to = graph->blocks[i].next[edge];

			if (to != GRAPH_NONE)
				graph->preds[--first[to]] = i;
		}
	}
}

static int allocate_blocks(struct graph *graph)
{
	size_t count = 1;

	for (size_t i = 0; i < graph->nr_insns; i++)
		count += (graph->marks[i] & MARK_LEADER) != 0;
	graph->blocks = calloc(count, sizeof(*graph->blocks));
	graph->pred_first = calloc(count + 1, sizeof(*graph->pred_first));
	graph->preds = calloc(2 * count, sizeof(*graph->preds));
	graph->scratch = calloc(4 * count, sizeof(*graph->scratch));
	if (!graph->blocks || !graph->pred_first || !graph->preds || !graph->scratch)
		return -ENOMEM;
	return 0;
}

int graph_build(struct graph *graph, const struct code_input *input)
{
	int r;

	*graph = (struct graph){
		.code = input->bytes,
		.nr_insns = input->nr_bytes / INSN_BYTES,
		.cc_major = input->cc_major,
		.indirect = GRAPH_NONE,
		.tables = GRAPH_NONE,
		.truncated = GRAPH_NONE,
		.unknown = GRAPH_NONE,
	};
	graph->marks = calloc(graph->nr_insns + 1, sizeof(*graph->marks));
	graph->block_of = calloc(graph->nr_insns + 1, sizeof(*graph->block_of));
	if (!graph->marks || !graph->block_of)
		return -ENOMEM;
	r = find_leaders(graph);
	if (r < 0)
		return r;
	/* Without such a read there is no question left that needs blocks. */
	if (graph->nr_sources == 0)
		return 0;
	r = allocate_blocks(graph);
	if (r < 0)
		return r;
	number_blocks(graph);
	for (uint32_t i = 1; i < graph->nr_blocks; i++)
		link_block(graph, &graph->blocks[i]);
	list_preds(graph);
	graph_find_follows(graph);
	return 0;
}

void graph_free(struct graph *graph)
{
	free(graph->marks);
	free(graph->block_of);
	free(graph->blocks);
	free(graph->pred_first);
	free(graph->preds);
	free(graph->scratch);
}

uint32_t graph_callee(const struct graph *graph, uint32_t index)
{
	struct insn insn = graph_insn(graph, index);
	int64_t target = insn_target(&insn, index);

	for (uint32_t i = 0; i < graph->nr_roots; i++) {
		if ((int64_t)graph->roots[i] == target)
			return i;
	}
	return GRAPH_NONE;
}

/* Reached, such a branch is an endless loop of the program. */
static int is_end_mark(const struct graph *graph, uint32_t index, const struct insn *insn)
{
	return insn->op->class == OP_BRANCH && insn_is_unconditional(insn) &&
	       insn_target(insn, index) == (int64_t)index && !(graph->marks[index] & MARK_REACHED);
}

int graph_scan(const struct graph *graph, uint32_t *ret_source)
{
	for (uint32_t i = 0; i < graph->nr_insns; i++) {
		struct insn insn = graph_insn(graph, i);

		if (insn_reads_other_blocks(&insn)) {
			*ret_source = i;
			return 1;
		}
		if (is_end_mark(graph, i, &insn))
			return 0;
	}
	return -1;
}
