/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated kernels add up to what was measured on hardware, at every scale. */
#include "base_files.h"

#include "bench/sim/workload.h"

#define SMS            132
#define BLOCKS_AT_ONCE (2 * SMS)

static double total_ms(const struct workload *work)
{
	double ns = 0;

	for (size_t i = 0; i < work->nr; i++) {
		unsigned int waves =
			(work->kernel[i].nr_blocks + BLOCKS_AT_ONCE - 1) / BLOCKS_AT_ONCE;

		ns += (double)work->kernel[i].block_ns * waves;
	}
	return ns / 1e6;
}

static void test_totals(void **state)
{
	struct workload work;

	(void)state;
	assert_int_equal(workload_foreground(&work, SMS, 1), 0);
	assert_int_equal(work.nr, 282);
	assert_true(total_ms(&work) > 0.9 && total_ms(&work) < 1.2);
	free(work.kernel);
	assert_int_equal(workload_background(&work, SMS, 1), 0);
	assert_int_equal(work.nr, 1089);
	assert_true(total_ms(&work) > 95 && total_ms(&work) < 115);
	free(work.kernel);
}

static void test_scale_keeps_totals(void **state)
{
	static const double scales[] = {2, 5, 10, 20};

	(void)state;
	for (size_t i = 0; i < sizeof(scales) / sizeof(scales[0]); i++) {
		struct workload work;

		assert_int_equal(workload_background(&work, SMS, scales[i]), 0);
		assert_true((double)work.nr < 1089 / scales[i] + 1);
		assert_true(total_ms(&work) > 90 && total_ms(&work) < 120);
		free(work.kernel);
		assert_int_equal(workload_foreground(&work, SMS, scales[i]), 0);
		assert_true(total_ms(&work) > 0.85 && total_ms(&work) < 1.3);
		free(work.kernel);
	}
}

/* A scale beyond the number of kernels leaves one. */
static void test_never_none(void **state)
{
	struct workload work;

	(void)state;
	assert_int_equal(workload_foreground(&work, 16, 1e6), 0);
	assert_int_equal(work.nr, 1);
	assert_true(work.kernel[0].nr_blocks == 16);
	free(work.kernel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_totals),
		cmocka_unit_test(test_scale_keeps_totals),
		cmocka_unit_test(test_never_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
