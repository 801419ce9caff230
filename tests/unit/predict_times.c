/* SPDX-License-Identifier: Apache-2.0 */
/* Predicted times: the worked example, other numbers of TPCs, outliers, and work that changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/predict.h"

#define US 1000u

static void is_about(uint64_t found, uint64_t expected)
{
	assert_in_range(found, expected - expected / 100, expected + expected / 100 + 1);
}

static struct predict seen(uint64_t nr_blocks, uint64_t ns, uint32_t nr_tpcs, int times)
{
	struct predict predict = predict_new(nr_blocks);

	for (int i = 0; i < times; i++)
		predict_add(&predict, ns, nr_tpcs);
	return predict;
}

static void test_unknown(void **state)
{
	struct predict predict = predict_new(10);

	(void)state;
	assert_int_equal(predict_ns(&predict, 66), 0);
	predict_add(&predict, 900 * US, 66);
	assert_int_equal(predict_ns(&predict, 66), 0);
	/* The first time had the loading of code in it, and counts for nothing. */
	predict_add(&predict, 100 * US, 66);
	is_about(predict_ns(&predict, 66), 100 * US);
}

static void test_width(void **state)
{
	struct predict wide = seen(660, 100 * US, 66, 20);
	struct predict narrow = seen(4, 100 * US, 66, 20);
	struct predict empty = seen(0, 100 * US, 0, 20);

	(void)state;
	is_about(predict_ns(&wide, 33), 200 * US);
	is_about(predict_ns(&wide, 1), 6600 * US);
	is_about(predict_ns(&narrow, 33), 100 * US);
	is_about(predict_ns(&narrow, 4), 100 * US);
	is_about(predict_ns(&narrow, 2), 200 * US);
	is_about(predict_ns(&empty, 0), 100 * US);
}

static void test_outlier(void **state)
{
	struct predict predict = seen(660, 100 * US, 66, 50);

	(void)state;
	predict_add(&predict, 10000 * US, 66);
	is_about(predict_ns(&predict, 66), 137500);
	for (int i = 0; i < 50; i++)
		predict_add(&predict, 100 * US, 66);
	is_about(predict_ns(&predict, 66), 100 * US);
	/* Odd ones now and then, however long, are never believed. */
	for (int i = 0; i < 200; i++)
		predict_add(&predict, i % 8 ? 100 * US : 1000000 * US, 66);
	assert_in_range(predict_ns(&predict, 66), 100 * US, 200 * US);
}

static void test_change(void **state)
{
	struct predict predict = seen(660, 100 * US, 66, 200);

	(void)state;
	for (int i = 0; i < 4; i++)
		predict_add(&predict, 50000 * US, 66);
	is_about(predict_ns(&predict, 66), 50000 * US);
	for (int i = 0; i < 4; i++)
		predict_add(&predict, 5 * US, 66);
	is_about(predict_ns(&predict, 66), 5 * US);
	for (int i = 0; i < 50; i++)
		predict_add(&predict, 8 * US, 66);
	is_about(predict_ns(&predict, 66), 8 * US);
}

/* Times that are known to be too long. */
static void test_most(void **state)
{
	struct predict predict = predict_new(660);

	(void)state;
	predict_add_most(&predict, 500 * US, 66);
	assert_int_equal(predict_ns(&predict, 66), 0);
	predict_add_most(&predict, 400 * US, 66);
	is_about(predict_ns(&predict, 66), 400 * US);
	/* The least of them is nearest. */
	predict_add_most(&predict, 900 * US, 66);
	is_about(predict_ns(&predict, 66), 400 * US);
	predict_add_most(&predict, 200 * US, 66);
	is_about(predict_ns(&predict, 66), 200 * US);
	/* What is known better is not changed by them. */
	for (int i = 0; i < 60; i++)
		predict_add(&predict, 100 * US, 66);
	is_about(predict_ns(&predict, 66), 100 * US);
	predict_add_most(&predict, 50 * US, 66);
	predict_add_most(&predict, 500 * US, 66);
	is_about(predict_ns(&predict, 66), 100 * US);
}

static void test_extremes(void **state)
{
	struct predict predict = seen(UINT64_MAX, UINT64_MAX, 128, 300);

	(void)state;
	assert_true(predict_ns(&predict, 128) > 1ull << 62);
	predict = seen(1, 0, 1, 10);
	assert_int_equal(predict_ns(&predict, 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown), cmocka_unit_test(test_width),
		cmocka_unit_test(test_outlier), cmocka_unit_test(test_change),
		cmocka_unit_test(test_most),    cmocka_unit_test(test_extremes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
