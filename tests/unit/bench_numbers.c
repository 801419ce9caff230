/* SPDX-License-Identifier: Apache-2.0 */
/* Nearest-rank percentiles, medians that leave out what is not known, rates, the leftover. */
#include "base_files.h"

#include <math.h>

#include "cli/bench/numbers.h"

#define MS 1000000

static void test_percentiles_are_ranks(void **state)
{
	double values[1000];

	(void)state;
	for (int i = 0; i < 1000; i++)
		values[i] = 1000 - i;
	sort_values(values, 1000);
	/* The r-th of 1..n is r, so rank and value are the same number. */
	for (int n = 100; n <= 1000; n += 100) {
		assert_true(percentile_sorted(values, (size_t)n, 0.99) == n / 100.0 * 99);
		assert_true(percentile_sorted(values, (size_t)n, 0.50) == n / 2.0);
		assert_true(percentile_sorted(values, (size_t)n, 1) == n);
	}
	assert_true(percentile_sorted(values, 101, 0.99) == 100);
	assert_true(percentile_sorted(values, 3, 0.5) == 2);
	assert_true(percentile_sorted(values, 1, 0.99) == 1);
	assert_true(percentile_sorted(values, 10, 0.001) == 1);
	assert_true(isnan(percentile_sorted(values, 0, 0.5)));
}

static void test_medians(void **state)
{
	double odd[] = {9, 1, 5};
	double even[] = {4, 1, 3, 2};
	double holes[] = {NAN, 7, NAN, 3, 5};
	double none[] = {NAN};

	(void)state;
	assert_true(median(odd, 3) == 5);
	assert_true(median(even, 4) == 2.5);
	assert_true(median(holes, 5) == 5);
	assert_true(isnan(median(none, 1)));
	assert_true(isnan(median(none, 0)));
}

static void test_rate_counts_parts(void **state)
{
	/* A window of one second: half of the first, all of the second, a quarter of the third. */
	static const struct span iterations[] = {
		{-900 * MS, -500 * MS}, {-100 * MS, 100 * MS},  {100 * MS, 900 * MS},
		{900 * MS, 1300 * MS},  {1300 * MS, 1400 * MS},
	};
	struct span window = {0, 1000 * MS};

	(void)state;
	assert_true(fabs(rate_in_window(iterations, 5, window) - 1.75) < 1e-12);
	assert_true(rate_in_window(iterations, 0, window) == 0);
	assert_true(fabs(rate_in_window(&(struct span){-5000ll * MS, 5000ll * MS}, 1, window) -
			 0.1) < 1e-12);
	assert_true(isnan(rate_in_window(iterations, 5, (struct span){5, 5})));
}

static void test_leftover(void **state)
{
	struct leftover leftover = {.alone_rate = 10, .request_rate = 200, .service_ms = 1};

	(void)state;
	/* 20 % busy: 8 it/s are left. */
	assert_true(fabs(leftover_ratio(8, &leftover) - 1) < 1e-12);
	assert_true(fabs(leftover_ratio(6, &leftover) - 0.75) < 1e-12);
	leftover.service_ms = 5;
	assert_true(isnan(leftover_ratio(6, &leftover))); /* nothing is left */
	leftover.service_ms = 1;
	leftover.alone_rate = NAN;
	assert_true(isnan(leftover_ratio(6, &leftover)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_percentiles_are_ranks),
		cmocka_unit_test(test_medians),
		cmocka_unit_test(test_rate_counts_parts),
		cmocka_unit_test(test_leftover),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
