/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tenant for the torture tests: bursts of small kernels with idle gaps, and says how far it is.
 *
 *   torture_tenant --progress FILE [--seed S] [--gap-us G] [--burst B]
 *   torture_tenant --rounds N --progress FILE     fork, exec, dlopen and threads; then it ends
 *
 * FILE is shared memory of struct progress. The result of each burst is checked: a launch that was
 * lost, or ran twice, is an error. Exit: 0, 1 with the error in FILE, 77 no GPU.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <dlfcn.h>

#include "prog.h"

enum {
	NR_BLOCKS = 24,
	NR_THREADS = 64
};

struct progress {
	uint64_t pid;
	uint64_t nr_launches; /* complete and checked */
	uint64_t nr_rounds;
	uint64_t error; /* CUresult, or 1000: wrong result */
	char what[96];
};

static volatile struct progress *progress;
static struct prog prog;
static uint64_t random_state;

static long option(int argc, char **argv, const char *name, long fallback)
{
	return prog_option(argc, argv, name, fallback);
}

static const char *text_option(int argc, char **argv, const char *name)
{
	for (int i = 1; i + 1 < argc; i++) {
		if (!strcmp(argv[i], name))
			return argv[i + 1];
	}
	return NULL;
}

static uint32_t below(uint32_t n)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(random_state >> 33) % n;
}

static void fail(uint64_t error, const char *what)
{
	for (size_t i = 0; what[i] && i + 1 < sizeof(progress->what); i++)
		progress->what[i] = what[i];
	progress->error = error;
	fprintf(stderr, "torture_tenant: %s = %llu\n", what, (unsigned long long)error);
	_Exit(1);
}

static void must(CUresult result, const char *what)
{
	if (result != CUDA_SUCCESS)
		fail(result, what);
}

#define DO(call) must((call), #call)

/* Each launch adds one to each of NR_BLOCKS words. */
static void burst(CUdeviceptr words, CUstream stream, uint32_t nr_launches)
{
	uint32_t found[NR_BLOCKS];

	DO(cu.MemsetD32Async(words, 0, NR_BLOCKS, stream));
	for (uint32_t i = 0; i < nr_launches; i++) {
		uint64_t ns = 1000 * below(60);
		void *params[] = {&words, &ns};

		DO(cu.LaunchKernel(prog.count, NR_BLOCKS, 1, 1, 32, 1, 1, 0, stream, params, NULL));
	}
	DO(cu.StreamSynchronize(stream));
	DO(cu.MemcpyDtoH(found, words, sizeof(found)));
	for (uint32_t i = 0; i < NR_BLOCKS; i++) {
		if (found[i] != nr_launches)
			fail(1000, "a launch was lost or ran twice");
	}
	(void)__atomic_fetch_add(&progress->nr_launches, nr_launches, __ATOMIC_RELAXED);
}

static int map_progress(const char *path)
{
	int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	void *map;

	if (fd < 0 || ftruncate(fd, sizeof(*progress)))
		return 0;
	map = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (map == MAP_FAILED)
		return 0;
	progress = map;
	progress->pid = (uint64_t)getpid();
	return 1;
}

static void work_for_ever(long max_burst, long gap_us)
{
	CUdeviceptr words;
	CUstream stream;

	DO(cu.MemAlloc(&words, NR_BLOCKS * sizeof(uint32_t)));
	DO(cu.StreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	for (;;) {
		burst(words, stream, 1 + below((uint32_t)max_burst));
		if (below(3))
			(void)usleep(below((uint32_t)gap_us) + 1);
	}
}

/* --- rounds ----------------------------------------------------------------------------------- */

static pthread_mutex_t launch_lock = PTHREAD_MUTEX_INITIALIZER;

static void *launch_some(void *arg)
{
	CUdeviceptr words = *(CUdeviceptr *)arg;
	uint64_t ns = 0;
	void *params[] = {&words, &ns};

	DO(cu.CtxSetCurrent(prog.context));
	for (int i = 0; i < 4; i++)
		DO(cu.LaunchKernel(prog.count, 1, 1, 1, 32, 1, 1, 0, NULL, params, NULL));
	(void)pthread_mutex_lock(&launch_lock);
	progress->nr_launches += 4;
	(void)pthread_mutex_unlock(&launch_lock);
	return NULL;
}

static void threads_round(CUdeviceptr words)
{
	pthread_t thread[NR_THREADS];
	uint32_t found;

	DO(cu.MemsetD32(words, 0, 1));
	for (int i = 0; i < NR_THREADS; i++) {
		if (pthread_create(&thread[i], NULL, launch_some, &words))
			fail(1001, "pthread_create");
	}
	for (int i = 0; i < NR_THREADS; i++)
		(void)pthread_join(thread[i], NULL);
	DO(cu.CtxSynchronize());
	DO(cu.MemcpyDtoH(&found, words, sizeof(found)));
	if (found != 4 * NR_THREADS)
		fail(1000, "launches of threads were lost");
}

/* A child that only ends, and one that becomes another program with the shim in its path. */
static void fork_round(void)
{
	char name[] = "true";
	char *const arguments[] = {name, NULL};
	int status;
	pid_t child = fork();

	if (!child)
		_exit(0);
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		fail(1002, "a forked child did not end well");
	if (posix_spawnp(&child, "true", NULL, NULL, arguments, environ) ||
	    waitpid(child, &status, 0) != child || status)
		fail(1002, "an executed child did not end well");
}

static void library_round(void)
{
	void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);

	if (!library || !dlsym(library, "cuLaunchKernel") || dlclose(library))
		fail(1003, "dlopen, dlsym, dlclose");
}

static int rounds(long nr_rounds)
{
	CUdeviceptr words;

	DO(cu.MemAlloc(&words, NR_BLOCKS * sizeof(uint32_t)));
	for (long i = 0; i < nr_rounds; i++) {
		library_round();
		fork_round();
		threads_round(words);
		progress->nr_rounds++;
	}
	return 0;
}

int main(int argc, char **argv)
{
	long nr_rounds = option(argc, argv, "--rounds", 0);

	/* Nothing is left behind when the test is stopped. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!map_progress(text_option(argc, argv, "--progress")))
		return 2;
	random_state = (uint64_t)option(argc, argv, "--seed", 1);
	prog_open(&prog);
	if (nr_rounds)
		return rounds(nr_rounds);
	work_for_ever(option(argc, argv, "--burst", 8), option(argc, argv, "--gap-us", 20000));
	return 0;
}
