/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Division in space and in turns: even over 100 ms, disjoint, all of it, nothing to those it is not
 * for.
 */
#include "share_rig.h"

static void test_nobody_and_one(void **state)
{
	struct share_member *owner = rig_add(33, 0), *a = rig_add(0, 0), *b = rig_add(0, 0);
	struct share_counts counts;

	(void)state;
	owner->wants = a->wants = b->wants = 0;
	rig_update();
	assert_int_equal(tpcset_count(&owner->borrow), 33);
	assert_int_equal(tpcset_count(&a->borrow), 66);
	assert_int_equal(tpcset_count(&b->borrow), 66);
	a->wants = 1;
	rig_update();
	assert_int_equal(tpcset_count(&a->borrow), 66);
	assert_int_equal(tpcset_count(&b->borrow), 66);
	share_count(&rig.topo, rig.members, rig.nr, &counts);
	assert_int_equal(counts.nr_lent, 66);
	owner->is_active = 1;
	rig_update();
	/* The owner's TPCs stay in the set: the launch itself looks whether they are in use. */
	assert_int_equal(tpcset_count(&a->borrow), 66);
	share_count(&rig.topo, rig.members, rig.nr, &counts);
	assert_int_equal(counts.nr_lent, 33);
	assert_int_equal(counts.nr_own, 33);
	assert_int_equal(counts.nr_free, 0);
	a->wants = 0;
	rig_update();
	share_count(&rig.topo, rig.members, rig.nr, &counts);
	assert_int_equal(counts.nr_lent, 0);
	assert_int_equal(counts.nr_free, 33);
}

/* The second one to want narrows the first at once, in the middle of a period, and back. */
static void test_second_narrows(void **state)
{
	struct share_member *a = rig_add(0, 0), *b = rig_add(0, 0);

	(void)state;
	b->wants = 0;
	rig_update();
	rig.now_ns += 2 * MS;
	b->wants = 1;
	rig_update();
	assert_int_equal(tpcset_count(&a->borrow), 33);
	assert_int_equal(tpcset_count(&b->borrow), 33);
	rig.now_ns += 2 * MS;
	a->wants = 0;
	rig_update();
	assert_int_equal(tpcset_count(&b->borrow), 66);
}

static void test_even_in_space(void **state)
{
	(void)state;
	for (uint32_t n = 2; n <= 16; n++) {
		assert_int_equal(rig_new(NULL), 0);
		for (uint32_t i = 0; i < n; i++)
			(void)rig_add(0, 0);
		rig_run(100);
		/* One TPC for one period among at least 4 TPCs for ten is 2.4 %. */
		assert_true(rig_unevenness(0, n) <= 25);
		for (uint32_t i = 0, all = 0; i < n; i++) {
			all += tpcset_count(&rig.member[i].borrow);
			assert_true(tpcset_count(&rig.member[i].borrow) >= SHARE_MIN_TPCS);
			assert_true(i < n - 1 || all == 66);
		}
		rig_run(1000 * n);
		assert_true(rig_unevenness(0, n) <= 2);
	}
}

static void test_whole_gpcs(void **state)
{
	struct share_member *a = rig_add(0, 0), *b = rig_add(0, 0);
	uint32_t nr_whole = 0;

	(void)state;
	rig_update();
	for (uint32_t g = 0; g < rig.topo.nr_gpcs; g++) {
		struct tpcset of_a = tpcset_and(a->borrow, rig.topo.gpc[g]);
		struct tpcset of_b = tpcset_and(b->borrow, rig.topo.gpc[g]);

		nr_whole += tpcset_equal(&of_a, &rig.topo.gpc[g]);
		nr_whole += tpcset_equal(&of_b, &rig.topo.gpc[g]);
	}
	assert_true(nr_whole >= rig.topo.nr_gpcs - 1);
}

