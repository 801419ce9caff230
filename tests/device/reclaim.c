/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long an owner waits for its GPU: from its launch call to its first block running.
 *
 * The owner rests, so that its TPCs are lent; then it launches one wave of blocks that store
 * %globaltimer, the earliest of them (lk_stamp), and waits. Right after, small kernels of the same
 * kind give the relation of the two clocks: each began somewhere between the call and its return. A
 * borrower that keeps the GPU busy meanwhile is somebody else's task (feed.c, sharing.py).
 *
 * Prints JSON, everything in ns: per sample the CPU time of the call and of its end, the GPU time
 * of the first block, and the brackets [call, GPU time, end]. What is not known to the program, the
 * offset of the clocks, is worked out by who reads it.
 *
 * What it does badly: the first block is that of the first free slot, so other blocks of the wave
 * may start later; the time of the whole wave is in the sample's end.
 */
#include "prog.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NR_BRACKETS 4
#define NR_STAMPS   (1 + NR_BRACKETS)

struct reclaim {
	struct prog prog;
	CUfunction stamp_kernel;
	CUstream stream;
	CUdeviceptr stamps; /* NR_STAMPS of 64 bits */
	unsigned int nr_blocks;
	uint64_t block_ns;
	uint64_t idle_ns;
};

struct stamp {
	uint64_t called_ns;
	uint64_t gpu_ns;
	uint64_t ended_ns;
};

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void rest(uint64_t ns)
{
	struct timespec time = {.tv_sec = (time_t)(ns / 1000000000u),
				.tv_nsec = (long)(ns % 1000000000u)};
	(void)nanosleep(&time, NULL);
}

static void launch(const struct reclaim *r, unsigned int which, unsigned int nr_blocks,
		   struct stamp *ret_stamp)
{
	CUdeviceptr out = r->stamps + which * sizeof(uint64_t);
	uint64_t ns = which ? 0 : r->block_ns;
	void *params[] = {&out, &ns};
	struct prog_launch launch = {.function = r->stamp_kernel,
				     .grid = {nr_blocks, 1, 1},
				     .block = {which ? 32 : 1024, 1, 1},
				     .stream = r->stream,
				     .params = params};
	ret_stamp->called_ns = now_ns();
	MUST(prog_run(&launch));
	MUST(cu.StreamSynchronize(r->stream));
	ret_stamp->ended_ns = now_ns();
}

static void sample(const struct reclaim *r, struct stamp stamps[NR_STAMPS])
{
	uint64_t words[NR_STAMPS];
	memset(words, 0xff, sizeof(words));
	MUST(cu.MemcpyHtoD(r->stamps, words, sizeof(words)));
	rest(r->idle_ns);
	launch(r, 0, r->nr_blocks, &stamps[0]);
	for (unsigned int i = 1; i < NR_STAMPS; i++)
		launch(r, i, 1, &stamps[i]);
	MUST(cu.MemcpyDtoH(words, r->stamps, sizeof(words)));
	for (unsigned int i = 0; i < NR_STAMPS; i++)
		stamps[i].gpu_ns = words[i];
	CHECK(words[0] != UINT64_MAX);
}

static void print_sample(const struct stamp stamps[NR_STAMPS], bool is_first)
{
	printf("%s\n[", is_first ? "" : ",");
	for (unsigned int i = 0; i < NR_STAMPS; i++)
		printf("%s[%" PRIu64 ",%" PRIu64 ",%" PRIu64 "]", i ? "," : "", stamps[i].called_ns,
		       stamps[i].gpu_ns, stamps[i].ended_ns);
	printf("]");
}

int main(int argc, char **argv)
{
	long nr_samples = prog_option(argc, argv, "--samples", 300);
	struct reclaim r = {.idle_ns = (uint64_t)prog_option(argc, argv, "--idle-us", 5000) * 1000u,
			    .block_ns = (uint64_t)prog_option(argc, argv, "--ns", 20000)};
	if (nr_samples < 1) {
		fprintf(stderr, "usage: reclaim [--samples N] [--idle-us N] [--ns N] "
				"[--blocks N]\n");
		return 2;
	}
	prog_open(&r.prog);
	r.nr_blocks = (unsigned int)prog_option(argc, argv, "--blocks", r.prog.nr_sms);
	MUST(cu.ModuleGetFunction(&r.stamp_kernel, r.prog.module, "lk_stamp"));
	MUST(cu.StreamCreate(&r.stream, CU_STREAM_NON_BLOCKING));
	MUST(cu.MemAlloc(&r.stamps, NR_STAMPS * sizeof(uint64_t)));

	struct stamp stamps[NR_STAMPS];
	for (int i = 0; i < 10; i++)
		sample(&r, stamps); /* the launch path is warm, the kernel's duration learned */
	printf("{\"program\":\"reclaim\",\"sms\":%d,\"blocks\":%u,\"samples\":[", r.prog.nr_sms,
	       r.nr_blocks);
	for (long i = 0; i < nr_samples; i++) {
		sample(&r, stamps);
		print_sample(stamps, i == 0);
	}
	printf("]}\n");
	MUST(cu.MemFree(r.stamps));
	MUST(cu.StreamDestroy(r.stream));
	prog_close(&r.prog);
	return prog_result();
}
