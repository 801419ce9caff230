/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control flow of a kernel: basic blocks, their edges, and which blocks always follow which.
 *
 * block     a run of instructions entered only at its first, left only after its last
 * function  the kernel, or what a call with a constant target goes to; a call is taken to return
 *           to the next instruction, so the blocks of two functions are not joined by edges
 */
#ifndef LITHOS_HW_CODE_GRAPH_H
#define LITHOS_HW_CODE_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#include "hw/code/decode.h"
#include "hw/code/gang.h"

#define GRAPH_NONE          UINT32_MAX
#define GRAPH_MAX_FUNCTIONS 64u
#define GRAPH_LEAVES        0u /* pseudo block: the end of the thread or function */

#define MARK_REACHED 1u
#define MARK_LEADER  2u

struct block {
	uint32_t first, end; /* instructions [first, end) */
	uint32_t next[2];    /* blocks; GRAPH_NONE. 0: falls through, 1: jumps */
	uint32_t follows;    /* nearest block that every way to the end goes through */
	uint32_t order;      /* position in a depth-first walk towards the entry, from the end */
};

struct graph {
	const uint8_t *code;
	size_t nr_insns;
	int cc_major;
	uint8_t *marks;     /* an instruction: MARK_x */
	uint32_t *block_of; /* an instruction: its block; GRAPH_NONE if never reached */
	struct block *blocks;
	uint32_t nr_blocks;   /* with the pseudo block */
	uint32_t *pred_first; /* a block: start of its list in preds; nr_blocks + 1 entries */
	uint32_t *preds;
	uint32_t *scratch;                   /* 4 words a block, for whoever walks */
	uint32_t roots[GRAPH_MAX_FUNCTIONS]; /* instructions: entries of functions */
	uint32_t nr_roots;
	uint32_t indirect, tables, truncated,
		unknown;     /* instruction that was first such, or NONE */
	uint32_t nr_sources; /* reached instructions that read what other blocks write */
};

/* 0, -ENOMEM, -E2BIG (too many functions). graph_free() in any case. */
int graph_build(struct graph *graph, const struct code_input *input);
void graph_free(struct graph *graph);

/* Fills `follows` of every block. Part of graph_build(). */
void graph_find_follows(struct graph *graph);

static inline struct insn graph_insn(const struct graph *graph, uint32_t index)
{
	return insn_read(graph->code, index, graph->cc_major);
}

/* Index in `roots` of the function that the call at `index` goes to. */
uint32_t graph_callee(const struct graph *graph, uint32_t index);

/* Is there code up to the end of the kernel, reached or not, that reads what others write? 1, 0, or
 * -1 when the end is not in sight. */
int graph_scan(const struct graph *graph, uint32_t *ret_source);

#endif