/* From period to period only the remainder moves. */
static void test_sets_stay(void **state)
{
	struct tpcset before[5];
	uint32_t moved = 0;

	(void)state;
	for (int i = 0; i < 5; i++)
		(void)rig_add(0, 0);
	rig_update();
	for (int i = 0; i < 5; i++)
		before[i] = rig.member[i].borrow;
	rig_run(20);
	for (int i = 0; i < 5; i++) {
		struct tpcset gone = tpcset_andnot(before[i], rig.member[i].borrow);

		moved += tpcset_count(&gone);
	}
	assert_true(moved <= 1);
}

static void test_turns_when_many(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++)
		(void)rig_add(0, 0);
	/* 16 of 40 in each period: everybody has four turns of 4 TPCs in 100 ms, and some one
	 * more. */
	rig_run(100);
	/* One of 16 or 17 TPC periods. */
	assert_true(rig_unevenness(0, 40) <= 60);
	for (int i = 0; i < 40; i++)
		assert_true(rig.longest_ns[i] <= 30 * MS);
}

static void test_turns_of_few_tpcs(void **state)
{
	struct share_member *owner = rig_add(58, 0);

	(void)state;
	owner->wants = 0;
	owner->is_active = 1;
	for (int i = 0; i < 5; i++)
		(void)rig_add(0, 0);
	rig_run(100);
	assert_true(rig_unevenness(1, 6) <= 10);
	assert_int_equal(rig.had[1], 4 * 40);
}

/* An active owner's TPCs are dealt out in advance, and not to itself. */
static void test_active_owners_tpcs(void **state)
{
	struct share_member *owner = rig_add(20, 0), *a = rig_add(0, 0), *b = rig_add(0, 0);
	struct tpcset all, own;

	(void)state;
	owner->is_active = 1;
	rig_update();
	all = tpcset_or(a->borrow, b->borrow);
	own = tpcset_and(all, owner->own);
	assert_true(tpcset_equal(&own, &owner->own));
	own = tpcset_and(owner->borrow, owner->own);
	assert_true(tpcset_is_empty(&own));
	/* 46 are worth something now: best effort splits them, whatever the owner wants besides. */
	assert_int_equal(rig_usable(a), 23);
	assert_int_equal(rig_usable(b), 23);
	assert_int_equal(rig_usable(owner), 46);
	owner->wants = owner->is_active = 0;
	rig_update();
	assert_int_equal(rig_usable(a), 33);
	assert_int_equal(rig_usable(b), 33);
}

/* Owners split what is lent among themselves, and so does best effort: neither bars the other. */
static void test_owners_and_best_effort(void **state)
{
	struct share_member *x = rig_add(20, 9), *y = rig_add(20, 9), *a = rig_add(0, 0);

	(void)state;
	rig_update();
	assert_int_equal(rig_usable(x) + rig_usable(y), 26);
	assert_int_equal(rig_usable(x), 13);
	assert_int_equal(rig_usable(a), 26);
	y->wants = y->is_active = 0;
	rig_update();
	assert_int_equal(rig_usable(x), 46);
	assert_int_equal(rig_usable(a), 46);
}

/* Flapping wins no turns: who began to want later waits. */
static void test_flapping_wins_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 33; i++)
		(void)rig_add(0, 0);
	for (int ms = 0; ms < 1000; ms += 2) {
		rig.member[32].wants = (uint32_t)(ms / 2) % 2;
		rig_update();
		rig_run(2);
	}
	for (int i = 0; i < 32; i++)
		assert_true(rig.had[i] * 10 >= rig.had[32] * 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nobody_and_one, rig_new),
		cmocka_unit_test_setup(test_second_narrows, rig_new),
		cmocka_unit_test(test_even_in_space),
		cmocka_unit_test_setup(test_whole_gpcs, rig_new),
		cmocka_unit_test_setup(test_sets_stay, rig_new),
		cmocka_unit_test_setup(test_turns_when_many, rig_new),
		cmocka_unit_test_setup(test_turns_of_few_tpcs, rig_new),
		cmocka_unit_test_setup(test_active_owners_tpcs, rig_new),
		cmocka_unit_test_setup(test_owners_and_best_effort, rig_new),
		cmocka_unit_test_setup(test_flapping_wins_nothing, rig_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
