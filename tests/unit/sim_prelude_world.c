/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The random works of sim_prelude_random.c: see the header.
 *
 * A case is a list of steps; each does one thing to one work (launch, raise an epoch, disarm) and
 * lets a random time pass. In the end what is left is launched, and no epoch moves any more; a work
 * that is not complete after that is wrong, as is a grid that hangs.
 */
#include "sim_prelude_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/qmd.h"
#include "sim/kernel/qmd_build.h"

#define MAX_BLOCKS    64u
#define MAX_LAUNCHES  40u /* of a case */
#define MAX_WORKS     3u
#define NR_STEPS      60u
#define MAX_ADVANCES  100000u
#define PRELUDE_ENTRY 0x7f0000001000ull

struct launch {
	_Alignas(64) struct prelude_slot slot;
	struct work *work;
	struct lane *lane;
	uint32_t place; /* in its lane */
	uint32_t number;
	uint32_t lo, count;
	uint32_t report; /* what the prelude writes */
	uint32_t calm[2];
	uint32_t covers; /* bit i: told to go by epoch i; 0: by nobody */
	int gave_up;     /* a block */
	uint64_t nr_begun;
	int is_over;
	uint8_t is_decided[MAX_BLOCKS]; /* by flat block */
	uint8_t leaves[MAX_BLOCKS / 8]; /* by order of placement: a remote case */
	uint8_t is_runner[MAX_BLOCKS];  /* by flat block */
};

struct lane {
	struct sim_queue *queue;
	uint32_t nr_submitted;
	uint32_t nr_over;
};

struct work {
	enum sim_program program;
	struct qmd_spec spec;
	uint32_t nr_blocks;
	uint64_t cost_ns;
	uint32_t first, number, lead;
	uint32_t next_lo; /* gate: first block of the next atom */
	uint32_t epoch[2];
	unsigned int nr_live;
	unsigned int nr_live_going; /* of them, helpers that may be told to go */
	/* A launch has ended without a report since the last time that none was there */
	int is_ended;
	struct lane lane[3];
	_Alignas(8) uint32_t header[PRELUDE_HEADER_BYTES / 4]; /* told, disarm */
	uint32_t word[MAX_BLOCKS];
	uint32_t owner[MAX_BLOCKS];    /* number of the launch that runs the block; 0: none */
	uint64_t given_up[MAX_BLOCKS]; /* by which launches: a bit each */
	uint8_t nr_ran[MAX_BLOCKS];
};

struct world {
	uint64_t random;
	const struct prelude_rule *rule;
	struct case_counts *counts;
	const char *wrong;
	struct sim_chip chip;
	struct sim_device *device;
	uint64_t now_ns;
	int is_remote;
	unsigned int nr_works;
	unsigned int nr_launches;
	struct work work[MAX_WORKS];
	struct launch launch[MAX_LAUNCHES];
};

static uint32_t next_random(struct world *world, uint32_t n)
{
	world->random ^= world->random << 13;
	world->random ^= world->random >> 7;
	world->random ^= world->random << 17;
	return n ? (uint32_t)(world->random >> 20) % n : 0;
}

static void expect(struct world *world, int holds, const char *claim)
{
	if (!holds && !world->wrong)
		world->wrong = claim;
}

static uint32_t flat_of(const struct work *work, const uint32_t index[3])
{
	return (index[2] * work->spec.grid[1] + index[1]) * work->spec.grid[0] + index[0];
}

/* The number a prelude knows the block by: the cluster's first. */
static uint32_t unit_of(const struct work *work, const uint32_t index[3])
{
	const uint32_t *c = work->spec.cluster;

	return flat_of(work, (const uint32_t[3]){index[0] - index[0] % c[0],
						 index[1] - index[1] % c[1], index[2]});
}

static void index_of(const struct work *work, uint32_t block, uint32_t ret_index[3])
{
	ret_index[0] = block % work->spec.grid[0];
	ret_index[1] = block / work->spec.grid[0] % work->spec.grid[1];
	ret_index[2] = block / work->spec.grid[0] / work->spec.grid[1];
}

