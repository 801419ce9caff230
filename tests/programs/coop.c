/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cooperative launches: the largest grid that the occupancy call and the multiprocessor count allow
 * must run to its end, and one block more must be refused, never hang. lk_barrier is a grid
 * barrier, so a launch whose blocks are not all resident does not end by itself; callers put
 * `timeout` in front.
 *
 *   coop --blocks N    launches N blocks and prints the error's name; exits 0 whatever it is
 *   coop --max         (default) the largest, and one more, at 64 and at 1024 threads
 */
#include "prog.h"

#include <stdio.h>

struct coop {
	struct prog prog;
	CUdeviceptr bar;
};

static CUresult launch(struct coop *coop, unsigned int nr_blocks, unsigned int nr_threads)
{
	uint64_t ns = 10000;
	void *params[] = {&coop->bar, &ns};
	MUST(cu.MemsetD32(coop->bar, 0, 1));
	MUST(cu.CtxSynchronize());
	CUresult result = cu.LaunchCooperativeKernel(coop->prog.barrier, nr_blocks, 1, 1,
						     nr_threads, 1, 1, 0, NULL, params);
	MUST(cu.CtxSynchronize());
	/* Every block arrived once, or none did. */
	CHECK(prog_count_other(coop->bar, 1, result == CUDA_SUCCESS ? nr_blocks : 0) == 0);
	return result;
}

static CUresult launch_ex(struct coop *coop, unsigned int nr_blocks, unsigned int nr_threads)
{
	uint64_t ns = 10000;
	void *params[] = {&coop->bar, &ns};
	CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE,
				       .value.cooperative = 1};
	CUlaunchConfig config = {.gridDimX = nr_blocks,
				 .gridDimY = 1,
				 .gridDimZ = 1,
				 .blockDimX = nr_threads,
				 .blockDimY = 1,
				 .blockDimZ = 1,
				 .attrs = &attribute,
				 .numAttrs = 1};
	MUST(cu.MemsetD32(coop->bar, 0, 1));
	MUST(cu.CtxSynchronize());
	CUresult result = cu.LaunchKernelEx(&config, coop->prog.barrier, params, NULL);
	MUST(cu.CtxSynchronize());
	CHECK(prog_count_other(coop->bar, 1, result == CUDA_SUCCESS ? nr_blocks : 0) == 0);
	return result;
}

static void try_largest(struct coop *coop, int nr_threads)
{
	int per_sm = 0;
	MUST(cu.OccupancyMaxBlocks(&per_sm, coop->prog.barrier, nr_threads, 0));
	unsigned int largest = (unsigned int)(per_sm * coop->prog.nr_sms);
	CUresult fits = launch(coop, largest, (unsigned int)nr_threads);
	CUresult fits_ex = launch_ex(coop, largest, (unsigned int)nr_threads);
	CUresult more = launch(coop, largest + 1, (unsigned int)nr_threads);
	CUresult more_ex = launch_ex(coop, largest + 1, (unsigned int)nr_threads);
	CHECK(fits == CUDA_SUCCESS);
	CHECK(fits_ex == CUDA_SUCCESS);
	CHECK(more == CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
	CHECK(more_ex == CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
	printf(" largest_%d=%u fits_%d=%s one_more_%d=%s", nr_threads, largest, nr_threads,
	       cu_name(fits), nr_threads, cu_name(more));
	/* The refusal left nothing behind. */
	CHECK(launch(coop, largest, (unsigned int)nr_threads) == CUDA_SUCCESS);
}

int main(int argc, char **argv)
{
	struct coop coop;
	unsigned int nr_blocks = (unsigned int)prog_option(argc, argv, "--blocks", 0);
	prog_open(&coop.prog);
	coop.bar = prog_words(1, 0);
	printf("program=coop reported_sms=%d", coop.prog.nr_sms);
	if (nr_blocks) {
		unsigned int nr_threads = (unsigned int)prog_option(argc, argv, "--threads", 64);
		printf(" blocks=%u result=%s", nr_blocks,
		       cu_name(launch(&coop, nr_blocks, nr_threads)));
	} else {
		try_largest(&coop, 64);
		try_largest(&coop, 1024);
	}
	printf("\n");
	MUST(cu.MemFree(coop.bar));
	prog_close(&coop.prog);
	return prog_result();
}
