/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving blocks to SMs.
 *
 * Grids are served by priority, then by start; each takes what it can before the next is asked,
 * block by block, so a grid of higher priority gets every slot that frees up, and nothing that runs
 * is taken away. Blocks spread before they stack: a block goes to the allowed SM with most room,
 * ties in turn; a cluster to that many different SMs of the GPC where the fullest of them has most
 * room.
 *
 * What it does badly: room on an SM is one number (a block of a grid that fits n times takes 1/n),
 * so two grids limited by different resources share an SM less well than on hardware. A cooperative
 * grid that waits for room lets later grids overtake it; hardware keeps the room (hardware.md, 9).
 * Only the group whose turn it is is served.
 *
 * A block of a redirected launch decides when it has room whether it runs (begin_block). One that
 * leaves gives the room back at once; the launch goes on after the leavers' issue time, 100 ns of
 * them at a time, so flags and words are read when a block begins to within that. A claimed gang of
 * which some blocks leave waits for them for ever: no second launch joins its barrier.
 */
#include "sim/device/internal.h"

#include <stdlib.h>

/* Blocks that leave are looked at in groups that take this long. */
#define LEAVE_CHUNK_PS 100000u

int sm_is_allowed(const struct sim_device *device, const struct sim_grid *grid, uint32_t smid)
{
	return tpcset_has(&grid->allowed, device->chip.bit_of_sm[smid]);
}

static uint32_t free_on(const struct sim_grid *grid, uint32_t smid)
{
	return grid->queue->group->sm[smid].free;
}

static int sm_has_room(const struct sim_device *device, const struct sim_grid *grid, uint32_t smid)
{
	return free_on(grid, smid) >= grid->share && sm_is_allowed(device, grid, smid);
}

static void put_block(struct sim_device *device, struct sim_grid *grid, uint32_t smid)
{
	grid->queue->group->sm[smid].free -= grid->share;
	grid->queue->group->nr_resident++;
	tpcset_add(&grid->used, device->chip.bit_of_sm[smid]);
	grid->sms_used[smid / 32] |= 1u << (smid % 32);
	if (grid->is_gang) {
		grid->gang_sm[grid->nr_placed++] = (uint16_t)smid;
		return;
	}
	heap_push(device, &(struct sim_event){.at_ns = device->now_ns + grid->cost_ns,
					      .grid = grid,
					      .block = grid->nr_placed++,
					      .smid = smid});
}

/* Blocks that left take time: the grid begins no other before it has passed. */
static void spend_leave_time(struct sim_device *device, struct sim_grid *grid)
{
	grid->is_issuing = 1;
	heap_push(device, &(struct sim_event){.at_ns = device->now_ns + grid->leave_ps / 1000 + 1,
					      .queue = grid->queue,
					      .issuing = grid});
	grid->leave_ps = 0;
}

static void leave_block(struct sim_grid *grid)
{
	const uint32_t *dim = grid->info.block;

	if (grid->is_gang)
		grid->gang_sm[grid->nr_placed] = SIM_NO_SM;
	grid->nr_placed++;
	grid->nr_done++;
	grid->nr_left++;
	grid->leave_ps +=
		dim[0] * dim[1] * dim[2] < SIM_BIG_THREADS ? SIM_LEAVE_PS : SIM_LEAVE_BIG_PS;
}

/* Whether the next block runs, decided now that there is room for it. */
static int next_runs(const struct sim_device *device, const struct sim_grid *grid)
{
	const struct sim_device_ops *ops = &device->config.ops;
	uint32_t index[3];

	if (grid->program == SIM_PROGRAM_KERNEL)
		return 1;
	if (grid->nr_placed < grid->nr_to_leave)
		return 0;
	if (!ops->begin_block)
		return 1;
	grid_block_index(grid, grid->nr_placed, index);
	return ops->begin_block(ops->user, grid, index);
}

static void begin_block(struct sim_device *device, struct sim_grid *grid, uint32_t smid)
{
	if (!grid->nr_placed)
		grid->first_ns = device->now_ns;
	if (next_runs(device, grid))
		put_block(device, grid, smid);
	else
		leave_block(grid);
}

/* -1 when no allowed SM has room. */
static int find_sm(const struct sim_device *device, const struct sim_grid *grid)
{
	struct sim_group *group = grid->queue->group;
	const uint32_t nr_sms = device->chip.nr_sms;
	uint32_t most = grid->share - 1; /* what the best one has */
	int best = -1;

	/* Asked for every block, so what most SMs fail at comes first. */
	for (uint32_t i = 0; i < nr_sms && most < SM_SHARES; i++) {
		uint32_t at = group->next_sm + i;
		uint32_t sm = at < nr_sms ? at : at - nr_sms;

		if (group->sm[sm].free <= most || !sm_is_allowed(device, grid, sm))
			continue;
		best = (int)sm;
		most = group->sm[sm].free;
	}
	if (best >= 0)
		group->next_sm = ((uint32_t)best + 1) % nr_sms;
	return best;
}

