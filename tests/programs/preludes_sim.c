/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lk_fma on the simulated GPU, which loads this object (LITHOS_SIM_KERNELS).
 *
 * A round has a cost; a block stores when it ends and not when it begins, so "began" is said a
 * block later than on hardware. Unlike there, a block is not slowed down by what runs beside it.
 */
#include <string.h>

#include "sim/sim_kernel.h"

#define ROUND_NS 65u
#define BEGIN_NS 500u

struct fma_params {
	uint32_t *counts;
	uint32_t *began;
	uint32_t number;
	uint32_t rounds;
};

static struct fma_params params_of(const struct sim_kernel_launch *launch)
{
	struct fma_params p = {0};

	if (launch->params_bytes >= sizeof(p))
		memcpy(&p, launch->params, sizeof(p));
	return p;
}

static uint64_t cost(const struct sim_kernel_launch *launch)
{
	return BEGIN_NS + (uint64_t)params_of(launch).rounds * ROUND_NS;
}

static void run(const struct sim_kernel_block *block)
{
	struct fma_params p = params_of(block->launch);

	(void)__atomic_fetch_add(&p.counts[block->block_idx[0]], 1, __ATOMIC_RELAXED);
	if (block->block_idx[0] == 0)
		__atomic_store_n(p.began, p.number, __ATOMIC_RELEASE);
}

extern const struct sim_kernel lithos_sim_kernels[];

__attribute__((visibility("default"))) const struct sim_kernel lithos_sim_kernels[] = {
	{.name = "lk_fma",
	 .run_block = run,
	 .cost_ns = cost,
	 .min_params_bytes = sizeof(struct fma_params)},
	{.name = NULL},
};
