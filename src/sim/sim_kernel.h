/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels of the simulated GPU: what a kernel of some name does, as C.
 *
 * A shared object named by LITHOS_SIM_KERNELS may export more of them:
 *
 *	const struct sim_kernel lithos_sim_kernels[] = { {.name = "mine", .run_block = ...}, {0} };
 *
 * run_block is called once per block, when the block ends, with the simulator's lock held: it must
 * return soon, must not call the driver, and needs no synchronisation with other blocks. Threads of
 *the block are the body's own loop.
 */
#ifndef LITHOS_SIM_KERNEL_H
#define LITHOS_SIM_KERNEL_H

#include <stddef.h>
#include <stdint.h>

/* The kernel has a grid barrier: no block ends before all are resident. Its machine code waits. */
#define SIM_KERNEL_GRID_BARRIER 1u

/* A launch, as its cost function sees it. */
struct sim_kernel_launch {
	const void *params; /* laid out as in the kernel's parameter bank */
	size_t params_bytes;
	uint32_t grid_dim[3];
	uint32_t block_dim[3];
};

struct sim_kernel_block {
	const struct sim_kernel_launch *launch;
	uint32_t block_idx[3];
	uint32_t smid;
	uint64_t now_ns; /* end of the block, device time */
};

struct sim_kernel {
	const char *name; /* NULL ends a table */
	void (*run_block)(const struct sim_kernel_block *block);
	uint64_t (*cost_ns)(const struct sim_kernel_launch *launch); /* NULL: SIM_DEFAULT_COST_NS */
	uint32_t flags;                                              /* SIM_KERNEL_* */
	uint32_t min_params_bytes; /* a launch with fewer runs without a body */
	/*
	 * Asked when a block's time is over, and again every 100 us until it answers 1: the block
	 * holds its place on the SM meanwhile, as one does that waits for another. NULL: it ends
	 * then. Not asked on GPUs that processes share. Its machine code says nothing of it.
	 */
	int (*may_end)(const struct sim_kernel_block *block);
};

#define SIM_DEFAULT_COST_NS 2000u

#endif
