/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where one launch may run: the tenant's quota, or more when the launch would never finish there.
 */
#ifndef LITHOS_SCHED_FIT_H
#define LITHOS_SCHED_FIT_H

#include <stdint.h>

#include <lithos/tpcset.h>

struct qmd_grid;
struct topology;

enum fit_result {
	FIT_AS_IS = 0,         /* the quota */
	FIT_WIDENED = 1,       /* the quota and more TPCs: the cluster or the gang needs them */
	FIT_DRIVER_DECIDES = 2 /* the descriptor's own mask excludes the quota: everything */
};

/*
 * Decides the allowed set of a launch. blocks_per_sm is the occupancy of the kernel, used for
 * cooperative launches. An enum fit_result, or
 *   -EINVAL   the quota has no real TPC,
 *   -ENOTSUP  a descriptor type that is not a grid lithos knows,
 *   -E2BIG    even all TPCs are not certain to hold it; launch it unrestricted.
 * With a result >= 0, *ret_allowed minus what the descriptor disables has at least one real TPC,
 * unless the descriptor disables every real TPC itself. On error *ret_allowed is untouched.
 */
int fit_mask(const struct topology *topo, const struct tpcset *quota, const struct qmd_grid *grid,
	     uint32_t blocks_per_sm, struct tpcset *ret_allowed);

#endif
