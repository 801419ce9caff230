/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks an SM holds, from the descriptor.
 *
 * The least of four limits: block slots, warp slots, registers, shared memory. Registers: an SM has
 * warp_unit register files; a warp's registers (a multiple of register_unit) lie in one of them, so
 * a file holds whole warps only. Example, Hopper, 106 registers a thread: 106 x 32 = 3392, rounded
 * to 3584; a file of 16384 holds 4 such warps, an SM 16, so 16 blocks of one warp or 4 of 100
 * threads. Shared memory: the descriptor's size is already rounded and, from Ampere on, already
 * holds the 1 KiB the system takes of each block (12000 bytes of a kernel read as 13056); 228 KiB
 * hold 17 of them.
 *
 * What it does badly: it takes the largest carve-out, as
 * cuOccupancyMaxActiveBlocksPerMultiprocessor does; a kernel that asked for more L1 cache may get
 * fewer blocks. Hardware barriers are not counted.
 *
 * Tested by tests/unit/occupancy_dumps.c against the driver's own answers.
 */
#include "hw/occupancy.h"

#include <errno.h>

#include "hw/qmd.h"

#define WARP_THREADS 32u
#define KIB          1024u

struct limits_row {
	int major;
	int minor;
	struct sm_limits limits;
};

/*
 * Source: CUDA C++ Programming Guide, table "Technical Specifications per Compute Capability";
 * register and shared memory units as in NVIDIA's occupancy calculator. Columns as in struct
 * sm_limits.
 */
/* clang-format off */
static const struct limits_row limits_table[] = {
	{ 7, 0, {32, 64, 65536, 256, 4,  96 * KIB, 256, 0}},
	{ 7, 5, {16, 32, 65536, 256, 4,  64 * KIB, 256, 0}},
	{ 8, 0, {32, 64, 65536, 256, 4, 164 * KIB, 128, KIB}},
	{ 8, 6, {16, 48, 65536, 256, 4, 100 * KIB, 128, KIB}},
	{ 8, 9, {24, 48, 65536, 256, 4, 100 * KIB, 128, KIB}},
	{ 9, 0, {32, 64, 65536, 256, 4, 228 * KIB, 128, KIB}},
	{10, 0, {32, 64, 65536, 256, 4, 228 * KIB, 128, KIB}},
	{12, 0, {24, 48, 65536, 256, 4, 100 * KIB, 128, KIB}},
};
/* clang-format on */

int sm_limits_of(int cc_major, int cc_minor, struct sm_limits *ret_limits)
{
	for (size_t i = 0; i < sizeof(limits_table) / sizeof(limits_table[0]); i++) {
		const struct limits_row *row = &limits_table[i];

		if (row->major == cc_major && row->minor == cc_minor) {
			*ret_limits = row->limits;
			return 0;
		}
	}
	return -ENOENT;
}

static uint64_t round_up(uint64_t value, uint32_t unit)
{
	return (value + unit - 1) / unit * unit;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t blocks_by_registers(const struct sm_limits *limits, uint32_t registers,
				    uint64_t warps)
{
	uint64_t per_warp = round_up((uint64_t)registers * WARP_THREADS, limits->register_unit);

	if (!per_warp)
		return limits->max_blocks;
	return limits->registers / limits->warp_unit / per_warp * limits->warp_unit / warps;
}

static uint64_t blocks_by_shared(const struct sm_limits *limits, uint32_t shared_bytes)
{
	uint32_t bytes =
		shared_bytes > limits->shared_reserved ? shared_bytes : limits->shared_reserved;

	if (!bytes)
		return limits->max_blocks;
	return limits->shared_bytes / round_up(bytes, limits->shared_unit);
}

uint32_t occupancy_blocks_per_sm(const struct sm_limits *limits, const struct qmd_grid *grid)
{
	uint64_t threads = (uint64_t)grid->block[0] * grid->block[1] * grid->block[2];
	uint64_t warps = (threads + WARP_THREADS - 1) / WARP_THREADS;

	if (!warps)
		return 0;
	uint64_t blocks = min_u64(limits->max_blocks, limits->max_warps / warps);
	blocks = min_u64(blocks, blocks_by_registers(limits, grid->registers, warps));
	return (uint32_t)min_u64(blocks, blocks_by_shared(limits, grid->shared_bytes));
}
