/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every block of a grid runs exactly once: lk_count adds one to its block's counter, over grids of
 * one, two and three dimensions, small, odd and much larger than the GPU, with and without work.
 *
 * Several launches of a grid follow one another, so a block that a launch lost and another ran
 * twice would cancel out; the counters are therefore checked after the first launch too.
 */
#include "prog.h"

#include <stdio.h>

#define REPEATS 4

struct shape {
	unsigned int grid[3];
	unsigned int block[3];
	uint64_t ns;
};

static const struct shape shapes[] = {
	{{1, 1, 1}, {1, 1, 1}, 0},        {{133, 1, 1}, {256, 1, 1}, 10000},
	{{20011, 1, 1}, {64, 1, 1}, 0},   {{5000, 1, 1}, {1024, 1, 1}, 1000},
	{{17, 19, 1}, {16, 16, 1}, 5000}, {{1, 4001, 1}, {32, 1, 1}, 0},
	{{61, 53, 1}, {33, 2, 1}, 0},     {{7, 11, 13}, {8, 4, 2}, 2000},
	{{1, 1, 2047}, {32, 1, 1}, 0},    {{31, 1, 29}, {2, 2, 32}, 0},
};

static size_t launch_once(const struct prog *prog, const struct shape *shape, CUdeviceptr counters,
			  size_t nr_blocks, uint32_t expected)
{
	uint64_t ns = shape->ns;
	void *params[] = {&counters, &ns};
	struct prog_launch launch = {.function = prog->count, .params = params};
	for (int i = 0; i < 3; i++) {
		launch.grid[i] = shape->grid[i];
		launch.block[i] = shape->block[i];
	}
	MUST(prog_run(&launch));
	MUST(cu.CtxSynchronize());
	return prog_count_other(counters, nr_blocks, expected);
}

int main(void)
{
	struct prog prog;
	prog_open(&prog);
	size_t nr_launches = 0, nr_total = 0;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		const struct shape *shape = &shapes[i];
		size_t nr_blocks = (size_t)shape->grid[0] * shape->grid[1] * shape->grid[2];
		/* One word more, which no block owns. */
		CUdeviceptr counters = prog_words(nr_blocks + 1, 0);
		for (uint32_t n = 1; n <= REPEATS; n++) {
			size_t nr_wrong = launch_once(&prog, shape, counters, nr_blocks, n);
			if (!CHECK(nr_wrong == 0))
				fprintf(stderr, "shape %zu launch %u: %zu of %zu blocks wrong\n", i,
					n, nr_wrong, nr_blocks);
			nr_launches++;
		}
		CHECK(prog_count_other(counters + nr_blocks * sizeof(uint32_t), 1, 0) == 0);
		nr_total += nr_blocks * REPEATS;
		MUST(cu.MemFree(counters));
	}
	prog_close(&prog);
	printf("program=once launches=%zu blocks=%zu ok=%d\n", nr_launches, nr_total,
	       prog_result() == PROG_PASS);
	return prog_result();
}