/* --- the model ------------------------------------------------------------------------------- */

static void model_gate(struct world *world, const struct launch *launch, uint32_t block, int runs)
{
	expect(world, runs == (block >= launch->lo && block < launch->lo + launch->count),
	       "a gate lets a block of another range run, or stops one of its own");
}

static int epoch_has_moved(const struct launch *launch)
{
	const uint32_t *now = launch->work->epoch;

	return (launch->covers & 1 && now[0] != launch->calm[0]) ||
	       (launch->covers & 2 && now[1] != launch->calm[1]);
}

static int is_disarmed(const struct launch *launch)
{
	return launch->work->header[1] >= launch->number;
}

static uint64_t bit_of(const struct world *world, const struct launch *launch)
{
	return 1ull << (launch - world->launch);
}

static void model_run(struct world *world, struct launch *launch, uint32_t unit)
{
	struct work *work = launch->work;
	int is_mine = work->owner[unit] == launch->number;

	expect(world, !work->owner[unit] || is_mine, "a block has two owners");
	expect(world, is_mine || !epoch_has_moved(launch) || is_disarmed(launch),
	       "a block begins in a launch that is to go");
	expect(world, is_mine || !launch->gave_up || is_disarmed(launch),
	       "a launch that was told to go goes on");
	expect(world, !(work->given_up[unit] & bit_of(world, launch)),
	       "given up, and run after all");
	world->counts->nr_held_back += epoch_has_moved(launch) && !is_mine;
	work->owner[unit] = launch->number;
}

static void model_leave(struct world *world, struct launch *launch, uint32_t unit)
{
	struct work *work = launch->work;

	expect(world, work->owner[unit] != launch->number, "an owner leaves");
	if (work->owner[unit])
		return;
	if (epoch_has_moved(launch) && !is_disarmed(launch)) {
		work->given_up[unit] |= bit_of(world, launch);
		launch->gave_up = 1;
		world->counts->nr_given_up++;
	}
	expect(world, (work->given_up[unit] & bit_of(world, launch)) != 0, "an open block is left");
}

static void model_claim(struct world *world, struct launch *launch, uint32_t unit, int runs)
{
	if (runs)
		model_run(world, launch, unit);
	else
		model_leave(world, launch, unit);
	expect(world, launch->report == (launch->gave_up ? launch->number : 0),
	       "a report is not about what was given up");
}

static int is_complete(const struct work *work)
{
	for (uint32_t i = 0; i < work->nr_blocks; i++) {
		if (!work->nr_ran[i])
			return 0;
	}
	return 1;
}

static int is_gate(const struct work *work)
{
	return !program_is_claim(work->program);
}

/* --- callbacks ------------------------------------------------------------------------------- */

static void check_turn(struct world *world, const struct launch *launch)
{
	expect(world, !launch->is_over, "a block begins after the end of its grid");
	expect(world, launch->place == launch->lane->nr_over, "a grid overtakes in its queue");
	expect(world, launch->slot.entry == launch->work->spec.entry,
	       "a slot is read after its launch");
}

/* One warp of a block. */
static int warp_decides(struct world *world, struct launch *launch, const uint32_t index[3])
{
	uint32_t unit = unit_of(launch->work, index);
	int runs;

	check_turn(world, launch);
	runs = world->rule->runs(launch->work->program, &launch->slot,
				 world->rule->by_block ? flat_of(launch->work, index) : unit);
	if (is_gate(launch->work))
		model_gate(world, launch, unit, runs);
	else
		model_claim(world, launch, unit, runs);
	return runs;
}

static int decide(struct world *world, struct launch *launch, uint64_t order,
		  const uint32_t index[3])
{
	uint32_t block = flat_of(launch->work, index);
	int runs = warp_decides(world, launch, index);

	expect(world, order == launch->nr_begun, "blocks begin out of order");
	launch->nr_begun++;
	launch->is_decided[block] = 1;
	launch->is_runner[block] = (uint8_t)runs;
	world->counts->nr_left += !runs;
	return runs;
}

