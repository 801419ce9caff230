/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a process runs while no daemon answers: hints that are believed, and that are not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sched/known.h"

#include "topology_h200.h"

static struct tpcset bits(unsigned int from, unsigned int to)
{
	struct tpcset set = {{0}};

	for (unsigned int i = from; i <= to; i++)
		tpcset_add(&set, i);
	return set;
}

static void test_text(void **state)
{
	struct tpcset set = bits(0, 3), back;
	char text[KNOWN_TEXT_BYTES];

	(void)state;
	tpcset_add(&set, 127);
	assert_string_equal(known_text(&set, text), "8000000000000000000000000000000f");
	assert_int_equal(known_parse(text, &back), 0);
	assert_true(tpcset_equal(&set, &back));
	assert_int_equal(known_parse("F", &back), 0);
	set = bits(0, 3);
	assert_true(tpcset_equal(&set, &back));
	for (int i = 0; i < 1000; i++) {
		for (int w = 0; w < TPCSET_WORDS; w++)
			set.w[w] = (uint32_t)rand() * 3u | 1u;
		assert_int_equal(known_parse(known_text(&set, text), &back), 0);
		assert_true(tpcset_equal(&set, &back));
	}
}

static void test_text_that_is_none(void **state)
{
	static const char *const bad[] = {"",
					  "0",
					  "0x0f",
					  "-1",
					  "f ",
					  "00000000000000000000000000000000",
					  "100000000000000000000000000000000",
					  "g"};
	struct tpcset set = bits(5, 6), before = set;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(known_parse(bad[i], &set), -EINVAL);
		assert_true(tpcset_equal(&set, &before));
	}
}

static void test_owner(void **state)
{
	struct tpcset told = h200.gpc[1], absent = bits(0, 127);
	struct known known;

	(void)state;
	assert_int_equal(known_choose(&h200, &told, tpcset_count(&told), &known), 0);
	assert_true(tpcset_equal(&known.own, &told));
	assert_true(tpcset_is_empty(&known.borrow));
	/* Not as many as the quota, TPCs that are not there, and nothing said: of the quota's
	 * size. */
	for (int i = 0; i < 3; i++) {
		const struct tpcset *hint[] = {&told, &absent, NULL};

		assert_int_equal(known_choose(&h200, hint[i], 5, &known), 0);
		assert_int_equal(tpcset_count(&known.own), 5);
		absent = tpcset_andnot(known.own, h200.present);
		assert_true(tpcset_is_empty(&absent));
		assert_true(tpcset_is_empty(&known.borrow));
		absent = bits(0, 127);
	}
	assert_int_equal(known_choose(&h200, NULL, h200.nr_tpcs + 1, &known), -ENOSPC);
}

static void test_best_effort(void **state)
{
	struct tpcset told = h200.gpc[2], absent = bits(0, 127), none = {{0}};
	const struct tpcset *wrong[] = {&absent, &none, NULL};
	struct known known;

	(void)state;
	assert_int_equal(known_choose(&h200, &told, 0, &known), 0);
	assert_true(tpcset_is_empty(&known.own));
	assert_true(tpcset_equal(&known.borrow, &told));
	/* One TPC that exists, never all of them, and never none. */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(known_choose(&h200, wrong[i], 0, &known), 0);
		assert_true(tpcset_is_empty(&known.own));
		assert_int_equal(tpcset_count(&known.borrow), 1);
		told = tpcset_andnot(known.borrow, h200.present);
		assert_true(tpcset_is_empty(&told));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_that_is_none),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_best_effort),
	};

	return cmocka_run_group_tests(tests, h200_setup, NULL);
}
