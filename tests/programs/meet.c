/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel whose blocks meet, launched as any other: it needs room for all of them at once.
 *
 *   meet [--few N] [--blocks N] [--us N]
 *
 * lk_barrier with few blocks, with all, and with few again, each of 1,024 threads, behind a memset
 * of the word that its blocks count in; behind it a copy of the word, which must see each block
 * once. Where the blocks have no room the program does not end; callers put `timeout` in front.
 */
#include "prog.h"

#include <stdio.h>

#define NR_THREADS 1024

/* What all the launches have in common. */
struct meeting {
	struct prog prog;
	CUdeviceptr bar;
	uint64_t ns;
};

/* How many blocks the copy behind it saw. */
static uint32_t meet(struct meeting *meeting, unsigned int nr_blocks, uint32_t *copy)
{
	void *params[] = {&meeting->bar, &meeting->ns};
	struct prog_launch launch = {.function = meeting->prog.barrier,
				     .grid = {nr_blocks, 1, 1},
				     .block = {NR_THREADS, 1, 1},
				     .params = params};

	MUST(cu.MemsetD32Async(meeting->bar, 0, 1, NULL));
	MUST(prog_run(&launch));
	MUST(cu.MemcpyDtoHAsync(copy, meeting->bar, sizeof(*copy), NULL));
	MUST(cu.CtxSynchronize());
	return *copy;
}

int main(int argc, char **argv)
{
	unsigned int few = (unsigned int)prog_option(argc, argv, "--few", 8);
	unsigned int all = (unsigned int)prog_option(argc, argv, "--blocks", 24);
	struct meeting meeting = {
		.ns = (uint64_t)prog_option(argc, argv, "--us", 1000) * 1000,
	};
	void *copy = NULL;

	prog_open(&meeting.prog);
	meeting.bar = prog_words(1, 0);
	MUST(cu.MemAllocHost(&copy, sizeof(uint32_t)));
	CHECK(meet(&meeting, few, copy) == few);
	CHECK(meet(&meeting, all, copy) == all);
	CHECK(meet(&meeting, few, copy) == few);
	printf("program=meet few=%u blocks=%u ok=%d\n", few, all, prog_result() == PROG_PASS);
	prog_close(&meeting.prog);
	return prog_result();
}
