/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks per SM from a descriptor equal what the driver's occupancy calculation said of the same
 * launch (tag "kernel/threads/dynamic shared/occ=N"), and the limits by hand for other chips.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "hw/occupancy.h"
#include "hw/qmd.h"

#include "qmd_dumps.h"

static void test_driver_answers(void **state)
{
	static struct qmd_dump dumps[DUMPS_MAX];
	int n = dumps_read(dumps);
	struct sm_limits hopper;
	int nr_checked = 0;

	(void)state;
	assert_int_equal(sm_limits_of(9, 0, &hopper), 0);
	for (int i = 0; i < n; i++) {
		const char *answer = strstr(dumps[i].tag, "occ=");
		struct qmd_grid grid;

		if (!answer)
			continue;
		assert_int_equal(
			qmd_decode_grid(qmd_layout_of(dumps[i].words, 9), dumps[i].words, &grid),
			0);
		assert_int_equal(occupancy_blocks_per_sm(&hopper, &grid),
				 strtoul(answer + 4, NULL, 10));
		nr_checked++;
	}
	assert_true(nr_checked >= 19);
}

static uint32_t blocks_of(int major, int minor, uint32_t threads, uint32_t registers,
			  uint32_t shared)
{
	struct sm_limits limits;
	struct qmd_grid grid = {
		.block = {threads, 1, 1}, .registers = registers, .shared_bytes = shared};

	assert_int_equal(sm_limits_of(major, minor, &limits), 0);
	return occupancy_blocks_per_sm(&limits, &grid);
}

static void test_each_limit(void **state)
{
	(void)state;
	assert_int_equal(blocks_of(7, 0, 32, 16, 0), 32);         /* block slots */
	assert_int_equal(blocks_of(7, 5, 256, 16, 0), 4);         /* warps: 32 of 8 */
	assert_int_equal(blocks_of(8, 0, 1024, 64, 0), 1);        /* registers */
	assert_int_equal(blocks_of(8, 0, 128, 0, 164 * 1024), 1); /* shared memory */
	assert_int_equal(blocks_of(8, 6, 128, 32, 25 * 1024), 4); /* shared memory */
	assert_int_equal(blocks_of(8, 9, 32, 16, 0), 24);
	assert_int_equal(blocks_of(10, 0, 32, 16, 0), 32);
	assert_int_equal(blocks_of(12, 0, 512, 32, 0), 3);
	assert_int_equal(blocks_of(9, 0, 128, 32, 228 * 1024 + 1), 0); /* does not fit */
	assert_int_equal(blocks_of(9, 0, 1024, 255, 0), 0);
	assert_int_equal(blocks_of(9, 0, 2080, 16, 0), 0);
	assert_int_equal(blocks_of(9, 0, 0, 16, 0), 0);
	assert_int_equal(blocks_of(9, 0, 33, 16, 0), 32);
}

static void test_unknown_chip(void **state)
{
	struct sm_limits limits = {.max_blocks = 7};

	(void)state;
	assert_int_equal(sm_limits_of(6, 0, &limits), -ENOENT);
	assert_int_equal(sm_limits_of(9, 9, &limits), -ENOENT);
	assert_int_equal(limits.max_blocks, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_driver_answers),
		cmocka_unit_test(test_each_limit),
		cmocka_unit_test(test_unknown_chip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
