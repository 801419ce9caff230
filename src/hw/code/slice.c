/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a loop's end depends on.
 *
 * Start from the branches that leave the loop: the predicates they test are wanted. Walk backwards
 * through the loop, around it as often as something changes: an instruction that writes what is
 * wanted makes what it reads wanted in turn, and what it surely overwrites is wanted no more. A
 * branch inside the loop joins in when it chooses whether an instruction of the slice, or a branch
 * that leaves, runs at all. If the slice takes in a load or atomic that shows what other blocks
 * write, the loop may wait for them, unless excuse.c knows the pattern.
 *
 * Values that take a detour (one thread polls, writes to shared memory, all read it behind a
 * barrier; a spill; __syncthreads_or) pass through three pseudo registers, REG_SHARED and its like.
 *
 * The slice ends at floating-point arithmetic. Kernels that read their data as volatile, and
 * compare sums of it, would otherwise be taken for gangs.
 *
 * What it does badly: all of shared memory is one register, so a loop whose counter lives there
 * next to a polled value is taken to depend on both. Weak loads end the slice, also when the value
 * was stored by the polling thread itself.
 *
 * Tested by tests/unit/code_corpus.c.
 */
#include "hw/code/slice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DECIDES  1u /* its last instruction belongs to the slice */
#define IN_SLICE 2u /* some instruction does */
#define DIRTY    4u /* more is wanted behind it than when it was last walked */

static int in_region(const struct slicer *slicer, uint32_t block, uint32_t id)
{
	return block != GRAPH_NONE && block != GRAPH_LEAVES && slicer->region_of[block] == id;
}

static int leaves_region(const struct slicer *slicer, uint32_t block, uint32_t id)
{
	const uint32_t *next = slicer->graph->blocks[block].next;

	for (int edge = 0; edge < 2; edge++) {
		if (next[edge] != GRAPH_NONE && !in_region(slicer, next[edge], id))
			return 1;
	}
	return 0;
}

static int is_chosen_by(const struct slicer *slicer, uint32_t branch, uint32_t id)
{
	const struct block *blocks = slicer->graph->blocks;
	uint32_t until = blocks[branch].follows;

	for (int edge = 0; edge < 2; edge++) {
		uint32_t block = blocks[branch].next[edge];

		while (block != until && in_region(slicer, block, id)) {
			if (slicer->flags[block] & (DECIDES | IN_SLICE))
				return 1;
			block = blocks[block].follows;
		}
	}
	return 0;
}

/* Branches inside the region that choose whether the slice runs; returns whether there were new. */
static int add_choices(struct slicer *slicer, const uint32_t *blocks, uint32_t count, uint32_t id)
{
	int changed = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t block = blocks[i];

		if (slicer->graph->blocks[block].next[1] == GRAPH_NONE ||
		    slicer->flags[block] & DECIDES || !is_chosen_by(slicer, block, id))
			continue;
		slicer->flags[block] |= DECIDES | DIRTY;
		changed = 1;
	}
	return changed;
}

static int is_hit(const struct slicer *slicer, const struct insn *insn, uint32_t index,
		  struct slice_hit *hit)
{
	enum op_class class = (enum op_class)insn->op->class;

	hit->index = index;
	hit->reason = class == OP_CAS    ? CODE_LOCK
		      : class == OP_LOAD ? CODE_STRONG_LOAD
					 : CODE_ATOMIC;
	if (class == OP_UNKNOWN) {
		hit->reason = CODE_UNKNOWN;
		return 1;
	}
	if (!insn_reads_other_blocks(insn))
		return 0;
	return class == OP_LOAD || !excuse_atomic(slicer->graph, slicer->region_of, index);
}

static int pass_call(const struct slicer *slicer, uint32_t index, struct regs *wanted,
		     struct slice_hit *hit)
{
	uint32_t callee = graph_callee(slicer->graph, index);

	if (callee == GRAPH_NONE || !regs_meet(&slicer->effects[callee].defs, wanted))
		return 0;
	(void)regs_join(wanted, &slicer->effects[callee].uses);
	hit->reason = CODE_CALL;
	hit->index = slicer->effects[callee].source;
	return hit->index != GRAPH_NONE;
}

/* One instruction, backwards. Returns 1 for a hit. */
static int pass_insn(const struct slicer *slicer, uint32_t index, struct regs *wanted,
		     uint8_t *flags, struct slice_hit *hit)
{
	struct insn insn = graph_insn(slicer->graph, index);
	struct regs defs, kills, uses;

	if (insn.op->class == OP_CALL)
		return pass_call(slicer, index, wanted, hit);
	if (!insn_may_write(&insn, wanted))
		return 0;
	insn_defs(&insn, &defs, &kills);
	if (!regs_meet(&defs, wanted))
		return 0;
	regs_drop(wanted, &kills);
	/* Sums and products are data: nobody signals with them. Comparisons are followed. */
	if (insn_is_float_arithmetic(&insn))
		return 0;
	insn_uses(&insn, &uses);
	(void)regs_join(wanted, &uses);
	*flags |= IN_SLICE;
	return is_hit(slicer, &insn, index, hit);
}

static void mark_preds(struct slicer *slicer, uint32_t block)
{
	const struct graph *graph = slicer->graph;

	for (uint32_t i = graph->pred_first[block]; i < graph->pred_first[block + 1]; i++)
		slicer->flags[graph->preds[i]] |= DIRTY;
}

