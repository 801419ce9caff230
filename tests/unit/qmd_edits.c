/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three things lithos does with a descriptor: decode the grid, restrict it, arm a release. On
 * recorded V04_00 descriptors and on made-up ones of the other versions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "hw/qmd.h"

#include "qmd_dumps.h"

static struct qmd_dump dumps[DUMPS_MAX];
static int nr_dumps;
static const struct qmd_layout *v04;

static int setup(void **state)
{
	(void)state;
	nr_dumps = dumps_read(dumps);
	v04 = qmd_layout_by_name("V04_00");
	return nr_dumps > 20 && v04 ? 0 : -1;
}

static struct qmd_grid decoded(const char *tag)
{
	const struct qmd_dump *dump = dump_of(dumps, nr_dumps, tag);
	struct qmd_grid grid = {0};

	assert_non_null(dump);
	assert_ptr_equal(qmd_layout_of(dump->words, 9), v04);
	assert_int_equal(qmd_decode_grid(v04, dump->words, &grid), 0);
	return grid;
}

static void assert_dims(const uint32_t dims[3], uint32_t x, uint32_t y, uint32_t z)
{
	assert_int_equal(dims[0], x);
	assert_int_equal(dims[1], y);
	assert_int_equal(dims[2], z);
}

static void test_decode_ordinary(void **state)
{
	struct qmd_grid grid = decoded("nullk/256/4096/occ=8");

	(void)state;
	assert_int_equal(grid.type, QMD_GRID_ORDINARY);
	assert_dims(grid.block, 256, 1, 1);
	assert_dims(grid.cluster, 1, 1, 1);
	assert_dims(grid.gang, 1, 1, 1);
	assert_int_equal(grid.shared_bytes, 4096 + 1024);
	assert_int_equal(grid.mask_valid, 0);
	assert_true(tpcset_is_empty(&grid.disabled));
	assert_true(grid.entry != 0 && grid.entry % 16 == 0);
	assert_int_equal(qmd_grid_is_cooperative(&grid), 0);
	assert_int_equal(decoded("smemk/32/0/occ=17").shared_bytes, 13056);
	assert_int_equal(decoded("regk/32/0/occ=16").registers, 106);
}

/* Launched as grid 8x4, clusters of 2x2, blocks of 64x2. */
static void test_decode_cluster(void **state)
{
	struct qmd_grid grid = decoded("cluster2x2");

	(void)state;
	assert_int_equal(grid.type, QMD_GRID_CLUSTER);
	assert_dims(grid.grid, 4, 2, 1);
	assert_dims(grid.cluster, 2, 2, 1);
	assert_dims(grid.block, 64, 2, 1);
	assert_int_equal(qmd_grid_blocks(&grid), 32);
	assert_int_equal(qmd_grid_cluster_blocks(&grid), 4);
	assert_int_equal(grid.mask_valid, 1);
	assert_int_equal(tpcset_count(&grid.disabled), 56);
	assert_int_equal(tpcset_has(&grid.disabled, 71), 0);
	assert_int_equal(tpcset_has(&grid.disabled, 72), 1);
}

/* Launched as 100 blocks of 128 threads; and as the cluster grid above, cooperative too. */
static void test_decode_cooperative(void **state)
{
	struct qmd_grid coop = decoded("coop");
	struct qmd_grid both = decoded("coopcluster");

	(void)state;
	assert_int_equal(coop.type, QMD_GRID_COOPERATIVE);
	assert_dims(coop.gang, 100, 1, 1);
	assert_int_equal(qmd_grid_blocks(&coop), 100);
	assert_true(qmd_grid_is_cooperative(&coop));
	assert_int_equal(both.type, QMD_GRID_COOPERATIVE_CLUSTER);
	assert_dims(both.gang, 4, 2, 1);
	assert_dims(both.cluster, 2, 2, 1);
	assert_int_equal(qmd_grid_blocks(&both), 32);
	assert_true(qmd_grid_is_cooperative(&both));
}

