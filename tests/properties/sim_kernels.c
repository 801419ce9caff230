/* SPDX-License-Identifier: Apache-2.0 */
/* kernels.ptx for the simulated GPU, which loads this object (LITHOS_SIM_KERNELS). */
#include <string.h>

#include "sim/sim_kernel.h"

struct mix_params {
	uint32_t *dst;
	uint32_t a, b, ns;
};

static void run_mix(const struct sim_kernel_block *block)
{
	uint32_t threads = block->launch->block_dim[0];
	uint32_t first = block->block_idx[0] * threads;
	struct mix_params p;

	memcpy(&p, block->launch->params, sizeof(p));
	for (uint32_t i = first; i < first + threads; i++)
		p.dst[i] = p.dst[i] * p.a + p.b + i;
}

static uint64_t cost_mix(const struct sim_kernel_launch *launch)
{
	struct mix_params p;

	memcpy(&p, launch->params, sizeof(p));
	return p.ns ? p.ns : 1;
}

extern const struct sim_kernel lithos_sim_kernels[];

__attribute__((visibility("default"))) const struct sim_kernel lithos_sim_kernels[] = {
	{.name = "prop_mix", .run_block = run_mix, .cost_ns = cost_mix, .min_params_bytes = 20},
	{.name = NULL},
};
