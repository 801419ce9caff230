/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chip descriptions.
 *
 * Problem: bit numbers of the TPC mask have holes, and SM numbers follow another order than bits,
 * so code that confuses the two must fail on the simulator as it does on hardware. Idea: keep the
 * measured bit map, and derive SM numbers by the rule that reproduces the measurement: a GPC is a
 * run of nine bits; SM numbers are dealt to the GPCs in turn, one TPC (two SMs) a round; left-over
 * TPCs (bits from 72 up) come last, each on its own. H100 and H200 gave the same map.
 *
 * The small chip is invented: two GPCs of unequal size and one left-over TPC, so that every rule
 * has a case on it. Tested by tests/unit/sim_mask.c against tests/data/topology_probe_h200.txt.
 */
#include "sim/device/chip.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define BITS_PER_GPC        9u
#define FIRST_LEFT_OVER_BIT 72u
#define GIB                 (1ull << 30)

struct chip_row {
	const char *name;
	const char *device_name;
	uint64_t memory_bytes;
	uint32_t clock_khz;
	uint32_t memory_clock_khz;
	struct tpcset present;
};

/* Bits 0-3 9-16 18-25 27-34 36-43 45-52 54-71 75 78 81 83, measured on H100 and H200. */
#define HOPPER_BITS                                                                                \
	{                                                                                          \
		{                                                                                  \
			0xfbfdfe0fu, 0xffdfeff7u, 0x000a48ffu, 0                                   \
		}                                                                                  \
	}

static const struct chip_row chip_rows[] = {
	{"h100", "lithos simulated H100", 80 * GIB, 1980000, 2619000, HOPPER_BITS},
	{"h200", "lithos simulated H200", 141 * GIB, 1980000, 3201000, HOPPER_BITS},
	/* Bits 0-2, 9-12, 75. */
	{"small",
	 "lithos simulated small GPU",
	 1 * GIB,
	 1000000,
	 1000000,
	 {{0x00001e07u, 0, 0x800u, 0}}},
};

static void add_tpc(struct sim_chip *chip, uint32_t bit, uint32_t gpc)
{
	uint32_t sm = chip->nr_sms;

	chip->sm_of_bit[bit] = (uint16_t)sm;
	for (uint32_t i = sm; i < sm + 2; i++) {
		chip->bit_of_sm[i] = (uint16_t)bit;
		chip->gpc_of_sm[i] = (uint8_t)gpc;
	}
	chip->nr_sms += 2;
	chip->nr_tpcs++;
}

static void number_sms(struct sim_chip *chip)
{
	const uint32_t nr_full = FIRST_LEFT_OVER_BIT / BITS_PER_GPC;

	for (uint32_t bit = 0; bit < TPCSET_BITS; bit++)
		chip->sm_of_bit[bit] = CHIP_NO_TPC;
	/* Bits from 72 up never reach the first loop, so `nr_full` GPC numbers are enough for it.
	 */
	for (uint32_t slot = 0; slot < FIRST_LEFT_OVER_BIT; slot++) {
		uint32_t gpc = slot % nr_full;
		uint32_t bit = gpc * BITS_PER_GPC + slot / nr_full;

		if (tpcset_has(&chip->present, bit))
			add_tpc(chip, bit, gpc);
	}
	chip->nr_gpcs = nr_full;
	for (uint32_t bit = FIRST_LEFT_OVER_BIT; bit < TPCSET_BITS; bit++) {
		if (tpcset_has(&chip->present, bit))
			add_tpc(chip, bit, chip->nr_gpcs++);
	}
}

int chip_of(const char *name, struct sim_chip *ret_chip)
{
	for (size_t i = 0; i < sizeof(chip_rows) / sizeof(chip_rows[0]); i++) {
		const struct chip_row *row = &chip_rows[i];

		if (strcmp(name, row->name) != 0)
			continue;
		memset(ret_chip, 0, sizeof(*ret_chip));
		ret_chip->name = row->name;
		ret_chip->device_name = row->device_name;
		ret_chip->memory_bytes = row->memory_bytes;
		ret_chip->clock_khz = row->clock_khz;
		ret_chip->memory_clock_khz = row->memory_clock_khz;
		ret_chip->present = row->present;
		number_sms(ret_chip);
		return sm_limits_of(9, 0, &ret_chip->limits);
	}
	return -ENOENT;
}
