/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of preludes share: a device with preludes, and launches that go through them. */
#ifndef LITHOS_TESTS_PRELUDES_RIG_H
#define LITHOS_TESTS_PRELUDES_RIG_H

#include "preludes_peer.h"
#include "prog.h"

#include "hw/driver.h"
#include "hw/prelude/prelude.h"

struct rig {
	struct prog prog;
	struct driver_ops ops;
	struct prelude prelude;
	struct prelude_slot *slot; /* pinned */
	CUdeviceptr slot_address;
	uint32_t *report; /* pinned: of each slot's launch */
	CUdeviceptr report_address;
	size_t nr_words;           /* blocks that a grid may have */
	CUdeviceptr counts, words; /* one a block; a header lies before the words of claims */
	CUdeviceptr epoch;
	uint32_t value; /* of the epoch */
	CUstream stream, urgent;
	int has_clusters;
	uint32_t number;  /* of the latest claimed launch */
	uint32_t lead;    /* of the claimed launches to come; 0: each its own */
	struct peer peer; /* pid 0: there is none */
	uint64_t entry;   /* of the kernel launched last */
};

extern struct rig rig;

/* For grids of up to nr_words blocks. Ends the program where preludes cannot be had. */
void rig_open(size_t nr_words);
void rig_close(void);

struct rig_launch {
	CUfunction function;
	void **params;
	unsigned int grid[3];
	unsigned int threads;
	unsigned int cluster; /* blocks in x; 0: none */
	unsigned int shared_bytes;
};

/* As it is; only blocks of [lo, lo + count). */
void rig_launch(const struct rig_launch *launch);
void rig_launch_gate(const struct rig_launch *launch, uint32_t lo, uint32_t count);
/*
 * `late`: as if so many raises had come since. The first epoch is ours; the second the peer's, as
 * long as there is one.
 */
void rig_launch_claim(const struct rig_launch *launch, uint32_t first, uint32_t run, uint32_t late);

/* A new number for a claimed launch. */
uint32_t rig_next_number(void);
/* Waits for the stream; what the latest redirected launch reported, or one of those before it. */
uint32_t rig_reported(void);
uint32_t rig_reported_before(uint32_t nr_later);

/* Host memory that the GPU reaches, zeroed. */
void *rig_pinned(size_t bytes, CUdeviceptr *ret_address);
double rig_now_us(void);
/* Ascending, in place. */
void rig_sort(double *values, size_t n);

#endif
