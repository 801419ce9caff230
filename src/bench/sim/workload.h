/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of the hybrid scenario on the simulated GPU: how many, how long, how many blocks. */
#ifndef LITHOS_BENCH_SIM_WORKLOAD_H
#define LITHOS_BENCH_SIM_WORKLOAD_H

#include <stddef.h>
#include <stdint.h>

struct workload_kernel {
	unsigned int nr_blocks;
	uint64_t block_ns;
};

struct workload {
	struct workload_kernel *kernel;
	size_t nr;
};

/*
 * One request or one training step on a GPU of so many SMs, each of which holds two blocks. Every
 * kernel is `scale` times longer and there are `scale` times fewer. Owned. -ENOMEM.
 */
int workload_foreground(struct workload *ret_workload, unsigned int nr_sms, double scale);
int workload_background(struct workload *ret_workload, unsigned int nr_sms, double scale);

#endif
