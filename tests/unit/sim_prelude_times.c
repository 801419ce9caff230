/* SPDX-License-Identifier: Apache-2.0 */
/* What preludes cost on the simulated device, how fast a launch drains, and gangs that are
 * split. */
#include "sim_rig.h"

#include "hw/prelude/prelude.h"

struct claim {
	_Alignas(64) struct prelude_slot slot;
	struct rig rig;
	_Alignas(8) uint32_t header[PRELUDE_HEADER_BYTES / 4];
	uint32_t word[20000];
	uint32_t epoch[2];
	uint32_t report;
	uint64_t end_ns;
	uint64_t nr_left;
	uint64_t nr_ran;
};

static struct claim claim;

static void run_block(void *user, const struct sim_grid *grid, const uint32_t index[3],
		      uint32_t smid, uint64_t now_ns)
{
	(void)user;
	(void)grid;
	(void)index;
	(void)smid;
	(void)now_ns;
	claim.nr_ran++;
}

static void grid_over(void *user, const struct sim_grid *grid)
{
	rig_over(user, grid);
	claim.end_ns = grid->end_ns;
	claim.nr_left = grid->nr_left;
}

static int begin_block(void *user, const struct sim_grid *grid, const uint32_t index[3])
{
	(void)user;
	assert_int_equal(grid->slot_address, (uintptr_t)&claim.slot);
	return prelude_runs(grid->program, &claim.slot, grid_prelude_block(grid, index));
}

static void open(const char *chip)
{
	memset(&claim, 0, sizeof(claim));
	assert_int_equal(chip_of(chip, &claim.rig.chip), 0);
	claim.rig.device = device_new(&(struct sim_device_config){
		.chip = &claim.rig.chip,
		.ops = {run_block, grid_over, rig_dropped, &claim.rig, begin_block, NULL},
	});
	assert_non_null(claim.rig.device);
	claim.slot = (struct prelude_slot){
		.state = (uintptr_t)claim.word,
		.flag = {(uintptr_t)&claim.epoch[0], (uintptr_t)&claim.epoch[1]},
		.first = 4,
		.run = 4,
		.report = (uintptr_t)&claim.report};
	claim.slot.count = 20000;
}

static void submit(const struct qmd_spec *spec, enum sim_program program, uint64_t cost_ns)
{
	struct sim_queue *queue = device_queue_new(claim.rig.device, 0);
	uint32_t qmd[QMD_BUILD_BYTES / 4];

	if (program_is_claim(program))
		claim.slot.lead = claim.slot.run;
	qmd_build(spec, &claim.rig.chip.limits, qmd);
	assert_int_equal(
		prelude_redirect(qmd_layout_by_name("V04_00"), qmd, 0x1000, (uintptr_t)&claim.slot),
		0);
	assert_int_equal(device_submit(claim.rig.device, queue,
				       &(struct sim_launch){.qmd = qmd,
							    .grid_dim = {spec->grid[0], 1, 1},
							    .cost_ns = cost_ns,
							    .program = program}),
			 0);
	(void)device_advance(claim.rig.device, 0);
}

/* When the launch is over; it has the device for itself. */
static uint64_t time_of(uint32_t threads, enum sim_program program, uint32_t blocks)
{
	struct qmd_spec spec = rig_spec(blocks);

	spec.block[0] = threads;
	submit(&spec, program, 10000);
	(void)device_advance(claim.rig.device, 1000000000);
	assert_int_equal(claim.rig.nr_over, 1);
	assert_int_equal(device_check(claim.rig.device), 0);
	device_free(claim.rig.device);
	return claim.end_ns;
}

static void preludes_take_time(void **state)
{
	(void)state;
	open("h100");
	assert_int_equal(time_of(64, SIM_PROGRAM_KERNEL, 132), 10000);
	open("h100");
	assert_int_equal(time_of(64, SIM_PROGRAM_GATE, 132), 10050);
	open("h100");
	assert_int_equal(time_of(64, SIM_PROGRAM_CLAIM, 132), 10120);
}

static void leavers_take_issue_time(void **state)
{
	(void)state;
	open("h100");
	claim.slot.count = 0;
	assert_in_range(time_of(64, SIM_PROGRAM_GATE, 20000), 12000, 12200);
	assert_int_equal(claim.nr_left, 20000);
	open("h100");
	claim.epoch[1] = 1;
	assert_in_range(time_of(1024, SIM_PROGRAM_CLAIM, 20000), 30000, 30400);
	assert_int_equal(claim.nr_left, 20000);
	assert_int_equal(claim.nr_ran, 0);
}

