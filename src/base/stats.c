/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histogram arithmetic and validation of the statistics file (include/lithos/stats.h).
 *
 * Problem: p50 and p99 of millions of durations in constant memory, between nanoseconds and
 * seconds.
 *
 * Idea: log-linear buckets, eight an octave. The bucket of d >= 8 is made of the position of its
 * leading one and the three bits below it, so consecutive durations fall into the same or the next
 * bucket and none is wider than 1/8 of its floor. Example: 100 = 0b1100100, leading one at bit 6,
 * next three bits 100, bucket 8 * (6 - 2) + 4 = 36, which spans 96..103. A quantile is interpolated
 * linearly inside its bucket, which makes the worst error 12.5 % and the typical one far smaller.
 *
 * What it does badly: durations from 2^34 ns (17 s) up share the last bucket.
 *
 * Tested by tests/unit/stats_buckets.c and stats_region.c.
 */
#include <lithos/stats.h>

#include <errno.h>

uint32_t stats_bucket_of(uint64_t duration_ns)
{
	uint32_t octave;
	uint32_t bucket;

	if (duration_ns < 8)
		return (uint32_t)duration_ns;
	octave = 63u - (uint32_t)__builtin_clzll(duration_ns);
	bucket = 8 * (octave - 2) + (uint32_t)((duration_ns >> (octave - 3)) & 7);
	return bucket < STATS_HIST_BUCKETS ? bucket : STATS_HIST_BUCKETS - 1;
}

uint64_t stats_bucket_floor_ns(uint32_t bucket)
{
	if (bucket < 8)
		return bucket;
	return (uint64_t)(8 + bucket % 8) << (bucket / 8 - 1);
}

int stats_region_valid(const struct stats_region *region, size_t bytes)
{
	const struct stats_header *header = &region->header;

	if (bytes < sizeof(*region))
		return -EPROTO;
	/* Pairs with the release store of stats_region_create: a header with the magic is complete.
	 */
	if (__atomic_load_n(&header->magic, __ATOMIC_ACQUIRE) != STATS_MAGIC)
		return -EPROTO;
	if (header->version != STATS_VERSION || header->header_bytes != sizeof(*header))
		return -EPROTO;
	if (header->kernel_bytes != sizeof(region->kernel[0]) ||
	    header->nr_kernels_max != STATS_MAX_KERNELS)
		return -EPROTO;
	if (header->nr_counters > sizeof(header->counter) / sizeof(header->counter[0]))
		return -EPROTO;
	/* Pairs with the release store of whoever added the row: rows below the count are complete.
	 */
	if (__atomic_load_n(&header->nr_kernels, __ATOMIC_ACQUIRE) > STATS_MAX_KERNELS)
		return -EPROTO;
	return 0;
}

/* The histogram's own total: nr_timed may be one ahead of it while the tracker is writing. */
static uint64_t hist_total(const uint32_t *hist)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < STATS_HIST_BUCKETS; i++)
		total += hist[i];
	return total;
}

static uint64_t interpolate(uint32_t bucket, double fraction)
{
	uint64_t low = stats_bucket_floor_ns(bucket);
	uint64_t high = stats_bucket_floor_ns(bucket + 1);

	return low + (uint64_t)(fraction * (double)(high - low));
}

uint64_t stats_quantile_ns(const struct stats_kernel *kernel, double q)
{
	double wanted = q * (double)hist_total(kernel->hist);
	double below = 0;
	uint32_t last = 0;

	if (!(q > 0))
		wanted = 0;
	for (uint32_t i = 0; i < STATS_HIST_BUCKETS; i++) {
		double here = kernel->hist[i];

		if (here <= 0)
			continue;
		if (below + here >= wanted)
			return interpolate(i, (wanted - below) / here);
		below += here;
		last = i;
	}
	/* Only reached for q > 1 or an empty histogram. */
	return below > 0 ? interpolate(last, 1.0) : 0;
}
