/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic of a measurement. Pure. */
#ifndef LITHOS_CLI_BENCH_NUMBERS_H
#define LITHOS_CLI_BENCH_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Nearest rank: the least value that at least q of all values do not exceed, 0 < q <= 1. So p99 of
 * 100 values is the 99th. NAN for none. The values are sorted in place by sort_values().
 */
double percentile_sorted(const double *values, size_t n, double q);
void sort_values(double *values, size_t n);

/* Middle value, or the mean of the two middle ones; NANs do not count; NAN for none. Sorts. */
double median(double *values, size_t n);

struct span {
	int64_t begin_ns;
	int64_t end_ns;
};

/*
 * Iterations a second inside a window. One that lies across the window's edge counts with the part
 * of its time that is inside, so the result has no step of one iteration.
 */
double rate_in_window(const struct span *iterations, size_t n, struct span window);

/* See bench.h; NAN when anything it needs is not known. */
struct leftover {
	double alone_rate;
	double request_rate;
	double service_ms;
};
double leftover_ratio(double rate, const struct leftover *leftover);

#endif
