/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of the tests of shared GPUs, for LITHOS_SIM_KERNELS. */
#include <string.h>

#include "sim/sim_kernel.h"
#include "sim_shared_log.h"

static struct log_params params_of(const struct sim_kernel_launch *launch)
{
	struct log_params params;

	memcpy(&params, launch->params, sizeof(params));
	return params;
}

static void run_log(const struct sim_kernel_block *block)
{
	struct log_params params = params_of(block->launch);
	uint32_t i = atomic_fetch_add(&params.log->nr, 1);

	if (i < LOG_ROWS)
		params.log->row[i] = (struct log_row){(uint32_t)params.tag, block->smid,
						      block->now_ns, params.ns};
}

static uint64_t cost_log(const struct sim_kernel_launch *launch)
{
	return params_of(launch).ns;
}

__attribute__((visibility("default"))) extern const struct sim_kernel lithos_sim_kernels[];
const struct sim_kernel lithos_sim_kernels[] = {
	{.name = "lk_log", .run_block = run_log, .cost_ns = cost_log, .min_params_bytes = 24},
	{.name = NULL},
};
