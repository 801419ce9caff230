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
	assert_int_equal(tpcs_of("25%", 66), 17); /* 16.5 */
	assert_int_equal(tpcs_of("75%", 66), 50); /* 49.5 */
	assert_int_equal(tpcs_of("1%", 66), 1);
	assert_int_equal(tpcs_of("1%", 10), 1); /* 0.1, but never none */
	assert_int_equal(tpcs_of("100%", 66), 66);
	assert_int_equal(quota_tpcs(&none, 66), 0);
}

static uint32_t told_of(const char *text, uint32_t usable)
{
	struct told told = {0};

	assert_int_equal(told_parse(text, &told), 0);
	return told_sms(&told, 132, usable);
}

static void test_told(void **state)
{
	static const char *const bad[] = {"", "0", "0%", "1601%", "100001", "-1", "132 ", "all"};
	struct told none = {0}, told = {7, 8};

	(void)state;
	assert_int_equal(told_sms(&none, 132, 66), 66);
	assert_int_equal(told_of("132", 8), 132);
	assert_int_equal(told_of("528", 132), 528);
	assert_int_equal(told_of("100000", 132), 100000);
	assert_int_equal(told_of("100%", 8), 132);
	assert_int_equal(told_of("50%", 132), 66);
	assert_int_equal(told_of("400%", 8), 528);
	assert_int_equal(told_of("1600%", 8), 2112);
	assert_int_equal(told_sms(&(struct told){.percent = 1}, 66, 66), 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(told_parse(bad[i], &told), -EINVAL);
		assert_true(told.sms == 7 && told.percent == 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_tpcs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
