/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of the scenario `long`: how many blocks, and how long a block. Pure. */
#ifndef LITHOS_BENCH_LONG_SHAPE_H
#define LITHOS_BENCH_LONG_SHAPE_H

#include <stdint.h>

struct long_shape {
	unsigned int nr_blocks;
	unsigned int
		nr_resident; /* of them at once, on a GPU of so many SMs that is otherwise idle */
	uint64_t block_ns;   /* with as many beside it */
};

/* One request: a kernel of 60 us on half of the SMs, one wave. */
struct long_shape long_foreground(unsigned int nr_sms);

/*
 * One step: a kernel of 30 ms in blocks of 50 us, two an SM at once. Blocks are `scale` times
 * longer, and there are `scale` times fewer waves of them, at least one.
 */
struct long_shape long_background(unsigned int nr_sms, double scale);

#endif