static void test_decode_other_versions(void **state)
{
	const struct qmd_layout *v05 = qmd_layout_by_name("V05_00");
	const struct qmd_layout *v03 = qmd_layout_by_name("V03_00");
	uint32_t words[DUMP_WORDS] = {0};
	struct qmd_grid grid = {0};

	(void)state;
	assert_int_equal(qmd_decode_grid(v05, words, &grid), -EINVAL);
	(void)qmd_set(v05, words, QMD_QMD_MAJOR_VERSION, 0, 5);
	(void)qmd_set(v05, words, QMD_QMD_TYPE, 0, QMD_GRID_ORDINARY);
	(void)qmd_set(v05, words, QMD_PROGRAM_ADDRESS_SHIFTED4_UPPER, 0, 0x12);
	(void)qmd_set(v05, words, QMD_PROGRAM_ADDRESS_SHIFTED4_LOWER, 0, 0x34567890);
	(void)qmd_set(v05, words, QMD_SHARED_MEMORY_SIZE_SHIFTED7, 0, 9);
	assert_int_equal(qmd_decode_grid(v05, words, &grid), 0);
	assert_true(grid.entry == 0x12345678900);
	assert_int_equal(grid.shared_bytes, 9 * 128);
	memset(words, 0, sizeof(words));
	(void)qmd_set(v03, words, QMD_QMD_MAJOR_VERSION, 0, 3);
	(void)qmd_set(v03, words, QMD_GRID_WIDTH, 0, 77);
	(void)qmd_set(v03, words, QMD_TPC_DISABLE_MASK, 0, 1);
	assert_int_equal(qmd_decode_grid(v03, words, &grid), 0);
	assert_int_equal(grid.type, QMD_GRID_ORDINARY);
	assert_dims(grid.grid, 77, 1, 1);
	assert_int_equal(grid.mask_valid, 0);
	assert_true(tpcset_is_empty(&grid.disabled));
}

static void test_restrict_adds(void **state)
{
	uint32_t words[DUMP_WORDS];
	struct tpcset allowed = {{0xff, 0, 0x80, 0xf0}};
	struct qmd_grid before = decoded("cluster2x2");
	struct qmd_grid after = {0};

	(void)state;
	memcpy(words, dump_of(dumps, nr_dumps, "cluster2x2")->words, sizeof(words));
	assert_int_equal(qmd_restrict(v04, words, &allowed), 0);
	assert_int_equal(qmd_decode_grid(v04, words, &after), 0);
	struct tpcset want = tpcset_or(before.disabled, tpcset_not(allowed));
	assert_true(tpcset_equal(&after.disabled, &want));
	assert_int_equal(after.mask_valid, 1);
}

static void test_restrict_ignores_invalid_words(void **state)
{
	uint32_t words[DUMP_WORDS];
	struct tpcset allowed = {{0xff, 1, 2, 3}};
	struct qmd_grid grid = {0};
	const struct qmd_dump *dump = dump_of(dumps, nr_dumps, "(null)");

	(void)state;
	assert_non_null(dump);
	if (!dump)
		return;
	memcpy(words, dump->words, sizeof(words));
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(qmd_set(v04, words, QMD_TPC_DISABLE_MASK, i, UINT32_MAX), 0);
	assert_int_equal(qmd_restrict(v04, words, &allowed), 0);
	assert_int_equal(qmd_decode_grid(v04, words, &grid), 0);
	struct tpcset want = tpcset_not(allowed);
	assert_true(tpcset_equal(&grid.disabled, &want));
}

static void test_restrict_other_versions(void **state)
{
	struct tpcset all = tpcset_full();
	uint32_t words[DUMP_WORDS] = {0};
	uint32_t zero[DUMP_WORDS] = {0};
	const struct qmd_layout *v05 = qmd_layout_by_name("V05_00");
	const struct qmd_layout *v41 = qmd_layout_by_name("V04_01");
	uint64_t word = 0;

	(void)state;
	assert_int_equal(qmd_restrict(qmd_layout_by_name("V02_04"), words, &all), -ENOTSUP);
	assert_int_equal(qmd_restrict(qmd_layout_by_name("V03_00"), words, &all), -ENOTSUP);
	assert_int_equal(qmd_restrict(qmd_layout_by_name("V05_01"), words, &all), -ENOTSUP);
	assert_memory_equal(words, zero, sizeof(words));
	/* TPCs beyond what a set can name are outside of every set. */
	assert_int_equal(qmd_restrict(v05, words, &all), 0);
	assert_int_equal(qmd_get(v05, words, QMD_TPC_DISABLE_MASK, 3, &word), 0);
	assert_true(word == 0);
	assert_int_equal(qmd_get(v05, words, QMD_TPC_DISABLE_MASK, 4, &word), 0);
	assert_true(word == UINT32_MAX);
	assert_int_equal(qmd_restrict(v41, words, &all), 0);
	assert_int_equal(qmd_get(v41, words, QMD_TPC_DISABLE_MASK_UPPER, 0, &word), 0);
	assert_true(word == UINT32_MAX);
}

