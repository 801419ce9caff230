/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many blocks of a kernel one SM can hold, from the launch descriptor alone.
 *
 * The formula is NVIDIA's published occupancy calculation (CUDA C++ Programming Guide, "Hardware
 * multithreading" and the compute capability tables): the least of the limits by block slots,
 * warps, registers and shared memory. Pure; any thread.
 */
#ifndef LITHOS_HW_OCCUPANCY_H
#define LITHOS_HW_OCCUPANCY_H

#include <stdint.h>

struct qmd_grid;

struct sm_limits {
	uint32_t max_blocks;
	uint32_t max_warps;
	uint32_t registers;       /* 32-bit registers of one SM */
	uint32_t register_unit;   /* allocation granularity, registers per warp */
	uint32_t warp_unit;       /* register files of an SM; each holds whole warps only */
	uint32_t shared_bytes;    /* largest shared memory carve-out, reserves included */
	uint32_t shared_unit;     /* allocation granularity, bytes */
	uint32_t shared_reserved; /* taken by the system per block, bytes; qmd_grid's size has it in
				   */
};

/* Limits of a compute capability (9,0 = Hopper); -ENOENT when unknown. */
int sm_limits_of(int cc_major, int cc_minor, struct sm_limits *ret_limits);

/* Blocks of one SM; 0 when the block fits no SM. */
uint32_t occupancy_blocks_per_sm(const struct sm_limits *limits, const struct qmd_grid *grid);

#endif
