/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a grid will take, from how long grids like it took.
 *
 * Pure; 8 bytes, so that a caller can keep one in an atomic word.
 */
#ifndef LITHOS_SCHED_PREDICT_H
#define LITHOS_SCHED_PREDICT_H

#include <stdint.h>

struct predict {
	float work;      /* mean of time x TPCs that it could fill, ns */
	uint8_t width;   /* most TPCs that it can fill: its blocks, at most 255 */
	uint8_t nr_seen; /* at most 255 */
	uint8_t nr_odd;  /* how many in a row were far off on the same side */
	int8_t odd_side; /* -1 shorter, 1 longer */
};

_Static_assert(sizeof(struct predict) == 8, "fits an atomic word");

/* A grid of so many blocks, never seen yet. */
struct predict predict_new(uint64_t nr_blocks);

/* One took so long on so many TPCs. */
void predict_add(struct predict *predict, uint64_t duration_ns, uint32_t nr_tpcs);

/* One took so long, but something kept it: its own time was less, nobody knows by how much. */
void predict_add_most(struct predict *predict, uint64_t duration_ns, uint32_t nr_tpcs);

/* Time on so many TPCs; 0 = not seen often enough. Never 0 otherwise. */
uint64_t predict_ns(const struct predict *predict, uint32_t nr_tpcs);

#endif
