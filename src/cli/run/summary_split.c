/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How kernels are launched and why, for people.
 *
 * A launch is made whole, in atoms or claimed, so that an owner who comes back need not wait for
 * the end of a long kernel (docs/splitting.md). What remains is the time of a block, which nothing
 * can interrupt; a line below the table says so, with a round number that all the kernels it counts
 * exceed: blocks of 350 and 900 us are blocks of more than 300 us.
 *
 * Tested by tests/unit/cli_summary_split.c.
 */
#include "cli/run/summary_split.h"

#include <inttypes.h>

#include "sched/split.h"

static enum split_reason reason_of(const struct stats_kernel *kernel)
{
	return (enum split_reason)stats_reason(kernel->way_reason);
}

static int is_quiet(enum split_reason reason)
{
	return reason == SPLIT_NOT_ASKED || reason == SPLIT_SHORT;
}

void summary_how(const struct stats_kernel *kernel, char ret_text[SUMMARY_HOW_BYTES])
{
	enum split_way way = (enum split_way)stats_way(kernel->way_reason);

	if (way == SPLIT_ATOMS)
		(void)snprintf(ret_text, SUMMARY_HOW_BYTES, "%s x%" PRIu32, split_way_name(way),
			       stats_atoms(kernel->way_reason));
	else
		(void)snprintf(ret_text, SUMMARY_HOW_BYTES, "%s", split_way_name(way));
}

const char *summary_why(const struct stats_kernel *kernel)
{
	enum split_reason reason = reason_of(kernel);

	return is_quiet(reason) ? "" : split_reason_text(reason);
}

void summary_print_reasons(const struct summary *summary, FILE *file)
{
	size_t nr_kernels[SPLIT_NR_REASONS] = {0};

	for (size_t i = 0; i < summary->nr_rows; i++)
		nr_kernels[reason_of(&summary->rows[i].kernel)]++;
	for (int i = 0; i < SPLIT_NR_REASONS; i++) {
		if (nr_kernels[i] > 0 && !is_quiet((enum split_reason)i))
			(void)fprintf(file, "why: %zu kernels: %s\n", nr_kernels[i],
				      split_reason_text((enum split_reason)i));
	}
}

/* The greatest number below with one digit that is not zero. */
static uint32_t round_below(uint32_t value)
{
	uint32_t unit = 1;

	if (value == 0)
		return 0;
	while (unit <= (value - 1) / 10)
		unit *= 10;
	return (value - 1) / unit * unit;
}

void summary_print_long_blocks(const struct summary *summary, FILE *file)
{
	uint32_t least_us = 0;
	size_t nr = 0;

	for (size_t i = 0; i < summary->nr_rows; i++) {
		const struct stats_kernel *kernel = &summary->rows[i].kernel;

		if (reason_of(kernel) != SPLIT_LONG_BLOCKS || kernel->block_us == 0)
			continue;
		if (nr++ == 0 || kernel->block_us < least_us)
			least_us = kernel->block_us;
	}
	if (nr > 0)
		(void)fprintf(file,
			      "%zu kernels have blocks of more than %" PRIu32
			      " us: they cannot be preempted sooner\n",
			      nr, round_below(least_us));
}
