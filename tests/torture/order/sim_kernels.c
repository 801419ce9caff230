/* SPDX-License-Identifier: Apache-2.0 */
/* kernels.ptx for the simulated GPU, which loads this object (LITHOS_SIM_KERNELS). */
#include <string.h>

#include "sim/sim_kernel.h"

struct mix_params {
	uint32_t *dst;
	const uint32_t *src;
	uint32_t a, b, n, ns;
};

struct many_params {
	uint32_t *dst;
	uint32_t value[24];
	uint32_t n, ns;
};

/* The block's elements: [first, last) of n. */
static void range(const struct sim_kernel_block *block, uint32_t n, uint32_t *ret_first,
		  uint32_t *ret_last)
{
	uint32_t threads = block->launch->block_dim[0];
	uint32_t first = block->block_idx[0] * threads;

	*ret_first = first < n ? first : n;
	*ret_last = first + threads < n ? first + threads : n;
}

static void run_mix(const struct sim_kernel_block *block)
{
	struct mix_params p;
	uint32_t i, last;

	memcpy(&p, block->launch->params, sizeof(p));
	range(block, p.n, &i, &last);
	for (; i < last; i++)
		p.dst[i] = p.dst[i] * p.a + p.src[i] + p.b;
}

static void run_many(const struct sim_kernel_block *block)
{
	struct many_params p;
	uint32_t i, last;

	memcpy(&p, block->launch->params, sizeof(p));
	range(block, p.n, &i, &last);
	for (; i < last; i++)
		p.dst[i] = p.dst[i] * 31 + p.value[i % 24];
}

static uint64_t cost_mix(const struct sim_kernel_launch *launch)
{
	struct mix_params p;

	memcpy(&p, launch->params, sizeof(p));
	return 1000 + p.ns;
}

static uint64_t cost_many(const struct sim_kernel_launch *launch)
{
	struct many_params p;

	memcpy(&p, launch->params, sizeof(p));
	return 1000 + p.ns;
}

extern const struct sim_kernel lithos_sim_kernels[];

__attribute__((visibility("default"))) const struct sim_kernel lithos_sim_kernels[] = {
	{.name = "ord_mix",
	 .run_block = run_mix,
	 .cost_ns = cost_mix,
	 .min_params_bytes = sizeof(struct mix_params)},
	{.name = "ord_many",
	 .run_block = run_many,
	 .cost_ns = cost_many,
	 .min_params_bytes = sizeof(struct many_params)},
	{.name = NULL},
};
