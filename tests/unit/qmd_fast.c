/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launch path's edits equal the table's, bit for bit, on recorded and on random descriptors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "hw/qmd.h"
#include "hw/qmd_fast.h"

#include "qmd_dumps.h"

static const struct qmd_layout *v04;

static void compare_reads(const uint32_t *words)
{
	uint64_t type = 0;
	uint64_t valid = 0;
	uint64_t is_taken = 0;
	struct tpcset disabled = qmd_v04_00_disabled(words);

	assert_int_equal(qmd_v04_00_version_is(words), qmd_layout_of(words, 9) == v04);
	assert_int_equal(qmd_get(v04, words, QMD_QMD_TYPE, 0, &type), 0);
	assert_int_equal(qmd_v04_00_type(words), type);
	assert_int_equal(qmd_get(v04, words, QMD_TPC_DISABLE_MASK_VALID, 0, &valid), 0);
	assert_int_equal(qmd_v04_00_mask_counts(words), valid ? UINT32_MAX : 0);
	assert_int_equal(qmd_get(v04, words, QMD_RELEASE_ENABLE, 1, &is_taken), 0);
	assert_int_equal(qmd_v04_00_release1_is_free(words), !is_taken);
	for (unsigned int i = 0; i < TPCSET_WORDS; i++) {
		uint64_t word = 0;

		assert_int_equal(qmd_get(v04, words, QMD_TPC_DISABLE_MASK, i, &word), 0);
		assert_int_equal(disabled.w[i], valid ? word : 0);
	}
}

static void compare_edits(const uint32_t *words, uint64_t *seed)
{
	struct tpcset allowed = {
		{random_u32(seed), random_u32(seed), random_u32(seed), random_u32(seed)}};
	struct tpcset disable = tpcset_not(allowed);
	uint64_t address = ((uint64_t)(random_u32(seed) >> 7) << 32 | random_u32(seed)) & ~15ull;
	uint32_t payload = random_u32(seed);
	uint32_t slow[DUMP_WORDS];
	uint32_t fast[DUMP_WORDS];

	memcpy(slow, words, sizeof(slow));
	memcpy(fast, words, sizeof(fast));
	assert_int_equal(qmd_restrict(v04, slow, &allowed), 0);
	qmd_v04_00_restrict(fast, &disable);
	assert_memory_equal(slow, fast, sizeof(slow));
	assert_int_equal(qmd_arm_release(v04, slow, 1, address, payload), 0);
	qmd_v04_00_arm_release1(fast, address, payload);
	assert_memory_equal(slow, fast, sizeof(slow));
}

static void test_recorded(void **state)
{
	static struct qmd_dump dumps[DUMPS_MAX];
	int n = dumps_read(dumps);
	uint64_t seed = 11;

	(void)state;
	assert_true(n > 20);
	for (int i = 0; i < n; i++) {
		assert_true(qmd_v04_00_version_is(dumps[i].words));
		compare_reads(dumps[i].words);
		compare_edits(dumps[i].words, &seed);
	}
}

static void test_random(void **state)
{
	uint64_t seed = 12;
	uint32_t words[DUMP_WORDS];

	(void)state;
	for (int i = 0; i < 5000; i++) {
		random_words(&seed, words);
		compare_reads(words);
		compare_edits(words, &seed);
	}
}

static int setup(void **state)
{
	(void)state;
	v04 = qmd_layout_by_name("V04_00");
	return v04 && v04->size_bytes == QMD_V04_00_BYTES ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorded),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
