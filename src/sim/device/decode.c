/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a launch descriptor to the blocks that will run, and whether they can.
 *
 * The units of GRID_WIDTH/HEIGHT/DEPTH depend on the type (measured on H200): blocks for an
 * ordinary grid; clusters for a cluster grid; for a cooperative grid they are 1,1,1 and
 * GPU_CGA_WIDTH.. hold the gang, in blocks, or in clusters for the type that is both. Truncation
 * writes GRID_*, so what runs is gang x grid x cluster blocks, whatever gridDim the kernel sees.
 *
 * A grid is stuck when even an idle device cannot hold it: no real TPC in the mask, a block that
 * fits no SM, a gang larger than the allowed SMs hold, a cluster larger than any allowed GPC. A
 * cluster takes one block per SM, also where occupancy would allow more (measured).
 */
#include "sim/device/internal.h"

#include <errno.h>
#include <string.h>

#include "hw/occupancy.h"
#include "hw/prelude/prelude.h"

/* GRID_GPU_GPC_CGA of NVIDIA's header: cooperative and in clusters. */
#define QMD_GRID_COOPERATIVE_CLUSTER 5

/* In word 0 of descriptors launched with programmatic stream serialization
 * (sim/kernel/qmd_build.c). */
#define WAITS_FOR_PRE_EXIT 0x60000000u

static uint32_t field(const struct sim_device *device, const void *qmd, enum qmd_field name)
{
	uint64_t value = 0;

	(void)qmd_get(device->layout, qmd, name, 0, &value);
	return (uint32_t)value;
}

static int has_clusters(const struct sim_grid *grid)
{
	return grid->info.type == QMD_GRID_CLUSTER ||
	       grid->info.type == QMD_GRID_COOPERATIVE_CLUSTER;
}

static int is_cooperative(const struct sim_grid *grid)
{
	return grid->info.type == QMD_GRID_COOPERATIVE ||
	       grid->info.type == QMD_GRID_COOPERATIVE_CLUSTER;
}

static void decode_extent(const struct sim_device *device, struct sim_grid *grid)
{
	for (unsigned int i = 0; i < 3; i++) {
		uint32_t n = field(device, grid->qmd, (enum qmd_field)(QMD_GRID_WIDTH + i));

		grid->cluster[i] = 1;
		if (has_clusters(grid))
			grid->cluster[i] =
				field(device, grid->qmd, (enum qmd_field)(QMD_GPC_CGA_WIDTH + i));
		if (is_cooperative(grid))
			n *= field(device, grid->qmd, (enum qmd_field)(QMD_GPU_CGA_WIDTH + i));
		grid->extent[i] = n * grid->cluster[i];
	}
	if (grid->info.type == QMD_GRID_NULL)
		grid->extent[0] = 0;
	grid->cluster_blocks = grid->cluster[0] * grid->cluster[1] * grid->cluster[2];
	grid->nr_blocks = (uint64_t)grid->extent[0] * grid->extent[1] * grid->extent[2];
}

static uint64_t prelude_ns(enum sim_program program)
{
	if (program == SIM_PROGRAM_KERNEL || program == SIM_PROGRAM_NONE)
		return 0;
	return program_is_claim(program) ? SIM_CLAIM_NS : SIM_GATE_NS;
}

static uint64_t bank_field(const struct sim_device *device, const void *qmd, enum qmd_field name)
{
	uint64_t value = 0;

	(void)qmd_get(device->layout, qmd, name, PRELUDE_BANK, &value);
	return value;
}

/* Where the bank of a prelude's slot lies; 0 when it is not bound, or smaller than a slot. */
static uint64_t slot_address(const struct sim_device *device, const void *qmd)
{
	if (!bank_field(device, qmd, QMD_CONSTANT_BUFFER_VALID) ||
	    bank_field(device, qmd, QMD_CONSTANT_BUFFER_SIZE_SHIFTED4) < PRELUDE_SLOT_BYTES / 16)
		return 0;
	return (bank_field(device, qmd, QMD_CONSTANT_BUFFER_ADDRESS_SHIFTED6_LOWER) |
		bank_field(device, qmd, QMD_CONSTANT_BUFFER_ADDRESS_SHIFTED6_UPPER) << 32)
	       << 6;
}

int grid_decode(const struct sim_device *device, const struct sim_launch *launch,
		struct sim_grid *grid)
{
	struct tpcset allowed = device->chip.present;
	uint32_t first_word;

