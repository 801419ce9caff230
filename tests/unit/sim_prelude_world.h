/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small simulated GPU with a few works of redirected launches on it, driven by random numbers in
 * invented time, and a model that knows what each block may do.
 *
 * A work is a grid whose blocks run exactly once over all its launches: in atoms (gate), or
 * claimed, given up, disarmed, resumed under other masks, and joined: by helpers of which one at a
 * time is told to go by the same or other owners, and others by nobody. Works have slots, words and
 * epochs of their own; words and epochs are kept from one work to the next, as both only grow.
 * Grids of clusters go by the cluster. A slot is poisoned when its launch is over. In a remote case
 * the device hears late which blocks leave, as a server does.
 *
 * A block's other warps decide at any later time of the launch, and must decide the same.
 *
 * The rule under test is a parameter. The model is not the rule: it keeps owners of blocks.
 */
#ifndef LITHOS_TEST_SIM_PRELUDE_WORLD_H
#define LITHOS_TEST_SIM_PRELUDE_WORLD_H

#include <stdint.h>

#include "hw/prelude/prelude.h"
#include "sim/device/device.h"

struct prelude_rule {
	int (*runs)(enum sim_program program, const struct prelude_slot *slot, uint32_t block);
	int (*would_leave)(enum sim_program program, const struct prelude_slot *slot,
			   uint32_t block);
	int by_block; /* wrong: blocks of a cluster are asked about by their own number */
};

/* What a case saw; for the report, and to know that the cases are about something. */
struct case_counts {
	uint64_t nr_launches;
	uint64_t nr_left;
	uint64_t nr_given_up;
	uint64_t
		nr_joined; /* launches of a work that another launch of it was on the device with */
	uint64_t nr_grown; /* of them, those that may be told to go */
	uint64_t nr_rescued; /* of two others */
	uint64_t nr_works;
	uint64_t nr_reports; /* launches that ended with one */
	uint64_t nr_disarmed;
	uint64_t nr_held_back; /* blocks that run although an epoch has moved: disarmed */
	uint64_t nr_warps;     /* decisions of further warps */
	uint64_t nr_clusters;  /* works by cluster */
};

/* NULL, or what was wrong. The same seed gives the same case. */
const char *case_run(uint64_t seed, const struct prelude_rule *rule, struct case_counts *counts);

#endif
