/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launch descriptors, V04_00, after the pattern of real ones.
 *
 * Problem: what edits descriptors must meet here what it meets on hardware: the same fields set,
 * the same left at zero. Idea: start from the words that every descriptor of an H200 had in common
 * (tests/data/qmd_v04_00_h200.txt), then write the fields of this launch. Addresses (semaphore 0,
 * the constant banks) are of the right shape and point nowhere; the simulated device does not use
 * them.
 *
 * A cluster larger than one TPC gets the driver's own mask: the left-over TPCs, bits 72 and up, are
 * disabled. Units of the grid by type: sim/device/decode.c. The target carve-out is a guess: the
 * driver's rule for it is not known.
 *
 * Tested by tests/unit/sim_qmd_real.c against real descriptors, and by sim_mask.c and sim_grids.c.
 */
#include "sim/kernel/qmd_build.h"

#include <string.h>

#include "hw/qmd.h"

#define TYPE_COOPERATIVE_CLUSTER 5
#define GROUP_ORDINARY           0x3f
#define GROUP_COOPERATIVE        0x08
#define FIRST_LEFT_OVER_BIT      72u
#define SHARED_RESERVED          1024u
#define MAX_CARVE_OUT_KIB        228u

struct word {
	uint8_t index;
	uint32_t value;
};

/* Same in all descriptors of streams. */
static const struct word stream_words[] = {
	{0, 0x10000000},  {10, 0x00000003}, {11, 0x00190000}, {13, 0x10300011}, {14, 0x0204e580},
	{16, 0x90000000}, {17, 0x03000640}, {18, 0xbc000040}, {20, 0x04637abc}, {21, 0x00000002},
	{22, 0x00000006}, {35, 0x80010000}, {42, 0x79c77a3a}, {43, 0x0012007f}, {48, 0xe7196000},
	{49, 0x018001fd}, {50, 0xe7180400}, {51, 0x048001fd}, {58, 0xe7196000}, {59, 0x018001fd},
	{62, 0xe7180000}, {63, 0x800001fd},
};

/* Same in the descriptors of graph nodes. */
static const struct word graph_words[] = {
	{0, 0x40000000},  {10, 0x00000010}, {11, 0x44130000}, {13, 0x10500011}, {14, 0x0204c008},
	{16, 0x90000000}, {17, 0x03000880}, {18, 0x3c000040}, {20, 0x04627fe4}, {21, 0x00000002},
	{22, 0x00000001}, {35, 0x00030000}, {42, 0x79c77a3a}, {43, 0x0412007f}, {48, 0xe718045c},
	{49, 0x018001fd}, {50, 0xe7180400}, {51, 0x048001fd}, {58, 0xe7180478}, {59, 0x018001fd},
	{62, 0xe7180000}, {63, 0x800001fd},
};

/* Shared memory carve-outs of an SM, KiB. */
static const uint32_t carve_outs[] = {0, 8, 16, 32, 64, 100, 132, 164, 196, 228};

static void set(uint32_t *qmd, enum qmd_field field, uint64_t value)
{
	/* The table has every field used here; tests/unit/sim_grids.c runs what it says. */
	(void)qmd_set(qmd_layout_by_name("V04_00"), qmd, field, 0, value);
}

static int has_cluster(const struct qmd_spec *spec)
{
	return spec->cluster[0] * spec->cluster[1] * spec->cluster[2] > 1;
}

static uint32_t type_of(const struct qmd_spec *spec)
{
	if (spec->cooperative)
		return has_cluster(spec) ? TYPE_COOPERATIVE_CLUSTER : QMD_GRID_COOPERATIVE;
	return has_cluster(spec) ? QMD_GRID_CLUSTER : QMD_GRID_ORDINARY;
}

