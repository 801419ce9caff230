/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops of a kernel, from outer to inner.
 */
#ifndef LITHOS_HW_CODE_LOOPS_H
#define LITHOS_HW_CODE_LOOPS_H

#include "hw/code/graph.h"

struct loops {
	const struct graph *graph;
	uint32_t *region_of; /* a block: number of its loop in this round, from 1; 0: in none */
	uint32_t *members;   /* blocks of all loops of this round, a loop after the other */
	uint32_t *starts;    /* a loop: first of its members; nr_loops + 1 entries */
	uint32_t nr_loops;
	uint8_t *is_header; /* a block: edges into it were cut by an earlier round */
	uint32_t *index, *low, *stack, *calls; /* of the search */
	uint8_t *on_stack;
};

int loops_open(struct loops *loops, const struct graph *graph);
void loops_close(struct loops *loops);

/* Undoes all cuts. */
void loops_reset(struct loops *loops);

/* One round: the outermost loops of what is left. Then loops_cut() opens them, so that the next
 * round finds those inside. Returns the number of loops. */
uint32_t loops_find(struct loops *loops);
void loops_cut(struct loops *loops);

#endif
