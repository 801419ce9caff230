/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How launches are made: each case of the table in docs/splitting.md on both sides of its limit,
 * and over random launches that atoms cover the grid exactly, in whole waves and whole clusters,
 * and that neither way costs more than it may.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "sched/split.h"

#define US        1000u
#define MS        1000000u
#define NR_RANDOM 300000

/* 1,000 blocks in 8 waves, 2 ms: all ways are open. */
static struct split_input usual(void)
{
	return (struct split_input){
		.predicted_ns = 2 * MS,
		.nr_blocks = 1000,
		.nr_resident = 132,
		.may_claim = 1,
		.may_atomize = 1,
	};
}

static void expect(const struct split_input *input, enum split_way way, enum split_reason reason)
{
	struct split_plan plan = split_choose(input);

	assert_int_equal(plan.way, way);
	assert_int_equal(plan.reason, reason);
	if (way != SPLIT_ATOMS) {
		assert_int_equal(plan.nr_atoms, 1);
		assert_int_equal(plan.blocks_per_atom, input->nr_blocks);
	}
}

static void test_whole(void **state)
{
	struct split_input input = usual();

	(void)state;
	input.predicted_ns = 0;
	expect(&input, SPLIT_WHOLE, SPLIT_UNPREDICTED);
	input = usual();
	input.nr_blocks = 0;
	expect(&input, SPLIT_WHOLE, SPLIT_UNPREDICTED);
	input = usual();
	input.predicted_ns = SPLIT_MIN_NS - 1;
	expect(&input, SPLIT_WHOLE, SPLIT_SHORT);
	input.predicted_ns = SPLIT_MIN_NS;
	expect(&input, SPLIT_CLAIMED, SPLIT_LONG);
	input = usual();
	input.nr_resident = 1000;
	expect(&input, SPLIT_CLAIMED, SPLIT_ONE_WAVE);
	assert_int_equal(split_choose(&input).block_ns, 2 * MS);
	input.may_claim = 0;
	expect(&input, SPLIT_WHOLE, SPLIT_ONE_WAVE);
	input.may_claim = 1;
	input.nr_resident = 0;
	expect(&input, SPLIT_WHOLE, SPLIT_ONE_WAVE);
	assert_int_equal(split_choose(&input).block_ns, 0);
	input.nr_resident = 999;
	expect(&input, SPLIT_CLAIMED, SPLIT_LONG_BLOCKS);
	/* The order: what is short is not asked for its waves. */
	input.nr_resident = 1000;
	input.predicted_ns = SPLIT_MIN_NS - 1;
	expect(&input, SPLIT_WHOLE, SPLIT_SHORT);
}

static void test_claimed(void **state)
{
	struct split_input input = usual();

	(void)state;
	expect(&input, SPLIT_CLAIMED, SPLIT_LONG);
	assert_int_equal(split_choose(&input).block_ns, 250 * US);
	input.predicted_ns = 8 * SPLIT_TARGET_NS;
	expect(&input, SPLIT_CLAIMED, SPLIT_LONG);
	input.predicted_ns = 8 * SPLIT_TARGET_NS + 8;
	expect(&input, SPLIT_CLAIMED, SPLIT_LONG_BLOCKS);
	input.target_ns = SPLIT_TARGET_NS + 1;
	expect(&input, SPLIT_CLAIMED, SPLIT_LONG);
	/* Atoms being out of the question changes nothing. */
	input.may_atomize = 0;
	expect(&input, SPLIT_CLAIMED, SPLIT_LONG);

	/* Blocks of 256 threads are dear enough with 21.25 us, shorter ones are not: 20 waves. */
	input = usual();
	input.nr_threads = 256;
	input.nr_blocks = 2640;
	input.predicted_ns = 425 * US;
	expect(&input, SPLIT_CLAIMED, SPLIT_LONG);
	input.predicted_ns = 425 * US - 1;
	expect(&input, SPLIT_WHOLE, SPLIT_CHEAP_BLOCKS);
	/* More warps claim one after the other. */
	input.predicted_ns = 700 * US;
	expect(&input, SPLIT_CLAIMED, SPLIT_LONG);
	input.nr_threads = 1024;
	expect(&input, SPLIT_WHOLE, SPLIT_CHEAP_BLOCKS);
}

