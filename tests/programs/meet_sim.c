/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lk_barrier on the simulated GPU with code that shows no waiting: a gang that no reader of code
 * finds. For LITHOS_SIM_KERNELS.
 *
 * The builtin one is known to the device to wait for all blocks of its grid. Here each block waits
 * for the word to say that all have come, in whichever launch of the kernel they are: as blocks on
 * hardware do. One such kernel may run at a time.
 */
#include <string.h>

#include "sim/sim_kernel.h"

#define MAX_BLOCKS 1024u

struct meet_params {
	uint32_t *bar;
	uint64_t ns;
};

static uint8_t has_come[MAX_BLOCKS];
static uint32_t nr_gone;

static struct meet_params params_of(const struct sim_kernel_launch *launch)
{
	struct meet_params p = {0};

	if (launch->params_bytes >= sizeof(p))
		memcpy(&p, launch->params, sizeof(p));
	return p;
}

static uint64_t cost(const struct sim_kernel_launch *launch)
{
	return params_of(launch).ns + 1;
}

static int may_end(const struct sim_kernel_block *block)
{
	uint32_t *bar = params_of(block->launch).bar;
	uint32_t at = block->block_idx[0];

	if (at < MAX_BLOCKS && !has_come[at]) {
		has_come[at] = 1;
		(void)__atomic_fetch_add(bar, 1, __ATOMIC_RELAXED);
	}
	return __atomic_load_n(bar, __ATOMIC_RELAXED) >= block->launch->grid_dim[0];
}

/* The last one leaves the place as it was. */
static void run(const struct sim_kernel_block *block)
{
	if (++nr_gone < block->launch->grid_dim[0])
		return;
	nr_gone = 0;
	memset(has_come, 0, sizeof(has_come));
}

extern const struct sim_kernel lithos_sim_kernels[];

__attribute__((visibility("default"))) const struct sim_kernel lithos_sim_kernels[] = {
	{.name = "lk_barrier",
	 .run_block = run,
	 .cost_ns = cost,
	 .min_params_bytes = sizeof(struct meet_params),
	 .may_end = may_end},
	{.name = NULL},
};
