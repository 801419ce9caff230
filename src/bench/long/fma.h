/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel that computes for a given time, on a GPU and on the simulated one. */
#ifndef LITHOS_BENCH_LONG_FMA_H
#define LITHOS_BENCH_LONG_FMA_H

#include "bench/long/shape.h"
#include "bench/tenant/cuda.h"

struct fma {
	const struct gpu *gpu;
	CUfunction kernel;
	CUdeviceptr out;
};

void fma_open(struct fma *fma, const struct gpu *gpu);

/* Launches; does not wait. */
void fma_launch(const struct fma *fma, unsigned int nr_blocks, uint32_t rounds);

/* Rounds for which a block of the shape runs block_ns, measured now. At least 1. */
uint32_t fma_calibrate(const struct fma *fma, const struct long_shape *shape);

/*
 * The same from the file, where it is; else measured and left there for the next. -errno; -EPROTO
 * when the file is none of ours.
 */
int fma_calibrate_once(const struct fma *fma, const struct long_shape *shape, const char *path,
		       uint32_t *ret_rounds);

#endif