static void expect_atoms(const struct split_input *input, enum split_reason reason,
			 uint32_t nr_atoms, uint64_t blocks_per_atom)
{
	struct split_plan plan = split_choose(input);

	expect(input, SPLIT_ATOMS, reason);
	assert_int_equal(plan.nr_atoms, nr_atoms);
	assert_int_equal(plan.blocks_per_atom, blocks_per_atom);
}

static void test_atoms(void **state)
{
	struct split_input input = usual();

	(void)state;
	input.may_claim = 0;
	expect_atoms(&input, SPLIT_MANY_OWNERS, 4, 264);
	/* Two atoms cost 24.3 us. */
	input.predicted_ns = 810 * US;
	expect_atoms(&input, SPLIT_MANY_OWNERS, 2, 528);
	input.predicted_ns = 810 * US - 1;
	expect(&input, SPLIT_WHOLE, SPLIT_MANY_OWNERS);
	/* A low target is not followed further than the cost allows; a high one is. */
	input.predicted_ns = 2 * MS;
	input.target_ns = 1;
	expect_atoms(&input, SPLIT_MANY_OWNERS, 4, 264);
	input.target_ns = 1 * MS;
	expect_atoms(&input, SPLIT_MANY_OWNERS, 2, 528);
	input.target_ns = 2 * MS;
	expect(&input, SPLIT_WHOLE, SPLIT_MANY_OWNERS);

	input = usual();
	input.nr_blocks = 10000;
	input.nr_resident = 100;
	input.nr_threads = 1024;
	expect_atoms(&input, SPLIT_CHEAP_BLOCKS, 3, 3400);
	input.may_claim = 0;
	expect_atoms(&input, SPLIT_CHEAP_BLOCKS, 3, 3400);
	input.predicted_ns = 7000 * (uint64_t)MS;
	expect_atoms(&input, SPLIT_MANY_OWNERS, 50, 200);
	input.may_atomize = 0;
	expect(&input, SPLIT_WHOLE, SPLIT_MANY_OWNERS);
}

/* The blocks in front of an atom pass in vain: 0.6 ns each, 1.5 with 1,024 threads. */
static void test_atoms_in_vain(void **state)
{
	struct split_input input = {.nr_resident = 2112, .may_claim = 1, .may_atomize = 1};

	(void)state;
	/* 30 ms of blocks of 636 us: 900 us pay for 22 times 12 + 30 us, less 30. 48 waves, 3 an
	 * atom. */
	input.nr_blocks = 100000;
	input.predicted_ns = 30 * MS;
	expect_atoms(&input, SPLIT_MANY_BLOCKS, 16, 6336);
	/* For 11 times 12 + 75 us, less 75. */
	input.nr_threads = 1024;
	expect_atoms(&input, SPLIT_MANY_BLOCKS, 10, 10560);
	/* 60 us do not pay for a million blocks once. */
	input.nr_threads = 0;
	input.nr_blocks = 1000000;
	input.predicted_ns = 2 * MS;
	expect(&input, SPLIT_WHOLE, SPLIT_CHEAP_BLOCKS);
	/* 324 us: two launches, and half of the blocks once. */
	input.predicted_ns = 10800 * US;
	expect_atoms(&input, SPLIT_MANY_BLOCKS, 2, 500544);
	input.predicted_ns = 10800 * US - 34;
	expect(&input, SPLIT_WHOLE, SPLIT_MANY_BLOCKS);
}

