/* SPDX-License-Identifier: Apache-2.0 */
/* The statistics of all processes of one run, merged by kernel name. */
#ifndef LITHOS_CLI_RUN_SUMMARY_H
#define LITHOS_CLI_RUN_SUMMARY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <lithos/stats.h>

#include "base/stats_file.h"
#include "cli/table.h"

#define SUMMARY_MAX ((uint64_t)INT64_MAX) /* of any sum */

struct summary_row {
	struct stats_kernel kernel;
	uint64_t at_ns; /* when the process that `way_reason` is from was last at work */
};

struct summary {
	struct summary_row *rows; /* owned; one a name after summary_finish, longest total first */
	size_t nr_rows;
	uint64_t counter[STATS_NR_COUNTERS];
	uint64_t total_ns; /* of all rows, scaled */
	uint32_t nr_processes;
	uint32_t nr_bad_files; /* not statistics files of this version, or unreadable */
	uint32_t quota_tpcs;   /* of the process that was allowed most; 0 = no quota */
	uint32_t device_tpcs;
};

/* Reads every stats.* of the folder. Bad files are counted, not fatal. -errno; free it in any case.
 */
int summary_read_folder(struct summary *summary, const char *folder);

/* Adds one process' region: rows are copied and made safe to print. -ENOMEM. */
int summary_add(struct summary *summary, const struct stats_region *region);

/* Merges rows of one name and sorts; call after the last summary_add. */
void summary_finish(struct summary *summary);

/* GPU time of all launches of a row: what was timed, scaled when some launches had no record. */
uint64_t summary_total_ns(const struct stats_kernel *row);

/* At most SUMMARY_MAX. */
uint64_t summary_add_up(uint64_t a, uint64_t b);

void summary_free(struct summary *summary);

/* summary_print.c. `width` is the terminal's, 0 when there is none. 0 or -errno. */
int summary_print(const struct summary *summary, enum format format, unsigned int width,
		  FILE *file);

#endif
