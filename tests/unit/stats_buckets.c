/* SPDX-License-Identifier: Apache-2.0 */
/* The histogram's buckets tile the durations, and quantiles stay inside their bucket. */
#include "base_files.h"

#include <lithos/stats.h>

static void test_buckets_tile(void **state)
{
	(void)state;
	for (uint32_t b = 0; b + 1 < STATS_HIST_BUCKETS; b++) {
		uint64_t low = stats_bucket_floor_ns(b);
		uint64_t next = stats_bucket_floor_ns(b + 1);

		assert_true(next > low);
		assert_int_equal(stats_bucket_of(low), b);
		assert_int_equal(stats_bucket_of(next - 1), b);
		assert_true(low < 8 || (next - low) * 8 <= low);
	}
}

static void test_known_buckets(void **state)
{
	(void)state;
	assert_int_equal(stats_bucket_of(0), 0);
	assert_int_equal(stats_bucket_of(7), 7);
	assert_int_equal(stats_bucket_of(8), 8);
	assert_int_equal(stats_bucket_of(100), 36);
	assert_int_equal(stats_bucket_floor_ns(36), 96);
	assert_int_equal(stats_bucket_of(UINT64_MAX), STATS_HIST_BUCKETS - 1);
	assert_true(stats_bucket_floor_ns(STATS_HIST_BUCKETS - 1) > (uint64_t)1 << 33);
}

static void test_quantiles_of_a_range(void **state)
{
	static struct stats_kernel kernel;

	(void)state;
	for (uint64_t d = 1000; d < 101000; d++)
		kernel.hist[stats_bucket_of(d)]++;
	/* Uniform from 1,000 to 101,000: interpolation is exact up to the ends of the range. */
	assert_in_range(stats_quantile_ns(&kernel, 0.5), 50900, 51100);
	assert_in_range(stats_quantile_ns(&kernel, 0.99), 99000, 104000);
	assert_in_range(stats_quantile_ns(&kernel, 0.0), 960, 1024);
	assert_in_range(stats_quantile_ns(&kernel, 1.0), 98304, 106496);
	assert_true(stats_quantile_ns(&kernel, 2.0) == stats_quantile_ns(&kernel, 1.0));
	assert_true(stats_quantile_ns(&kernel, -1.0) == stats_quantile_ns(&kernel, 0.0));
}

static void test_quantile_of_nothing_and_of_two(void **state)
{
	static struct stats_kernel kernel;

	(void)state;
	assert_int_equal(stats_quantile_ns(&kernel, 0.5), 0);
	assert_int_equal(stats_quantile_ns(&kernel, 2.0), 0);
	kernel.hist[stats_bucket_of(2000)] = 98;
	kernel.hist[stats_bucket_of(5000000)] = 2;
	assert_in_range(stats_quantile_ns(&kernel, 0.5), 1920, 2048);
	assert_in_range(stats_quantile_ns(&kernel, 0.99), 4718592, 5242880);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets_tile),
		cmocka_unit_test(test_known_buckets),
		cmocka_unit_test(test_quantiles_of_a_range),
		cmocka_unit_test(test_quantile_of_nothing_and_of_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
