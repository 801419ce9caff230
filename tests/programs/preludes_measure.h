/* SPDX-License-Identifier: Apache-2.0 */
/* The measurements of preludes, and the kernel they are made with: lk_fma of kernels.ptx. */
#ifndef LITHOS_TESTS_PRELUDES_MEASURE_H
#define LITHOS_TESTS_PRELUDES_MEASURE_H

#include <stdint.h>

#include "preludes_rig.h"

/* How long launches take to leave: a table, and a file of JSON when one is asked for. */
void drains(int argc, char **argv);
size_t drains_max_blocks(int argc, char **argv);

/* What gate and claim add. */
#define COST_MAX_BLOCKS 200000u
void costs(void);

/* How lk_fma is launched. */
struct fma_shape {
	CUfunction function;
	unsigned int threads;
	unsigned int nr_resident;  /* blocks an SM at once */
	unsigned int shared_bytes; /* a block, so that no more are resident */
	double round_us;           /* of all that are resident at once */
};

/* With at most nr_resident blocks an SM; measures how long a round takes. */
void fma_open(struct fma_shape *shape, unsigned int threads, unsigned int nr_resident);
uint32_t fma_rounds(const struct fma_shape *shape, double block_us);

/* One launch; the parameters point into it, so it must not move. */
struct fma_launch {
	struct rig_launch launch;
	void *params[4];
	CUdeviceptr counts, began;
	uint32_t number, rounds;
};

void fma_launch(struct fma_launch *launch, const struct fma_shape *shape, unsigned int nr_blocks,
		uint32_t rounds);
/* The number of the launch whose first block began last. */
uint32_t fma_began(void);

CUevent gpu_stamp(void);
/* Of the GPU's clock, between two recorded events that are over. */
double gpu_us(CUevent from, CUevent to);

#endif
