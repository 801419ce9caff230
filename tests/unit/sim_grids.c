/* SPDX-License-Identifier: Apache-2.0 */
/* Grids on the simulated device: truncation, residency, clusters, gangs, priorities, releases. */
#include "sim_rig.h"

static struct rig *rig;

static int setup(void **state)
{
	(void)state;
	rig = malloc(sizeof(*rig));
	rig_open(rig, "small"); /* 8 TPCs: GPCs of 3 and 4, one left over */
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	device_free(rig->device);
	free(rig);
	return 0;
}

static const struct qmd_layout *layout(void)
{
	return qmd_layout_by_name("V04_00");
}

static void run(struct qmd_spec *spec, const struct tpcset *allowed)
{
	uint32_t qmd[96];

	qmd_build(spec, &rig->chip.limits, qmd);
	if (allowed)
		rig_allow(qmd, allowed);
	rig_submit(rig, device_queue_new(rig->device, 0), qmd, 100, NULL);
	(void)device_advance(rig->device, 1000000);
	assert_int_equal(device_check(rig->device), 0);
}

static struct tpcset bits(uint32_t first, uint32_t n)
{
	struct tpcset set = {{0, 0, 0, 0}};

	for (uint32_t i = 0; i < n; i++)
		tpcset_add(&set, first + i);
	return set;
}

static void test_truncated_grid_runs_a_prefix(void **state)
{
	struct qmd_spec spec = rig_spec(10);
	uint32_t qmd[96];

	(void)state;
	qmd_build(&spec, &rig->chip.limits, qmd);
	assert_int_equal(qmd_set(layout(), qmd, QMD_GRID_WIDTH, 0, 4), 0);
	rig_submit(rig, device_queue_new(rig->device, 0), qmd, 100, NULL);
	(void)device_advance(rig->device, 1000);
	assert_int_equal(rig->nr_blocks, 4);
	for (uint32_t i = 0; i < 4; i++)
		assert_true(rig->index[i][0] < 4);
}

static void test_occupancy_limits_residency(void **state)
{
	struct qmd_spec spec = rig_spec(4);
	struct tpcset one = bits(0, 1);

	(void)state;
	spec.shared_bytes = 200 * 1024; /* one block an SM, two SMs */
	run(&spec, &one);
	assert_int_equal(rig->nr_blocks, 4);
	assert_int_equal(rig->at_ns[1], 100);
	assert_int_equal(rig->at_ns[2], 200);
}

static void test_cluster_stays_in_its_gpc(void **state)
{
	struct qmd_spec spec = rig_spec(24);

	(void)state;
	spec.cluster[0] = 6;
	run(&spec, NULL);
	assert_int_equal(rig->nr_over, 1);
	assert_int_equal(rig->nr_hung, 0);
	assert_int_equal(rig->nr_blocks, 24);
	for (uint32_t i = 0; i < 24; i++) {
		for (uint32_t j = 0; j < 24; j++) {
			if (rig->index[i][0] / 6 != rig->index[j][0] / 6 || i == j)
				continue;
			assert_int_equal(rig->chip.gpc_of_sm[rig->smid[i]],
					 rig->chip.gpc_of_sm[rig->smid[j]]);
			assert_int_not_equal(rig->smid[i], rig->smid[j]);
		}
	}
}

static void test_cluster_without_room_hangs(void **state)
{
	struct qmd_spec spec = rig_spec(8);
	struct tpcset two = bits(9, 2);

	(void)state;
	spec.cluster[0] = 8;
	run(&spec, &two); /* four SMs of one GPC */
	assert_int_equal(rig->nr_hung, 1);
	assert_string_equal(rig->reason, "cluster-too-large");
	assert_int_equal(rig->nr_blocks, 0);
}

static void test_cluster_of_two_fits_a_left_over_tpc(void **state)
{
	struct qmd_spec spec = rig_spec(2);
	struct tpcset one = bits(75, 1);

	(void)state;
	spec.cluster[0] = 2;
	run(&spec, &one);
	assert_int_equal(rig->nr_hung, 0);
	assert_int_equal(rig->nr_blocks, 2);
}

/* How many blocks ended on each SM by the first instant at which any did. */
static uint32_t most_on_one_sm(uint32_t *ret_sms)
{
	uint32_t n[CHIP_MAX_SMS] = {0}, most = 0;

	*ret_sms = 0;
	for (uint32_t i = 0; i < rig->nr_blocks && rig->at_ns[i] == rig->at_ns[0]; i++) {
		*ret_sms += !n[rig->smid[i]];
		if (++n[rig->smid[i]] > most)
			most = n[rig->smid[i]];
	}
	return most;
}

static void test_blocks_spread_before_they_stack(void **state)
{
	struct qmd_spec spec = rig_spec(16);
	uint32_t sms;

	(void)state;
	run(&spec, NULL);
	assert_int_equal(most_on_one_sm(&sms), 1);
	assert_int_equal(sms, 16);
}

/* Seven clusters of two for seven TPCs in GPCs, one for the left-over one. */
static void test_clusters_spread_before_they_stack(void **state)
{
	struct qmd_spec spec = rig_spec(16);
	uint32_t sms;

	(void)state;
	spec.cluster[0] = 2;
	run(&spec, NULL);
	assert_int_equal(rig->nr_blocks, 16);
	assert_int_equal(most_on_one_sm(&sms), 1);
	assert_int_equal(sms, 16);
}

