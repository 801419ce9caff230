/* SPDX-License-Identifier: Apache-2.0 */
/* The schedule is a Poisson process, and the same for the same seed. */
#include "base_files.h"

#include <math.h>

#include "cli/bench/arrivals.h"

static void test_same_seed_same_schedule(void **state)
{
	struct arrivals a, b, c;

	(void)state;
	assert_int_equal(arrivals_make(&a, 200, 8, 7), 0);
	assert_int_equal(arrivals_make(&b, 200, 8, 7), 0);
	assert_int_equal(arrivals_make(&c, 200, 8, 8), 0);
	assert_int_equal(a.nr, b.nr);
	assert_memory_equal(a.at_ns, b.at_ns, a.nr * sizeof(*a.at_ns));
	assert_memory_not_equal(a.at_ns, c.at_ns, 8 * sizeof(*a.at_ns));
	arrivals_free(&a);
	arrivals_free(&b);
	arrivals_free(&c);
	assert_null(a.at_ns);
}

/* 100,000 gaps of mean 1 ms: mean and deviation of an exponential are equal, and e^-1 exceed it. */
static void test_gaps_are_exponential(void **state)
{
	struct arrivals a;
	double sum = 0, squares = 0;
	size_t nr_above = 0;

	(void)state;
	assert_int_equal(arrivals_make(&a, 1000, 100, 1), 0);
	assert_true(a.nr > 98500 && a.nr < 101500);
	for (size_t i = 1; i < a.nr; i++) {
		double gap = (double)(a.at_ns[i] - a.at_ns[i - 1]) / 1e6;

		assert_true(gap >= 0);
		sum += gap;
		squares += gap * gap;
		nr_above += gap > 1;
	}
	double n = (double)(a.nr - 1);
	double mean = sum / n;
	assert_true(fabs(mean - 1) < 0.02);
	assert_true(fabs(sqrt(squares / n - mean * mean) - 1) < 0.03);
	assert_true(fabs((double)nr_above / n - exp(-1)) < 0.01);
	assert_true(a.at_ns[a.nr - 1] < 100000000000);
	arrivals_free(&a);
}

static void test_no_time_no_arrivals(void **state)
{
	struct arrivals a;

	(void)state;
	assert_int_equal(arrivals_make(&a, 1, 1e-9, 1), 0);
	assert_int_equal(a.nr, 0);
	arrivals_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_seed_same_schedule),
		cmocka_unit_test(test_gaps_are_exponential),
		cmocka_unit_test(test_no_time_no_arrivals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
