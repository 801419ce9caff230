/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel of fma.c on the simulated GPU, which loads this object (LITHOS_SIM_KERNELS).
 *
 * It has a cost and no body: what the real one computes is never stored. Unlike there, a block does
 * not get slower by what runs beside it. Tested by tests/integration/bench_long.bats.
 */
#include <string.h>

#include "sim/sim_kernel.h"

/* Near what an H100 needs; programs measure it, so nothing depends on it. */
#define ROUND_NS 280u
#define BEGIN_NS 500u

struct fma_params {
	uint64_t out;
	uint32_t rounds;
};

static uint64_t cost(const struct sim_kernel_launch *launch)
{
	struct fma_params p = {0};
	size_t bytes = offsetof(struct fma_params, rounds) + sizeof(p.rounds);

	if (launch->params_bytes < bytes)
		return SIM_DEFAULT_COST_NS;
	memcpy(&p, launch->params, bytes);
	return BEGIN_NS + (uint64_t)p.rounds * ROUND_NS;
}

extern const struct sim_kernel lithos_sim_kernels[];

__attribute__((visibility("default"))) const struct sim_kernel lithos_sim_kernels[] = {
	{.name = "lithos_fma", .cost_ns = cost},
	{.name = NULL},
};
