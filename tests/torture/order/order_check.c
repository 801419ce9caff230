/* SPDX-License-Identifier: Apache-2.0 */
/*
 * order_check: random programs must compute on this driver what CUDA's rules say.
 *
 *   order_check [--seed S] [--programs N] [--streams K] [--threads T] [--draws D] [--dump]
 *
 * --threads 0, the default, varies threads from program to program. Prints one line; 0 passed, 1
 * failed (seeds on stderr; --seed S --programs 1 --dump shows one), 77 no GPU. A program that hangs
 * is named by the alarm.
 */
#include "check.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	HANG_S = 120
};

static struct check check;
static volatile uint64_t current_seed;

static void on_alarm(int signal_number)
{
	char line[64] = "order_check: hangs, seed=";
	char digits[24];
	size_t n = strlen(line), nr_digits = 0;
	uint64_t seed = current_seed;

	(void)signal_number;
	do {
		digits[nr_digits++] = (char)('0' + seed % 10);
		seed /= 10;
	} while (seed);
	while (nr_digits)
		line[n++] = digits[--nr_digits];
	line[n++] = '\n';
	(void)!write(STDERR_FILENO, line, n);
	_exit(1);
}

static unsigned long long option(int argc, char **argv, const char *name,
				 unsigned long long fallback)
{
	for (int i = 1; i + 1 < argc; i++) {
		if (!strcmp(argv[i], name))
			return strtoull(argv[i + 1], NULL, 0);
	}
	return fallback;
}

static int flag(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], name))
			return 1;
	}
	return 0;
}

static double seconds(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static uint64_t fold(uint64_t hash)
{
	for (uint32_t r = 0; r < NR_REGIONS; r++) {
		if (check.found.is_live[r])
			hash = hash * 31 + region_hash(check.found.memory[r]);
	}
	for (uint32_t i = 0; i < check.program.nr_steps; i++)
		hash = hash * 31 + check.found.read[i];
	return hash;
}

struct totals {
	unsigned long long nr_programs, nr_steps, nr_failed;
	uint64_t hash;
};

static void run_all(const struct machine *machine, const struct program_size *wanted,
		    unsigned long long first, unsigned long long nr, struct totals *ret_totals)
{
	for (unsigned long long i = 0; i < nr; i++) {
		struct program_size size = *wanted;

		if (!size.nr_threads)
			size.nr_threads = 1 + (uint32_t)((first + i) % MAX_THREADS);
		current_seed = first + i;
		(void)alarm(HANG_S);
		if (check_program(&check, machine, first + i, &size, 1))
			ret_totals->nr_failed++;
		ret_totals->nr_programs++;
		ret_totals->nr_steps += check.program.nr_steps;
		ret_totals->hash = fold(ret_totals->hash);
	}
	(void)alarm(0);
}

static uint32_t at_most(unsigned long long value, uint32_t max)
{
	return value > max ? max : (uint32_t)value;
}

int main(int argc, char **argv)
{
	struct program_size size = {
		.nr_threads = at_most(option(argc, argv, "--threads", 0), MAX_THREADS),
		.nr_streams = at_most(option(argc, argv, "--streams", 5), MAX_STREAMS - 4),
		.nr_draws = at_most(option(argc, argv, "--draws", 60), MAX_STEPS),
	};
	unsigned long long nr = option(argc, argv, "--programs", 100);
	struct totals totals = {0};
	struct machine machine;
	double start = seconds();
	int err = api_open();

	if (size.nr_streams < 2)
		size.nr_streams = 2;
	if (err)
		return err == -2 ? 77 : 1;
	if (machine_open(&machine))
		return 77;
	(void)signal(SIGALRM, on_alarm);
	run_all(&machine, &size, option(argc, argv, "--seed", 1), nr, &totals);
	if (flag(argc, argv, "--dump"))
		check_dump(&check.program);
	machine_close(&machine);
	printf("programs=%llu steps=%llu failed=%llu hash=%016llx programs_per_s=%.1f\n",
	       totals.nr_programs, totals.nr_steps, totals.nr_failed,
	       (unsigned long long)totals.hash, (double)totals.nr_programs / (seconds() - start));
	return totals.nr_failed ? 1 : 0;
}
