/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of a scenario's program on the simulated GPU: how many, how long, how many blocks. */
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
 * One pass of a model on a GPU of so many SMs, each of which holds two blocks. Every kernel is
 * `scale` times longer and there are `scale` times fewer. Owned. -ENOMEM; -ENOENT for a name that
 * is not in the table.
 */
int workload_make(struct workload *ret_workload, const char *name, unsigned int nr_sms,
		  double scale);

#endif
