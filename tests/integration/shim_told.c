/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tenant is told and what it gets: the SM count before and after the first context, the SMs
 * that a grid of one wave ran on, and whether results are right. One line of key=value; --forks N
 * does it in N children as well, which fork before the driver is started.
 *
 * --driver NAME opens the driver by that name or path, as some programs do. --beside NAME does so
 * after the usual way, and uses what that one gives: a context of its own, and a grid there.
 */
#include "prog.h"

#include <dlfcn.h>
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

/* A second way to the driver in the same process: SMs that a grid of its own context reaches. */
static unsigned int nr_sms_beside(const char *library)
{
	CUresult (*create)(CUcontext * context, unsigned int flags, CUdevice device);
	struct prog prog = {0};
	CUcontext context;

	cu_library = library;
	CHECK(cu_open() == 0);
	void *address = dlsym(cu_handle, "cuCtxCreate_v2");
	memcpy(&create, &address, sizeof(create));
	MUST(create(&context, 0, 0));
	MUST(cu.ModuleLoadData(&prog.module, prog_ptx));
	prog_functions(&prog, prog.module);
	unsigned int nr_used = nr_sms_used(&prog, 8 * 132);
	MUST(cu.CtxDestroy(context));
	return nr_used;
}

static const char *text_option(int argc, char **argv, const char *name)
{
	for (int i = 1; i + 1 < argc; i++) {
		if (argv[i] && strcmp(argv[i], name) == 0)
			return argv[i + 1];
	}
	return NULL;
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
	if (text_option(argc, argv, "--driver"))
		cu_library = text_option(argc, argv, "--driver");
	if (tell() == PROG_PASS && text_option(argc, argv, "--beside"))
		printf("beside=%u\n", nr_sms_beside(text_option(argc, argv, "--beside")));
	return prog_result();
}
