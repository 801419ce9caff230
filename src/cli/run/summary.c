/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merging the statistics of the processes of one run.
 *
 * Problem: a tenant is a tree of processes (data loaders, compile workers, ranks), each with a file
 * of its own, some killed in the middle of a write, some written by programs nobody vouches for.
 *
 * Idea: every file is copied and validated by stats_region_map; each row is then copied, its name
 * cut at the first NUL and made printable ASCII, its counts bounded by one another. All rows go
 * into one array that is sorted by name and folded after each file, so memory follows the number of
 * names, not of processes. Histograms add up bucket by bucket, so quantiles of the merged row are
 * as good as those of each; grid, block and TPCs are those of the process that launched the kernel
 * most often. How it is launched is that of the process that was last at work, among those whose
 * launches were ever asked about: a helper process that never had to share says nothing of it.
 *
 * Launches without a completion record (all slots were in use) are counted but not timed. Their
 * time is estimated: total = total of the timed * launches / timed. 900 timed launches of 1,000
 * that took 9 ms make 10 ms.
 *
 * The numbers are what programs wrote: sums stop at the greatest number that JSON can carry
 * (SUMMARY_MAX) instead of wrapping around.
 *
 * Tested by tests/unit/cli_summary.c.
 */
#include "cli/run/summary.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sched/split.h"

uint64_t summary_total_ns(const struct stats_kernel *row)
{
	if (row->nr_timed == 0 || row->nr_launches <= row->nr_timed)
		return row->total_ns;
	double scaled = (double)row->total_ns * (double)row->nr_launches / (double)row->nr_timed;

	return scaled < (double)SUMMARY_MAX ? (uint64_t)scaled : SUMMARY_MAX;
}

uint64_t summary_add_up(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) || sum > SUMMARY_MAX ? SUMMARY_MAX : sum;
}

static void make_printable(char *name)
{
	name[STATS_NAME_BYTES - 1] = '\0';
	if (name[0] == '\0')
		memcpy(name, "(unnamed)", sizeof("(unnamed)"));
	for (; *name != '\0'; name++) {
		if ((unsigned char)*name < 0x20 || (unsigned char)*name >= 0x7f)
			*name = '?';
	}
}

/* Numbers that this version has no words for count as nothing known. */
static void make_known(struct stats_kernel *kernel)
{
	if (stats_way(kernel->way_reason) >= SPLIT_NR_WAYS ||
	    stats_reason(kernel->way_reason) >= SPLIT_NR_REASONS)
		kernel->way_reason = 0;
}

static void make_bounded(struct stats_kernel *kernel)
{
	kernel->nr_timed = summary_add_up(kernel->nr_timed, 0);
	kernel->nr_launches = summary_add_up(kernel->nr_launches, 0);
	kernel->total_ns = summary_add_up(kernel->total_ns, 0);
	if (kernel->nr_launches < kernel->nr_timed)
		kernel->nr_launches = kernel->nr_timed;
}

static int by_name(const void *a, const void *b)
{
	const struct stats_kernel *x = &((const struct summary_row *)a)->kernel;
	const struct stats_kernel *y = &((const struct summary_row *)b)->kernel;
	int order = strcmp(x->name, y->name);

	if (order != 0)
		return order;
	/* The row with most launches first: it lends its grid to the merged one. */
	return (x->nr_launches < y->nr_launches) - (x->nr_launches > y->nr_launches);
}

static int by_total(const void *a, const void *b)
{
	uint64_t x = summary_total_ns(&((const struct summary_row *)a)->kernel);
	uint64_t y = summary_total_ns(&((const struct summary_row *)b)->kernel);

	return x != y ? (x < y) - (x > y) : by_name(a, b);
}

