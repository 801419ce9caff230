/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small simulated GPU with a few works of redirected launches on it, driven by random numbers in
 * invented time, and a model that knows what each block may do.
 *
 * A work is a grid whose blocks run exactly once over all its launches: in atoms (gate), or claimed,
 * given up, resumed under other masks and joined by a helper. Works have slots, words and flags of
 * their own; words are kept from one work to the next, as numbers only grow. A slot is poisoned when
 * its launch is over. In a remote case the device hears late which blocks leave, as a server does.
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
};

/* What a case saw; for the report, and to know that the cases are about something. */
struct case_counts {
	uint64_t nr_launches;
	uint64_t nr_left;
	uint64_t nr_given_up;
	uint64_t
		nr_joined; /* launches of a work that another launch of it was on the device with */
	uint64_t nr_works;
};

/* NULL, or what was wrong. The same seed gives the same case. */
const char *case_run(uint64_t seed, const struct prelude_rule *rule, struct case_counts *counts);

#endif
