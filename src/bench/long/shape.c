/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels of the scenario `long`.
 *
 * The background's kernel is the worst a neighbour can be that is still reasonable: it holds every
 * SM for 30 ms, and no block of it for more than 50 us. Example, 132 SMs: 600 waves of 264 blocks.
 * The foreground's is as short as kernels of services are, and fits on half of the GPU, so all it
 * has to wait for is room. Both grids are made for the number of SMs that the caller names and not
 * for what the driver says, which under a quota is less: every system runs the same work.
 *
 * A small machine cannot simulate so many blocks; with scale k they are k times fewer, and the
 * kernel still takes 30 ms. The foreground has few enough and stays.
 * Tested by tests/unit/bench_workload.c.
 */
#include "bench/long/shape.h"

#define BLOCKS_PER_SM 2
#define REQUEST_NS    60000u
#define STEP_NS       30000000u
#define BLOCK_NS      50000u

struct long_shape long_foreground(unsigned int nr_sms)
{
	unsigned int nr_blocks = nr_sms > 1 ? nr_sms / 2 : 1;

	return (struct long_shape){nr_blocks, nr_blocks, REQUEST_NS};
}

struct long_shape long_background(unsigned int nr_sms, double scale)
{
	double nr_waves = STEP_NS / (BLOCK_NS * scale);
	unsigned int whole_waves = nr_waves > 1 ? (unsigned int)(nr_waves + 0.5) : 1;

	return (struct long_shape){.nr_blocks = whole_waves * nr_sms * BLOCKS_PER_SM,
				   .nr_resident = nr_sms * BLOCKS_PER_SM,
				   .block_ns = STEP_NS / whole_waves};
}
