/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates of one kernel's row in the statistics file.
 *
 * Rows are updated by the tracker, and by a thread that destroys a graph; so with relaxed atomics.
 * The reader, in another process, takes a row as it finds it: totals may be one launch ahead of
 * histograms.
 */
#ifndef LITHOS_SHIM_TRACK_ROWS_H
#define LITHOS_SHIM_TRACK_ROWS_H

#include <lithos/stats.h>

static inline void row_launched(struct stats_region *region, uint32_t row, uint64_t n)
{
	if (row < STATS_MAX_KERNELS)
		(void)__atomic_fetch_add(&region->kernel[row].nr_launches, n, __ATOMIC_RELAXED);
}

/* Time of the GPU that went into its launches. */
static inline void row_took(struct stats_region *region, uint32_t row, uint64_t duration_ns)
{
	if (row < STATS_MAX_KERNELS)
		(void)__atomic_fetch_add(&region->kernel[row].total_ns, duration_ns,
					 __ATOMIC_RELAXED);
}

/* One launch of the kernel took so long. */
static inline void row_sampled(struct stats_region *region, uint32_t row, uint64_t duration_ns)
{
	if (row >= STATS_MAX_KERNELS)
		return;
	struct stats_kernel *kernel = &region->kernel[row];
	(void)__atomic_fetch_add(&kernel->nr_timed, 1, __ATOMIC_RELAXED);
	(void)__atomic_fetch_add(&kernel->hist[stats_bucket_of(duration_ns)], 1, __ATOMIC_RELAXED);
}

static inline void row_timed(struct stats_region *region, uint32_t row, uint64_t duration_ns)
{
	row_took(region, row, duration_ns);
	row_sampled(region, row, duration_ns);
}

#endif