/* Returns 1 for a hit. */
static int pass_block(struct slicer *slicer, uint32_t block, uint32_t id, struct slice_hit *hit)
{
	const struct block *b = &slicer->graph->blocks[block];
	struct regs wanted = {0};

	slicer->flags[block] &= (uint8_t)~DIRTY;
	for (int edge = 0; edge < 2; edge++) {
		if (in_region(slicer, b->next[edge], id))
			(void)regs_join(&wanted, &slicer->wanted[b->next[edge]]);
	}
	if (slicer->flags[block] & DECIDES) {
		struct insn last = graph_insn(slicer->graph, b->end - 1);
		struct regs uses;

		insn_uses(&last, &uses);
		(void)regs_join(&wanted, &uses);
	}
	for (uint32_t i = b->end; i-- > b->first;) {
		if (pass_insn(slicer, i, &wanted, &slicer->flags[block], hit))
			return 1;
	}
	if (regs_join(&slicer->wanted[block], &wanted))
		mark_preds(slicer, block);
	return 0;
}

/* Walks what is dirty until nothing is. Returns 1 for a hit. */
static int pass_dirty(struct slicer *slicer, const uint32_t *blocks, uint32_t count, uint32_t id,
		      struct slice_hit *hit)
{
	int walked = 1;

	while (walked) {
		walked = 0;
		for (uint32_t i = 0; i < count; i++) {
			if (!(slicer->flags[blocks[i]] & DIRTY))
				continue;
			walked = 1;
			if (pass_block(slicer, blocks[i], id, hit))
				return 1;
		}
	}
	return 0;
}

int slice_region(struct slicer *slicer, const uint32_t *blocks, uint32_t nr_blocks,
		 struct slice_hit *ret_hit)
{
	uint32_t id = slicer->region_of[blocks[0]];

	for (uint32_t i = 0; i < nr_blocks; i++) {
		memset(&slicer->wanted[blocks[i]], 0, sizeof(slicer->wanted[0]));
		slicer->flags[blocks[i]] =
			leaves_region(slicer, blocks[i], id) ? DECIDES | DIRTY : 0;
	}
	do {
		if (pass_dirty(slicer, blocks, nr_blocks, id, ret_hit))
			return 1;
	} while (add_choices(slicer, blocks, nr_blocks, id));
	return 0;
}

struct visit {
	uint32_t *stack; /* blocks to visit, each once */
	uint32_t depth;
};

static void visit_block(struct slicer *slicer, struct visit *visit, uint32_t block)
{
	if (block == GRAPH_NONE || block == GRAPH_LEAVES || slicer->flags[block])
		return;
	slicer->flags[block] = 1;
	visit->stack[visit->depth++] = block;
}

static void add_insn_effect(struct slicer *slicer, struct visit *visit, uint32_t index,
			    struct function_effect *effect)
{
	struct insn insn = graph_insn(slicer->graph, index);
	struct regs regs, kills;
	uint32_t callee;

	insn_uses(&insn, &regs);
	(void)regs_join(&effect->uses, &regs);
	insn_defs(&insn, &regs, &kills);
	(void)regs_join(&effect->defs, &regs);
	if (effect->source == GRAPH_NONE && insn_reads_other_blocks(&insn))
		effect->source = index;
	if (insn.op->class != OP_CALL)
		return;
	callee = graph_callee(slicer->graph, index);
	if (callee != GRAPH_NONE)
		visit_block(slicer, visit, slicer->graph->block_of[slicer->graph->roots[callee]]);
}

/* All blocks of a function, and of those it calls. */
static void find_effect(struct slicer *slicer, uint32_t root)
{
	const struct graph *graph = slicer->graph;
	struct visit visit = {.stack = graph->scratch};

	memset(slicer->flags, 0, graph->nr_blocks);
	visit_block(slicer, &visit, graph->block_of[graph->roots[root]]);
	while (visit.depth > 0) {
		const struct block *block = &graph->blocks[visit.stack[--visit.depth]];

		for (uint32_t i = block->first; i < block->end; i++)
			add_insn_effect(slicer, &visit, i, &slicer->effects[root]);
		visit_block(slicer, &visit, block->next[0]);
		visit_block(slicer, &visit, block->next[1]);
	}
}

static void find_sources(struct slicer *slicer, uint32_t block)
{
	const struct graph *graph = slicer->graph;

	for (uint32_t i = graph->blocks[block].first; i < graph->blocks[block].end; i++) {
		struct insn insn = graph_insn(graph, i);
		uint32_t callee;

		slicer->has_source[block] |= (uint8_t)insn_reads_other_blocks(&insn);
		if (insn.op->class != OP_CALL)
			continue;
		callee = graph_callee(graph, i);
		if (callee != GRAPH_NONE && slicer->effects[callee].source != GRAPH_NONE)
			slicer->has_source[block] = 1;
	}
}

int slicer_open(struct slicer *slicer, const struct graph *graph, const uint32_t *region_of)
{
	*slicer = (struct slicer){.graph = graph, .region_of = region_of};
	slicer->wanted = calloc(graph->nr_blocks, sizeof(*slicer->wanted));
	slicer->flags = calloc(graph->nr_blocks, sizeof(*slicer->flags));
	slicer->effects = calloc(graph->nr_roots, sizeof(*slicer->effects));
	slicer->has_source = calloc(graph->nr_blocks, sizeof(*slicer->has_source));
	if (!slicer->wanted || !slicer->flags || !slicer->effects || !slicer->has_source)
		return -ENOMEM;
	for (uint32_t i = 0; i < graph->nr_roots; i++) {
		slicer->effects[i].source = GRAPH_NONE;
		if (i > 0)
			find_effect(slicer, i);
	}
	for (uint32_t i = 1; i < graph->nr_blocks; i++)
		find_sources(slicer, i);
	return 0;
}

void slicer_close(struct slicer *slicer)
{
	free(slicer->wanted);
	free(slicer->flags);
	free(slicer->effects);
	free(slicer->has_source);
}
