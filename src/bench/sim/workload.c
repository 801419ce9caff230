/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels of the hybrid scenario, as measured on an H100 (docs/bench.md).
 *
 * ResNet-50 b8 inference: 282 kernels, median 3.3 us, longest about 30, 1.05 ms in all. Llama-type
 * training step: 1,089 kernels, median 38 us, up to 1.4 ms, half of the time in kernels above 500
 * us, 106 ms in all. Durations are a step function over the rank of a kernel; a stride that has no
 * divisor in common with their number spreads long ones evenly over the sequence.
 *
 * A background kernel is as many waves of blocks as its duration holds times 38 us, every wave
 * filling the GPU; a foreground kernel is one wave that fills half of it. With scale k durations
 * grow and numbers shrink k times, so that shares and totals stay while the simulator has k times
 * less to do.
 * Tested by tests/unit/bench_workload.c.
 */
#include "bench/sim/workload.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define BLOCKS_PER_SM 2
#define WAVE_US       38.0

struct step {
	double up_to; /* rank, as a part of all kernels */
	double us;
};

static const struct step foreground_steps[] = {{0.5, 3.3}, {0.975, 3.4}, {1, 20}};
static const struct step background_steps[] = {{0.37, 12},   {0.60, 38},  {0.85, 65},
					       {0.937, 230}, {0.98, 600}, {1, 1100}};

static size_t common_divisor(size_t a, size_t b)
{
	while (b) {
		size_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static double duration_us(const struct step *steps, double rank)
{
	while (rank > steps->up_to)
		steps++;
	return steps->us;
}

static struct workload_kernel kernel_of(double us, unsigned int wave_blocks, double scale)
{
	double nr_waves = ceil(us / WAVE_US);

	return (struct workload_kernel){
		.nr_blocks = (unsigned int)(nr_waves * wave_blocks),
		.block_ns = (uint64_t)(us / nr_waves * scale * 1e3),
	};
}

struct shape {
	const struct step *steps;
	size_t nr_kernels;
	unsigned int wave_blocks;
};

static int fill(struct workload *ret_workload, const struct shape *shape, double scale)
{
	size_t nr = (size_t)((double)shape->nr_kernels / scale + 0.5);
	size_t stride;

	if (nr < 1)
		nr = 1;
	stride = nr / 3 + 1;
	while (common_divisor(stride, nr) != 1)
		stride++;
	ret_workload->kernel = calloc(nr, sizeof(*ret_workload->kernel));
	if (ret_workload->kernel == NULL)
		return -ENOMEM;
	ret_workload->nr = nr;
	for (size_t i = 0; i < nr; i++) {
		double rank = ((double)(i * stride % nr) + 0.5) / (double)nr;

		ret_workload->kernel[i] =
			kernel_of(duration_us(shape->steps, rank), shape->wave_blocks, scale);
	}
	return 0;
}

int workload_foreground(struct workload *ret_workload, unsigned int nr_sms, double scale)
{
	struct shape shape = {foreground_steps, 282, nr_sms * BLOCKS_PER_SM / 2};

	return fill(ret_workload, &shape, scale);
}

int workload_background(struct workload *ret_workload, unsigned int nr_sms, double scale)
{
	struct shape shape = {background_steps, 1089, nr_sms * BLOCKS_PER_SM};

	return fill(ret_workload, &shape, scale);
}