static uint32_t add_saturated(uint32_t a, uint32_t b)
{
	return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

static void fold_way(struct summary_row *into, const struct summary_row *row)
{
	struct stats_kernel *kernel = &into->kernel;

	kernel->nr_split = add_saturated(kernel->nr_split, row->kernel.nr_split);
	kernel->nr_cut = add_saturated(kernel->nr_cut, row->kernel.nr_cut);
	if (row->kernel.way_reason == 0)
		return;
	if (kernel->way_reason != 0 && row->at_ns <= into->at_ns)
		return;
	kernel->way_reason = row->kernel.way_reason;
	kernel->block_us = row->kernel.block_us;
	into->at_ns = row->at_ns;
}

static void fold(struct summary_row *into, const struct summary_row *row)
{
	struct stats_kernel *kernel = &into->kernel;

	kernel->nr_launches = summary_add_up(kernel->nr_launches, row->kernel.nr_launches);
	kernel->nr_timed = summary_add_up(kernel->nr_timed, row->kernel.nr_timed);
	kernel->total_ns = summary_add_up(kernel->total_ns, row->kernel.total_ns);
	kernel->flags |= row->kernel.flags;
	for (uint32_t i = 0; i < STATS_HIST_BUCKETS; i++)
		kernel->hist[i] = add_saturated(kernel->hist[i], row->kernel.hist[i]);
	fold_way(into, row);
}

static void fold_names(struct summary *summary)
{
	size_t kept = 0;

	if (summary->nr_rows == 0)
		return;
	qsort(summary->rows, summary->nr_rows, sizeof(summary->rows[0]), by_name);
	for (size_t i = 1; i < summary->nr_rows; i++) {
		if (strcmp(summary->rows[kept].kernel.name, summary->rows[i].kernel.name) == 0) {
			fold(&summary->rows[kept], &summary->rows[i]);
			continue;
		}
		kept++;
		if (kept != i)
			summary->rows[kept] = summary->rows[i];
	}
	summary->nr_rows = kept + 1;
}

static void add_header(struct summary *summary, const struct stats_header *header)
{
	summary->nr_processes++;
	for (uint32_t i = 0; i < header->nr_counters && i < STATS_NR_COUNTERS; i++)
		summary->counter[i] = summary_add_up(summary->counter[i], header->counter[i]);
	if (header->quota_tpcs > summary->quota_tpcs)
		summary->quota_tpcs = header->quota_tpcs;
	if (header->device_tpcs > summary->device_tpcs)
		summary->device_tpcs = header->device_tpcs;
}

int summary_add(struct summary *summary, const struct stats_region *region)
{
	size_t nr_new = region->header.nr_kernels;
	struct summary_row *grown;

	/* A process that launched nothing has no rows, and realloc of nothing may answer NULL. */
	grown = realloc(summary->rows, (summary->nr_rows + nr_new + 1) * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	summary->rows = grown;
	for (size_t i = 0; i < nr_new; i++) {
		struct summary_row *row = &grown[summary->nr_rows++];

		row->kernel = region->kernel[i];
		row->at_ns = region->header.updated_ns;
		make_printable(row->kernel.name);
		make_known(&row->kernel);
		make_bounded(&row->kernel);
	}
	add_header(summary, &region->header);
	fold_names(summary);
	return 0;
}

void summary_finish(struct summary *summary)
{
	fold_names(summary);
	summary->total_ns = 0;
	for (size_t i = 0; i < summary->nr_rows; i++)
		summary->total_ns = summary_add_up(summary->total_ns,
						   summary_total_ns(&summary->rows[i].kernel));
	if (summary->nr_rows > 0)
		qsort(summary->rows, summary->nr_rows, sizeof(summary->rows[0]), by_total);
}

static int add_file(struct summary *summary, const char *folder, const char *name)
{
	struct stats_region *region = NULL;
	char path[4096];
	int length = snprintf(path, sizeof(path), "%s/%s", folder, name);
	int r;

	if (length < 0 || (size_t)length >= sizeof(path))
		return -ENAMETOOLONG;
	r = stats_region_map(path, &region);
	if (r < 0) {
		summary->nr_bad_files++;
		return 0;
	}
	r = summary_add(summary, region);
	stats_region_unmap(region);
	return r;
}

int summary_read_folder(struct summary *summary, const char *folder)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	int r = 0;

	memset(summary, 0, sizeof(*summary));
	if (dir == NULL)
		return -errno;
	while (r == 0 && (entry = readdir(dir)) != NULL) {
		if (strncmp(entry->d_name, "stats.", 6) == 0)
			r = add_file(summary, folder, entry->d_name);
	}
	(void)closedir(dir);
	summary_finish(summary);
	return r;
}

void summary_free(struct summary *summary)
{
	free(summary->rows);
	summary->rows = NULL;
	summary->nr_rows = 0;
}
