/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From observations of a probe (hw/topo_probe.h) to a topology. Pure; any thread.
 */
#ifndef LITHOS_HW_TOPO_BUILD_H
#define LITHOS_HW_TOPO_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include <lithos/tpcset.h>

#define TOPOLOGY_MAX_SMS 512

struct topology;

/* A set of SMs by %smid. */
struct smset {
	uint64_t w[TOPOLOGY_MAX_SMS / 64];
};

static inline void smset_add(struct smset *set, unsigned int sm)
{
	set->w[sm / 64] |= UINT64_C(1) << (sm % 64);
}

static inline int smset_has(const struct smset *set, unsigned int sm)
{
	return (set->w[sm / 64] >> (sm % 64)) & 1;
}

/* Two SMs whose blocks were seen in one cluster: they share a GPC. */
struct topology_edge {
	uint16_t a;
	uint16_t b;
};

struct topology_obs {
	uint8_t uuid[16];
	uint32_t driver_version;
	uint32_t nr_sms;
	struct smset seen;                  /* with nothing disabled: must be SM 0..nr_sms-1 */
	struct smset vanished[TPCSET_BITS]; /* SMs of `seen` that were gone with only this bit
					       disabled */
	const struct topology_edge *edges;  /* borrowed; in any order, repeats allowed */
	size_t nr_edges;
};

/*
 * 0; -EINVAL nr_sms is zero or too large; -EUCLEAN the observations contradict each other: an SM
 * that vanished for no bit or for two, bits of unequal size, an edge to an SM that does not exist,
 * more than TOPOLOGY_MAX_GPCS groups. Groups of one TPC become left-overs.
 */
int topology_build(const struct topology_obs *obs, struct topology *ret_topo);

#endif
