/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a loop's end depends on: a backward slice within the loop.
 *
 * region  the blocks of one loop: `regions->of[block] == id`
 * wanted  registers whose value, at that point, may decide whether the loop is left
 */
#ifndef LITHOS_HW_CODE_SLICE_H
#define LITHOS_HW_CODE_SLICE_H

#include "hw/code/graph.h"

/* What a function may read and write, with all it calls. */
struct function_effect {
	struct regs uses, defs;
	uint32_t source; /* instruction that reads what other blocks write, or GRAPH_NONE */
};

struct slicer {
	const struct graph *graph;
	const uint32_t *region_of;       /* a block: its region */
	struct function_effect *effects; /* a function */
	struct regs *wanted;             /* a block: wanted at its start */
	uint8_t *flags;                  /* a block: how the walk stands there */
	uint8_t *has_source; /* a block: reads what other blocks write, or calls what does */
};

struct slice_hit {
	enum code_reason reason;
	uint32_t index; /* instruction */
};

int slicer_open(struct slicer *slicer, const struct graph *graph, const uint32_t *region_of);
void slicer_close(struct slicer *slicer);

/* Does the end of region `id`, made of `blocks`, hang on a read that waits for another block?
 * 1 and the hit, or 0. */
int slice_region(struct slicer *slicer, const uint32_t *blocks, uint32_t nr_blocks,
		 struct slice_hit *ret_hit);

/* An atomic that ends a loop without waiting; excuse.c. */
int excuse_atomic(const struct graph *graph, const uint32_t *region_of, uint32_t index);

#endif
