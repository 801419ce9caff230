/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the printer writes, read back, gives the same fields again; cut text keeps its full length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "hw/qmd.h"

#include "qmd_dumps.h"

static enum qmd_field field_by_name(const char *name)
{
	for (unsigned int f = 0; f < QMD_NR_FIELDS; f++) {
		if (!strcmp(qmd_field_name((enum qmd_field)f), name))
			return (enum qmd_field)f;
	}
	return QMD_NR_FIELDS;
}

static void read_line(const struct qmd_layout *layout, const char *line, uint32_t *words)
{
	char name[64] = "";
	unsigned int index = 0;
	unsigned long long value = 0;

	if (sscanf(line, "%63[A-Z0-9_][%u] 0x%llx", name, &index, &value) != 3)
		assert_int_equal(sscanf(line, "%63[A-Z0-9_] 0x%llx", name, &value), 2);
	assert_true(value != 0);
	assert_int_equal(qmd_set(layout, words, field_by_name(name), index, value), 0);
}

static void check_round_trip(const struct qmd_layout *layout, const uint32_t *words)
{
	static char text[16384];
	uint32_t again[DUMP_WORDS] = {0};
	size_t n = qmd_print(layout, words, text, sizeof(text));

	assert_int_equal(n, strlen(text));
	for (char *save = NULL, *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		read_line(layout, line, again);
	for (unsigned int f = 0; f < QMD_NR_FIELDS; f++) {
		for (unsigned int i = 0; i < layout->field[f].count; i++) {
			uint64_t a = 0;
			uint64_t b = 0;

			assert_int_equal(qmd_get(layout, words, (enum qmd_field)f, i, &a), 0);
			assert_int_equal(qmd_get(layout, again, (enum qmd_field)f, i, &b), 0);
			assert_true(a == b);
		}
	}
}

static void test_round_trip(void **state)
{
	static struct qmd_dump dumps[DUMPS_MAX];
	int n = dumps_read(dumps);
	uint64_t seed = 3;
	uint32_t words[DUMP_WORDS];

	(void)state;
	assert_true(n > 20);
	for (int i = 0; i < n; i++)
		check_round_trip(qmd_layout_by_name("V04_00"), dumps[i].words);
	for (int l = 0; qmd_layouts[l]; l++) {
		random_words(&seed, words);
		check_round_trip(qmd_layouts[l], words);
	}
}

static void test_cut(void **state)
{
	const struct qmd_layout *layout = qmd_layout_by_name("V04_00");
	uint32_t words[DUMP_WORDS];
	uint64_t seed = 4;
	static char whole[16384];

	(void)state;
	random_words(&seed, words);
	size_t n = qmd_print(layout, words, whole, sizeof(whole));
	assert_int_equal(qmd_print(layout, words, NULL, 0), n);
	for (size_t size = 1; size <= n + 1; size += 7) {
		char part[16384];

		memset(part, '#', sizeof(part));
		assert_int_equal(qmd_print(layout, words, part, size), n);
		assert_int_equal(strlen(part), size - 1);
		assert_memory_equal(part, whole, size - 1);
		assert_int_equal(part[size], '#');
	}
	memset(words, 0, sizeof(words));
	assert_int_equal(qmd_print(layout, words, whole, sizeof(whole)), 0);
	assert_string_equal(whole, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
