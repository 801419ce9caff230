/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preludes: which blocks of a redirected launch run.
 *
 * Problem: what runs before a kernel is machine code on hardware, and there is none here. Idea: the
 * rule that tools/prelude/prelude.ptx has in instructions, in C, with the same accesses where
 * another processor may look: swaps are swaps, and the report comes after them. One decision a
 * block stands for those of its warps, which agree.
 *
 * Another launch of the work, in this process or another one, may decide the same word at any time;
 * the words are the only thing shared, so the order of accesses is relaxed, as it is on the device.
 *
 * Tested by tests/unit/sim_prelude_random.c and sim_prelude_race.c, and against the PTX, whose
 * every order of accesses is gone through, by tests/unit/prelude/test_claims.py.
 */
#include "hw/prelude/prelude.h"
#include "sim/device/internal.h"

static int gate_runs(const struct prelude_slot *slot, uint32_t block)
{
	return block - slot->lo < slot->count;
}

/* A launch that is on the device, as this one, has given the block up. */
static int is_mark(const struct prelude_slot *slot, uint32_t word)
{
	return word & 1 && word >= slot->lead;
}

/* This launch has: the lead says so by a bit of its own, a helper by its number. */
static int is_mine(const struct prelude_slot *slot, uint32_t word)
{
	if (!is_mark(slot, word))
		return 0;
	return slot->run == slot->lead ? (word & 3) == 3 : (word & ~2u) == (slot->run | 1);
}

static int is_open(const struct prelude_slot *slot, uint32_t word)
{
	return (word & 1 || word < slot->first) && !is_mine(slot, word);
}

/* The word that says that this launch has given the block up too. */
static uint32_t mark_of(const struct prelude_slot *slot, uint32_t word)
{
	int joins = is_mark(slot, word);

	if (slot->run == slot->lead)
		return (joins ? word : slot->run) | 3;
	return slot->run | 1 | (joins ? word & 2 : 0);
}

/* Whether the word's swap from what it was took place; what it is now. */
static int swap(uint32_t *at, uint32_t *word, uint32_t mine)
{
	uint32_t seen = *word;

	if (!__atomic_compare_exchange_n(at, &seen, mine, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
		*word = seen;
		return 0;
	}
	*word = mine;
	return 1;
}

static uint32_t load(uint64_t address)
{
	return __atomic_load_n((const uint32_t *)address, __ATOMIC_RELAXED);
}

static int is_to_go(const struct prelude_slot *slot)
{
	const int32_t moved[2] = {(int32_t)(load(slot->flag[0]) - slot->calm[0]),
				  (int32_t)(load(slot->flag[1]) - slot->calm[1])};

	return (moved[0] > 0 || moved[1] > 0) && load(slot->state - 4) < slot->run;
}

/* The first block that is given up says so; a second launch of the work may make it say so
 * again. */
static void report(const struct prelude_slot *slot)
{
	if (load(slot->state - 8) == slot->run)
		return;
	__atomic_store_n((uint32_t *)(slot->state - 8), slot->run, __ATOMIC_RELAXED);
	__atomic_store_n((uint32_t *)slot->report, slot->run, __ATOMIC_RELAXED);
}

static int claim_runs(const struct prelude_slot *slot, uint32_t block)
{
	uint32_t *at = (uint32_t *)(slot->state + (uint64_t)block * sizeof(uint32_t));
	uint32_t word = __atomic_load_n(at, __ATOMIC_RELAXED);
	int goes = is_to_go(slot);

	/* Another launch of this work may give the block up between the load and the swap. */
	while (is_open(slot, word) && !swap(at, &word, goes ? mark_of(slot, word) : slot->run) &&
	       word & 1)
		;
	if (is_mine(slot, word))
		report(slot);
	return word == slot->run;
}

static int claim_would_leave(const struct prelude_slot *slot, uint32_t block)
{
	uint32_t word = load(slot->state + (uint64_t)block * sizeof(uint32_t));

	return is_open(slot, word) ? is_to_go(slot) : word != slot->run;
}

int program_is_claim(enum sim_program program)
{
	return program == SIM_PROGRAM_CLAIM || program == SIM_PROGRAM_CLAIM_CLUSTER;
}

int prelude_would_leave(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	if (program_is_claim(program))
		return claim_would_leave(slot, block);
	return !prelude_runs(program, slot, block);
}

int prelude_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	switch (program) {
	case SIM_PROGRAM_KERNEL:
		return 1;
	case SIM_PROGRAM_GATE:
	case SIM_PROGRAM_GATE_CLUSTER:
		return gate_runs(slot, block);
	case SIM_PROGRAM_CLAIM:
	case SIM_PROGRAM_CLAIM_CLUSTER:
		return claim_runs(slot, block);
	case SIM_PROGRAM_NONE:
	default:
		return 0;
	}
}

int block_leaves(const struct sim_leavers *leavers, uint64_t block)
{
	uint64_t i = block - leavers->first;

	return block >= leavers->first && i < leavers->nr && leavers->bits[i / 8] >> (i % 8) & 1;
}

/* The same for a gang that is not complete: its blocks have no ends yet. */
static uint64_t gang_leave(struct sim_grid *grid, const struct sim_leavers *leavers)
{
	struct sim_group *group = grid->queue->group;
	uint64_t nr = 0;

	for (uint64_t i = 0; i < grid->nr_placed; i++) {
		if (grid->gang_sm[i] == SIM_NO_SM || !block_leaves(leavers, i))
			continue;
		group->sm[grid->gang_sm[i]].free += grid->share;
		group->nr_resident--;
		grid->gang_sm[i] = SIM_NO_SM;
		nr++;
	}
	return nr;
}

void device_blocks_leave(struct sim_device *device, struct sim_queue *queue,
			 const struct sim_leavers *leavers)
{
	struct sim_grid *grid = queue->head ? queue->head->grid : NULL;
	uint64_t nr;

	if (!grid || !grid->started || grid->hang_reason)
		return;
	nr = grid->is_gang && !grid->gang_runs ? gang_leave(grid, leavers)
					       : heap_leave(device, grid, leavers);
	grid->nr_done += nr;
	grid->nr_left += nr;
	if (leavers->until > grid->nr_to_leave)
		grid->nr_to_leave = leavers->until;
	device->dirty = 1;
	(void)grid_settle(device, grid);
}
