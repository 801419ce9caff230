/* SPDX-License-Identifier: Apache-2.0 */
/* Tables line up, and formats have exactly two names. */
#include "base_files.h"

#include <errno.h>

#include "cli/table.h"

static void test_columns_line_up(void **state)
{
	static const struct table_column columns[] = {{"NAME", 0}, {"N", 1}, {"REST", 0}};
	struct table *table = table_new(columns, 3);
	char text[512] = "";
	FILE *file = fmemopen(text, sizeof(text), "w");

	(void)state;
	assert_non_null(file);
	table_add(table, (const char *const[]){"a", "1", "x"});
	table_add(table, (const char *const[]){"longer", "1000", ""});
	assert_int_equal(table_print(table, file), 0);
	assert_int_equal(fclose(file), 0);
	table_free(table);
	table_free(NULL);
	assert_string_equal(text, "NAME       N  REST\n"
				  "a          1  x\n"
				  "longer  1000  \n");
}

static void test_formats(void **state)
{
	enum format format = FORMAT_JSON;

	(void)state;
	assert_int_equal(format_from("table", &format), 0);
	assert_int_equal(format, FORMAT_TABLE);
	assert_int_equal(format_from("json", &format), 0);
	assert_int_equal(format, FORMAT_JSON);
	assert_int_equal(format_from("xml", &format), -EINVAL);
}

static void test_failures_are_reported(void **state)
{
	static const struct table_column columns[] = {{"NAME", 0}};
	struct table *table = table_new(columns, 1);
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(full);
	assert_int_equal(setvbuf(full, NULL, _IONBF, 0), 0);
	assert_int_equal(table_print(table, full), -EIO);
	assert_int_equal(table_print(NULL, full), -ENOMEM);
	assert_int_equal(json_print(NULL, full), -ENOMEM);
	assert_int_equal(json_print(json_object(), full), -EIO);
	table_free(table);
	(void)fclose(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns_line_up),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_failures_are_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
