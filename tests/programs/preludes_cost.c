/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gate and claim add to a kernel, by the length of its blocks and how many threads they have.
 *
 * As it is, gated with a range of all its blocks, and claimed with nobody telling it to go, in
 * turns, so that a clock that changes meets all three; medians of 15, by the GPU's clock from
 * before the launch to after it. Grids fill the GPU for about 5 ms, with at most COST_MAX_BLOCKS
 * blocks: on 132 SMs 190 waves of blocks of 2 us, 47 of 100 us. The kernel computes
 * (preludes_fma.c), first with as many warps an SM as leave each its full speed, then with four
 * times as many, when preludes compete with the kernel for issue slots.
 */
#include "preludes_measure.h"

#include <stdio.h>

#define NR_TIMES  15
#define KERNEL_US 5000.0

enum way {
	NATIVE,
	GATED,
	CLAIMED,
	NR_WAYS
};

static void launch(const struct fma_launch *launch, enum way way)
{
	uint32_t number;

	switch (way) {
	case GATED:
		rig_launch_gate(&launch->launch, 0, launch->launch.grid[0]);
		return;
	case CLAIMED:
		number = rig_next_number();
		rig_launch_claim(&launch->launch, number, number, 0);
		return;
	default:
		rig_launch(&launch->launch);
	}
}

static double took_us(const struct fma_launch *fma, enum way way, CUevent from, CUevent to)
{
	MUST(cu.EventRecord(from, rig.stream));
	launch(fma, way);
	MUST(cu.EventRecord(to, rig.stream));
	MUST(cu.StreamSynchronize(rig.stream));
	return gpu_us(from, to);
}

static unsigned int nr_blocks_of(const struct fma_shape *shape, unsigned int block_us)
{
	double wave = (double)shape->nr_resident * rig.prog.nr_sms;
	double blocks = wave * KERNEL_US / block_us;

	return blocks < COST_MAX_BLOCKS ? (unsigned int)blocks : COST_MAX_BLOCKS;
}

static void cost(const struct fma_shape *shape, unsigned int block_us)
{
	double took[NR_WAYS][NR_TIMES], median[NR_WAYS];
	CUevent from = gpu_stamp(), to = gpu_stamp();
	struct fma_launch fma;

	fma_launch(&fma, shape, nr_blocks_of(shape, block_us), fma_rounds(shape, block_us));
	(void)took_us(&fma, CLAIMED, from, to);
	for (int i = 0; i < NR_TIMES * NR_WAYS; i++)
		took[i % NR_WAYS][i / NR_WAYS] = took_us(&fma, (enum way)(i % NR_WAYS), from, to);
	for (int way = 0; way < NR_WAYS; way++) {
		rig_sort(took[way], NR_TIMES);
		median[way] = took[way][NR_TIMES / 2];
	}
	printf("cost block_us=%u threads=%u resident=%u blocks=%u native_us=%.1f "
	       "native_spread_pct=%.2f gate_pct=%.2f claim_pct=%.2f\n",
	       block_us, shape->threads, shape->nr_resident, fma.launch.grid[0], median[NATIVE],
	       (took[NATIVE][NR_TIMES - 1] / took[NATIVE][0] - 1) * 100,
	       (median[GATED] / median[NATIVE] - 1) * 100,
	       (median[CLAIMED] / median[NATIVE] - 1) * 100);
	MUST(cu.EventDestroy(from));
	MUST(cu.EventDestroy(to));
}

void costs(void)
{
	static const unsigned int block_us[] = {2, 5, 10, 20, 50, 100};
	static const unsigned int shapes[][2] = {{64, 8}, {256, 8}, {1024, 2}};
	struct fma_shape shape;

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		fma_open(&shape, shapes[i][0], shapes[i][1]);
		for (size_t k = 0; k < sizeof(block_us) / sizeof(block_us[0]); k++)
			cost(&shape, block_us[k]);
	}
}
