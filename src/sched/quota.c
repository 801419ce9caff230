/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a quota's words to a set of TPCs.
 *
 * Clusters need TPCs of one GPC, so a quota is made of whole GPCs as far as it goes: first GPCs
 * that are entirely free, the largest that still fits, again and again. What remains is less than
 * any free whole GPC. If a whole GPC is in, clusters are served already and left-over TPCs, useless
 * for others' clusters, fill up; otherwise one GPC should hold all of it, the smallest that can.
 * Example, H100 with everything free, n = 33: GPCs of 9, 9 and 8, then the one of 4, then 3
 * left-overs. n = 3: three TPCs of the GPC of 4.
 *
 * What it does badly: greedy, so a set of GPCs that would add up exactly may be missed; a later
 * tenant's clusters are not planned for. Equals are settled by the lowest GPC and the lowest bits:
 * the same input always gives the same set. Tested by tests/unit/quota_parse.c and quota_pick.c.
 */
#include "sched/quota.h"

#include <errno.h>

#include "hw/topology.h"

#define MAX_NUMBER 100000u

int quota_parse(const char *text, struct quota *ret_quota)
{
	uint32_t value = 0;
	const char *p = text;
	int is_percent;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (value > MAX_NUMBER)
			return -EINVAL;
		value = value * 10 + (uint32_t)(*p - '0');
	}
	is_percent = *p == '%';
	if (p == text || !value || p[is_percent] || (is_percent && value > 100))
		return -EINVAL;
	ret_quota->tpcs = is_percent ? 0 : value;
	ret_quota->percent = is_percent ? value : 0;
	return 0;
}

uint32_t quota_tpcs(const struct quota *quota, uint32_t nr_tpcs)
{
	if (quota->tpcs)
		return quota->tpcs < nr_tpcs ? quota->tpcs : nr_tpcs;
	if (!quota->percent)
		return 0;
	uint32_t n = nr_tpcs * quota->percent / 100;
	return n || !nr_tpcs ? n : 1;
}

/* A pick in progress: `free` shrinks and `set` grows until `left` is zero. */
struct pick {
	const struct topology *topo;
	struct tpcset free;
	struct tpcset set;
	uint32_t left;
};

static void take_lowest(struct pick *pick, struct tpcset from)
{
	for (unsigned int bit = 0; bit < TPCSET_BITS && pick->left; bit++) {
		if (!tpcset_has(&from, bit))
			continue;
		tpcset_add(&pick->set, bit);
		tpcset_remove(&pick->free, bit);
		pick->left--;
	}
}

static struct tpcset free_of_gpc(const struct pick *pick, uint32_t g)
{
	return tpcset_and(pick->topo->gpc[g], pick->free);
}

static struct tpcset free_leftovers(const struct pick *pick)
{
	struct tpcset rest = pick->free;

	for (uint32_t g = 0; g < pick->topo->nr_gpcs; g++)
		rest = tpcset_andnot(rest, pick->topo->gpc[g]);
	return rest;
}

/* The largest GPC that is free as a whole and not larger than what is left; empty when there is
 * none. */
static struct tpcset largest_whole(const struct pick *pick)
{
	struct tpcset best = {{0}};

	for (uint32_t g = 0; g < pick->topo->nr_gpcs; g++) {
		struct tpcset part = free_of_gpc(pick, g);
		unsigned int n = tpcset_count(&part);

		if (tpcset_equal(&part, &pick->topo->gpc[g]) && n <= pick->left &&
		    n > tpcset_count(&best))
			best = part;
	}
	return best;
}

/* The smallest free part of a GPC that holds what is left, else the largest. */
static struct tpcset best_part(const struct pick *pick)
{
	struct tpcset best = {{0}};
	unsigned int best_n = 0;

	for (uint32_t g = 0; g < pick->topo->nr_gpcs; g++) {
		struct tpcset part = free_of_gpc(pick, g);
		unsigned int n = tpcset_count(&part);
		int smaller = n >= pick->left && n < best_n;
		int larger = n > best_n && best_n < pick->left;

		if (smaller || larger) {
			best = part;
			best_n = n;
		}
	}
	return best;
}

static int take_whole_gpcs(struct pick *pick)
{
	int nr_whole = 0;

	for (;;) {
		struct tpcset whole = largest_whole(pick);

		if (tpcset_is_empty(&whole))
			return nr_whole;
		take_lowest(pick, whole);
		nr_whole++;
	}
}

static void take_parts(struct pick *pick)
{
	for (;;) {
		struct tpcset part = best_part(pick);

		if (tpcset_is_empty(&part))
			return;
		take_lowest(pick, part);
		if (!pick->left)
			return;
	}
}

int quota_pick(const struct topology *topo, const struct tpcset *free, uint32_t n,
	       struct tpcset *ret_set)
{
	struct pick pick = {.topo = topo, .free = tpcset_and(*free, topo->present), .left = n};

	if (!n)
		return -EINVAL;
	if (tpcset_count(&pick.free) < n)
		return -ENOSPC;
	if (take_whole_gpcs(&pick))
		take_lowest(&pick, free_leftovers(&pick));
	if (pick.left)
		take_parts(&pick);
	take_lowest(&pick, free_leftovers(&pick));
	*ret_set = pick.set;
	return 0;
}
