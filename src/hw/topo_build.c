/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a probe saw, turned into a topology, or refused.
 *
 * The probe disables one mask bit at a time and notes which SMs run no block. A bit that takes SMs
 * away names a TPC; the others name nothing on this chip. It also runs clusters and notes which SMs
 * served one cluster. SMs of one cluster share a GPC, so the GPCs are the connected components of
 * those pairs, found by union-find over TPCs. A TPC never seen together with another is a
 * left-over.
 *
 * A probe on a busy GPU can miss SMs. Nothing is repaired here: every SM must have vanished for
 * exactly one bit and all bits must have taken equally many, or the answer is -EUCLEAN and the
 * caller probes again. What it cannot notice: too few clusters observed, which makes a GPC look
 * like two. That is safe (fewer clusters are promised), not optimal.
 *
 * Tested by tests/unit/topology_build.c with what an H200 showed, and with each contradiction.
 */
#include "hw/topo_build.h"

#include <errno.h>
#include <string.h>

#include "hw/topology.h"

#define NO_BIT 0xff

struct build {
	uint8_t bit_of_sm[TOPOLOGY_MAX_SMS];
	uint8_t parent[TPCSET_BITS]; /* union-find over mask bits */
};

static uint32_t smset_count(const struct smset *set)
{
	uint32_t n = 0;

	for (unsigned int i = 0; i < TOPOLOGY_MAX_SMS / 64; i++)
		n += (uint32_t)__builtin_popcountll(set->w[i]);
	return n;
}

static int seen_is_complete(const struct topology_obs *obs)
{
	for (uint32_t sm = 0; sm < obs->nr_sms; sm++) {
		if (!smset_has(&obs->seen, sm))
			return 0;
	}
	return smset_count(&obs->seen) == obs->nr_sms;
}

/* Gives the SMs that vanished with `bit` to it; lowest SM, or -EUCLEAN when one was given away
 * before. */
static int claim_sms(const struct topology_obs *obs, struct build *build, unsigned int bit)
{
	int lowest = -EUCLEAN;

	for (unsigned int sm = TOPOLOGY_MAX_SMS; sm-- > 0;) {
		if (!smset_has(&obs->vanished[bit], sm))
			continue;
		if (sm >= obs->nr_sms || build->bit_of_sm[sm] != NO_BIT)
			return -EUCLEAN;
		build->bit_of_sm[sm] = (uint8_t)bit;
		lowest = (int)sm;
	}
	return lowest;
}

static int build_tpcs(const struct topology_obs *obs, struct build *build, struct topology *topo)
{
	uint32_t nr_claimed = 0;

	for (unsigned int bit = 0; bit < TPCSET_BITS; bit++) {
		uint32_t n = smset_count(&obs->vanished[bit]);

		if (!n)
			continue;
		int lowest = claim_sms(obs, build, bit);
		if (lowest < 0 || (topo->sms_per_tpc && topo->sms_per_tpc != n))
			return -EUCLEAN;
		topo->sms_per_tpc = n;
		topo->sm_of_bit[bit] = (uint16_t)lowest;
		tpcset_add(&topo->present, bit);
		topo->nr_tpcs++;
		nr_claimed += n;
	}
	return nr_claimed == obs->nr_sms ? 0 : -EUCLEAN;
}

static unsigned int root_of(struct build *build, unsigned int bit)
{
	while (build->parent[bit] != bit) {
		build->parent[bit] = build->parent[build->parent[bit]];
		bit = build->parent[bit];
	}
	return bit;
}

static int join_edges(const struct topology_obs *obs, struct build *build)
{
	for (size_t i = 0; i < obs->nr_edges; i++) {
		const struct topology_edge *edge = &obs->edges[i];

		if (edge->a >= obs->nr_sms || edge->b >= obs->nr_sms)
			return -EUCLEAN;
		unsigned int a = root_of(build, build->bit_of_sm[edge->a]);
		unsigned int b = root_of(build, build->bit_of_sm[edge->b]);
		/* The lowest bit of a group is its root, which orders the GPCs. */
		build->parent[a > b ? a : b] = (uint8_t)(a > b ? b : a);
	}
	return 0;
}

static struct tpcset group_of(const struct topology *topo, struct build *build, unsigned int root)
{
	struct tpcset group = {{0}};

	for (unsigned int bit = root; bit < TPCSET_BITS; bit++) {
		if (tpcset_has(&topo->present, bit) && root_of(build, bit) == root)
			tpcset_add(&group, bit);
	}
	return group;
}

static int build_gpcs(struct build *build, struct topology *topo)
{
	for (unsigned int root = 0; root < TPCSET_BITS; root++) {
		struct tpcset group = group_of(topo, build, root);

		if (tpcset_count(&group) < 2)
			continue;
		if (topo->nr_gpcs == TOPOLOGY_MAX_GPCS)
			return -EUCLEAN;
		for (unsigned int bit = root; bit < TPCSET_BITS; bit++) {
			if (tpcset_has(&group, bit))
				topo->gpc_of_bit[bit] = (uint8_t)topo->nr_gpcs;
		}
		topo->gpc[topo->nr_gpcs++] = group;
	}
	return 0;
}

int topology_build(const struct topology_obs *obs, struct topology *ret_topo)
{
	struct topology topo = {.driver_version = obs->driver_version, .nr_sms = obs->nr_sms};
	struct build build;

	if (!obs->nr_sms || obs->nr_sms > TOPOLOGY_MAX_SMS)
		return -EINVAL;
	if (!seen_is_complete(obs))
		return -EUCLEAN;
	memcpy(topo.uuid, obs->uuid, sizeof(topo.uuid));
	memset(topo.gpc_of_bit, TOPOLOGY_NO_GPC, sizeof(topo.gpc_of_bit));
	memset(topo.sm_of_bit, 0xff, sizeof(topo.sm_of_bit));
	memset(build.bit_of_sm, NO_BIT, sizeof(build.bit_of_sm));
	for (unsigned int bit = 0; bit < TPCSET_BITS; bit++)
		build.parent[bit] = (uint8_t)bit;

	int r = build_tpcs(obs, &build, &topo);
	if (r < 0)
		return r;
	r = join_edges(obs, &build);
	if (r < 0)
		return r;
	r = build_gpcs(&build, &topo);
	if (r < 0)
		return r;
	*ret_topo = topo;
	return 0;
}
