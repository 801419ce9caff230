/* SPDX-License-Identifier: Apache-2.0 */
/* The grace period by the gaps seen: the worked example, habits that change, and odd
 * configurations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/grace.h"

#define US   1000u
#define MOST (200u * US)

static void see(struct grace *grace, uint64_t gap_us, int times)
{
	for (int i = 0; i < times; i++)
		grace_add(grace, gap_us * US, MOST);
}

static void test_unknown_is_cautious(void **state)
{
	struct grace grace = {.is_known = 0};

	(void)state;
	assert_int_equal(grace_ns(&grace, MOST), MOST);
	see(&grace, 5000, 1);
	assert_int_equal(grace_ns(&grace, MOST), MOST);
}

static void test_far_apart(void **state)
{
	struct grace grace = {.is_known = 0};

	(void)state;
	see(&grace, 5000, 100);
	assert_int_equal(grace_ns(&grace, MOST), MOST / 4);
	/* Launches that follow at once say nothing about longer gaps. */
	for (int i = 0; i < 100; i++) {
		see(&grace, 3, 3);
		see(&grace, 5000, 1);
	}
	assert_int_equal(grace_ns(&grace, MOST), MOST / 4);
}

/* 70 % of 5 ms, 20 % of 60 us, 10 % of 130 us. */
static void test_worked_example(void **state)
{
	struct grace grace = {.is_known = 0};

	(void)state;
	for (int i = 0; i < 50; i++) {
		see(&grace, 5000, 4);
		see(&grace, 60, 1);
		see(&grace, 5000, 3);
		see(&grace, 60, 1);
		see(&grace, 130, 1);
	}
	assert_in_range(grace_ns(&grace, MOST), 100 * US, 175 * US);
	see(&grace, 130, 3);
	assert_int_equal(grace_ns(&grace, MOST), 175 * US);
}

static void test_decoding(void **state)
{
	struct grace grace = {.is_known = 0};

	(void)state;
	for (int i = 0; i < 20; i++) {
		see(&grace, 160, 30);
		see(&grace, 9000, 1);
	}
	assert_int_equal(grace_ns(&grace, MOST), 200 * US);
}

static void test_habits_change(void **state)
{
	struct grace grace = {.is_known = 0};

	(void)state;
	see(&grace, 190, 200);
	assert_int_equal(grace_ns(&grace, MOST), MOST);
	see(&grace, 4000, 60);
	assert_int_equal(grace_ns(&grace, MOST), MOST / 4);
	see(&grace, 110, 5);
	assert_int_equal(grace_ns(&grace, MOST), 150 * US);
}

static void test_odd_times(void **state)
{
	struct grace grace = {.is_known = 0};

	(void)state;
	grace_add(&grace, 10, 0);
	assert_int_equal(grace_ns(&grace, 0), 0);
	for (int i = 0; i < 100; i++)
		grace_add(&grace, 999, 1003);
	assert_int_equal(grace_ns(&grace, 1003), 1003);
	for (int i = 0; i < 1000; i++)
		grace_add(&grace, UINT64_MAX, UINT64_MAX);
	assert_true(grace_ns(&grace, UINT64_MAX) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown_is_cautious), cmocka_unit_test(test_far_apart),
		cmocka_unit_test(test_worked_example),      cmocka_unit_test(test_decoding),
		cmocka_unit_test(test_habits_change),       cmocka_unit_test(test_odd_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
