/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Priorities: the highest gets everything, and yet nobody waits longer than a second.
 */
#include "share_rig.h"

static void test_highest_gets_all(void **state)
{
	struct share_member *low = rig_add(0, 1), *high = rig_add(0, 2);

	(void)state;
	rig_update();
	assert_int_equal(rig_usable(high), 66);
	assert_int_equal(rig_usable(low), 0);
	rig_run(800);
	assert_int_equal(rig.had[0], 0);
	high->wants = 0;
	rig_update();
	assert_int_equal(rig_usable(low), 66);
}

/* What an active owner of the highest priority owns is found by the next in line the moment it is
 * idle. */
static void test_owner_that_wants_bars_nobody(void **state)
{
	struct share_member *owner = rig_add(66, 2), *other = rig_add(0, 1),
			    *lowest = rig_add(0, 0);

	(void)state;
	owner->is_active = 1;
	rig_update();
	assert_int_equal(tpcset_count(&other->borrow), 66);
	assert_int_equal(rig_usable(other), 0);
	assert_int_equal(tpcset_count(&lowest->borrow), 0);
	owner->is_active = owner->wants = 0;
	assert_int_equal(rig_usable(other), 66);
}

static void test_starving_get_a_period(void **state)
{
	struct share_member *low = rig_add(0, 1), *high = rig_add(0, 2);

	(void)state;
	(void)high;
	rig_run(10000);
	assert_true(rig.longest_ns[0] >= 900 * MS);
	assert_true(rig.longest_ns[0] < 1000 * MS);
	/* One period of half of the GPU in 920 ms. */
	assert_true(rig.had[0] > 0 && rig.had[0] * 50 < rig.had[1]);
	assert_int_equal(low->priority, 1);
}

/* Many of the lowest, few TPCs, three levels: still nobody for a second. */
static void test_nobody_waits_a_second(void **state)
{
	struct share_member *owner = rig_add(50, 0);

	(void)state;
	owner->wants = 0;
	owner->is_active = 1;
	for (uint32_t i = 0; i < 40; i++)
		(void)rig_add(0, i % 3);
	rig_run(5000);
	for (uint32_t i = 1; i < rig.nr; i++) {
		assert_true(rig.longest_ns[i] < 1000 * MS);
		assert_true(rig.had[i] > 0);
	}
}

/* Nothing was lendable for two seconds: then turns, not a stampede of the starved. */
static void test_after_nothing_was_lendable(void **state)
{
	struct share_member *owner = rig_add(66, 0);

	(void)state;
	owner->wants = 0;
	owner->is_active = 1;
	for (uint32_t i = 0; i < 20; i++)
		(void)rig_add(0, i % 2);
	rig_run(2000);
	owner->is_active = 0;
	rig_run(100);
	for (uint32_t i = 1; i < rig.nr; i++)
		assert_true(rig.had[i] > 0);
}

/* 20,000 random updates: the invariants hold after each. */
static void test_random_walk(void **state)
{
	uint64_t seed = 0x5a4e;

	(void)state;
	for (uint32_t i = 0; i < 24; i++)
		(void)rig_add(i < 12 ? 1 + i % 5 : 0, i % 4);
	for (int i = 0; i < 20000; i++) {
		struct share_member *m = &rig.member[topology_random_u32(&seed) % rig.nr];

		m->wants = topology_random_u32(&seed) % 2;
		m->is_active = topology_random_u32(&seed) % 2;
		rig.now_ns += topology_random_u32(&seed) % (12 * MS);
		rig_update();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_highest_gets_all, rig_new),
		cmocka_unit_test_setup(test_owner_that_wants_bars_nobody, rig_new),
		cmocka_unit_test_setup(test_starving_get_a_period, rig_new),
		cmocka_unit_test_setup(test_nobody_waits_a_second, rig_new),
		cmocka_unit_test_setup(test_after_nothing_was_lendable, rig_new),
		cmocka_unit_test_setup(test_random_walk, rig_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
