/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels for LITHOS_SIM_KERNELS: one of its own, one in place of a builtin. */
#include <string.h>

#include "sim/sim_kernel.h"

struct params {
	uint32_t *words;
	uint32_t factor;
};

static struct params params_of(const struct sim_kernel_launch *launch)
{
	struct params params;

	memcpy(&params, launch->params, sizeof(params.words) + sizeof(params.factor));
	return params;
}

/* mine(u32 *words, u32 factor): each block writes where it is, times the factor. */
static void run_mine(const struct sim_kernel_block *block)
{
	struct params params = params_of(block->launch);
	uint32_t at = block->block_idx[0] + block->launch->grid_dim[0] * block->block_idx[1];
	uint32_t *slot = &params.words[at];

	*slot = params.factor * (at + 1);
}

/* A millisecond for each thread of a block. */
static uint64_t cost_mine(const struct sim_kernel_launch *launch)
{
	return 1000000ull * launch->block_dim[0];
}

/* In place of the builtin, which counts by one. */
static void run_count(const struct sim_kernel_block *block)
{
	params_of(block->launch).words[block->block_idx[0]] += 100;
}

extern const struct sim_kernel lithos_sim_kernels[];

__attribute__((visibility("default"))) const struct sim_kernel lithos_sim_kernels[] = {
	{.name = "mine", .run_block = run_mine, .cost_ns = cost_mine, .min_params_bytes = 12},
	{.name = "lk_count", .run_block = run_count, .min_params_bytes = 16},
	{.name = NULL},
};
