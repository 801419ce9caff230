/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel of the measurements: blocks that compute for a given time.
 *
 * A loop that reads the clock would end on time, but it slows down the preludes of blocks that
 * begin beside it more than kernels do. So every thread does rounds of 32 dependent multiply-adds,
 * as src/bench/long/fma.c does, and how many rounds are a block's time is measured: the least of
 * many times of one wave that fills the GPU, less that of a wave of fewer rounds; by the GPU's
 * clock.
 *
 * A multiply-add takes four cycles, and each of the four schedulers of an SM begins one a cycle, so
 * up to 16 warps an SM, spread evenly, do not slow each other down: with 64 threads and 8 blocks an
 * SM, the usual here, a block takes its time no matter how many are beside it. With more threads,
 * blocks get shorter when others leave.
 *
 * How many are resident is set through shared memory that nobody uses. On the simulated GPU
 * preludes_sim.c says how long a round takes. A GPU that lowers its clock later runs longer blocks.
 */
#include "preludes_measure.h"

#include <stdio.h>
#include <stdlib.h>

#define LONG_ROUNDS  16384u
#define SHORT_ROUNDS 4096u
#define NR_TRIES     20
#define MAX_ROUNDS   (1u << 24)
#define SHARED_STEP  1024u

static struct {
	uint32_t *host; /* pinned */
	CUdeviceptr address;
} began;

static unsigned int resident_with(const struct fma_shape *shape, unsigned int bytes)
{
	int n = 0;

	MUST(cu.OccupancyMaxBlocks(&n, shape->function, (int)shape->threads, bytes));
	return (unsigned int)n;
}

/* The least shared memory with which no more than `nr` blocks are resident. */
static void limit_residents(struct fma_shape *shape, unsigned int nr)
{
	int most = 0;

	MUST(cu.DeviceGetAttribute(&most, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
				   rig.prog.device));
	MUST(cu.FuncSetAttribute(shape->function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
				 most));
	shape->shared_bytes = 0;
	while (resident_with(shape, shape->shared_bytes) > nr &&
	       shape->shared_bytes + SHARED_STEP <= (unsigned int)most)
		shape->shared_bytes += SHARED_STEP;
	shape->nr_resident = resident_with(shape, shape->shared_bytes);
	CHECK(shape->nr_resident >= 1 && shape->nr_resident <= nr);
}

CUevent gpu_stamp(void)
{
	CUevent event = NULL;

	MUST(cu.EventCreate(&event, CU_EVENT_DEFAULT));
	return event;
}

double gpu_us(CUevent from, CUevent to)
{
	float ms = 0;

	MUST(cu.EventElapsedTime(&ms, from, to));
	return (double)ms * 1e3;
}

void fma_launch(struct fma_launch *launch, const struct fma_shape *shape, unsigned int nr_blocks,
		uint32_t rounds)
{
	*launch = (struct fma_launch){
		.launch = {.function = shape->function,
			   .params = launch->params,
			   .grid = {nr_blocks, 1, 1},
			   .threads = shape->threads,
			   .shared_bytes = shape->shared_bytes},
		.params = {&launch->counts, &launch->began, &launch->number, &launch->rounds},
		.counts = rig.counts,
		.began = began.address,
		.rounds = rounds};
}

uint32_t fma_began(void)
{
	return __atomic_load_n(began.host, __ATOMIC_ACQUIRE);
}

static double least_us(const struct fma_shape *shape, uint32_t rounds)
{
	CUevent from = gpu_stamp(), to = gpu_stamp();
	struct fma_launch launch;
	double least = 1e12;

	fma_launch(&launch, shape, shape->nr_resident * (unsigned int)rig.prog.nr_sms, rounds);
	for (int i = 0; i < NR_TRIES; i++) {
		MUST(cu.EventRecord(from, rig.stream));
		rig_launch(&launch.launch);
		MUST(cu.EventRecord(to, rig.stream));
		MUST(cu.StreamSynchronize(rig.stream));
		double took = gpu_us(from, to);
		least = took < least ? took : least;
	}
	MUST(cu.EventDestroy(from));
	MUST(cu.EventDestroy(to));
	return least;
}

void fma_open(struct fma_shape *shape, unsigned int threads, unsigned int nr_resident)
{
	*shape = (struct fma_shape){.threads = threads};
	if (!began.host)
		began.host = rig_pinned(sizeof(*began.host), &began.address);
	MUST(cu.ModuleGetFunction(&shape->function, rig.prog.module, "lk_fma"));
	limit_residents(shape, nr_resident);
	shape->round_us = (least_us(shape, LONG_ROUNDS) - least_us(shape, SHORT_ROUNDS)) /
			  (LONG_ROUNDS - SHORT_ROUNDS);
	/* Where the simulated GPU does not know the kernel it takes no time. */
	if (!CHECK(shape->round_us > 0))
		exit(PROG_FAIL);
}

uint32_t fma_rounds(const struct fma_shape *shape, double block_us)
{
	double rounds = block_us / shape->round_us + 0.5;

	if (rounds < 1)
		return 1;
	return rounds < MAX_ROUNDS ? (uint32_t)rounds : MAX_ROUNDS;
}
