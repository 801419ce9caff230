/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a launch may run: by example on an H200, by property on random topologies, quotas and
 * grids.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "hw/qmd.h"
#include "sched/fit.h"

#include "topology_h200.h"

static struct qmd_grid grid_of(uint32_t type, uint32_t blocks, uint32_t cluster)
{
	struct qmd_grid grid = {.type = type,
				.grid = {1, 1, 1},
				.block = {32, 1, 1},
				.gang = {1, 1, 1},
				.cluster = {cluster, 1, 1}};

	if (type == QMD_GRID_COOPERATIVE || type == QMD_GRID_COOPERATIVE_CLUSTER)
		grid.gang[0] = blocks / cluster;
	else
		grid.grid[0] = blocks / cluster;
	return grid;
}

static void disable_leftovers(struct qmd_grid *grid)
{
	for (unsigned int bit = 72; bit < TPCSET_BITS; bit++)
		tpcset_add(&grid->disabled, bit);
	grid->mask_valid = 1;
}

static void expect(int result, const struct tpcset *quota, const struct qmd_grid *grid,
		   uint32_t blocks_per_sm, unsigned int nr_tpcs)
{
	struct tpcset allowed = {{0}};

	assert_int_equal(fit_mask(&h200, quota, grid, blocks_per_sm, &allowed), result);
	assert_int_equal(tpcset_count(&allowed), nr_tpcs);
}

static void test_ordinary(void **state)
{
	struct qmd_grid grid = grid_of(QMD_GRID_ORDINARY, 5000, 1);
	struct tpcset quota = h200.gpc[6];

	(void)state;
	expect(FIT_AS_IS, &quota, &grid, 1, 9);
	tpcset_add(&quota, 100); /* names no TPC */
	expect(FIT_AS_IS, &quota, &grid, 1, 9);
	grid.type = QMD_GRID_NULL;
	expect(FIT_AS_IS, &quota, &grid, 1, 9);
	grid.type = 0;
	expect(-ENOTSUP, &quota, &grid, 1, 0);
	quota = (struct tpcset){{0, 0, 0, 0xff0}};
	grid.type = QMD_GRID_ORDINARY;
	expect(-EINVAL, &quota, &grid, 1, 0);
}

static void test_cluster(void **state)
{
	struct tpcset quota = {{0x600}}; /* two TPCs of GPC 1 */
	struct qmd_grid grid = grid_of(QMD_GRID_CLUSTER, 64, 4);

	(void)state;
	disable_leftovers(&grid);
	expect(FIT_AS_IS, &quota, &grid, 1, 2);
	grid.cluster[0] = 8;
	expect(FIT_WIDENED, &quota, &grid, 2, 4);
	grid.cluster[1] = 4;
	expect(-E2BIG, &quota, &grid, 1, 0);
	/* A quota of left-over TPCs only, which the driver disables for clusters. */
	quota = (struct tpcset){{0, 0, 1u << 11 | 1u << 14, 0}};
	grid.cluster[1] = 1;
	expect(FIT_WIDENED, &quota, &grid, 1, 2 + 4);
}

static void test_cooperative(void **state)
{
	struct tpcset quota = h200.gpc[6];
	struct qmd_grid grid = grid_of(QMD_GRID_COOPERATIVE, 18, 1);

	(void)state;
	expect(FIT_AS_IS, &quota, &grid, 1, 9);
	grid.gang[0] = 20;
	expect(FIT_WIDENED, &quota, &grid, 1, 9 + 4);
	expect(FIT_AS_IS, &quota, &grid, 2, 9);
	grid.gang[0] = 19 + 16;
	expect(FIT_WIDENED, &quota, &grid, 1, 9 + 9);
	grid.gang[0] = 124;
	expect(FIT_WIDENED, &quota, &grid, 1, 62);
	grid.gang[0] = 132;
	expect(FIT_WIDENED, &quota, &grid, 1, 66);
	grid.gang[0] = 133;
	expect(-E2BIG, &quota, &grid, 1, 0);
	expect(-E2BIG, &quota, &grid, 0, 0);
}

