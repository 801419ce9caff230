/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of a tenant and of a measurement by name, and what repetitions make of them. */
#ifndef LITHOS_CLI_BENCH_MEDIANS_H
#define LITHOS_CLI_BENCH_MEDIANS_H

#include <stddef.h>

#include "cli/bench/bench.h"

enum {
	NUMBER_P50_MS,
	NUMBER_P95_MS,
	NUMBER_P99_MS,
	NUMBER_P50_RATIO,
	NUMBER_P99_RATIO,
	NUMBER_RATE,
	NUMBER_RATE_RATIO,
	NUMBER_UNFINISHED,
	NUMBER_REQUESTS,
	NUMBER_SERVICE_MS,
	NR_NUMBERS,
	NUMBER_RATE_SUM = NR_NUMBERS, /* this and the next are of the whole measurement */
	NUMBER_LEFTOVER,
};

/* The key in the result file. */
const char *number_key(int number);

/* NAN where it was not measured. */
double number_of(const struct measurement *m, size_t tenant, int number);

/* Over the repetitions of a system; NAN for none. */
double number_median(const struct bench *bench, const struct bench_system *system, size_t tenant,
		     int number);

/* Of them the worst: the greatest, or of rates the least. */
double number_worst(const struct bench *bench, const struct bench_system *system, size_t tenant,
		    int number);

#endif
