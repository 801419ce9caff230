/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topologies for tests: the one an H200 showed, read from tests/data, and random ones.
 */
#ifndef LITHOS_TESTS_TOPOLOGY_DATA_H
#define LITHOS_TESTS_TOPOLOGY_DATA_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/topo_build.h"
#include "hw/topology.h"

#define TEST_MAX_EDGES 1024

struct probe_data {
	struct topology_obs obs;
	struct topology_edge edges[TEST_MAX_EDGES];
};

/* " bit 0 missing 2: 0 1 bit 1 missing ..." */
static inline void probe_read_bits(struct probe_data *data, char *line)
{
	unsigned int bit = TPCSET_BITS;
	char *save = NULL;

	for (char *word = strtok_r(line, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		unsigned int number = (unsigned int)strtoul(word, NULL, 10);

		if (!strcmp(word, "bit")) {
			word = strtok_r(NULL, " \n", &save);
			bit = word ? (unsigned int)strtoul(word, NULL, 10) : TPCSET_BITS;
		} else if (!strcmp(word, "missing")) {
			(void)strtok_r(NULL, " \n", &save);
		} else if (bit < TPCSET_BITS && number < TOPOLOGY_MAX_SMS) {
			smset_add(&data->obs.vanished[bit], number);
			smset_add(&data->obs.seen, number);
			data->obs.nr_sms++;
		}
	}
}

/* " group1(8): 0 1 16 ... group2(8): ...": neighbours in the list of one group become pairs. */
static inline void probe_read_groups(struct probe_data *data, char *line)
{
	int last = -1;
	char *save = NULL;

	for (char *word = strtok_r(line, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		int is_number = *word >= '0' && *word <= '9';
		int number = is_number ? (int)strtoul(word, NULL, 10) : -1;

		if (last >= 0 && number >= 0 && data->obs.nr_edges < TEST_MAX_EDGES)
			data->edges[data->obs.nr_edges++] =
				(struct topology_edge){(uint16_t)last, (uint16_t)number};
		last = number;
	}
}

/* 0, or -1 when the data file is not there. */
static inline int probe_read(struct probe_data *data)
{
	FILE *file = fopen(TEST_DATA_DIR "/topology_probe_h200.txt", "r");
	static char line[8192];

	memset(data, 0, sizeof(*data));
	data->obs.edges = data->edges;
	data->obs.driver_version = 13000;
	for (int i = 0; i < 16; i++)
		data->obs.uuid[i] = (uint8_t)(17 * i);
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, " bit ", 5))
			probe_read_bits(data, line);
		else if (!strncmp(line, " group", 6))
			probe_read_groups(data, line);
	}
	fclose(file);
	return 0;
}

static inline int topology_h200(struct topology *topo)
{
	static struct probe_data data;

	return probe_read(&data) < 0 ? -1 : topology_build(&data.obs, topo);
}

/* xorshift64*: the same numbers in every run. */
static inline uint32_t topology_random_u32(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)((*state * 0x2545f4914f6cdd1du) >> 32);
}

static inline struct tpcset topology_random_set(uint64_t *seed, struct tpcset within)
{
	uint32_t mode = topology_random_u32(seed) % 3;

	for (int i = 0; i < TPCSET_WORDS; i++) {
		uint32_t keep = topology_random_u32(seed);

		for (int sparser = 0; mode == 0 && sparser < 2; sparser++)
			keep &= topology_random_u32(seed);
		if (mode == 1)
			keep |= topology_random_u32(seed);
		within.w[i] &= keep;
	}
	return within;
}

/* Sound by construction: every bit is absent, in one of up to nine GPCs, or a left-over. */
static inline void topology_random(uint64_t *seed, struct topology *topo)
{
	uint32_t nr_gpcs = topology_random_u32(seed) % 9;
	uint32_t density = 1 + topology_random_u32(seed) % 9;

	memset(topo, 0, sizeof(*topo));
	memset(topo->gpc_of_bit, TOPOLOGY_NO_GPC, sizeof(topo->gpc_of_bit));
	memset(topo->sm_of_bit, 0xff, sizeof(topo->sm_of_bit));
	topo->sms_per_tpc = 1 + topology_random_u32(seed) % 2;
	topo->nr_gpcs = nr_gpcs;
	for (unsigned int bit = 0; bit < TPCSET_BITS; bit++) {
		uint32_t gpc = topology_random_u32(seed) % (nr_gpcs + 1);

		/* The first bits fill every GPC, and there is always one TPC. */
		if (bit < nr_gpcs)
			gpc = bit;
		else if (bit > nr_gpcs && topology_random_u32(seed) % 10 >= density)
			continue;
		tpcset_add(&topo->present, bit);
		topo->sm_of_bit[bit] = (uint16_t)(topo->nr_tpcs++ * topo->sms_per_tpc);
		if (gpc < nr_gpcs) {
			tpcset_add(&topo->gpc[gpc], bit);
			topo->gpc_of_bit[bit] = (uint8_t)gpc;
		}
	}
	topo->nr_sms = topo->nr_tpcs * topo->sms_per_tpc;
}

#endif