/* 46,728 blocks leave within 50 us. */
static void test_many_blocks(void **state)
{
	struct split_input input = {.nr_resident = 2112, .may_claim = 1, .predicted_ns = 10 * MS};

	(void)state;
	input.nr_blocks = 46728;
	expect(&input, SPLIT_CLAIMED, SPLIT_LONG);
	input.nr_blocks = 46729;
	expect(&input, SPLIT_WHOLE, SPLIT_MANY_BLOCKS);
	input.may_atomize = 1;
	expect_atoms(&input, SPLIT_MANY_BLOCKS, 12, 4224);
}

static void test_clusters(void **state)
{
	struct split_input input = usual();

	(void)state;
	/* 132 places hold 16 clusters of 8: waves of 128. */
	input.granule = 8;
	input.may_claim = 0;
	expect_atoms(&input, SPLIT_MANY_OWNERS, 4, 256);
	/* A cluster larger than what is said to fit runs by itself. */
	input.nr_resident = 4;
	input.nr_blocks = 16;
	expect_atoms(&input, SPLIT_MANY_OWNERS, 2, 8);
	input.nr_blocks = 8;
	expect(&input, SPLIT_WHOLE, SPLIT_ONE_WAVE);
}

/* xorshift64*: the same numbers in every run. */
static uint64_t random_below(uint64_t end)
{
	static uint64_t seed = 88172645463325252u;

	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (seed * 2685821657736338717u >> 1) % end;
}

/* As many of few bits as of many. */
static uint64_t random_size(unsigned int bits)
{
	return random_below((uint64_t)1 << (1 + random_below(bits)));
}

static struct split_input random_input(void)
{
	uint32_t granule = (uint32_t)random_below(17);

	return (struct split_input){
		.predicted_ns = random_size(40),
		.nr_blocks = random_size(40) * (granule ? granule : 1),
		.nr_resident = random_size(14),
		.target_ns = random_below(2) ? random_size(24) : 0,
		.granule = granule,
		.nr_threads = (uint32_t)random_below(1025),
		.may_claim = (uint8_t)random_below(2),
		.may_atomize = (uint8_t)random_below(2),
	};
}

static void check_cover(const struct split_plan *plan, uint64_t nr_blocks, uint32_t granule)
{
	assert_true(plan->nr_atoms >= 2);
	assert_true(plan->blocks_per_atom > 0);
	assert_int_equal(plan->blocks_per_atom % (granule ? granule : 1), 0);
	/* The last atom has blocks, and with it all are covered. */
	assert_true((plan->nr_atoms - 1) * plan->blocks_per_atom < nr_blocks);
	assert_true(plan->nr_atoms * plan->blocks_per_atom >= nr_blocks);
}

static void check_atoms(const struct split_input *input, const struct split_plan *plan)
{
	uint64_t granule = input->granule ? input->granule : 1;
	uint64_t target_ns = input->target_ns ? input->target_ns : SPLIT_TARGET_NS;
	uint64_t wave = input->nr_resident / granule * granule;
	uint64_t empty_ps = input->nr_threads < 1024 ? 600 : 1500;

	check_cover(plan, input->nr_blocks, input->granule);
	assert_int_equal(plan->blocks_per_atom % (wave ? wave : granule), 0);
	assert_true(plan->nr_atoms <= SPLIT_MAX_ATOMS);
	/* 12 us an atom, and what is in front of each in vain: 3 % of the whole. */
	assert_true(plan->nr_atoms * (uint64_t)12000 +
			    (plan->nr_atoms - 1) * (input->nr_blocks * empty_ps / 2000) <=
		    3 * input->predicted_ns / 100);
	assert_true((plan->nr_atoms - 1) * target_ns < input->predicted_ns);
	assert_true(input->may_atomize);
	assert_true(plan->reason == SPLIT_CHEAP_BLOCKS || plan->reason == SPLIT_MANY_BLOCKS ||
		    !input->may_claim);
}