static int begin_block(void *user, const struct sim_grid *grid, const uint32_t index[3])
{
	struct world *world = user;
	struct launch *launch = grid->cookie;
	uint64_t order = grid->nr_placed;

	expect(world, grid->slot_address == (uintptr_t)&launch->slot, "bank 6 leads elsewhere");
	expect(world, grid_prelude_block(grid, index) == unit_of(launch->work, index),
	       "a block has another number");
	if (!world->is_remote)
		return decide(world, launch, order, index);
	/* Decided ahead already, as its neighbours were told to leave. */
	if (order < launch->nr_begun)
		return 1;
	if (!decide(world, launch, order, index))
		launch->leaves[order / 8] |= (uint8_t)(1u << (order % 8));
	return 1;
}

static void run_block(void *user, const struct sim_grid *grid, const uint32_t index[3],
		      uint32_t smid, uint64_t now_ns)
{
	struct world *world = user;
	struct launch *launch = grid->cookie;
	struct work *work = launch->work;
	uint32_t block = flat_of(work, index);

	(void)now_ns;
	expect(world, !launch->is_over && launch->place == launch->lane->nr_over,
	       "a block ends outside its grid's turn");
	expect(world, tpcset_has(&grid->allowed, world->chip.bit_of_sm[smid]),
	       "a block runs outside the mask");
	if (world->is_remote && !launch->is_runner[block])
		return;
	expect(world, launch->is_runner[block], "a block that left runs");
	expect(world, !work->nr_ran[block], "a block runs twice");
	work->nr_ran[block] = 1;
}

/* Blocks of a cluster must have decided as its first one has. */
static void check_clusters(struct world *world, const struct launch *launch)
{
	const struct work *work = launch->work;
	uint32_t index[3];

	for (uint32_t block = 0; block < work->nr_blocks; block++) {
		index_of(work, block, index);
		expect(world, launch->is_runner[block] == launch->is_runner[unit_of(work, index)],
		       "a cluster is split");
	}
}

static void grid_over(void *user, const struct sim_grid *grid)
{
	struct world *world = user;
	struct launch *launch = grid->cookie;

	expect(world, !grid->hang_reason, "a grid hangs");
	expect(world, launch->place == launch->lane->nr_over, "grids end out of order");
	expect(world, grid->nr_done == launch->work->nr_blocks, "a grid ends early");
	check_clusters(world, launch);
	world->counts->nr_reports += launch->report != 0;
	launch->is_over = 1;
	launch->work->nr_live_going -= launch->number != launch->slot.lead && launch->covers;
	launch->lane->nr_over++;
	launch->work->nr_live--;
	launch->work->is_ended |= !is_gate(launch->work) && !launch->report;
	/* What lithos takes for the end of a work is one. */
	if (launch->work->is_ended && !launch->work->nr_live)
		expect(world, is_complete(launch->work), "a work has ended, and blocks never ran");
	memset(&launch->slot, 0xa5, sizeof(launch->slot));
}

static void grid_dropped(void *user, const struct sim_grid *grid)
{
	(void)user;
	(void)grid;
}

/* --- launches -------------------------------------------------------------------------------- */

static void random_mask(struct world *world, const struct work *work, uint32_t *qmd)
{
	static const unsigned int bits[] = {0, 1, 2, 9, 10, 11, 12, 75};
	struct tpcset allowed = {{0, 0, 0, 0}};

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		if (next_random(world, 2))
			tpcset_add(&allowed, bits[i]);
	}
	/* Room for one cluster of four at least. */
	if (tpcset_is_empty(&allowed) || work->spec.cluster[0] * work->spec.cluster[1] > 1) {
		tpcset_add(&allowed, 9);
		tpcset_add(&allowed, 10);
	}
	(void)qmd_restrict(qmd_layout_by_name("V04_00"), qmd, &allowed);
}