static uint64_t field_of(const struct qmd_layout *layout, const uint32_t *words,
			 enum qmd_field field, unsigned int index)
{
	uint64_t value = 0;

	assert_int_equal(qmd_get(layout, words, field, index, &value), 0);
	return value;
}

static void check_release(const struct qmd_layout *layout, unsigned int index, uint64_t address)
{
	uint32_t words[DUMP_WORDS];

	/* All ones, so that everything the release must clear is set before. */
	memset(words, 0xff, sizeof(words));
	assert_int_equal(qmd_arm_release(layout, words, index, address, 0x1234567), 0);
	assert_true(field_of(layout, words, QMD_RELEASE_ADDRESS_LOWER, index) == (uint32_t)address);
	assert_true(field_of(layout, words, QMD_RELEASE_ADDRESS_UPPER, index) == address >> 32);
	assert_true(field_of(layout, words, QMD_RELEASE_PAYLOAD_LOWER, index) == 0x1234567);
	assert_true(field_of(layout, words, QMD_RELEASE_ENABLE, index) == 1);
	assert_true(field_of(layout, words, QMD_RELEASE_STRUCTURE_SIZE, index) == 0);
	assert_true(field_of(layout, words, QMD_RELEASE_MEMBAR_TYPE, index) == 1);
	assert_true(field_of(layout, words, QMD_RELEASE_REDUCTION_ENABLE, index) == 0);
	if (layout->field[QMD_RELEASE_PAYLOAD_UPPER].width) {
		assert_true(field_of(layout, words, QMD_RELEASE_PAYLOAD_UPPER, index) == 0);
		assert_true(field_of(layout, words, QMD_RELEASE_PAYLOAD64B, index) == 0);
	}
	/* The driver's own release stays as it was. */
	assert_true(field_of(layout, words, QMD_RELEASE_ADDRESS_LOWER, 0) == UINT32_MAX);
	assert_true(field_of(layout, words, QMD_RELEASE_STRUCTURE_SIZE, 0) != 0);
}

static void test_release(void **state)
{
	(void)state;
	for (int l = 0; qmd_layouts[l]; l++) {
		const struct qmd_layout *layout = qmd_layouts[l];
		unsigned int count = layout->field[QMD_RELEASE_ADDRESS_UPPER].count;
		uint64_t limit = UINT64_C(1)
				 << (32 + layout->field[QMD_RELEASE_ADDRESS_UPPER].width);
		uint32_t words[DUMP_WORDS] = {0};
		uint32_t zero[DUMP_WORDS] = {0};

		for (unsigned int i = 1; i < count; i++) {
			check_release(layout, i, limit - 16);
			assert_int_equal(qmd_arm_release(layout, words, i, limit, 1), -ERANGE);
			assert_int_equal(qmd_arm_release(layout, words, i, 8, 1), -EINVAL);
		}
		for (unsigned int i = count; i < 3; i++)
			assert_int_equal(qmd_arm_release(layout, words, i, 64, 1), -ENOTSUP);
		assert_int_equal(qmd_arm_release(layout, words, 0, 64, 1), -EINVAL);
		assert_int_equal(qmd_arm_release(layout, words, 3, 64, 1), -EINVAL);
		assert_memory_equal(words, zero, sizeof(words));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode_ordinary),
		cmocka_unit_test(test_decode_cluster),
		cmocka_unit_test(test_decode_cooperative),
		cmocka_unit_test(test_decode_other_versions),
		cmocka_unit_test(test_restrict_adds),
		cmocka_unit_test(test_restrict_ignores_invalid_words),
		cmocka_unit_test(test_restrict_other_versions),
		cmocka_unit_test(test_release),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
