/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which mask bits name a TPC on one GPU, and which TPCs share a GPC.
 *
 * A mask without a real TPC hangs the launch for ever, and clusters run inside one GPC, so both
 * facts must be known before a mask is written. They are measured (hw/topo_probe.h), not computed,
 * and cached per GPU UUID and driver (hw/topo_cache.h).
 *
 * Facts (measured on H100 and H200, driver 580.159.04): bits 9g..9g+8 belong to one GPC; single
 * left-over TPCs have bits from 72 up and hold clusters of at most 2 blocks; a set holds a cluster
 * of c blocks for certain only when one GPC has at least c/2 TPCs of the set (one block per SM).
 */
#ifndef LITHOS_HW_TOPOLOGY_H
#define LITHOS_HW_TOPOLOGY_H

#include <stdint.h>

#include <lithos/tpcset.h>

#define TOPOLOGY_MAX_GPCS 16
#define TOPOLOGY_NO_GPC   0xff /* a left-over TPC: no cluster larger than its own SMs */

struct topology {
	uint8_t uuid[16];
	uint32_t driver_version; /* as cuDriverGetVersion gives it */
	uint32_t nr_sms;
	uint32_t nr_tpcs;
	uint32_t sms_per_tpc;
	uint32_t nr_gpcs;
	struct tpcset present;           /* the bits that name a TPC */
	uint8_t gpc_of_bit[TPCSET_BITS]; /* TOPOLOGY_NO_GPC for left-over TPCs and absent bits */
	uint16_t sm_of_bit[TPCSET_BITS]; /* lowest %smid of the TPC; 0xffff when absent */
	struct tpcset gpc[TOPOLOGY_MAX_GPCS];
};

/* 0, or -EINVAL when an invariant does not hold: counts agree, GPCs are disjoint and part of
 * present. */
int topology_check(const struct topology *topo);

/* Largest cluster, in blocks, that runs for certain on `set`; 1 is always possible on a non-empty
 * set. */
uint32_t topology_max_cluster(const struct topology *topo, const struct tpcset *set);

/* How many clusters of `blocks` blocks fit at once, one block per SM. */
uint32_t topology_nr_clusters(const struct topology *topo, const struct tpcset *set,
			      uint32_t blocks);

/*
 * The smallest superset of `set` inside one GPC's worth of extra TPCs that holds a cluster of
 * `blocks`; -E2BIG when even the whole GPU does not.
 */
int topology_widen_for_cluster(const struct topology *topo, const struct tpcset *set,
			       uint32_t blocks, struct tpcset *ret_set);

#endif