/* SMs of one GPC that have room for a block, those with most room first. */
struct gpc_room {
	uint32_t nr;
	uint16_t sm[CHIP_MAX_SMS_PER_GPC];
};

static void gpc_add(const struct sim_grid *grid, struct gpc_room *gpc, uint32_t smid)
{
	uint32_t at = gpc->nr++;

	for (; at && free_on(grid, gpc->sm[at - 1]) < free_on(grid, smid); at--)
		gpc->sm[at] = gpc->sm[at - 1];
	gpc->sm[at] = (uint16_t)smid;
}

/* Whether a cluster of n lies better in `gpc`: on the SM that has least room, and in all. */
static int gpc_is_better(const struct sim_grid *grid, const struct gpc_room *gpc,
			 const struct gpc_room *best, uint32_t n)
{
	uint32_t mine = free_on(grid, gpc->sm[n - 1]);
	uint32_t other = free_on(grid, best->sm[n - 1]);

	return mine > other || (mine == other && gpc->nr > best->nr);
}

/* 0 when no GPC has room for a whole cluster. */
static int place_cluster(struct sim_device *device, struct sim_grid *grid)
{
	const uint32_t n = grid->cluster_blocks;
	struct gpc_room room[CHIP_MAX_GPCS] = {0};
	const struct gpc_room *best = NULL;

	for (uint32_t sm = 0; sm < device->chip.nr_sms; sm++) {
		if (sm_has_room(device, grid, sm))
			gpc_add(grid, &room[device->chip.gpc_of_sm[sm]], sm);
	}
	for (uint32_t i = 0; i < device->chip.nr_gpcs; i++) {
		if (room[i].nr >= n && (!best || gpc_is_better(grid, &room[i], best, n)))
			best = &room[i];
	}
	if (!best)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		begin_block(device, grid, best->sm[i]);
	return 1;
}

static int place_one(struct sim_device *device, struct sim_grid *grid)
{
	int sm;

	if (grid->cluster_blocks > 1)
		return place_cluster(device, grid);
	sm = find_sm(device, grid);
	if (sm < 0)
		return 0;
	begin_block(device, grid, (uint32_t)sm);
	return 1;
}

/* Room for every block of the grid at this moment. */
static int has_room_for_all(const struct sim_device *device, const struct sim_grid *grid)
{
	uint64_t room[CHIP_MAX_GPCS] = {0};
	uint64_t total = 0;

	for (uint32_t sm = 0; sm < device->chip.nr_sms; sm++) {
		if (sm_is_allowed(device, grid, sm))
			room[device->chip.gpc_of_sm[sm]] += free_on(grid, sm) / grid->share;
	}
	for (uint32_t gpc = 0; gpc < device->chip.nr_gpcs; gpc++)
		total += room[gpc] / grid->cluster_blocks * grid->cluster_blocks;
	return total >= grid->nr_blocks;
}

/* All blocks of a gang are there: the barrier opens and each block ends after its time. */
static void start_gang(struct sim_device *device, struct sim_grid *grid)
{
	grid->gang_runs = 1;
	for (uint64_t i = 0; i < grid->nr_blocks; i++) {
		if (grid->gang_sm[i] == SIM_NO_SM)
			continue;
		heap_push(device, &(struct sim_event){.at_ns = device->now_ns + grid->cost_ns,
						      .grid = grid,
						      .block = i,
						      .smid = grid->gang_sm[i]});
	}
}

/* Every block of a gang has begun or left. A barrier waits for those that left, too. */
static void gang_is_placed(struct sim_device *device, struct sim_grid *grid)
{
	if (grid->nr_left && grid->nr_left < grid->nr_blocks)
		grid_hang(device, grid, "blocks-left-gang");
	else
		start_gang(device, grid);
}

static void place_grid(struct sim_device *device, struct sim_grid *grid)
{
	if (grid->all_at_once && !grid->hang_reason && !grid->nr_placed &&
	    !has_room_for_all(device, grid))
		return;
	while (grid->nr_placed < grid->nr_blocks && !grid->is_issuing) {
		if (!place_one(device, grid))
			break;
		if (grid->leave_ps >= LEAVE_CHUNK_PS)
			spend_leave_time(device, grid);
	}
	if (grid->nr_placed < grid->nr_blocks || grid->hang_reason)
		return;
	if (grid->is_gang && !grid->gang_runs)
		gang_is_placed(device, grid);
	/* The next grid of the queue may begin. */
	if (grid->pre_exits)
		device->dirty = 1;
	/* The end of a grid is an event, so that it is nobody's call that frees it. */
	if (grid->nr_done == grid->nr_blocks && !grid->is_issuing)
		spend_leave_time(device, grid);
}

void place_blocks(struct sim_device *device)
{
	struct sim_grid **link;

	slice_update(device);
	for (link = &device->running->active; *link;) {
		struct sim_grid *grid = *link;

		place_grid(device, grid);
		/* A hung gang has taken what it can get; it keeps that and asks for no more. */
		if (grid->nr_placed == grid->nr_blocks || grid->hang_reason)
			*link = grid->next_active;
		else
			link = &grid->next_active;
	}
}