static void set_grid(const struct qmd_spec *spec, uint32_t *qmd)
{
	for (unsigned int i = 0; i < 3; i++) {
		uint32_t units = spec->grid[i] / spec->cluster[i];

		if (spec->cooperative)
			set(qmd, (enum qmd_field)(QMD_GPU_CGA_WIDTH + i), units);
		set(qmd, (enum qmd_field)(QMD_GRID_WIDTH + i), spec->cooperative ? 1 : units);
		if (has_cluster(spec))
			set(qmd, (enum qmd_field)(QMD_GPC_CGA_WIDTH + i), spec->cluster[i]);
		set(qmd, (enum qmd_field)(QMD_CTA_THREAD_DIMENSION0 + i), spec->block[i]);
	}
	set(qmd, QMD_QMD_TYPE, type_of(spec));
	set(qmd, QMD_QMD_GROUP_ID, spec->cooperative ? GROUP_COOPERATIVE : GROUP_ORDINARY);
}

/* The driver keeps large clusters off the left-over TPCs. */
static void set_cluster_mask(const struct qmd_spec *spec, uint32_t *qmd)
{
	struct tpcset allowed = {{0, 0, 0, 0}};

	if (!has_cluster(spec))
		return;
	qmd[68] = 0x80000000; /* as in the real ones; meaning unknown */
	if (spec->cluster[0] * spec->cluster[1] * spec->cluster[2] <= 2)
		return;
	for (unsigned int bit = 0; bit < FIRST_LEFT_OVER_BIT; bit++)
		tpcset_add(&allowed, bit);
	(void)qmd_restrict(qmd_layout_by_name("V04_00"), qmd, &allowed);
}

static void set_carve_out(const struct sm_limits *limits, uint32_t *qmd)
{
	const struct qmd_layout *layout = qmd_layout_by_name("V04_00");
	struct qmd_grid grid;
	uint32_t needed_kib = 0;
	size_t i = 0;

	if (qmd_decode_grid(layout, qmd, &grid))
		return;
	needed_kib = occupancy_blocks_per_sm(limits, &grid) * grid.shared_bytes / 1024;
	while (carve_outs[i] < needed_kib && carve_outs[i] < MAX_CARVE_OUT_KIB)
		i++;
	/* The field counts 4 KiB, from 1. */
	set(qmd, QMD_MIN_SM_CONFIG_SHARED_MEM_SIZE, carve_outs[i] / 4 + 1);
	set(qmd, QMD_MAX_SM_CONFIG_SHARED_MEM_SIZE, MAX_CARVE_OUT_KIB / 4 + 1);
	set(qmd, QMD_TARGET_SM_CONFIG_SHARED_MEM_SIZE, carve_outs[i] / 4 + 1);
}

static void set_words(const struct word *words, size_t n, uint32_t *qmd)
{
	for (size_t i = 0; i < n; i++)
		qmd[words[i].index] = words[i].value;
}

void qmd_build(const struct qmd_spec *spec, const struct sm_limits *limits,
	       uint32_t ret_qmd[QMD_BUILD_BYTES / 4])
{
	memset(ret_qmd, 0, QMD_BUILD_BYTES);
	if (spec->in_graph)
		set_words(graph_words, sizeof(graph_words) / sizeof(graph_words[0]), ret_qmd);
	else
		set_words(stream_words, sizeof(stream_words) / sizeof(stream_words[0]), ret_qmd);
	set_grid(spec, ret_qmd);
	set_cluster_mask(spec, ret_qmd);
	set(ret_qmd, QMD_REGISTER_COUNT, spec->registers);
	set(ret_qmd, QMD_BARRIER_COUNT, 1);
	set(ret_qmd, QMD_SHARED_MEMORY_SIZE,
	    ((uint64_t)spec->shared_bytes + SHARED_RESERVED + 127) / 128 * 128);
	set(ret_qmd, QMD_PROGRAM_ADDRESS_LOWER, spec->entry & UINT32_MAX);
	set(ret_qmd, QMD_PROGRAM_ADDRESS_UPPER, spec->entry >> 32);
	if (spec->overlaps_previous)
		ret_qmd[0] |=
			0x60000000; /* as in the real ones: waits for its predecessor's pre-exit */
	set_carve_out(limits, ret_qmd);
	ret_qmd[46] = spec->correlation;
	set(ret_qmd, QMD_QMD_MINOR_VERSION, spec->version & 0xf);
	set(ret_qmd, QMD_QMD_MAJOR_VERSION, spec->version >> 4);
}
