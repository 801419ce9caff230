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
 *
 * --state FILE measures launches that are held back: the program is best effort, an owner of all
 * TPCs (feed --state) works and rests in turns, and its word in the file is odd while it works. A
 * batch begins when the owner has been at work for a moment and counts only if the owner worked
 * throughout; the drain ends in the owner's rest.
 */
#include "prog.h"

#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SETTLE_NS 2000000u /* after the owner began to work, until it counts */
#define MAX_TRIES 1000

static const _Atomic uint64_t *owner; /* NULL: nobody holds anything back */

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

static uint64_t owner_state(void)
{
	return atomic_load_explicit(owner, memory_order_acquire);
}

/* Waits until the owner begins to work, so that the whole of its turn lies ahead. */
static uint64_t wait_for_owner(void)
{
	uint64_t before = owner_state();
	uint64_t now = before;
	while (now == before || now % 2 == 0)
		now = owner_state();
	for (uint64_t end = now_ns() + SETTLE_NS; now_ns() < end;)
		;
	return now;
}

static double held_batch(const struct prog_launch *launch, long nr_launches)
{
	for (int i = 0; i < MAX_TRIES; i++) {
		uint64_t state = wait_for_owner();
		uint64_t begin = now_ns();
		for (long n = 0; n < nr_launches; n++)
			MUST(prog_run(launch));
		uint64_t end = now_ns();
		bool is_held = owner_state() == state;
		MUST(cu.StreamSynchronize(launch->stream));
		if (is_held)
			return (double)(end - begin) / (double)nr_launches;
	}
	fprintf(stderr, "launch_cost: the owner never worked for the time of a batch\n");
	exit(PROG_FAIL);
}

static double one_batch(const struct prog_launch *launch, long nr_launches)
{
	return owner ? held_batch(launch, nr_launches) : batch(launch, nr_launches);
}

static void look_at_owner(int argc, char **argv)
{
	const char *path = NULL;
	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], "--state"))
			path = argv[i + 1];
	if (!path)
		return;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *at = mmap(NULL, sizeof(*owner), PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) {
		perror(path);
		exit(2);
	}
	(void)close(fd);
	owner = at;
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
		fprintf(stderr, "usage: launch_cost [--launches N] [--batch N] [--cpu C] [--state "
				"FILE], N >= batch >= 1\n");
		return 2;
	}
	long nr_batches = nr_launches / batch_size;
	double *ns = calloc((size_t)nr_batches, sizeof(*ns));
	if (!ns)
		return PROG_FAIL;
	look_at_owner(argc, argv);
	prog_open(&prog);
	MUST(cu.StreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	struct prog_launch launch = {
		.function = prog.null, .grid = {1, 1, 1}, .block = {32, 1, 1}, .stream = stream};
	for (int i = 0; i < 4; i++)
		(void)batch(&launch, batch_size);
	pin_to(cpu);
	(void)batch(&launch, batch_size);
	for (long i = 0; i < nr_batches; i++)
		ns[i] = one_batch(&launch, batch_size);
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
