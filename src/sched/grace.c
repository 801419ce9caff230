/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long an owner still counts as active.
 *
 * Problem: programs leave gaps between launches that belong together. Lending the TPCs in such a
 * gap makes the next launch wait for a borrower's kernel; waiting for a launch that does not come
 * wastes the GPU, each time.
 *
 * Idea: the lengths of the past gaps tell. They are counted in steps of an eighth of the configured
 * time, as running averages of the last sixteen or so. The grace is the shortest step after which
 * few gaps end soon: of those that are longer than it, fewer than one in eight ends before the
 * configured time is over. And one step more, since gaps of one kind scatter: a service whose
 * requests queue up launches again some tens of microseconds after the last one's end, and lending
 * in between makes each of them meet a kernel of a borrower. A step costs borrowers 25 us a gap,
 * which is 0.4 % of the GPU at 155 gaps a second. So a service whose bursts have gaps of 60 us
 * lends after 100 us, one that decodes with 150 us between its graphs after 200, and one whose
 * requests follow each other at once, or come milliseconds apart, after 50.
 *
 * Example, 200 us configured: 70 % of the gaps last 5 ms, 20 % last 60 us, 10 % last 130 us. After
 * 25 and 50 us, 30 in 100 gaps end before 200 us: too many. After 75 us, 10 in the remaining 80 do:
 * one in eight. After 150 us, none: the grace is 175 us.
 *
 * What it does badly: a program that changes its habits is judged by the old ones for some ten
 * gaps.
 *
 * Tested by tests/unit/grace_gaps.c.
 */
#include "sched/grace.h"

#define ALL    65536u
#define MEMORY 16u /* gaps, about */
#define FEW    8u  /* one in so many */

void grace_add(struct grace *grace, uint64_t gap_ns, uint64_t most_ns)
{
	uint64_t step_ns = most_ns / GRACE_STEPS;
	uint64_t step = step_ns ? gap_ns / step_ns : GRACE_STEPS;

	step = step < GRACE_STEPS ? step : GRACE_STEPS;
	if (!grace->is_known) {
		grace->is_known = 1;
		/* As if all had ended just before the grace was over: cautious until more were
		 * seen. */
		grace->share[GRACE_STEPS - 1] = ALL;
	}
	for (uint32_t i = 0; i <= GRACE_STEPS; i++)
		grace->share[i] -= grace->share[i] / MEMORY;
	grace->share[step] += ALL / MEMORY;
}

uint64_t grace_ns(const struct grace *grace, uint64_t most_ns)
{
	uint64_t longer = grace->share[GRACE_STEPS], soon = 0;
	uint32_t steps = GRACE_STEPS;

	if (!grace->is_known)
		return most_ns;
	/* From the configured time down: `soon` are the gaps that end between the step and it. */
	while (steps > 1) {
		soon += grace->share[steps - 1];
		if (soon * FEW > soon + longer)
			break;
		steps--;
	}
	steps += steps < GRACE_STEPS;
	return most_ns / GRACE_STEPS * steps + (steps == GRACE_STEPS ? most_ns % GRACE_STEPS : 0);
}