	memset(grid, 0, sizeof(*grid));
	memcpy(grid->qmd, launch->qmd, SIM_QMD_BYTES);
	memcpy(grid->grid_dim, launch->grid_dim, sizeof(grid->grid_dim));
	grid->cookie = launch->cookie;
	grid->program = launch->program;
	grid->may_end = launch->may_end;
	grid->cost_ns = launch->cost_ns + prelude_ns(launch->program);
	/* The hardware knows its own layout: a wrong version byte fools tools, not the device. */
	(void)qmd_set(device->layout, grid->qmd, QMD_QMD_MAJOR_VERSION, 0, 4);
	(void)qmd_set(device->layout, grid->qmd, QMD_QMD_MINOR_VERSION, 0, 0);
	if (qmd_decode_grid(device->layout, grid->qmd, &grid->info))
		return -EINVAL;
	decode_extent(device, grid);
	grid->slot_address = slot_address(device, grid->qmd);
	if (!grid->cluster_blocks)
		return -EINVAL;
	if (grid->info.mask_valid && !device->config.ignores_masks && !launch->ignores_mask)
		allowed = tpcset_andnot(allowed, grid->info.disabled);
	grid->allowed = allowed;
	grid->per_sm = occupancy_blocks_per_sm(&device->chip.limits, &grid->info);
	if (grid->per_sm)
		grid->share = SM_SHARES / grid->per_sm;
	grid->all_at_once = is_cooperative(grid);
	grid->is_gang = grid->all_at_once || launch->waits_for_all;
	grid->pre_exits = field(device, grid->qmd, QMD_PRE_EXIT_AT_LAST_CTA_LAUNCH) != 0;
	memcpy(&first_word, grid->qmd, sizeof(first_word));
	grid->overlaps = (first_word & WAITS_FOR_PRE_EXIT) == WAITS_FOR_PRE_EXIT;
	return 0;
}

void grid_block_index(const struct sim_grid *grid, uint64_t n, uint32_t ret_index[3])
{
	const uint32_t inner = (uint32_t)(n % grid->cluster_blocks);
	const uint64_t outer = n / grid->cluster_blocks;
	const uint32_t *c = grid->cluster;
	const uint32_t width = grid->extent[0] / c[0];
	const uint32_t height = grid->extent[1] / c[1];

	ret_index[0] = (uint32_t)(outer % width) * c[0] + inner % c[0];
	ret_index[1] = (uint32_t)(outer / width % height) * c[1] + inner / c[0] % c[1];
	ret_index[2] = (uint32_t)(outer / width / height) * c[2] + inner / c[0] / c[1];
}

uint32_t grid_prelude_block(const struct sim_grid *grid, const uint32_t index[3])
{
	int by_cluster = grid->program == SIM_PROGRAM_GATE_CLUSTER ||
			 grid->program == SIM_PROGRAM_CLAIM_CLUSTER;
	uint32_t at[3];

	for (int i = 0; i < 3; i++)
		at[i] = index[i] - (by_cluster ? index[i] % grid->cluster[i] : 0);
	return (at[2] * grid->grid_dim[1] + at[1]) * grid->grid_dim[0] + at[0];
}

/* Blocks of this grid that an idle device holds at once; 0 also when no cluster fits. */
static uint64_t grid_capacity(const struct sim_device *device, const struct sim_grid *grid)
{
	uint32_t sms_in_gpc[CHIP_MAX_GPCS] = {0};
	uint64_t capacity = 0;

	for (uint32_t sm = 0; sm < device->chip.nr_sms; sm++)
		sms_in_gpc[device->chip.gpc_of_sm[sm]] += (uint32_t)sm_is_allowed(device, grid, sm);
	for (uint32_t gpc = 0; gpc < device->chip.nr_gpcs; gpc++) {
		uint32_t clusters = sms_in_gpc[gpc] / grid->cluster_blocks;

		capacity += (uint64_t)clusters * grid->cluster_blocks * grid->per_sm;
	}
	return capacity;
}

const char *grid_why_stuck(const struct sim_device *device, const struct sim_grid *grid)
{
	uint64_t capacity;

	if (tpcset_is_empty(&grid->allowed))
		return "no-tpc";
	if (!grid->per_sm)
		return "block-too-large";
	capacity = grid_capacity(device, grid);
	if (!capacity)
		return "cluster-too-large";
	if (grid->is_gang && capacity < grid->nr_blocks)
		return grid->all_at_once ? "cooperative-too-large" : "barrier-too-large";
	return NULL;
}
