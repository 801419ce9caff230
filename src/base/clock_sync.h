/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CLOCK_MONOTONIC said when the GPU's clock said t. Pure; time is a parameter.
 *
 * One estimator a device. One writer (the tracker) and its own readers; no locking inside.
 */
#ifndef LITHOS_BASE_CLOCK_SYNC_H
#define LITHOS_BASE_CLOCK_SYNC_H

#include <stdint.h>

/* A bound on (CPU time - GPU time), in ns, that was true at CPU time at_ns. */
struct clock_bound {
	int64_t offset_ns;
	uint64_t at_ns;
	uint32_t is_known;
};

/* All zero is the empty estimator. */
struct clock_sync {
	struct clock_bound lower;
	struct clock_bound upper;
	uint64_t nr_observations;
	uint64_t nr_restarts; /* how often the bounds contradicted each other */
};

/* One completion record, and what the CPU knows of it: CLOCK_MONOTONIC, 0 = not known. */
struct clock_record {
	uint64_t gpu_ns;       /* what the GPU wrote at the end */
	uint64_t submitted_ns; /* not later than the launch */
	uint64_t looked_ns;    /* not later than a look that did not find the record written */
	uint64_t polled_ns;    /* when the record had been seen; always known */
};

void clock_sync_observe(struct clock_sync *cs, const struct clock_record *record);

/* CPU time of a GPU timestamp; -EAGAIN until both bounds are known. */
int clock_sync_to_cpu(const struct clock_sync *cs, uint64_t gpu_ns, uint64_t *ret_ns);

/* How far off the answer can be, half the distance of the bounds now; UINT64_MAX when not known. */
uint64_t clock_sync_error_ns(const struct clock_sync *cs, uint64_t now_ns);

#endif
