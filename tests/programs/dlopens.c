/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways in which programs get hold of the driver and let go of it: opened and closed again and
 * again, looked up with RTLD_NEXT and RTLD_DEFAULT, a fork before cuInit whose child uses the GPU,
 * a fork and exec of itself (--child), and an unload when no context is left.
 *
 * Nothing may be initialised in the parent before the forks, so this program does without
 * prog_open() until its children have ended. Each child launches on the GPU and its exit code is
 * checked.
 */
#include "prog.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCKS 30u

/* Opens everything, launches, checks, closes; the result is an exit code. */
static int use_gpu(void)
{
	struct prog prog;
	uint64_t ns = 0;
	prog_open(&prog);
	CUdeviceptr counters = prog_words(BLOCKS, 0);
	void *params[] = {&counters, &ns};
	struct prog_launch launch = {.function = prog.count,
				     .grid = {BLOCKS, 1, 1},
				     .block = {32, 1, 1},
				     .params = params};
	for (int i = 0; i < 10; i++)
		MUST(prog_run(&launch));
	MUST(cu.CtxSynchronize());
	CHECK(prog_count_other(counters, BLOCKS, 10) == 0);
	MUST(cu.MemFree(counters));
	prog_close(&prog);
	return prog_result();
}

static int wait_for(pid_t child)
{
	int status = 0;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Opened and closed without use. Whether it really goes away is the loader's affair. */
static bool open_and_close(int times)
{
	for (int i = 0; i < times; i++) {
		void *handle = dlopen("libcuda.so.1", i % 2 ? RTLD_NOW : RTLD_LAZY);
		if (!handle)
			return false;
		void *init = dlsym(handle, "cuInit");
		CHECK(init != NULL);
		void *again = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
		if (CHECK(again == handle))
			CHECK(dlclose(again) == 0);
		CHECK(dlclose(handle) == 0);
	}
	return true;
}

static void look_up(void)
{
	void *handle = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
	CHECK(handle != NULL);
	if (!handle)
		return;
	void *init = dlsym(handle, "cuInit");
	CHECK(dlsym(RTLD_NEXT, "cuInit") == init);
	CHECK(dlsym(RTLD_DEFAULT, "cuInit") == init);
	CHECK(dlsym(handle, "cuNoSuchFunction") == NULL);
	CHECK(dlclose(handle) == 0);
}

/* The library is open in the parent, as when a framework was imported, but not initialised. */
static int fork_and_use(void)
{
	void *handle = dlopen("libcuda.so.1", RTLD_NOW);
	pid_t child = fork();
	if (child == 0) {
		int code = use_gpu();
		fflush(stdout);
		_exit(code);
	}
	int code = child < 0 ? -1 : wait_for(child);
	CHECK(handle != NULL);
	if (handle)
		CHECK(dlclose(handle) == 0);
	return code;
}

static int fork_and_exec(void)
{
	pid_t child = fork();
	if (child == 0) {
		execl("/proc/self/exe", program_invocation_short_name, "--child", (char *)NULL);
		_exit(126);
	}
	return child < 0 ? -1 : wait_for(child);
}

/* Used, left without a context, closed; and the same again with what the loader gives then. */
static void unload_and_reload(void)
{
	for (int i = 0; i < 3; i++) {
		CHECK(use_gpu() == PROG_PASS);
		CHECK(dlclose(cu_handle) == 0);
		memset(&cu, 0, sizeof(cu));
	}
}

int main(int argc, char **argv)
{
	if (prog_flag(argc, argv, "--child"))
		return use_gpu();
	if (!open_and_close(20)) {
		printf("skipped=1 why=\"no libcuda.so.1\"\n");
		return PROG_SKIP;
	}
	look_up();
	int forked = fork_and_use();
	if (forked == PROG_SKIP)
		return PROG_SKIP;
	CHECK(forked == PROG_PASS);
	int executed = fork_and_exec();
	CHECK(executed == PROG_PASS);
	unload_and_reload();
	/* Again after use: the child of a fork that execs starts afresh. */
	CHECK(fork_and_exec() == PROG_PASS);
	printf("program=dlopens forked=%d executed=%d ok=%d\n", forked, executed,
	       prog_result() == PROG_PASS);
	return prog_result();
}