static void test_random(void **state)
{
	uint32_t nr_of[SPLIT_NR_WAYS] = {0};

	(void)state;
	for (int i = 0; i < NR_RANDOM; i++) {
		struct split_input input = random_input();
		struct split_plan plan = split_choose(&input);

		nr_of[plan.way]++;
		if (plan.way == SPLIT_ATOMS)
			check_atoms(&input, &plan);
		if (plan.way == SPLIT_CLAIMED) {
			assert_true(input.may_claim);
			/* 0.62 us a block and 0.9 ns a thread, 4 %. */
			assert_true((620 + input.nr_threads * 9 / 10) * 1000 <=
					    40 * plan.block_ns ||
				    plan.reason == SPLIT_ONE_WAVE);
			assert_true(input.nr_blocks * 1070 <= 50000000 ||
				    plan.reason == SPLIT_ONE_WAVE);
		}
		if (plan.way != SPLIT_WHOLE) {
			assert_true(input.predicted_ns >= SPLIT_MIN_NS);
			assert_true(input.nr_resident);
			assert_true(input.nr_resident < input.nr_blocks ||
				    plan.reason == SPLIT_ONE_WAVE);
		}
	}
	for (int way = 0; way < SPLIT_NR_WAYS; way++)
		assert_true(nr_of[way] > NR_RANDOM / 100);
}

static void test_forced(void **state)
{
	struct split_plan plan = split_forced_atoms(1000, 1, 10);

	(void)state;
	assert_int_equal(plan.way, SPLIT_ATOMS);
	assert_int_equal(plan.reason, SPLIT_FORCED);
	assert_int_equal(plan.nr_atoms, 10);
	assert_int_equal(plan.blocks_per_atom, 100);
	assert_int_equal(split_forced_atoms(3, 0, 10).nr_atoms, 3);
	assert_int_equal(split_forced_atoms(10, 1, 6).nr_atoms, 5);
	assert_int_equal(split_forced_atoms(64, 8, 3).blocks_per_atom, 24);
	assert_int_equal(split_forced_atoms(8, 8, 3).way, SPLIT_WHOLE);
	assert_int_equal(split_forced_atoms(100, 1, 1).way, SPLIT_WHOLE);
	assert_int_equal(split_forced_atoms(100, 1, 0).way, SPLIT_WHOLE);
	assert_int_equal(split_forced_atoms(0, 0, 5).way, SPLIT_WHOLE);
	assert_int_equal(split_forced_atoms(100, 1, 0).blocks_per_atom, 100);
	for (int i = 0; i < NR_RANDOM; i++) {
		uint32_t granule = (uint32_t)random_below(17);
		uint64_t nr_blocks = random_size(40) * (granule ? granule : 1);
		uint32_t nr_atoms = (uint32_t)random_size(12);

		plan = split_forced_atoms(nr_blocks, granule, nr_atoms);
		if (plan.way == SPLIT_ATOMS)
			check_cover(&plan, nr_blocks, granule);
		assert_true(plan.nr_atoms <= nr_atoms || plan.way == SPLIT_WHOLE);
		if (nr_atoms > 1 && nr_blocks > (granule ? granule : 1))
			assert_int_equal(plan.way, SPLIT_ATOMS);
	}
}

/* Each has a text of its own. */
static void test_names(void **state)
{
	(void)state;
	assert_string_equal(split_way_name(SPLIT_CLAIMED), "claimed");
	assert_string_equal(split_reason_text(SPLIT_ONE_WAVE),
			    "one wave: can leave only until it begins");
	for (int i = 0; i < SPLIT_NR_REASONS; i++) {
		const char *text = split_reason_text((enum split_reason)i);

		assert_non_null(text);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(text, split_reason_text((enum split_reason)j));
	}
	for (int i = 0; i < SPLIT_NR_WAYS; i++)
		assert_true(strlen(split_way_name((enum split_way)i)) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),       cmocka_unit_test(test_claimed),
		cmocka_unit_test(test_atoms),       cmocka_unit_test(test_clusters),
		cmocka_unit_test(test_random),      cmocka_unit_test(test_forced),
		cmocka_unit_test(test_names),       cmocka_unit_test(test_atoms_in_vain),
		cmocka_unit_test(test_many_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
