/* SPDX-License-Identifier: Apache-2.0 */
/* Versions that nobody verified are off until somebody names them; verified ones are always on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "hw/qmd.h"
#include "hw/qmd_allow.h"

static int may_use(const char *name)
{
	const struct qmd_layout *layout = qmd_layout_by_name(name);

	assert_non_null(layout);
	return qmd_may_use(layout);
}

/* What is allowed stays so for the life of the process, so the steps build on each other. */
static void test_by_name(void **state)
{
	uint32_t nr_verified = 0, nr_off = 0;

	(void)state;
	for (uint32_t i = 0; qmd_layouts[i]; i++) {
		assert_int_equal(!!qmd_may_use(qmd_layouts[i]), qmd_layouts[i]->verified);
		nr_verified += qmd_layouts[i]->verified;
		nr_off += !qmd_layouts[i]->verified;
	}
	assert_true(nr_verified > 0 && nr_off > 2);
	assert_true(may_use("V04_00"));

	assert_int_equal(qmd_allow_versions(""), 0);
	assert_false(may_use("V02_04"));
	assert_int_equal(qmd_allow_versions("V02_04,V03_00"), 0);
	assert_true(may_use("V02_04"));
	assert_true(may_use("V03_00"));
	assert_false(may_use("V05_00"));
}

static void test_unknown_names(void **state)
{
	(void)state;
	assert_int_equal(qmd_allow_versions("V99_99"), -ENOENT);
	assert_int_equal(qmd_allow_versions("V05_0"), -ENOENT);
	assert_int_equal(qmd_allow_versions("V05_00_and_much_more_than_a_name"), -ENOENT);
	assert_int_equal(qmd_allow_versions(",V05_00"), -ENOENT);
	assert_false(may_use("V05_00"));
	/* Names before the wrong one count, those after it do not. */
	assert_int_equal(qmd_allow_versions("V05_00,nonsense,V05_01"), -ENOENT);
	assert_true(may_use("V05_00"));
	assert_false(may_use("V05_01"));
	assert_true(may_use("V04_00"));
}

/* A layout that is none of the table's is not on because of others. */
static void test_foreign_layout(void **state)
{
	struct qmd_layout copy = *qmd_layout_by_name("V05_00");

	(void)state;
	copy.verified = 0;
	assert_false(qmd_may_use(&copy));
	copy.verified = 1;
	assert_true(qmd_may_use(&copy));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_name),
		cmocka_unit_test(test_unknown_names),
		cmocka_unit_test(test_foreign_layout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
