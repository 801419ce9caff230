/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which clusters a set holds, against the driver's own answers and against a plain count, and
 * widening.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "topology_h200.h"

/* cuOccupancyMaxActiveClusters at one block an SM, same machine as the data. */
static void test_driver_answers(void **state)
{
	(void)state;
	assert_int_equal(topology_nr_clusters(&h200, &h200.present, 1), 132);
	assert_int_equal(topology_nr_clusters(&h200, &h200.present, 2), 66);
	assert_int_equal(topology_nr_clusters(&h200, &h200.present, 4), 30);
	assert_int_equal(topology_nr_clusters(&h200, &h200.present, 8), 15);
	assert_int_equal(topology_nr_clusters(&h200, &h200.present, 16), 7);
	assert_int_equal(topology_nr_clusters(&h200, &h200.present, 0), 0);
	assert_int_equal(topology_max_cluster(&h200, &h200.present), 18);
}

static void test_small_sets(void **state)
{
	struct tpcset set = {{0}};

	(void)state;
	assert_int_equal(topology_max_cluster(&h200, &set), 0);
	tpcset_add(&set, 4); /* names no TPC */
	assert_int_equal(topology_max_cluster(&h200, &set), 0);
	assert_int_equal(topology_nr_clusters(&h200, &set, 1), 0);
	tpcset_add(&set, 75);
	tpcset_add(&set, 78);
	assert_int_equal(topology_max_cluster(&h200, &set), 2);
	assert_int_equal(topology_nr_clusters(&h200, &set, 2), 2);
	assert_int_equal(topology_nr_clusters(&h200, &set, 4), 0);
	tpcset_add(&set, 0);
	tpcset_add(&set, 9); /* another GPC */
	assert_int_equal(topology_max_cluster(&h200, &set), 2);
	tpcset_add(&set, 1);
	assert_int_equal(topology_max_cluster(&h200, &set), 4);
}

static void test_widen_h200(void **state)
{
	struct tpcset set = {{0}};
	struct tpcset wide;

	(void)state;
	tpcset_add(&set, 40);
	tpcset_add(&set, 41);
	assert_int_equal(topology_widen_for_cluster(&h200, &set, 4, &wide), 0);
	assert_true(tpcset_equal(&wide, &set));
	assert_int_equal(topology_widen_for_cluster(&h200, &set, 8, &wide), 0);
	assert_int_equal(tpcset_count(&wide), 4);
	assert_true(tpcset_has(&wide, 36) && tpcset_has(&wide, 37));
	assert_int_equal(topology_widen_for_cluster(&h200, &set, 18, &wide), 0);
	assert_int_equal(tpcset_count(&wide), 2 + 9);
	assert_int_equal(topology_widen_for_cluster(&h200, &set, 19, &wide), -E2BIG);
	assert_int_equal(tpcset_count(&wide), 2 + 9);
}

/* The largest part of a GPC, counted SM by SM; any TPC is a part of its own. */
static uint32_t max_cluster_by_hand(const struct topology *topo, const struct tpcset *set)
{
	uint32_t sms[TOPOLOGY_NO_GPC + 1] = {0};
	uint32_t max = 0;

	for (unsigned int bit = 0; bit < TPCSET_BITS; bit++) {
		uint8_t gpc = topo->gpc_of_bit[bit];

		if (!tpcset_has(set, bit) || !tpcset_has(&topo->present, bit))
			continue;
		sms[gpc] =
			gpc == TOPOLOGY_NO_GPC ? topo->sms_per_tpc : sms[gpc] + topo->sms_per_tpc;
		max = sms[gpc] > max ? sms[gpc] : max;
	}
	return max;
}

static void check_widen(const struct topology *topo, const struct tpcset *set, uint32_t blocks)
{
	struct tpcset wide;
	int r = topology_widen_for_cluster(topo, set, blocks, &wide);

	if (r < 0) {
		assert_int_equal(r, -E2BIG);
		assert_true(topology_max_cluster(topo, &topo->present) < blocks);
		return;
	}
	struct tpcset lost = tpcset_andnot(*set, wide);
	struct tpcset added = tpcset_andnot(wide, *set);
	struct tpcset alien = tpcset_andnot(added, topo->present);
	assert_true(tpcset_is_empty(&lost) && tpcset_is_empty(&alien));
	assert_true(topology_max_cluster(topo, &wide) >= blocks);
	assert_true(topology_nr_clusters(topo, &wide, blocks) >= 1);
	/* No TPC was added for nothing. */
	for (unsigned int bit = 0; bit < TPCSET_BITS; bit++) {
		struct tpcset less = wide;

		if (!tpcset_has(&added, bit))
			continue;
		tpcset_remove(&less, bit);
		assert_true(topology_max_cluster(topo, &less) < blocks);
	}
}

static void test_random(void **state)
{
	uint64_t seed = 21;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct topology topo;

		topology_random(&seed, &topo);
		assert_int_equal(topology_check(&topo), 0);
		struct tpcset set = topology_random_set(&seed, tpcset_full());
		assert_int_equal(topology_max_cluster(&topo, &set),
				 max_cluster_by_hand(&topo, &set));
		assert_int_equal(topology_nr_clusters(&topo, &set, 1) > 0,
				 topology_max_cluster(&topo, &set) > 0);
		check_widen(&topo, &set, 1 + topology_random_u32(&seed) % 20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_driver_answers),
		cmocka_unit_test(test_small_sets),
		cmocka_unit_test(test_widen_h200),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, h200_setup, NULL);
}
