/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels of the scenarios' programs, by name.
 *
 * Two rows are measured on an H100, kernel by kernel (docs/bench.md): ResNet-50 b8 inference (282
 * kernels, median 3.3 us, longest about 30, 1.05 ms in all) and a Llama-type training step (1,089
 * kernels, median 38 us, up to 1.4 ms, half of the time in kernels above 500 us, 106 ms in all).
 * The others have the numbers of kernels that such models have and a likely total; they are for
 * mixes, not for predictions.
 *
 * Durations are a step function over the rank of a kernel; a stride that has no divisor in common
 * with their number spreads long ones evenly over the sequence. A kernel is as many waves of blocks
 * as its duration holds times 38 us; a wave fills the GPU, or half of it. With scale k durations
 * grow and numbers shrink k times, so that shares and totals stay while the simulator has k times
 * less to do.
 * Tested by tests/unit/bench_workload.c.
 */
#include "bench/sim/workload.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS_PER_SM 2
#define WAVE_US       38.0

struct step {
	double up_to; /* rank, as a part of all kernels */
	double us;
};

#define MAX_STEPS 6

struct shape {
	const char *name;
	size_t nr_kernels;
	unsigned int wave_part; /* a wave fills one such part of the GPU */
	struct step step[MAX_STEPS];
};

static const struct shape shapes[] = {
	{"resnet50", 282, 2, {{0.5, 3.3}, {0.975, 3.4}, {1, 20}}},
	{"resnet50-b32", 282, 1, {{0.5, 6}, {0.9, 8}, {1, 20}}},
	{"vit-b", 170, 2, {{0.6, 4}, {0.9, 9}, {1, 20}}},
	{"bert-base", 150, 2, {{0.6, 4}, {0.9, 9}, {1, 14}}},
	{"bert-large", 300, 1, {{0.6, 4}, {0.9, 10}, {1, 18}}},
	{"prefill", 64, 1, {{0.4, 15}, {0.7, 90}, {0.9, 250}, {1, 520}}},
	{"llama-train",
	 1089,
	 1,
	 {{0.37, 12}, {0.60, 38}, {0.85, 65}, {0.937, 230}, {0.98, 600}, {1, 1100}}},
	{"gpt2-train", 900, 1, {{0.6, 12}, {0.9, 35}, {1, 150}}},
};

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

static int fill(struct workload *ret_workload, const struct shape *shape, unsigned int nr_sms,
		double scale)
{
	unsigned int wave_blocks = nr_sms * BLOCKS_PER_SM / shape->wave_part;
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
			kernel_of(duration_us(shape->step, rank), wave_blocks, scale);
	}
	return 0;
}

int workload_make(struct workload *ret_workload, const char *name, unsigned int nr_sms,
		  double scale)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		if (strcmp(shapes[i].name, name) == 0)
			return fill(ret_workload, &shapes[i], nr_sms, scale);
	}
	return -ENOENT;
}
