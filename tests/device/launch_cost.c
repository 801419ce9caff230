/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one cuLaunchKernel costs the launching thread. An empty kernel is launched in batches; the
 * stream is drained between batches and not inside them, so a batch is shorter than the driver's
 * queue. Per batch the mean of its launches is taken, over the batches the median: a batch that was
 * interrupted does not count.
 *
 * The thread pins itself, to the same CPU in every run (--cpu), and only after the warm-up: threads
 * that a layer between us and the driver created by then keep all CPUs and do not compete with it.
 * Baseline: the same program natively, alternating (cost.py). Prints one line of JSON.
 */
#include "prog.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Mean nanoseconds of a launch in one batch. */
static double batch(const struct prog_launch *launch, long nr_launches)
{
	uint64_t begin = now_ns();
	for (long i = 0; i < nr_launches; i++)
		MUST(prog_run(launch));
	uint64_t end = now_ns();
	MUST(cu.StreamSynchronize(launch->stream));
	return (double)(end - begin) / (double)nr_launches;
}

/* A CPU that is not there leaves the thread where it is. */
static void pin_to(long cpu)
{
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	CPU_SET((unsigned int)cpu, &cpus);
	(void)sched_setaffinity(0, sizeof(cpus), &cpus);
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

int main(int argc, char **argv)
{
	long nr_launches = prog_option(argc, argv, "--launches", 24000);
	long batch_size = prog_option(argc, argv, "--batch", 250);
	long cpu = prog_option(argc, argv, "--cpu", 5);
	struct prog prog;
	CUstream stream;
	if (batch_size < 1 || nr_launches < batch_size || cpu < 0) {
		fprintf(stderr, "usage: launch_cost [--launches N] [--batch N] [--cpu C], N >= "
				"batch >= 1\n");
		return 2;
	}
	long nr_batches = nr_launches / batch_size;
	double *ns = calloc((size_t)nr_batches, sizeof(*ns));
	if (!ns)
		return PROG_FAIL;
	prog_open(&prog);
	MUST(cu.StreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	struct prog_launch launch = {
		.function = prog.null, .grid = {1, 1, 1}, .block = {32, 1, 1}, .stream = stream};
	for (int i = 0; i < 4; i++)
		(void)batch(&launch, batch_size);
	pin_to(cpu);
	(void)batch(&launch, batch_size);
	for (long i = 0; i < nr_batches; i++)
		ns[i] = batch(&launch, batch_size);
	qsort(ns, (size_t)nr_batches, sizeof(*ns), by_value);
	printf("{\"program\":\"launch_cost\",\"launches\":%ld,\"batch\":%ld,\"median_ns\":%.1f,"
	       "\"min_ns\":%.1f,\"p90_ns\":%.1f}\n",
	       nr_batches * batch_size, batch_size, ns[nr_batches / 2], ns[0],
	       ns[nr_batches * 9 / 10]);
	free(ns);
	MUST(cu.StreamDestroy(stream));
	prog_close(&prog);
	return prog_result();
}
