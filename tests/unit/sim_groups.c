/* SPDX-License-Identifier: Apache-2.0 */
/* Groups on the simulated device take turns; what is switched out keeps its SMs and its time. */
#include "sim_rig.h"

#define MS 1000000ull

static struct rig *rig;
static struct sim_group *groups[3];

static int setup(void **state)
{
	(void)state;
	rig = malloc(sizeof(*rig));
	rig_open(rig, "small");
	for (int i = 0; i < 3; i++)
		groups[i] = device_group_new(rig->device);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	device_free(rig->device);
	free(rig);
	return 0;
}

static struct sim_queue *submit(struct sim_group *group, int priority, uint32_t blocks,
				uint64_t cost_ns)
{
	struct qmd_spec spec = rig_spec(blocks);
	struct sim_queue *queue = device_queue_new_in(rig->device, group, priority);
	uint32_t qmd[96];

	qmd_build(&spec, &rig->chip.limits, qmd);
	rig_submit(rig, queue, qmd, cost_ns, group);
	return queue;
}

static void advance(uint64_t now_ns)
{
	(void)device_advance(rig->device, now_ns);
	assert_int_equal(device_check(rig->device), 0);
}

/* End of the only block of a group. */
static uint64_t end_of(const struct sim_group *group)
{
	for (uint32_t i = 0; i < rig->nr_blocks; i++) {
		if (rig->cookie[i] == group)
			return rig->at_ns[i];
	}
	return 0;
}

static void test_slices_alternate(void **state)
{
	(void)state;
	(void)submit(groups[0], 0, 1, 3 * MS);
	(void)submit(groups[1], 0, 1, 1 * MS);
	advance(10 * MS);
	assert_int_equal(end_of(groups[1]), 3 * MS);
	assert_int_equal(end_of(groups[0]), 4 * MS);
}

static void test_three_groups_go_round(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		(void)submit(groups[i], 0, 1, 3 * MS);
	for (uint64_t ns = 0; ns < 12 * MS; ns += 100000)
		advance(ns);
	assert_int_equal(rig->nr_blocks, 3);
	/* Two of each three milliseconds in the first round, one in the second, without gaps. */
	assert_int_equal(end_of(groups[0]) + end_of(groups[1]) + end_of(groups[2]),
			 (7 + 8 + 9) * MS);
}

/* The chip is full of the first group's blocks; the second has all of it in its slice. */
static void test_the_other_group_has_the_whole_chip(void **state)
{
	uint32_t full = 16 * 32;

	(void)state;
	(void)submit(groups[0], 0, full, 5 * MS);
	(void)submit(groups[1], 0, full, 1 * MS);
	advance(1 * MS);
	assert_int_equal(device_nr_resident(rig->device), full);
	advance(9 * MS);
	assert_int_equal(rig->nr_blocks, 2 * full);
	for (uint32_t i = 0; i < full; i++) {
		assert_ptr_equal(rig->cookie[i], groups[1]);
		assert_int_equal(rig->at_ns[i], 3 * MS);
		assert_int_equal(rig->at_ns[full + i], 6 * MS);
	}
}

static void test_one_group_is_not_sliced(void **state)
{
	(void)state;
	(void)submit(groups[0], 0, 1, 7 * MS);
	(void)submit(groups[0], 0, 1, 5 * MS);
	advance(20 * MS);
	assert_int_equal(rig->at_ns[0], 5 * MS);
	assert_int_equal(rig->at_ns[1], 7 * MS);
}

static void test_a_queue_goes_while_it_is_frozen(void **state)
{
	struct sim_queue *queue;

	(void)state;
	queue = submit(groups[0], 0, 16 * 32, 5 * MS);
	(void)submit(groups[1], 0, 1, 10 * MS);
	advance(3 * MS);
	/* The first group is switched out now. */
	device_queue_free(rig->device, queue);
	assert_int_equal(device_check(rig->device), 0);
	(void)submit(groups[0], 0, 16 * 32, 1 * MS);
	advance(20 * MS);
	assert_int_equal(rig->nr_blocks, 16 * 32 + 1);
	assert_int_equal(rig->at_ns[0], 5 * MS);
	assert_int_equal(end_of(groups[1]), 13 * MS);
}

static void test_a_group_goes_while_it_runs(void **state)
{
	struct sim_queue *queue;

	(void)state;
	queue = submit(groups[0], 0, 1, 50 * MS);
	(void)submit(groups[1], 0, 1, 3 * MS);
	advance(5 * MS);
	device_queue_free(rig->device, queue);
	device_group_free(rig->device, groups[0]);
	assert_int_equal(device_check(rig->device), 0);
	advance(20 * MS);
	assert_int_equal(end_of(groups[1]), 6 * MS);
}

static void test_a_hung_gang_costs_every_second_slice(void **state)
{
	struct qmd_spec spec = rig_spec(16 * 32 + 1);
	struct sim_queue *queue = device_queue_new_in(rig->device, groups[0], 0);
	uint32_t qmd[96];

	(void)state;
	spec.cooperative = 1;
	qmd_build(&spec, &rig->chip.limits, qmd);
	rig_submit(rig, queue, qmd, MS, groups[0]);
	assert_int_equal(rig->nr_hung, 1);
	(void)submit(groups[1], 0, 1, 4 * MS);
	advance(20 * MS);
	assert_int_equal(end_of(groups[1]), 8 * MS);
	device_queue_free(rig->device, queue);
	advance(20 * MS);
	assert_int_equal(device_nr_resident(rig->device), 0);
}

/* Within a group slots go by priority, as without groups. */
static void test_priority_within_a_group(void **state)
{
	(void)state;
	(void)submit(groups[0], 0, 16 * 32, 1 * MS);
	(void)submit(groups[0], 64, 1, 1 * MS);
	(void)submit(groups[0], 0, 16 * 32, 1 * MS);
	advance(10 * MS);
	assert_int_equal(rig->at_ns[2 * 16 * 32], 3 * MS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_slices_alternate),
		TEST(test_three_groups_go_round),
		TEST(test_the_other_group_has_the_whole_chip),
		TEST(test_one_group_is_not_sliced),
		TEST(test_a_queue_goes_while_it_is_frozen),
		TEST(test_a_group_goes_while_it_runs),
		TEST(test_a_hung_gang_costs_every_second_slice),
		TEST(test_priority_within_a_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