static void test_cooperative_cluster(void **state)
{
	struct tpcset quota = {{0x600}};
	struct qmd_grid grid = grid_of(QMD_GRID_COOPERATIVE_CLUSTER, 32, 16);

	(void)state;
	disable_leftovers(&grid);
	/* The largest GPC first, then the rest of the quota's own. */
	expect(FIT_WIDENED, &quota, &grid, 1, 9 + 8);
	grid.gang[0] = 7;
	/* Seven GPCs hold seven clusters of 16; the GPC of four TPCs may have been added on the
	 * way. */
	struct tpcset allowed;
	assert_int_equal(fit_mask(&h200, &quota, &grid, 1, &allowed), FIT_WIDENED);
	assert_true(topology_nr_clusters(&h200, &allowed, 16) == 7);
	grid.gang[0] = 8;
	expect(-E2BIG, &quota, &grid, 1, 0);
}

/* A green context's mask that has nothing in common with the quota. */
static void test_driver_decides(void **state)
{
	struct qmd_grid grid = grid_of(QMD_GRID_ORDINARY, 10, 1);
	struct tpcset quota = h200.gpc[6];

	(void)state;
	grid.disabled = tpcset_not(h200.gpc[1]);
	expect(FIT_DRIVER_DECIDES, &quota, &grid, 1, 66);
	grid.type = QMD_GRID_CLUSTER;
	grid.cluster[0] = 4;
	expect(FIT_DRIVER_DECIDES, &quota, &grid, 1, 66);
	grid.disabled = tpcset_full();
	expect(FIT_DRIVER_DECIDES, &quota, &grid, 1, 66);
}

static void check_random(const struct topology *topo, uint64_t *seed)
{
	static const uint32_t types[] = {QMD_GRID_ORDINARY, QMD_GRID_CLUSTER, QMD_GRID_COOPERATIVE,
					 QMD_GRID_COOPERATIVE_CLUSTER};
	uint32_t type = types[topology_random_u32(seed) % 4];
	int has_cluster = type == QMD_GRID_CLUSTER || type == QMD_GRID_COOPERATIVE_CLUSTER;
	uint32_t cluster = has_cluster ? 1u << (topology_random_u32(seed) % 5) : 1;
	struct qmd_grid grid =
		grid_of(type, (1 + topology_random_u32(seed) % 300) * cluster, cluster);
	struct tpcset quota = topology_random_set(seed, tpcset_full());
	uint32_t per_sm = 1 + topology_random_u32(seed) % 3;
	struct tpcset allowed;

	if (topology_random_u32(seed) % 2)
		grid.disabled = topology_random_set(seed, tpcset_full());
	int r = fit_mask(topo, &quota, &grid, per_sm, &allowed);
	struct tpcset real = tpcset_and(quota, topo->present);
	struct tpcset usable = tpcset_andnot(topo->present, grid.disabled);
	if (r < 0) {
		assert_true(r == -EINVAL ? tpcset_is_empty(&real) : r == -E2BIG);
		return;
	}
	struct tpcset runs_on = tpcset_and(allowed, usable);
	struct tpcset lost = tpcset_andnot(real, allowed);
	struct tpcset alien = tpcset_andnot(allowed, topo->present);
	assert_true(tpcset_is_empty(&lost) && tpcset_is_empty(&alien));
	assert_int_equal(tpcset_is_empty(&runs_on), tpcset_is_empty(&usable));
	assert_true(r != FIT_AS_IS || tpcset_equal(&allowed, &real));
	if (r == FIT_DRIVER_DECIDES)
		return;
	assert_true(topology_max_cluster(topo, &runs_on) >= (cluster > 1 ? cluster : 1));
	if (type == QMD_GRID_COOPERATIVE)
		assert_true(tpcset_count(&runs_on) * topo->sms_per_tpc * per_sm >=
			    qmd_grid_blocks(&grid));
	if (type == QMD_GRID_COOPERATIVE_CLUSTER && cluster > 1)
		assert_true((uint64_t)topology_nr_clusters(topo, &runs_on, cluster) * cluster >=
			    qmd_grid_blocks(&grid));
}

static void test_random(void **state)
{
	uint64_t seed = 41;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		struct topology topo;

		topology_random(&seed, &topo);
		check_random(&topo, &seed);
		check_random(&h200, &seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ordinary),       cmocka_unit_test(test_cluster),
		cmocka_unit_test(test_cooperative),    cmocka_unit_test(test_cooperative_cluster),
		cmocka_unit_test(test_driver_decides), cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, h200_setup, NULL);
}