static void submit(struct world *world, struct launch *launch)
{
	const struct work *work = launch->work;
	const struct qmd_layout *layout = qmd_layout_by_name("V04_00");
	uint32_t qmd[QMD_BUILD_BYTES / 4];
	struct sim_launch what = {
		.qmd = qmd, .cost_ns = work->cost_ns, .program = work->program, .cookie = launch};

	qmd_build(&work->spec, &world->chip.limits, qmd);
	memcpy(what.grid_dim, work->spec.grid, sizeof(what.grid_dim));
	if (next_random(world, 4))
		random_mask(world, work, qmd);
	expect(world, !prelude_redirect(layout, qmd, PRELUDE_ENTRY, (uintptr_t)&launch->slot),
	       "a launch cannot be redirected");
	expect(world, !device_submit(world->device, launch->lane->queue, &what),
	       "a launch is refused");
}

static void fill_slot(struct launch *launch)
{
	static const uint32_t calm_epoch;
	const struct work *work = launch->work;

	launch->slot = (struct prelude_slot){
		.lo = launch->lo,
		.entry = work->spec.entry,
		.state = (uintptr_t)work->word,
		.first = work->first,
		.run = launch->number,
		.report = (uintptr_t)&launch->report,
	};
	if (is_gate(work))
		launch->slot.count = launch->count;
	else
		launch->slot.lead = work->lead;
	for (uint32_t i = 0; i < 2; i++) {
		int is_covered = (int)(launch->covers >> i & 1);
		launch->slot.flag[i] = (uintptr_t)(is_covered ? &work->epoch[i] : &calm_epoch);
		launch->slot.calm[i] = is_covered ? launch->calm[i] : 0;
	}
}

static void launch_work(struct world *world, struct work *work, uint32_t count, uint32_t covers)
{
	struct launch *launch = &world->launch[world->nr_launches++];

	launch->covers = covers;
	memcpy(launch->calm, work->epoch, sizeof(launch->calm));
	launch->work = work;
	launch->lane = &work->lane[next_random(world, 3)];
	launch->place = launch->lane->nr_submitted++;
	launch->number = work->number;
	launch->lo = work->next_lo;
	launch->count = count;
	if (!work->nr_live)
		work->lead = work->number;
	fill_slot(launch);
	world->counts->nr_joined += work->nr_live > 0;
	world->counts->nr_grown += work->nr_live == 1 && covers;
	world->counts->nr_rescued += work->nr_live == 2;
	world->counts->nr_launches++;
	work->nr_live++;
	work->nr_live_going += work->lead != work->number && covers;
	work->number += PRELUDE_NUMBER_STEP;
	work->next_lo += count;
	submit(world, launch);
}

/* --- works ----------------------------------------------------------------------------------- */

static void random_shape(struct world *world, struct qmd_spec *spec)
{
	static const uint32_t clusters[][2] = {{1, 1}, {1, 1}, {2, 1}, {4, 1}, {2, 2}, {1, 2}};
	static const uint32_t widths[] = {48, 12, 3}; /* never more than MAX_BLOCKS in all */
	const uint32_t *cluster = clusters[next_random(world, 6)];
	uint32_t dims = 1 + next_random(world, 3);

	if (cluster[1] > 1 && dims == 1)
		dims = 2;

	*spec = (struct qmd_spec){.grid = {1, 1, 1},
				  .block = {next_random(world, 3) ? 32 : 1024, 1, 1},
				  .cluster = {cluster[0], cluster[1], 1},
				  .registers = 32,
				  .entry = 0x7f0000002000ull,
				  .version = QMD_BUILD_VERSION};
	spec->grid[0] = cluster[0] * (1 + next_random(world, widths[dims - 1] / cluster[0] + 1));
	if (dims > 1)
		spec->grid[1] = cluster[1] * (1 + next_random(world, 4 - cluster[1]));
	if (dims > 2)
		spec->grid[2] = 1 + next_random(world, 3);
}

