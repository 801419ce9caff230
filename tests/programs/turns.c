/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One shape of launch with two times, in turns, as products of a library have: which one it is,
 * only what was launched before tells.
 *
 *   turns [--rounds N] [--blocks N] [--us N] [--long-us N] [--slow N]
 *
 * A round is a kernel of one block, one of so many blocks of --us, a kernel of two blocks, and the
 * same as before with blocks of --long-us. With --slow both take --long-us in the first so many
 * rounds, and --us from then on.
 */
#include "prog.h"

#include <stdio.h>

static struct prog prog;

static void count(CUdeviceptr words, unsigned int nr_blocks, uint64_t ns)
{
	void *params[] = {&words, &ns};
	struct prog_launch launch = {.function = prog.count,
				     .grid = {nr_blocks, 1, 1},
				     .block = {32, 1, 1},
				     .params = params};

	MUST(prog_run(&launch));
}

int main(int argc, char **argv)
{
	uint32_t nr_slow = (uint32_t)prog_option(argc, argv, "--slow", 0);
	uint32_t nr_rounds = (uint32_t)prog_option(argc, argv, "--rounds", 20);
	unsigned int nr_blocks = (unsigned int)prog_option(argc, argv, "--blocks", 1300);
	uint64_t ns = (uint64_t)prog_option(argc, argv, "--us", 20) * 1000;
	uint64_t long_ns = (uint64_t)prog_option(argc, argv, "--long-us", 2000) * 1000;
	CUdeviceptr words, marks;

	prog_open(&prog);
	words = prog_words(nr_blocks, 0);
	marks = prog_words(2, 0);
	for (uint32_t i = 0; i < nr_rounds; i++) {
		count(marks, 1, 1000);
		count(words, nr_blocks, i < nr_slow ? long_ns : ns);
		count(marks, 2, 1000);
		count(words, nr_blocks, i < nr_slow || !nr_slow ? long_ns : ns);
		MUST(cu.CtxSynchronize());
	}
	CHECK(prog_count_other(words, nr_blocks, 2 * nr_rounds) == 0);
	printf("program=turns rounds=%u ok=%d\n", nr_rounds, prog_result() == PROG_PASS);
	prog_close(&prog);
	return prog_result();
}
