/* SPDX-License-Identifier: Apache-2.0 */
/* The scenarios' kernels add up to what they should, at every scale. */
#include "base_files.h"

#include <errno.h>

#include "bench/long/shape.h"
#include "bench/sim/workload.h"

#define SMS            132
#define BLOCKS_AT_ONCE (2 * SMS)

static double total_ms(const struct workload *work)
{
	double ns = 0;

	for (size_t i = 0; i < work->nr; i++) {
		unsigned int waves =
			(work->kernel[i].nr_blocks + BLOCKS_AT_ONCE - 1) / BLOCKS_AT_ONCE;

		ns += (double)work->kernel[i].block_ns * waves;
	}
	return ns / 1e6;
}

static void test_totals(void **state)
{
	struct workload work;

	(void)state;
	assert_int_equal(workload_make(&work, "resnet50", SMS, 1), 0);
	assert_int_equal(work.nr, 282);
	assert_true(total_ms(&work) > 0.9 && total_ms(&work) < 1.2);
	free(work.kernel);
	assert_int_equal(workload_make(&work, "llama-train", SMS, 1), 0);
	assert_int_equal(work.nr, 1089);
	assert_true(total_ms(&work) > 95 && total_ms(&work) < 115);
	free(work.kernel);
}

static void test_scale_keeps_totals(void **state)
{
	static const double scales[] = {2, 5, 10, 20};

	(void)state;
	for (size_t i = 0; i < sizeof(scales) / sizeof(scales[0]); i++) {
		struct workload work;

		assert_int_equal(workload_make(&work, "llama-train", SMS, scales[i]), 0);
		assert_true((double)work.nr < 1089 / scales[i] + 1);
		assert_true(total_ms(&work) > 90 && total_ms(&work) < 120);
		free(work.kernel);
		assert_int_equal(workload_make(&work, "resnet50", SMS, scales[i]), 0);
		assert_true(total_ms(&work) > 0.85 && total_ms(&work) < 1.3);
		free(work.kernel);
	}
}

/* A scale beyond the number of kernels leaves one. */
static void test_never_none(void **state)
{
	struct workload work;

	(void)state;
	assert_int_equal(workload_make(&work, "resnet50", 16, 1e6), 0);
	assert_int_equal(work.nr, 1);
	assert_true(work.kernel[0].nr_blocks == 16);
	free(work.kernel);
}

/* Every name that a scenario uses is there. */
static void test_names(void **state)
{
	static const char *const names[] = {"resnet50",    "resnet50-b32", "vit-b",
					    "bert-base",   "bert-large",   "prefill",
					    "llama-train", "gpt2-train"};
	struct workload work;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(workload_make(&work, names[i], SMS, 10), 0);
		assert_true(work.nr > 1 && total_ms(&work) > 0.5);
		free(work.kernel);
	}
	assert_int_equal(workload_make(&work, "resnet", SMS, 10), -ENOENT);
}

static void test_long_shapes(void **state)
{
	static const double scales[] = {1, 2, 10, 7};
	struct long_shape shape = long_foreground(SMS);

	(void)state;
	assert_int_equal(shape.nr_blocks, 66);
	assert_int_equal(shape.nr_resident, 66);
	assert_int_equal(shape.block_ns, 60000);
	shape = long_background(SMS, 1);
	assert_int_equal(shape.nr_blocks, 600 * BLOCKS_AT_ONCE);
	assert_int_equal(shape.block_ns, 50000);
	for (size_t i = 0; i < sizeof(scales) / sizeof(scales[0]); i++) {
		unsigned int nr_waves;
		double ms;

		shape = long_background(SMS, scales[i]);
		assert_int_equal(shape.nr_resident, BLOCKS_AT_ONCE);
		assert_int_equal(shape.nr_blocks % BLOCKS_AT_ONCE, 0);
		nr_waves = shape.nr_blocks / BLOCKS_AT_ONCE;
		ms = (double)shape.block_ns * nr_waves / 1e6;
		assert_true(ms > 29.99 && ms < 30.01);
	}
	/* More than there are waves, and a GPU of one SM. */
	shape = long_background(16, 1e6);
	assert_int_equal(shape.nr_blocks, 32);
	assert_int_equal(shape.block_ns, 30000000);
	assert_int_equal(long_foreground(1).nr_blocks, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_totals),      cmocka_unit_test(test_scale_keeps_totals),
		cmocka_unit_test(test_never_none),  cmocka_unit_test(test_names),
		cmocka_unit_test(test_long_shapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
