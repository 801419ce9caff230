/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statistics file of one process: making it, and reading a copy of somebody's.
 *
 * The layout is in <lithos/stats.h>. The creating process owns the mapping and is its only writer;
 * the file outlives it. Cold path; not thread-safe against itself for one region.
 */
#ifndef LITHOS_BASE_STATS_FILE_H
#define LITHOS_BASE_STATS_FILE_H

#include <stddef.h>
#include <stdint.h>

#include <lithos/stats.h>

/* Index into stats_header.counter: STATS_qmd_seen and so on, in the order of stats.def. */
enum stats_counter {
#define STAT(name, group, sentence) STATS_##name,
#include "stats.def"
#undef STAT
	STATS_NR_COUNTERS
};

_Static_assert(STATS_NR_COUNTERS <= 64, "struct stats_header has room for 64 counters");

struct stats_counter_row {
	const char *name;
	const char *group;
	const char *sentence;
};

extern const struct stats_counter_row stats_counter_rows[STATS_NR_COUNTERS];

/*
 * Makes `<dir>/stats.<pid>` (mode 0600), or `stats.<pid>.<n>` when that exists because the process
 * called exec, and maps it writable with a complete header: pid, program name, start time, all
 * counts zero. -ENOSPC when the file system has too little room, -EEXIST after 100 names, -errno.
 */
int stats_region_create(const char *dir, uint32_t pid, struct stats_region **ret_region);

/*
 * A private copy of a file, checked with stats_region_valid, so that its writer cannot change it or
 * cut it off under the reader. -EPROTO when it is not a statistics file of this version; -errno.
 */
int stats_region_map(const char *path, struct stats_region **ret_region);

/* Unmaps either kind; NULL is allowed. */
void stats_region_unmap(struct stats_region *region);

#endif
