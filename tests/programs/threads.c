/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 64 threads launch at once, each into a stream of its own, 2,000 times (--threads, --launches).
 * Every thread counts on words of its own with a grid of 3 blocks, so a launch lost, doubled, or
 * given another thread's parameters shows as a wrong counter.
 */
#include "prog.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BLOCKS 3

struct worker {
	pthread_t thread;
	const struct prog *prog;
	CUdeviceptr counters;
	long nr_launches;
};

static void *work(void *argument)
{
	struct worker *worker = argument;
	CUstream stream;
	uint64_t ns = 0;
	void *params[] = {&worker->counters, &ns};
	MUST(cu.CtxSetCurrent(worker->prog->context));
	MUST(cu.StreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	struct prog_launch launch = {.function = worker->prog->count,
				     .grid = {BLOCKS, 1, 1},
				     .block = {32, 1, 1},
				     .stream = stream,
				     .params = params};
	for (long i = 0; i < worker->nr_launches; i++)
		MUST(prog_run(&launch));
	MUST(cu.StreamSynchronize(stream));
	MUST(cu.StreamDestroy(stream));
	return NULL;
}

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static size_t run_workers(struct worker *workers, long nr_threads)
{
	size_t nr_wrong = 0;
	for (long i = 0; i < nr_threads; i++)
		if (!CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0))
			_Exit(PROG_FAIL);
	for (long i = 0; i < nr_threads; i++)
		pthread_join(workers[i].thread, NULL);
	for (long i = 0; i < nr_threads; i++)
		nr_wrong += prog_count_other(workers[i].counters, BLOCKS,
					     (uint32_t)workers[i].nr_launches);
	return nr_wrong;
}

int main(int argc, char **argv)
{
	long nr_threads = prog_option(argc, argv, "--threads", 64);
	long nr_launches = prog_option(argc, argv, "--launches", 2000);
	struct prog prog;
	prog_open(&prog);
	struct worker *workers = calloc((size_t)nr_threads, sizeof(*workers));
	if (!workers)
		return PROG_FAIL;
	CUdeviceptr counters = prog_words((size_t)nr_threads * BLOCKS, 0);
	for (long i = 0; i < nr_threads; i++)
		workers[i] = (struct worker){
			.prog = &prog,
			.counters = counters + (size_t)i * BLOCKS * sizeof(uint32_t),
			.nr_launches = nr_launches,
		};
	double begin = now_s();
	size_t nr_wrong = run_workers(workers, nr_threads);
	double seconds = now_s() - begin;
	CHECK(nr_wrong == 0);
	free(workers);
	MUST(cu.MemFree(counters));
	prog_close(&prog);
	printf("program=threads threads=%ld launches=%ld wrong=%zu seconds=%.3f ok=%d\n",
	       nr_threads, nr_threads * nr_launches, nr_wrong, seconds, prog_result() == PROG_PASS);
	return prog_result();
}
