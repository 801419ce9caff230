/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tenant is told and what it gets: the SM count before and after the first context, the SMs
 * that a grid of one wave ran on, and whether results are right. One line of key=value; --forks N
 * does it in N children as well, which fork before the driver is started.
 */
#include "prog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_SMS 512u
#define WORDS   4096u

static unsigned int nr_sms_used(const struct prog *prog, unsigned int nr_blocks)
{
	bool seen[MAX_SMS] = {false};
	unsigned int nr_used = 0;
	uint64_t ns = 100000;
	CUdeviceptr where = prog_words(nr_blocks, UINT32_MAX);
	void *params[] = {&where, &ns};
	struct prog_launch launch = {.function = prog->where,
				     .grid = {nr_blocks, 1, 1},
				     .block = {32, 1, 1},
				     .params = params};
	MUST(prog_run(&launch));
	uint32_t *sms = prog_read(where, nr_blocks);
	for (unsigned int i = 0; i < nr_blocks; i++) {
		if (!CHECK(sms[i] < MAX_SMS))
			continue;
		nr_used += !seen[sms[i]];
		seen[sms[i]] = true;
	}
	free(sms);
	MUST(cu.MemFree(where));
	return nr_used;
}

/* y = 3 * 1 + 0 everywhere. */
static bool saxpy_is_right(const struct prog *prog)
{
	float a = 3;
	uint32_t n = WORDS;
	CUdeviceptr x = prog_words(WORDS, 0x3f800000), y = prog_words(WORDS, 0);
	void *params[] = {&x, &y, &a, &n};
	struct prog_launch launch = {.function = prog->saxpy,
				     .grid = {WORDS / 128, 1, 1},
				     .block = {128, 1, 1},
				     .params = params};
	MUST(prog_run(&launch));
	bool is_right = prog_count_other(y, WORDS, 0x40400000) == 0;
	MUST(cu.MemFree(x));
	MUST(cu.MemFree(y));
	return is_right;
}

static int tell(void)
{
	struct prog prog;
	int after = 0;
	prog_open(&prog); /* asks before it makes the context */
	MUST(cu.DeviceGetAttribute(&after, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, prog.device));
	unsigned int nr_used = nr_sms_used(&prog, 8 * (unsigned int)after);
	bool is_right = saxpy_is_right(&prog);
	CHECK(is_right);
	printf("program=told before=%d after=%d used=%u right=%d\n", prog.nr_sms, after, nr_used,
	       is_right);
	fflush(stdout);
	prog_close(&prog);
	return prog_result();
}

int main(int argc, char **argv)
{
	for (long i = prog_option(argc, argv, "--forks", 0); i > 0; i--) {
		int status = -1;
		pid_t child = fork();
		if (child == 0)
			exit(tell());
		CHECK(child > 0 && waitpid(child, &status, 0) == child);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == PROG_PASS);
	}
	return tell();
}
