/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions about a measured topology: is it sound, which clusters hold where.
 *
 * A cluster lives inside one GPC, one block per SM, so a set's largest cluster is the SMs it has of
 * one GPC. That is less than the occupancy calculation promises (two blocks an SM were seen to
 * hang), and it is what is certain. A left-over TPC holds what fits its own SMs. Example, H100: 8
 * GPCs of 4 to 9 TPCs and 4 left-overs hold 66 clusters of 2, 30 of 4, 15 of 8, 7 of 16, which is
 * the driver's own answer.
 *
 * Widening takes the GPC that needs the fewest TPCs added, the first of equals, and its lowest free
 * bits: tenants with the same quota get the same answer.
 *
 * Tested by tests/unit/topology_clusters.c and topology_check.c, on measured and on random
 * topologies.
 */
#include "hw/topology.h"

#include <errno.h>
#include <limits.h>

#define NO_SM 0xffff

static int check_counts(const struct topology *topo)
{
	unsigned int present = tpcset_count(&topo->present);

	if (!present || topo->nr_tpcs != present || !topo->sms_per_tpc ||
	    topo->nr_sms != topo->nr_tpcs * topo->sms_per_tpc || topo->nr_gpcs > TOPOLOGY_MAX_GPCS)
		return -EINVAL;
	return 0;
}

static int check_gpcs(const struct topology *topo)
{
	struct tpcset seen = {{0}};

	for (uint32_t g = 0; g < topo->nr_gpcs; g++) {
		struct tpcset alien = tpcset_andnot(topo->gpc[g], topo->present);
		struct tpcset shared = tpcset_and(topo->gpc[g], seen);

		if (tpcset_is_empty(&topo->gpc[g]) || !tpcset_is_empty(&alien) ||
		    !tpcset_is_empty(&shared))
			return -EINVAL;
		seen = tpcset_or(seen, topo->gpc[g]);
	}
	return 0;
}

static int bit_is_sound(const struct topology *topo, unsigned int bit)
{
	uint8_t gpc = TOPOLOGY_NO_GPC;
	int has_sm = topo->sm_of_bit[bit] < topo->nr_sms;

	for (uint32_t g = 0; g < topo->nr_gpcs; g++) {
		if (tpcset_has(&topo->gpc[g], bit))
			gpc = (uint8_t)g;
	}
	if (!tpcset_has(&topo->present, bit) && topo->sm_of_bit[bit] != NO_SM)
		return 0;
	return topo->gpc_of_bit[bit] == gpc && has_sm == tpcset_has(&topo->present, bit);
}

static int sm_is_repeated(const struct topology *topo, unsigned int bit)
{
	for (unsigned int i = 0; i < bit; i++) {
		if (topo->sm_of_bit[i] != NO_SM && topo->sm_of_bit[i] == topo->sm_of_bit[bit])
			return 1;
	}
	return 0;
}

int topology_check(const struct topology *topo)
{
	int r = check_counts(topo);
	if (r < 0)
		return r;
	r = check_gpcs(topo);
	if (r < 0)
		return r;
	for (unsigned int bit = 0; bit < TPCSET_BITS; bit++) {
		if (!bit_is_sound(topo, bit) || sm_is_repeated(topo, bit))
			return -EINVAL;
	}
	return 0;
}

/* TPCs of `set` in GPC g. */
static unsigned int tpcs_in(const struct topology *topo, const struct tpcset *set, uint32_t g)
{
	struct tpcset part = tpcset_and(*set, topo->gpc[g]);

	return tpcset_count(&part);
}

uint32_t topology_max_cluster(const struct topology *topo, const struct tpcset *set)
{
	struct tpcset real = tpcset_and(*set, topo->present);
	/* Any single TPC, left-over or not, holds a cluster of its own SMs. */
	uint32_t max = tpcset_is_empty(&real) ? 0 : topo->sms_per_tpc;

	for (uint32_t g = 0; g < topo->nr_gpcs; g++) {
		uint32_t sms = tpcs_in(topo, &real, g) * topo->sms_per_tpc;

		if (sms > max)
			max = sms;
	}
	return max;
}

uint32_t topology_nr_clusters(const struct topology *topo, const struct tpcset *set,
			      uint32_t blocks)
{
	struct tpcset leftover = tpcset_and(*set, topo->present);
	uint32_t n = 0;

	if (!blocks)
		return 0;
	for (uint32_t g = 0; g < topo->nr_gpcs; g++) {
		n += tpcs_in(topo, set, g) * topo->sms_per_tpc / blocks;
		leftover = tpcset_andnot(leftover, topo->gpc[g]);
	}
	return n + tpcset_count(&leftover) * (topo->sms_per_tpc / blocks);
}

static void add_lowest(struct tpcset *set, struct tpcset from, unsigned int n)
{
	for (unsigned int bit = 0; bit < TPCSET_BITS && n; bit++) {
		if (tpcset_has(&from, bit) && !tpcset_has(set, bit)) {
			tpcset_add(set, bit);
			n--;
		}
	}
}

/* The GPC that holds `want` TPCs with the fewest added to `set`; nr_gpcs when none is large enough.
 */
static uint32_t cheapest_gpc(const struct topology *topo, const struct tpcset *set, uint32_t want)
{
	uint32_t best = topo->nr_gpcs;
	uint32_t best_missing = UINT_MAX;

	for (uint32_t g = 0; g < topo->nr_gpcs; g++) {
		uint32_t missing = want - tpcs_in(topo, set, g);

		if (tpcset_count(&topo->gpc[g]) >= want && missing < best_missing) {
			best = g;
			best_missing = missing;
		}
	}
	return best;
}

int topology_widen_for_cluster(const struct topology *topo, const struct tpcset *set,
			       uint32_t blocks, struct tpcset *ret_set)
{
	struct tpcset wide = *set;

	if (topology_max_cluster(topo, set) >= blocks) {
		*ret_set = wide;
		return 0;
	}
	uint32_t want = (blocks + topo->sms_per_tpc - 1) / topo->sms_per_tpc;
	uint32_t g = cheapest_gpc(topo, set, want);
	if (g < topo->nr_gpcs)
		add_lowest(&wide, topo->gpc[g], want - tpcs_in(topo, set, g));
	else if (want == 1)
		add_lowest(&wide, topo->present, 1);
	else
		return -E2BIG;
	*ret_set = wide;
	return 0;
}
