/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Percentiles, medians, rates and the leftover.
 *
 * Percentiles are nearest-rank, so a reported latency is one that some request had; interpolation
 * would invent values between two requests exactly where they are rarest. Medians of few
 * repetitions are the usual ones.
 *
 * The leftover takes the foreground's busy share as its request rate times the median time of one
 * request on the idle GPU. A request that does not fill the GPU leaves more than that, so ratios
 * above 1 are possible and right.
 *
 * Example: 9.46 it/s alone, 200 requests/s of 1.05 ms: 21 % busy, leftover 7.47 it/s.
 * Tested by tests/unit/bench_numbers.c.
 */
#include "cli/bench/numbers.h"

#include <math.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

void sort_values(double *values, size_t n)
{
	if (n)
		qsort(values, n, sizeof(*values), by_value);
}

double percentile_sorted(const double *values, size_t n, double q)
{
	size_t rank;

	if (!n)
		return NAN;
	/* 0.99 * 100 is 99.00000000000001 or so: what is that close to a whole rank is meant so. */
	rank = (size_t)ceil(q * (double)n - 1e-9);
	if (rank < 1)
		rank = 1;
	return values[(rank < n ? rank : n) - 1];
}

double median(double *values, size_t n)
{
	size_t nr_known = 0;

	for (size_t i = 0; i < n; i++) {
		if (!isnan(values[i]))
			values[nr_known++] = values[i];
	}
	if (!nr_known)
		return NAN;
	sort_values(values, nr_known);
	return (values[(nr_known - 1) / 2] + values[nr_known / 2]) / 2;
}

static double part_inside(struct span it, struct span window)
{
	int64_t begin = it.begin_ns > window.begin_ns ? it.begin_ns : window.begin_ns;
	int64_t end = it.end_ns < window.end_ns ? it.end_ns : window.end_ns;

	if (end <= begin || it.end_ns <= it.begin_ns)
		return 0;
	/* As doubles: a file may hold any two numbers, and their distance may not fit. */
	return ((double)end - (double)begin) / ((double)it.end_ns - (double)it.begin_ns);
}

double rate_in_window(const struct span *iterations, size_t n, struct span window)
{
	double nr_inside = 0;

	if (window.end_ns <= window.begin_ns)
		return NAN;
	for (size_t i = 0; i < n; i++)
		nr_inside += part_inside(iterations[i], window);
	return nr_inside * 1e9 / (double)(window.end_ns - window.begin_ns);
}

double leftover_ratio(double rate, const struct leftover *leftover)
{
	double busy = leftover->request_rate * leftover->service_ms / 1e3;
	double left = leftover->alone_rate * (1 - busy);

	return left > 0 ? rate / left : (double)NAN;
}
