/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables and the bit access under them: every field of every version round-trips and touches
 * only its own bits, rows do not overlap, versions are told apart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "hw/qmd.h"

#include "qmd_dumps.h"

static int bit_of(const uint32_t *words, unsigned int bit)
{
	return (words[bit / 32] >> (bit % 32)) & 1;
}

/* Bit by bit, in another way than qmd.c does it. */
static void check_element(const struct qmd_layout *layout, enum qmd_field field, unsigned int i,
			  uint64_t *seed)
{
	const struct qmd_range *range = &layout->field[field];
	unsigned int lo = range->lo + i * range->stride;
	uint32_t before[DUMP_WORDS];
	uint32_t words[DUMP_WORDS];
	uint64_t got = 0;

	random_words(seed, before);
	memcpy(words, before, sizeof(words));
	uint64_t value = random_u32(seed) & ((UINT64_C(1) << range->width) - 1);
	assert_int_equal(qmd_set(layout, words, field, i, value), 0);
	for (unsigned int bit = 0; bit < layout->size_bytes * 8u; bit++) {
		int inside = bit >= lo && bit < lo + range->width;
		int want = inside ? (int)((value >> (bit - lo)) & 1) : bit_of(before, bit);

		assert_int_equal(bit_of(words, bit), want);
	}
	assert_int_equal(qmd_get(layout, words, field, i, &got), 0);
	assert_true(got == value);
	memcpy(before, words, sizeof(words));
	assert_int_equal(qmd_set(layout, words, field, i, UINT64_C(1) << range->width), -ERANGE);
	assert_memory_equal(before, words, sizeof(words));
}

static void test_round_trip(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (int l = 0; qmd_layouts[l]; l++) {
		for (unsigned int f = 0; f < QMD_NR_FIELDS; f++) {
			for (unsigned int i = 0; i < qmd_layouts[l]->field[f].count; i++)
				check_element(qmd_layouts[l], (enum qmd_field)f, i, &seed);
		}
	}
}

static void claim_bits(const struct qmd_range *range, unsigned char *taken, unsigned int nr_bits)
{
	unsigned int elements = range->stride ? range->count : range->count > 0;

	for (unsigned int i = 0; i < elements; i++) {
		for (unsigned int b = 0; b < range->width; b++) {
			unsigned int bit = range->lo + i * range->stride + b;

			assert_true(bit < nr_bits);
			assert_int_equal(taken[bit], 0);
			taken[bit] = 1;
		}
	}
}

static void test_rows_do_not_overlap(void **state)
{
	(void)state;
	for (int l = 0; qmd_layouts[l]; l++) {
		unsigned char taken[DUMP_WORDS * 32] = {0};

		for (unsigned int f = 0; f < QMD_NR_FIELDS; f++)
			claim_bits(&qmd_layouts[l]->field[f], taken,
				   qmd_layouts[l]->size_bytes * 8u);
	}
}

static void test_errors(void **state)
{
	const struct qmd_layout *layout = qmd_layout_by_name("V02_03");
	uint32_t words[DUMP_WORDS] = {0};
	uint64_t value = 7;

	(void)state;
	assert_int_equal(qmd_get(layout, words, QMD_QMD_TYPE, 0, &value), -ENOENT);
	assert_int_equal(qmd_get(layout, words, QMD_RELEASE_ENABLE, 2, &value), -EINVAL);
	assert_int_equal(qmd_set(layout, words, QMD_QMD_TYPE, 0, 1), -ENOENT);
	assert_int_equal(qmd_set(layout, words, QMD_GRID_WIDTH, 1, 1), -EINVAL);
	assert_int_equal(qmd_get(layout, words, QMD_NR_FIELDS, 0, &value), -ENOENT);
	assert_true(value == 7);
	assert_null(qmd_layout_by_name("V01_07"));
	assert_null(qmd_field_name(QMD_NR_FIELDS));
	assert_string_equal(qmd_field_name(QMD_TPC_DISABLE_MASK), "TPC_DISABLE_MASK");
}

static void write_version(const struct qmd_layout *layout, uint32_t *words)
{
	assert_int_equal(qmd_set(layout, words, QMD_QMD_MINOR_VERSION, 0, layout->version & 15), 0);
	assert_int_equal(qmd_set(layout, words, QMD_QMD_MAJOR_VERSION, 0, layout->version >> 4), 0);
}

static void test_version_is_found(void **state)
{
	(void)state;
	for (int l = 0; qmd_layouts[l]; l++) {
		const struct qmd_layout *layout = qmd_layouts[l];
		uint32_t words[DUMP_WORDS] = {0};
		int is_blackwell = layout->version > 0x40;

		write_version(layout, words);
		assert_ptr_equal(qmd_layout_of(words, is_blackwell ? 10 : 9), layout);
		assert_null(qmd_layout_of(words, is_blackwell ? 9 : 10));
		assert_null(qmd_layout_of(words, 6));
		assert_ptr_equal(qmd_layout_by_name(layout->name), layout);
		assert_int_equal(layout->verified, layout->version == 0x40);
	}
}

static void test_unknown_version(void **state)
{
	uint32_t words[DUMP_WORDS] = {0};

	(void)state;
	assert_null(qmd_layout_of(words, 9));
	assert_null(qmd_layout_of(words, 12));
	words[576 / 32] = 0x42;
	assert_null(qmd_layout_of(words, 9));
	assert_null(qmd_layout_of(words, 12));
	/* Reads as V04_01 and as V05_00: neither is certain. */
	words[576 / 32] = 0x41;
	words[464 / 32] = 0x50u << (464 % 32);
	assert_null(qmd_layout_of(words, 12));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),      cmocka_unit_test(test_rows_do_not_overlap),
		cmocka_unit_test(test_errors),          cmocka_unit_test(test_version_is_found),
		cmocka_unit_test(test_unknown_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
