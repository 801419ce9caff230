/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream that waits for the host, while another one works: whoever stands between program and
 * driver must not wait for all of the context.
 *
 *   hostwait [--rounds N] [--blocks N] [--us N]
 *
 * The first stream waits for a word of host memory; behind it is a kernel that adds one to each of
 * its words. Then the second stream runs so many kernels of so many blocks of so many us, each one
 * awaited. Only after the last does the host write the word. CUDA promises that this ends: nothing
 * that the program waits for depends on the first stream.
 */
#include "prog.h"

#include <stdio.h>
#include <string.h>

enum {
	NR_WAITING = 32 /* blocks of the kernel behind the wait */
};

static struct prog prog;

static void count(CUstream stream, CUdeviceptr words, size_t nr_blocks, uint64_t ns)
{
	void *params[] = {&words, &ns};

	MUST(prog_run(&(struct prog_launch){.function = prog.count,
					    .grid = {(unsigned int)nr_blocks, 1, 1},
					    .block = {32, 1, 1},
					    .stream = stream,
					    .params = params}));
}

int main(int argc, char **argv)
{
	uint32_t nr_rounds = (uint32_t)prog_option(argc, argv, "--rounds", 20);
	size_t nr_blocks = (size_t)prog_option(argc, argv, "--blocks", 1300);
	uint64_t ns = (uint64_t)prog_option(argc, argv, "--us", 1000) * 1000;
	CUstream waits, works;
	CUdeviceptr behind, words;
	void *host = NULL;
	uint32_t *word;

	prog_open(&prog);
	MUST(cu.StreamCreate(&waits, CU_STREAM_NON_BLOCKING));
	MUST(cu.StreamCreate(&works, CU_STREAM_NON_BLOCKING));
	MUST(cu.MemAllocHost(&host, sizeof(*word)));
	word = host;
	*word = 0;
	behind = prog_words(NR_WAITING, 0);
	words = prog_words(nr_blocks, 0);
	MUST(cu.StreamWaitValue32(waits, (CUdeviceptr)host, 1, CU_STREAM_WAIT_VALUE_GEQ));
	count(waits, behind, NR_WAITING, 0);
	for (uint32_t i = 0; i < nr_rounds; i++) {
		count(works, words, nr_blocks, ns);
		MUST(cu.StreamSynchronize(works));
	}
	CHECK(cu.StreamQuery(waits) == CUDA_ERROR_NOT_READY);
	__atomic_store_n(word, 1, __ATOMIC_RELEASE);
	MUST(cu.StreamSynchronize(waits));
	CHECK(prog_count_other(behind, NR_WAITING, 1) == 0);
	CHECK(prog_count_other(words, nr_blocks, nr_rounds) == 0);
	MUST(cu.MemFreeHost(host));
	prog_close(&prog);
	printf("program=hostwait rounds=%u blocks=%zu ok=%d\n", nr_rounds, nr_blocks,
	       prog_result() == PROG_PASS);
	return prog_result();
}
