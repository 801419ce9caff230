/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which TPCs a quota becomes: by example on an H200, by property on random topologies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "sched/quota.h"

#include "topology_h200.h"

static unsigned int count_in(const struct tpcset *set, uint32_t gpc)
{
	struct tpcset part = tpcset_and(*set, h200.gpc[gpc]);

	return tpcset_count(&part);
}

static struct tpcset picked(const struct tpcset *free, uint32_t n)
{
	struct tpcset set = {{0}};

	assert_int_equal(quota_pick(&h200, free, n, &set), 0);
	assert_int_equal(tpcset_count(&set), n);
	return set;
}

static void test_whole_gpcs_first(void **state)
{
	struct tpcset set = picked(&h200.present, 33);

	(void)state;
	assert_int_equal(count_in(&set, 6), 9);
	assert_int_equal(count_in(&set, 7), 9);
	assert_int_equal(count_in(&set, 1), 8);
	assert_int_equal(count_in(&set, 0), 4);
	assert_true(tpcset_has(&set, 75) && tpcset_has(&set, 78) && tpcset_has(&set, 81));
	set = picked(&h200.present, 9);
	assert_true(tpcset_equal(&set, &h200.gpc[6]));
	set = picked(&h200.present, 8);
	assert_true(tpcset_equal(&set, &h200.gpc[1]));
	set = picked(&h200.present, 66);
	assert_true(tpcset_equal(&set, &h200.present));
}

static void test_small_quotas(void **state)
{
	struct tpcset set = picked(&h200.present, 3);

	(void)state;
	assert_int_equal(count_in(&set, 0), 3);
	/* Four free whole, one more from the left-overs. */
	set = picked(&h200.present, 5);
	assert_int_equal(count_in(&set, 0), 4);
	assert_int_equal(tpcset_has(&set, 75), 1);
}

static void test_parts(void **state)
{
	struct tpcset free = {{0}};

	(void)state;
	for (unsigned int bit = 9; bit < 14; bit++) /* 5 of GPC 1 */
		tpcset_add(&free, bit);
	for (unsigned int bit = 18; bit < 25; bit++) /* 7 of GPC 2 */
		tpcset_add(&free, bit);
	tpcset_add(&free, 83);
	tpcset_add(&free, 100); /* names no TPC */
	struct tpcset set = picked(&free, 4);
	assert_int_equal(count_in(&set, 1), 4);
	set = picked(&free, 6);
	assert_int_equal(count_in(&set, 2), 6);
	set = picked(&free, 9);
	assert_int_equal(count_in(&set, 2), 7);
	assert_int_equal(count_in(&set, 1), 2);
	set = picked(&free, 13);
	assert_int_equal(tpcset_has(&set, 83), 1);
	assert_int_equal(quota_pick(&h200, &free, 14, &set), -ENOSPC);
	assert_int_equal(quota_pick(&h200, &free, 0, &set), -EINVAL);
	assert_int_equal(tpcset_count(&set), 13);
}

/* Largest GPC that is entirely free and has at most n TPCs; 0 when there is none. */
static unsigned int largest_whole(const struct topology *topo, const struct tpcset *free,
				  uint32_t n)
{
	unsigned int best = 0;

	for (uint32_t g = 0; g < topo->nr_gpcs; g++) {
		struct tpcset missing = tpcset_andnot(topo->gpc[g], *free);
		unsigned int size = tpcset_count(&topo->gpc[g]);

		if (tpcset_is_empty(&missing) && size <= n && size > best)
			best = size;
	}
	return best;
}

static void check_pick(const struct topology *topo, const struct tpcset *free, uint32_t n)
{
	struct tpcset set = {{0}};
	struct tpcset again = {{0}};
	struct tpcset real = tpcset_and(*free, topo->present);
	int r = quota_pick(topo, free, n, &set);

	assert_int_equal(quota_pick(topo, free, n, &again), r);
	assert_true(tpcset_equal(&set, &again));
	if (!n || tpcset_count(&real) < n) {
		assert_int_equal(r, n ? -ENOSPC : -EINVAL);
		assert_true(tpcset_is_empty(&set));
		return;
	}
	struct tpcset alien = tpcset_andnot(set, real);
	assert_int_equal(r, 0);
	assert_int_equal(tpcset_count(&set), n);
	assert_true(tpcset_is_empty(&alien));
	/* A whole GPC that was free and small enough is in, so its clusters run. */
	assert_true(topology_max_cluster(topo, &set) >=
		    largest_whole(topo, &real, n) * topo->sms_per_tpc);
}

static void test_random(void **state)
{
	uint64_t seed = 31;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		struct topology topo;

		topology_random(&seed, &topo);
		struct tpcset free = topology_random_set(&seed, tpcset_full());
		check_pick(&topo, &free, topology_random_u32(&seed) % (topo.nr_tpcs + 2));
		check_pick(&topo, &topo.present, topology_random_u32(&seed) % (topo.nr_tpcs + 2));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_gpcs_first),
		cmocka_unit_test(test_small_quotas),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, h200_setup, NULL);
}