/* Another work on the same words. */
static void work_begin(struct world *world, struct work *work)
{
	int has_clusters;

	random_shape(world, &work->spec);
	has_clusters = work->spec.cluster[0] * work->spec.cluster[1] > 1;
	if (next_random(world, 3))
		work->program = has_clusters ? SIM_PROGRAM_CLAIM_CLUSTER : SIM_PROGRAM_CLAIM;
	else
		work->program = has_clusters ? SIM_PROGRAM_GATE_CLUSTER : SIM_PROGRAM_GATE;
	world->counts->nr_clusters += has_clusters;
	work->nr_blocks = work->spec.grid[0] * work->spec.grid[1] * work->spec.grid[2];
	work->cost_ns = 100 + next_random(world, 20000);
	work->first = work->number;
	work->is_ended = 0;
	work->next_lo = 0;
	memset(work->owner, 0, sizeof(work->owner));
	memset(work->given_up, 0, sizeof(work->given_up));
	memset(work->nr_ran, 0, sizeof(work->nr_ran));
	world->counts->nr_works++;
}

static int world_open(struct world *world)
{
	struct sim_group *group;

	if (chip_of("small", &world->chip))
		return -1;
	world->device = device_new(&(struct sim_device_config){
		.chip = &world->chip,
		.ops = {run_block, grid_over, grid_dropped, world, begin_block, NULL}});
	world->is_remote = !next_random(world, 3);
	world->nr_works = 1 + next_random(world, MAX_WORKS);
	for (unsigned int i = 0; i < world->nr_works; i++) {
		struct work *work = &world->work[i];

		group = next_random(world, 4) ? NULL : device_group_new(world->device);
		for (int j = 0; j < 3; j++)
			work->lane[j].queue = group ? device_queue_new_in(world->device, group, -j)
						    : device_queue_new(world->device, -j);
		work->number = PRELUDE_NUMBER_STEP * (1 + next_random(world, 1000));
		/* Their difference counts, also where they or their signs overflow. */
		work->epoch[0] = (next_random(world, 4) << 30) - next_random(world, 4);
		work->epoch[1] = (next_random(world, 4) << 30) - next_random(world, 4);
		work_begin(world, work);
	}
	return 0;
}

/* --- time ------------------------------------------------------------------------------------ */

/* Those that come next and would leave are decided ahead, up to the returned one. */
static uint64_t look_ahead(struct world *world, struct launch *launch)
{
	const struct work *work = launch->work;
	uint32_t index[3] = {0, 0, 0};
	/* Only where the order of placement is the flat one. */
	if (work->spec.cluster[0] * work->spec.cluster[1] > 1)
		return 0;
	while (launch->nr_begun < work->nr_blocks) {
		uint32_t block = (uint32_t)launch->nr_begun;

		index_of(work, block, index);
		if (!world->rule->would_leave(work->program, &launch->slot, block))
			break;
		expect(world, !decide(world, launch, block, index), "a block changed its mind");
		launch->leaves[block / 8] |= (uint8_t)(1u << (block % 8));
	}
	return launch->nr_begun;
}

static void tell_leavers(struct world *world)
{
	for (unsigned int i = 0; i < world->nr_launches; i++) {
		struct launch *launch = &world->launch[i];
		struct sim_leavers leavers = {.bits = launch->leaves};

		if (launch->is_over || !launch->nr_begun || next_random(world, 2))
			continue;
		leavers.nr = launch->nr_begun;
		leavers.until = look_ahead(world, launch);
		device_blocks_leave(world->device, launch->lane->queue, &leavers);
	}
}

/* Another warp of a block that was decided: it must agree. */
static void late_warps(struct world *world)
{
	for (unsigned int i = 0; i < world->nr_launches; i++) {
		struct launch *launch = &world->launch[i];
		uint32_t block = next_random(world, launch->work->nr_blocks);
		uint32_t index[3];

		if (launch->is_over || !launch->is_decided[block])
			continue;
		index_of(launch->work, block, index);
		world->counts->nr_warps++;
		expect(world, warp_decides(world, launch, index) == launch->is_runner[block],
		       "warps of a block disagree");
	}
}

