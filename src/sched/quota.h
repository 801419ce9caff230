/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which TPCs a quota of n becomes. Pure.
 */
#ifndef LITHOS_SCHED_QUOTA_H
#define LITHOS_SCHED_QUOTA_H

#include <stdint.h>

#include <lithos/tpcset.h>

struct topology;

/*
 * A quota as the user wrote it. "33" is TPCs, "50%" a share of the GPU's TPCs, rounded down so that
 * shares of 100 % in all fit together, and at least one.
 */
struct quota {
	uint32_t tpcs;    /* 0 when percent is used */
	uint32_t percent; /* 1..100, 0 when tpcs is used; both 0 = no quota */
};

/* -EINVAL: not a number, zero, over 100 %, or trailing characters. */
int quota_parse(const char *text, struct quota *ret_quota);

/* TPCs of this GPU the quota asks for; more than there are is clamped to all. */
uint32_t quota_tpcs(const struct quota *quota, uint32_t nr_tpcs);

/*
 * Picks n TPCs out of `free`: whole GPCs first, largest first, so that clusters fit; the rest from
 * left-over TPCs when a whole GPC is already in, otherwise from one GPC (the smallest that holds
 * it). -ENOSPC when `free` holds fewer than n, -EINVAL for n = 0.
 */
int quota_pick(const struct topology *topo, const struct tpcset *free, uint32_t n,
	       struct tpcset *ret_set);

#endif