/* The epoch stops what has not begun: the rest of the wave, then the leavers. */
static void launch_drains(void **state)
{
	const struct qmd_spec spec = rig_spec(20000);

	(void)state;
	open("h100");
	submit(&spec, SIM_PROGRAM_CLAIM, 20000);
	(void)device_advance(claim.rig.device, 25000);
	claim.epoch[0] = 1;
	(void)device_advance(claim.rig.device, 1000000);
	assert_int_equal(claim.rig.nr_over, 1);
	assert_int_equal(claim.nr_ran, 2 * 132 * 32);
	assert_int_equal(claim.nr_left, 20000 - claim.nr_ran);
	/* Two waves, and 11,552 blocks at 0.6 ns. */
	assert_in_range(claim.end_ns, 2 * 20120 + 6931, 2 * 20120 + 7100);
	assert_int_equal(claim.word[0], 4);
	assert_int_equal(claim.word[19999], 7);
	assert_int_equal(claim.report, 4);
	device_free(claim.rig.device);
}

static void disarmed_launch_stays(void **state)
{
	const struct qmd_spec spec = rig_spec(20000);

	(void)state;
	open("h100");
	submit(&spec, SIM_PROGRAM_CLAIM, 20000);
	(void)device_advance(claim.rig.device, 25000);
	claim.header[1] = 4;
	claim.epoch[0] = 1;
	(void)device_advance(claim.rig.device, 1000000);
	assert_int_equal(claim.rig.nr_over, 1);
	assert_int_equal(claim.nr_ran, 20000);
	assert_int_equal(claim.report, 0);
	device_free(claim.rig.device);
}

/* Clusters of four blocks, counted by the first: one word for each is used. */
static void clusters_drain_whole(void **state)
{
	struct qmd_spec spec = rig_spec(20000);

	(void)state;
	spec.cluster[0] = 4;
	open("h100");
	submit(&spec, SIM_PROGRAM_CLAIM_CLUSTER, 20000);
	(void)device_advance(claim.rig.device, 25000);
	claim.epoch[0] = 1;
	(void)device_advance(claim.rig.device, 10000000);
	assert_int_equal(claim.rig.nr_over, 1);
	assert_int_equal(device_check(claim.rig.device), 0);
	assert_in_range(claim.nr_ran, 4, 19996);
	assert_int_equal(claim.nr_ran % 4, 0);
	assert_int_equal(claim.nr_left, 20000 - claim.nr_ran);
	for (uint32_t i = 0; i < 20000; i++)
		assert_int_equal(claim.word[i], i % 4 ? 0 : i < claim.nr_ran ? 4 : 7);
	device_free(claim.rig.device);
}

/* A barrier waits for blocks that left. */
static void split_gang_hangs(void **state)
{
	struct qmd_spec spec = rig_spec(16);

	(void)state;
	spec.cooperative = 1;
	open("small");
	claim.slot.lo = 1;
	submit(&spec, SIM_PROGRAM_GATE, 1000);
	(void)device_advance(claim.rig.device, 1000000);
	assert_int_equal(claim.rig.nr_hung, 1);
	assert_string_equal(claim.rig.reason, "blocks-left-gang");
	assert_int_equal(claim.nr_ran, 0);
	assert_int_equal(device_check(claim.rig.device), 0);
	device_free(claim.rig.device);
}

/* Of three grids, in the order of their ends. */
static uint64_t seen_start_ns[3], seen_end_ns[3];
static int nr_seen;

static void order_over(void *user, const struct sim_grid *grid)
{
	(void)user;
	seen_start_ns[nr_seen] = grid->start_ns;
	seen_end_ns[nr_seen++] = grid->end_ns;
}

/* A chip of which the order of blocks is noted. */
static void open_noting(int never_overlaps)
{
	open("small");
	device_free(claim.rig.device);
	nr_seen = 0;
	claim.rig.device = device_new(&(struct sim_device_config){
		.chip = &claim.rig.chip,
		.ops = {run_block, order_over, rig_dropped, &claim.rig, begin_block, NULL},
		.never_overlaps = never_overlaps,
	});
}