static void test_clusters_stack_evenly(void **state)
{
	struct qmd_spec spec = rig_spec(32);
	uint32_t sms;

	(void)state;
	spec.cluster[0] = 2;
	run(&spec, NULL);
	assert_int_equal(rig->nr_blocks, 32);
	assert_int_equal(most_on_one_sm(&sms), 2);
	assert_int_equal(sms, 16);
}

static void test_clusters_spread_over_what_is_allowed(void **state)
{
	struct qmd_spec spec = rig_spec(8);
	struct tpcset three = bits(9, 2);
	uint32_t sms;

	(void)state;
	tpcset_add(&three, 1);
	spec.cluster[0] = 2;
	run(&spec, &three);
	/* Six SMs hold three clusters; the fourth is the second on its SMs. */
	assert_int_equal(most_on_one_sm(&sms), 2);
	assert_int_equal(sms, 6);
}

static void test_cooperative_grid_needs_all_its_room(void **state)
{
	struct qmd_spec spec = rig_spec(8);
	struct tpcset two = bits(0, 2);

	(void)state;
	spec.cooperative = 1;
	spec.shared_bytes = 200 * 1024;
	run(&spec, NULL);
	assert_int_equal(rig->nr_blocks, 8);
	run(&spec, &two);
	assert_int_equal(rig->nr_hung, 1);
	assert_string_equal(rig->reason, "cooperative-too-large");
	assert_int_equal(rig->nr_blocks, 8);
}

static void test_barrier_in_an_ordinary_grid_hangs_too(void **state)
{
	struct qmd_spec spec = rig_spec(17);
	struct sim_queue *queue = device_queue_new(rig->device, 0);
	uint32_t qmd[96];

	(void)state;
	spec.shared_bytes = 200 * 1024; /* 16 SMs hold 16 */
	qmd_build(&spec, &rig->chip.limits, qmd);
	assert_int_equal(
		device_submit(rig->device, queue,
			      &(struct sim_launch){.qmd = qmd, .cost_ns = 1, .waits_for_all = 1}),
		0);
	(void)device_advance(rig->device, 1000);
	assert_int_equal(rig->nr_hung, 1);
	assert_int_equal(device_check(rig->device), 0);
	/* Its blocks keep their SMs until the queue goes. */
	run(&(struct qmd_spec){.grid = {1, 1, 1},
			       .block = {32, 1, 1},
			       .cluster = {1, 1, 1},
			       .shared_bytes = 200 * 1024,
			       .version = 0x40},
	    NULL);
	assert_int_equal(rig->nr_blocks, 0);
	device_queue_free(rig->device, queue);
	(void)device_advance(rig->device, 2000000);
	(void)device_advance(rig->device, 3000000);
	assert_int_equal(rig->nr_blocks, 1);
	assert_int_equal(device_check(rig->device), 0);
}

static void test_priority_gets_the_free_slots(void **state)
{
	struct qmd_spec spec = rig_spec(64);
	struct sim_queue *low = device_queue_new(rig->device, 0);
	struct sim_queue *high = device_queue_new(rig->device, -5);
	uint32_t qmd[96];
	int cookie_low, cookie_high;

	(void)state;
	spec.shared_bytes = 200 * 1024; /* 16 at a time: four waves each */
	qmd_build(&spec, &rig->chip.limits, qmd);
	rig_submit(rig, low, qmd, 100, &cookie_low);
	rig_submit(rig, high, qmd, 100, &cookie_high);
	(void)device_advance(rig->device, 1000000);
	assert_int_equal(rig->nr_blocks, 128);
	for (uint32_t i = 0; i < 128; i++)
		assert_ptr_equal(rig->cookie[i],
				 i >= 16 && i < 80 ? (void *)&cookie_high : (void *)&cookie_low);
}

static void test_release_is_written_at_the_end(void **state)
{
	_Alignas(16) static uint32_t record[4];
	struct qmd_spec spec = rig_spec(3);
	uint32_t qmd[96];
	uint64_t timestamp;

	(void)state;
	qmd_build(&spec, &rig->chip.limits, qmd);
	assert_int_equal(qmd_arm_release(layout(), qmd, 1, (uintptr_t)record, 77), 0);
	for (uint64_t replay = 1; replay <= 2; replay++) {
		memset(record, 0xff, sizeof(record));
		rig_submit(rig, device_queue_new(rig->device, 0), qmd, 100, NULL);
		(void)device_advance(rig->device, replay * 1000 - 901);
		assert_int_equal(record[0], UINT32_MAX);
		(void)device_advance(rig->device, replay * 1000);
		memcpy(&timestamp, &record[2], sizeof(timestamp));
		assert_int_equal(record[0], 77);
		assert_int_equal(record[1], 0);
		assert_int_equal(timestamp, (replay - 1) * 1000 + 100);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_truncated_grid_runs_a_prefix),
		TEST(test_occupancy_limits_residency),
		TEST(test_cluster_stays_in_its_gpc),
		TEST(test_cluster_without_room_hangs),
		TEST(test_cluster_of_two_fits_a_left_over_tpc),
		TEST(test_blocks_spread_before_they_stack),
		TEST(test_clusters_spread_before_they_stack),
		TEST(test_clusters_stack_evenly),
		TEST(test_clusters_spread_over_what_is_allowed),
		TEST(test_cooperative_grid_needs_all_its_room),
		TEST(test_barrier_in_an_ordinary_grid_hangs_too),
		TEST(test_priority_gets_the_free_slots),
		TEST(test_release_is_written_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
