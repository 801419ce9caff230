/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quotas as users write them, and how many TPCs they are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "sched/quota.h"

static void accept(const char *text, uint32_t tpcs, uint32_t percent)
{
	struct quota quota = {0};

	assert_int_equal(quota_parse(text, &quota), 0);
	assert_int_equal(quota.tpcs, tpcs);
	assert_int_equal(quota.percent, percent);
}

static void refuse(const char *text)
{
	struct quota quota = {7, 8};

	assert_int_equal(quota_parse(text, &quota), -EINVAL);
	assert_int_equal(quota.tpcs, 7);
	assert_int_equal(quota.percent, 8);
}

static void test_accepted(void **state)
{
	(void)state;
	accept("1", 1, 0);
	accept("33", 33, 0);
	accept("033", 33, 0);
	accept("99999", 99999, 0);
	accept("1%", 0, 1);
	accept("100%", 0, 100);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"",          "0",   "00", "0%",  "%",    "101%",
		"-1",        "+1",  " 1", "1 ",  "1%%",  "1% ",
		"1x",        "1.5", "x1", "0x1", "50%a", "99999999999999999999",
		"4294967297"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refuse(bad[i]);
}

static uint32_t tpcs_of(const char *text, uint32_t nr_tpcs)
{
	struct quota quota = {0};

	assert_int_equal(quota_parse(text, &quota), 0);
	return quota_tpcs(&quota, nr_tpcs);
}

static void test_tpcs(void **state)
{
	struct quota none = {0};

	(void)state;
	assert_int_equal(tpcs_of("33", 66), 33);
	assert_int_equal(tpcs_of("67", 66), 66);
	assert_int_equal(tpcs_of("50%", 66), 33);
	assert_int_equal(tpcs_of("25%", 66), 16); /* 16.5 */
	assert_int_equal(tpcs_of("75%", 66), 49); /* 49.5 */
	assert_int_equal(tpcs_of("1%", 66), 1);
	assert_int_equal(tpcs_of("1%", 10), 1); /* 0.1, but never none */
	assert_int_equal(tpcs_of("100%", 66), 66);
	assert_int_equal(quota_tpcs(&none, 66), 0);
}

/* Percentages that make at most 100 together fit together, on any GPU with a TPC for each. */
static void test_shares_fit(void **state)
{
	unsigned int seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		uint32_t left = 100, sum = 0, nr_tpcs = 40 + (uint32_t)rand_r(&seed) % 100;

		for (int i = 0; i < 8 && left > 0; i++) {
			struct quota quota = {.percent = 1 + (uint32_t)rand_r(&seed) % left};

			/* Those that are less than a TPC get one all the same. */
			if (quota.percent * nr_tpcs < 100)
				break;
			left -= quota.percent;
			sum += quota_tpcs(&quota, nr_tpcs);
		}
		assert_true(sum <= nr_tpcs);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_tpcs),
		cmocka_unit_test(test_shares_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