/* Three grids of a queue, of which the second may overlap the first. Slots of the chip: 512. */
static void run_three(int pre_exits, int never_overlaps)
{
	static const uint32_t blocks[] = {512 + 8, 504, 8};
	static const uint64_t cost_ns[] = {10000, 5000, 1000};
	struct sim_queue *queue;

	open_noting(never_overlaps);
	queue = device_queue_new(claim.rig.device, 0);
	for (int i = 0; i < 3; i++) {
		struct qmd_spec spec = rig_spec(blocks[i]);
		uint32_t qmd[QMD_BUILD_BYTES / 4];

		spec.overlaps_previous = i == 1;
		qmd_build(&spec, &claim.rig.chip.limits, qmd);
		if (pre_exits)
			assert_int_equal(qmd_set(qmd_layout_by_name("V04_00"), qmd,
						 QMD_PRE_EXIT_AT_LAST_CTA_LAUNCH, 0, 1),
					 0);
		assert_int_equal(device_submit(claim.rig.device, queue,
					       &(struct sim_launch){.qmd = qmd,
								    .grid_dim = {blocks[i], 1, 1},
								    .cost_ns = cost_ns[i]}),
				 0);
	}
	for (uint64_t now_ns = 0; now_ns <= 40000; now_ns += 500) {
		(void)device_advance(claim.rig.device, now_ns);
		assert_int_equal(device_check(claim.rig.device), 0);
	}
	assert_int_equal(nr_seen, 3);
	assert_int_equal(claim.nr_ran, blocks[0] + blocks[1] + blocks[2]);
	device_free(claim.rig.device);
}

static void next_grid_overlaps_the_last_blocks(void **state)
{
	(void)state;
	run_three(1, 0);
	/* The second ends first; the third waits for both. */
	assert_int_equal(seen_start_ns[0], 10000);
	assert_int_equal(seen_end_ns[0], 15000);
	assert_int_equal(seen_start_ns[1], 0);
	assert_int_equal(seen_end_ns[1], 20000);
	assert_int_equal(seen_start_ns[2], 20000);
	/* One side is not enough, and a device may be told to keep order. */
	run_three(0, 0);
	assert_int_equal(seen_start_ns[1], 20000);
	run_three(1, 1);
	assert_int_equal(seen_start_ns[1], 20000);
}

/* It may also be submitted when the last block of the first has long begun. */
static void late_grid_overlaps_at_once(void **state)
{
	static const uint64_t cost_ns[] = {10000, 1000};
	struct sim_queue *queue;

	(void)state;
	open_noting(0);
	queue = device_queue_new(claim.rig.device, 0);
	for (int i = 0; i < 2; i++) {
		struct qmd_spec spec = rig_spec(8);
		uint32_t qmd[QMD_BUILD_BYTES / 4];

		spec.overlaps_previous = i == 1;
		qmd_build(&spec, &claim.rig.chip.limits, qmd);
		assert_int_equal(qmd_set(qmd_layout_by_name("V04_00"), qmd,
					 QMD_PRE_EXIT_AT_LAST_CTA_LAUNCH, 0, 1),
				 0);
		assert_int_equal(device_submit(claim.rig.device, queue,
					       &(struct sim_launch){.qmd = qmd,
								    .grid_dim = {8, 1, 1},
								    .cost_ns = cost_ns[i]}),
				 0);
		(void)device_advance(claim.rig.device, i * 3000);
		(void)device_advance(claim.rig.device, i ? 40000 : 3000);
		assert_int_equal(device_check(claim.rig.device), 0);
	}
	assert_int_equal(nr_seen, 2);
	assert_int_equal(seen_start_ns[0], 3000);
	assert_int_equal(seen_end_ns[0], 4000);
	assert_int_equal(seen_end_ns[1], 10000);
	device_free(claim.rig.device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(preludes_take_time),
		cmocka_unit_test(leavers_take_issue_time),
		cmocka_unit_test(launch_drains),
		cmocka_unit_test(split_gang_hangs),
		cmocka_unit_test(disarmed_launch_stays),
		cmocka_unit_test(clusters_drain_whole),
		cmocka_unit_test(next_grid_overlaps_the_last_blocks),
		cmocka_unit_test(late_grid_overlaps_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