static void pass_time(struct world *world)
{
	uint64_t next_ns = device_next_event_ns(world->device);

	late_warps(world);

	if (next_random(world, 2) || next_ns == SIM_NEVER)
		world->now_ns += next_random(world, 30000);
	else if (next_ns > world->now_ns)
		world->now_ns = next_ns;
	(void)device_advance(world->device, world->now_ns);
	if (world->is_remote)
		tell_leavers(world);
	if (!next_random(world, 16))
		expect(world, !device_check(world->device), "an invariant is broken");
}

/*
 * Who tells a further launch of a claim: any owners, also a helper while no other one may be told;
 * else nobody. -1: no launch now.
 */
static int random_covers(struct world *world, const struct work *work)
{
	static const int covers[] = {0, 1, 2, 3, 3, 3};
	int owners = covers[next_random(world, 6)];

	if (work->nr_live > 2)
		return -1;
	return work->nr_live_going ? 0 : owners;
}

static void random_launch(struct world *world, struct work *work)
{
	uint32_t left = work->nr_blocks - work->next_lo;
	int covers;

	if (world->nr_launches + MAX_WORKS >= MAX_LAUNCHES)
		return;
	if (is_gate(work)) {
		if (left)
			launch_work(world, work, 1 + next_random(world, left), 3);
		return;
	}
	covers = random_covers(world, work);
	if (covers >= 0)
		launch_work(world, work, 0, (uint32_t)covers);
}

static void disarm(struct world *world, struct work *work)
{
	/* Less often than owners come back: what is disarmed gives nothing up. */
	if (work->number == work->first || next_random(world, 2))
		return;
	work->header[1] = work->number - PRELUDE_NUMBER_STEP;
	world->counts->nr_disarmed++;
}

static void random_step(struct world *world)
{
	struct work *work = &world->work[next_random(world, world->nr_works)];

	switch (next_random(world, 10)) {
	case 0:
	case 1:
	case 2:
	case 3:
		work->epoch[next_random(world, 2)] += 1 + next_random(world, 3);
		break;
	case 4:
		disarm(world, work);
		break;
	default:
		random_launch(world, work);
		break;
	}
	if (!work->nr_live && is_complete(work))
		work_begin(world, work);
	/* Some things happen before the device has looked at the ones before. */
	if (next_random(world, 2))
		pass_time(world);
}

static void wait_for(struct world *world, const struct work *work)
{
	uint32_t n = 0;

	for (; work->nr_live && n < MAX_ADVANCES && !world->wrong; n++)
		pass_time(world);
	expect(world, !work->nr_live, "a launch does not end");
}

/* Everything of a gate is launched, and a claim once more in peace: now all blocks ran. */
static void finish(struct world *world, struct work *work)
{
	const struct launch *last = &world->launch[world->nr_launches];

	wait_for(world, work);
	if (!is_complete(work)) {
		launch_work(world, work, work->nr_blocks - work->next_lo, 3);
		wait_for(world, work);
		expect(world, !last->report, "a launch reports that was not told to go");
	}
	expect(world, is_complete(work), "blocks of a work never ran");
}

const char *case_run(uint64_t seed, const struct prelude_rule *rule, struct case_counts *counts)
{
	static struct world world;

	memset(&world, 0, sizeof(world));
	world.random = (seed + 1) * 0x9e3779b97f4a7c15ull;
	world.rule = rule;
	world.counts = counts;
	if (world_open(&world))
		return "no device";
	for (unsigned int i = 0; i < NR_STEPS && !world.wrong; i++)
		random_step(&world);
	for (unsigned int i = 0; i < world.nr_works && !world.wrong; i++)
		finish(&world, &world.work[i]);
	expect(&world, !device_nr_hung(world.device), "something hangs");
	expect(&world, !device_check(world.device), "an invariant is broken in the end");
	device_free(world.device);
	return world.wrong;
}
