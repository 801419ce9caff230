/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The allowed set of one launch.
 *
 * A quota is a promise about who may be disturbed, not a reason to hang. Most grids run anywhere,
 * one TPC is enough. Two kinds do not: a cluster needs its blocks in one GPC, and a cooperative
 * grid needs all its blocks at once. When the quota is too small for them, TPCs are lent for this
 * launch: for a cluster the fewest of one GPC; for a cooperative grid whole GPCs, the smallest that
 * suffices, else the largest and again, and left-over TPCs last (whole, because a gang that is
 * spread over parts of many GPCs disturbs all of their tenants).
 *
 * Example, H100, quota 9 TPCs of GPC 6 (18 SMs), one block an SM: a cooperative grid of 18 blocks
 * stays; one of 20 gets GPC 0 (4 TPCs) as well; one of 133 is refused with -E2BIG.
 *
 * The descriptor may disable TPCs itself (the driver does for clusters, green contexts always).
 * Those are gone before anything is counted. When nothing of the quota is left, the launch belongs
 * to a part of the GPU the program chose, and the driver's mask alone decides; only a quota of
 * nothing but left-over TPCs, which the driver disables for clusters, is widened instead.
 *
 * What it does badly: cooperative clusters are counted at one block an SM, as clusters are (see
 * topology.c), so it may widen more than needed. The choice of GPCs is greedy, not the least
 * possible.
 *
 * Tested by tests/unit/quota_fit.c.
 */
#include "sched/fit.h"

#include <errno.h>

#include "hw/qmd.h"
#include "hw/topology.h"

/* What a launch needs of a set. */
struct need {
	uint64_t blocks;  /* resident at once; 0 = any number */
	uint32_t cluster; /* blocks of one cluster */
	uint32_t blocks_per_sm;
};

/* The topology with only the TPCs of `usable` in it. */
static struct topology topology_within(const struct topology *topo, const struct tpcset *usable)
{
	struct topology part = *topo;

	part.present = *usable;
	for (uint32_t g = 0; g < part.nr_gpcs; g++)
		part.gpc[g] = tpcset_and(part.gpc[g], *usable);
	return part;
}

static uint64_t resident_blocks(const struct topology *topo, const struct tpcset *set,
				const struct need *need)
{
	if (need->cluster > 1)
		return (uint64_t)topology_nr_clusters(topo, set, need->cluster) * need->cluster;
	return (uint64_t)tpcset_count(set) * topo->sms_per_tpc * need->blocks_per_sm;
}

static int set_fits(const struct topology *topo, const struct tpcset *set, const struct need *need)
{
	struct tpcset real = tpcset_and(*set, topo->present);

	if (need->cluster > 1 && topology_max_cluster(topo, &real) < need->cluster)
		return 0;
	return resident_blocks(topo, &real, need) >= need->blocks;
}

static struct tpcset leftovers_of(const struct topology *topo)
{
	struct tpcset rest = topo->present;

	for (uint32_t g = 0; g < topo->nr_gpcs; g++)
		rest = tpcset_andnot(rest, topo->gpc[g]);
	return rest;
}

/* Of the GPCs that add TPCs to `set`: the smallest addition that makes it fit, else the largest. */
static struct tpcset best_addition(const struct topology *topo, const struct tpcset *set,
				   const struct need *need)
{
	struct tpcset best = {{0}};
	int best_fits = 0;

	for (uint32_t g = 0; g < topo->nr_gpcs; g++) {
		struct tpcset add = tpcset_andnot(topo->gpc[g], *set);
		struct tpcset with = tpcset_or(*set, add);
		unsigned int n = tpcset_count(&add);
		unsigned int best_n = tpcset_count(&best);
		int fits = n && set_fits(topo, &with, need);

		if (fits > best_fits || (fits && n < best_n) ||
		    (!fits && !best_fits && n > best_n)) {
			best = add;
			best_fits = fits;
		}
	}
	return best;
}

static int widen_for_gang(const struct topology *topo, struct tpcset *set, const struct need *need)
{
	while (!set_fits(topo, set, need)) {
		struct tpcset add = best_addition(topo, set, need);

		if (tpcset_is_empty(&add)) {
			struct tpcset rest = leftovers_of(topo);

			add = tpcset_andnot(rest, *set);
		}
		if (tpcset_is_empty(&add))
			return -E2BIG;
		*set = tpcset_or(*set, add);
	}
	return 0;
}

static int widen(const struct topology *topo, struct tpcset *set, const struct need *need)
{
	if (need->blocks)
		return widen_for_gang(topo, set, need);
	return topology_widen_for_cluster(topo, set, need->cluster, set);
}

static int need_of(const struct qmd_grid *grid, uint32_t blocks_per_sm, struct need *ret_need)
{
	*ret_need = (struct need){.cluster = 1, .blocks_per_sm = blocks_per_sm};
	switch (grid->type) {
	case QMD_GRID_NULL:
	case QMD_GRID_ORDINARY:
		return 0;
	case QMD_GRID_CLUSTER:
		ret_need->cluster = qmd_grid_cluster_blocks(grid);
		return 0;
	case QMD_GRID_COOPERATIVE:
	case QMD_GRID_COOPERATIVE_CLUSTER:
		ret_need->cluster = qmd_grid_cluster_blocks(grid);
		ret_need->blocks = qmd_grid_blocks(grid);
		return 0;
	default:
		return -ENOTSUP;
	}
}

static int has_only_leftovers(const struct topology *topo, const struct tpcset *set)
{
	struct tpcset rest = leftovers_of(topo);
	struct tpcset inside = tpcset_andnot(*set, rest);

	return tpcset_is_empty(&inside);
}

/* The part for launches that need more than any one TPC. */
static int fit_demanding(const struct topology *topo, const struct tpcset *quota,
			 const struct tpcset *usable, const struct need *need,
			 struct tpcset *ret_allowed)
{
	struct topology part = topology_within(topo, usable);
	struct tpcset set = tpcset_and(*quota, *usable);

	if (set_fits(&part, &set, need)) {
		*ret_allowed = *quota;
		return FIT_AS_IS;
	}
	int r = widen(&part, &set, need);
	if (r < 0)
		return r;
	*ret_allowed = tpcset_or(*quota, set);
	return FIT_WIDENED;
}

int fit_mask(const struct topology *topo, const struct tpcset *quota, const struct qmd_grid *grid,
	     uint32_t blocks_per_sm, struct tpcset *ret_allowed)
{
	struct tpcset real = tpcset_and(*quota, topo->present);
	struct tpcset usable = tpcset_andnot(topo->present, grid->disabled);
	struct tpcset left = tpcset_and(real, usable);
	struct need need;

	if (tpcset_is_empty(&real))
		return -EINVAL;
	int r = need_of(grid, blocks_per_sm, &need);
	if (r < 0)
		return r;
	int lent = need.cluster > 1 && has_only_leftovers(topo, &real);
	if (tpcset_is_empty(&usable) || (tpcset_is_empty(&left) && !lent)) {
		*ret_allowed = topo->present;
		return FIT_DRIVER_DECIDES;
	}
	if (need.cluster > 1 || need.blocks)
		return fit_demanding(topo, &real, &usable, &need, ret_allowed);
	*ret_allowed = real;
	return FIT_AS_IS;
}
