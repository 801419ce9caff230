/* SPDX-License-Identifier: Apache-2.0 */
/* A redirected descriptor differs from the driver's in entry point, bank 6 and registers only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "hw/prelude/prelude.h"
#include "hw/qmd.h"
#include "qmd_dumps.h"

#define PRELUDE_AT 0x7f2db77a5100u
#define SLOT_AT    0x7f3000001040u

static struct qmd_dump dumps[DUMPS_MAX];
static int nr_dumps;

static int read_dumps(void **state)
{
	(void)state;
	nr_dumps = dumps_read(dumps);
	return nr_dumps > 10 ? 0 : -1;
}

static uint64_t get(const void *qmd, enum qmd_field field, unsigned int index)
{
	uint64_t value = 0;

	assert_int_equal(qmd_get(qmd_layout_by_name("V04_00"), qmd, field, index, &value), 0);
	return value;
}

static int is_edited(enum qmd_field field, unsigned int index)
{
	switch (field) {
	case QMD_PROGRAM_ADDRESS_LOWER:
	case QMD_PROGRAM_ADDRESS_UPPER:
	case QMD_REGISTER_COUNT:
		return 1;
	case QMD_CONSTANT_BUFFER_VALID:
	case QMD_CONSTANT_BUFFER_INVALIDATE:
	case QMD_CONSTANT_BUFFER_ADDRESS_SHIFTED6_LOWER:
	case QMD_CONSTANT_BUFFER_ADDRESS_SHIFTED6_UPPER:
	case QMD_CONSTANT_BUFFER_SIZE_SHIFTED4:
		return index == PRELUDE_BANK;
	default:
		return 0;
	}
}

static void assert_rest_untouched(const uint32_t *before, const uint32_t *after)
{
	const struct qmd_layout *layout = qmd_layout_by_name("V04_00");

	for (int f = 0; f < QMD_NR_FIELDS; f++) {
		for (unsigned int i = 0; i < layout->field[f].count; i++) {
			if (layout->field[f].width && !is_edited((enum qmd_field)f, i))
				assert_int_equal(get(before, (enum qmd_field)f, i),
						 get(after, (enum qmd_field)f, i));
		}
	}
}

static void test_real_descriptors(void **state)
{
	const struct qmd_layout *layout = qmd_layout_by_name("V04_00");

	(void)state;
	for (int d = 0; d < nr_dumps; d++) {
		uint32_t words[DUMP_WORDS];
		uint64_t registers = get(dumps[d].words, QMD_REGISTER_COUNT, 0);
		struct qmd_grid grid;

		memcpy(words, dumps[d].words, sizeof(words));
		assert_false(prelude_bank_is_taken(layout, words));
		assert_int_equal(prelude_redirect(layout, words, PRELUDE_AT, SLOT_AT), 0);
		assert_int_equal(qmd_decode_grid(layout, words, &grid), 0);
		assert_int_equal(grid.entry, PRELUDE_AT);
		assert_int_equal(grid.registers,
				 registers < PRELUDE_REGISTERS ? PRELUDE_REGISTERS : registers);
		assert_int_equal((get(words, QMD_CONSTANT_BUFFER_ADDRESS_SHIFTED6_UPPER, 6) << 32 |
				  get(words, QMD_CONSTANT_BUFFER_ADDRESS_SHIFTED6_LOWER,
				      6)) << 6,
				 SLOT_AT);
		assert_int_equal(get(words, QMD_CONSTANT_BUFFER_SIZE_SHIFTED4, 6), 4);
		assert_int_equal(get(words, QMD_CONSTANT_BUFFER_VALID, 6), 1);
		assert_int_equal(get(words, QMD_CONSTANT_BUFFER_INVALIDATE, 6), 1);
		assert_rest_untouched(dumps[d].words, words);
		/* Once is enough: the bank now belongs to a prelude. */
		assert_int_equal(prelude_redirect(layout, words, PRELUDE_AT, SLOT_AT), -EBUSY);
	}
}

static void test_refusals(void **state)
{
	const struct qmd_layout *layout = qmd_layout_by_name("V04_00");
	uint32_t words[DUMP_WORDS];

	(void)state;
	memcpy(words, dumps[0].words, sizeof(words));
	assert_int_equal(prelude_redirect(layout, words, PRELUDE_AT, SLOT_AT + 16), -EINVAL);
	assert_int_equal(prelude_redirect(layout, words, 1ull << 60, SLOT_AT), -ERANGE);
	assert_int_equal(prelude_redirect(layout, words, PRELUDE_AT, 1ull << 60), -ERANGE);
	assert_memory_equal(words, dumps[0].words, sizeof(words));
	assert_int_equal(qmd_set(layout, words, QMD_CONSTANT_BUFFER_VALID, 6, 1), 0);
	assert_true(prelude_bank_is_taken(layout, words));
	assert_int_equal(prelude_redirect(layout, words, PRELUDE_AT, SLOT_AT), -EBUSY);
}

/* Every version stores the addresses in units of its own; all come back. */
static void test_every_version(void **state)
{
	(void)state;
	for (unsigned int i = 0; qmd_layouts[i]; i++) {
		const struct qmd_layout *layout = qmd_layouts[i];
		uint32_t words[DUMP_WORDS] = {0};
		int r = prelude_redirect(layout, words, PRELUDE_AT, SLOT_AT);
		struct qmd_grid grid;

		if (r == -ENOTSUP || prelude_bank_is_taken(layout, (uint32_t[DUMP_WORDS]){0}))
			continue;
		assert_int_equal(r, 0);
		words[layout->version_lo / 32] |= (uint32_t)layout->version
						  << layout->version_lo % 32;
		assert_int_equal(qmd_decode_grid(layout, words, &grid), 0);
		assert_int_equal(grid.entry, PRELUDE_AT);
		assert_int_equal(grid.registers, PRELUDE_REGISTERS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_descriptors),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_every_version),
	};

	return cmocka_run_group_tests(tests, read_dumps, NULL);
}
