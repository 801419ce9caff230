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
 * A quota as the user wrote it. "33" is TPCs, "50%" a share of the GPU's TPCs, rounded to the
 * nearest TPC and at least one.
 */
struct quota {
	uint32_t tpcs;    /* 0 when percent is used */
	uint32_t percent; /* 1..100, 0 when tpcs is used; both 0 = no quota */
};

/* -EINVAL: not a number, zero, over 100 %, or trailing characters. */
int quota_parse(const char *text, struct quota *ret_quota);

/*
 * How many SMs a program is to be told of: "132" SMs, or "200%" of those that there are; at most
 * 100000, and 1 % to 1600 %.
 */
struct told {
	uint32_t sms;     /* 0 when percent is used */
	uint32_t percent; /* both 0 = those that it may use */
};

/* -EINVAL: not a number, zero, too large, or trailing characters. */
int told_parse(const char *text, struct told *ret_told);

/* The SMs to tell of: `usable` unless something else was asked for; at least one. */
uint32_t told_sms(const struct told *told, uint32_t nr_sms, uint32_t usable);

/* TPCs of this GPU the quota asks for; more than there are is clamped to all. */
uint32_t quota_tpcs(const struct quota *quota, uint32_t nr_tpcs);

/*
 * Picks n TPCs out of `free`: whole GPCs first, largest first, so that clusters fit; the rest from
 * left-over TPCs when a whole GPC is already in, otherwise from one GPC (the smallest that holds
 * it). -ENOSPC when `free` holds fewer than n, -EINVAL for n = 0.
 */
int quota_pick(const struct topology *topo, const struct tpcset *free, uint32_t n,
	       struct tpcset *ret_set);

/*
 * Of a tenant's TPCs, the n that are worth least to others, for it to keep: left-over TPCs first,
 * then parts of a GPC, so that what is lent holds clusters. All of them when there are no more than
 * n.
 */
struct tpcset quota_keep(const struct topology *topo, const struct tpcset *own, uint32_t n);

#endif
