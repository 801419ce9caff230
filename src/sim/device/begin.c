/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preludes: which blocks of a redirected launch run.
 *
 * Problem: what runs before a kernel is machine code on hardware, and there is none here. Idea: the
 * rule that tools/prelude/prelude.ptx has in instructions, in C, instruction by instruction where
 * another processor may look: the word is read before the flag, and both swaps are swaps. One
 * decision a block stands for those of its warps, which agree.
 *
 * Another launch of the work, in this process or another one, may decide the same word at any time;
 * the words are the only thing shared, so the order of accesses is relaxed, as it is on the device.
 *
 * Tested by tests/unit/sim_prelude_random.c and sim_prelude_race.c.
 */
#include "hw/prelude/prelude.h"
#include "sim/device/internal.h"

static int gate_runs(const struct prelude_slot *slot, uint32_t block)
{
	return block - slot->lo < slot->count;
}

static int is_open(const struct prelude_slot *slot, uint32_t word)
{
	return (word & 1 || word < slot->first) && word != slot->run + 1;
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

static int claim_runs(const struct prelude_slot *slot, uint32_t block)
{
	uint32_t *at = (uint32_t *)(slot->state + (uint64_t)block * slot->stride);
	uint32_t word = __atomic_load_n(at, __ATOMIC_RELAXED);
	uint32_t flag = __atomic_load_n((uint32_t *)slot->flag, __ATOMIC_RELAXED);
	uint32_t mine = flag ? slot->run + 1 : slot->run;

	/* The other launch of this work may give the block up between the load and the swap. */
	if (is_open(slot, word) && !swap(at, &word, mine) && word & 1 && is_open(slot, word))
		(void)swap(at, &word, mine);
	return word == slot->run;
}

static int claim_would_leave(const struct prelude_slot *slot, uint32_t block)
{
	uint32_t *at = (uint32_t *)(slot->state + (uint64_t)block * slot->stride);
	uint32_t word = __atomic_load_n(at, __ATOMIC_RELAXED);

	if (!is_open(slot, word))
		return word != slot->run;
	return __atomic_load_n((uint32_t *)slot->flag, __ATOMIC_RELAXED) != 0;
}

int prelude_would_leave(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	if (program == SIM_PROGRAM_CLAIM)
		return claim_would_leave(slot, block);
	return !prelude_runs(program, slot, block);
}

int prelude_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	switch (program) {
	case SIM_PROGRAM_KERNEL:
		return 1;
	case SIM_PROGRAM_GATE:
		return gate_runs(slot, block);
	case SIM_PROGRAM_CLAIM:
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
