/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole, in atoms, or claimed.
 *
 * An owner who comes back waits for what a borrower has on its TPCs. A claimed kernel lets it wait
 * for one block, a kernel in atoms for one atom, a whole one to its end. What that costs the
 * borrower was measured on an H100:
 *   claim   0.62 us a block and 0.9 ns a thread (each warp decides for itself), where blocks are
 *           bound by latency: at blocks of 20 us, 3.3 % with 64 threads, 4.3 % with 256, 6.6 % with
 *           1,024; a fifth of it where others hide it. 4 % of such a kernel are spent: blocks of 17
 *           us and more are claimed with 64 threads, of 21 us with 256, of 38 us with 1,024.
 *   atoms   a kernel of 50 waves took 1,049 us whole and 1,161 us in 10 atoms: 12 us for each atom
 *           more, because the last wave of an atom leaves TPCs idle. At most 3 % are spent, so at
 *           most one atom for each 400 us of the kernel; and atoms are whole waves, as every part
 *           of a wave takes as long as a whole one. The blocks in front of an atom pass its gate in
 *           vain, 0.6 ns each (1.5 with 1,024 threads): of n atoms over N blocks, N (n - 1) / 2 in
 *           all.
 *   leaving blocks that were told to go come one after the other, 1.07 ns each, and the owner's
 *           have to wait for them (H200, measured 2026-11-29; 0.1 ms at 10^5).
 *           Kernels of more than leave in 50 us are not claimed. A kernel of 158,400 blocks of 50
 *           us beside requests every 2 ms kept the owner waiting longer claimed than in atoms, and
 *           got less done (measured 2026-11-23).
 * A kernel of one wave cannot be cut once it runs, but while it waits for the kernel in front of
 * it: claimed, it leaves then, and so may be given to the driver early without an owner having to
 * wait for two.
 *
 * Example: 1,000 blocks, 132 resident, 2 ms. 8 waves, so blocks of 250 us: claimed. If claims are
 * out of the question: 4 atoms by the target of 500 us, 5 by the cost; so 4 atoms of 2 waves, 264
 * blocks, the last of 208. A million blocks of 1 us, 500 resident, 2 ms: the budget of 60 us does
 * not pay for the 300 us that one cut costs, so whole. 10^5 blocks of 50 us, 30 ms: 900 us pay for
 * 22 atoms at 42 us.
 *
 * What it does badly: the time of a block is that of a wave, so kernels whose blocks differ much
 * are judged by the mean; the costs are those of one GPU.
 *
 * Tested by tests/unit/split_choose.c.
 */
#include "sched/split.h"

#include "base/divide.h"

#define CLAIM_NS                  620u /* a block, and its threads */
#define CLAIM_THREADS_NS(threads) ((threads)*9u / 10u)
#define CLAIM_PER_MILLE           40u
#define ATOM_NS                   12000u
#define ATOM_PER_HUNDRED          3u
#define EMPTY_PS(threads)         ((threads) < 1024 ? 600u : 1500u)
#define LEAVE_PS                  1070u
#define GRANULE(blocks)           ((blocks) > 1 ? (blocks) : 1)

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static struct split_plan whole(const struct split_input *input, enum split_reason reason)
{
	return (struct split_plan){
		.way = SPLIT_WHOLE,
		.reason = reason,
		.nr_atoms = 1,
		.blocks_per_atom = input->nr_blocks,
	};
}

/* Blocks that begin together: only whole clusters do. 0 = unknown. */
static uint64_t wave_of(const struct split_input *input)
{
	uint64_t granule = GRANULE(input->granule);

	if (input->nr_resident && input->nr_resident < granule)
		return granule;
	return input->nr_resident - input->nr_resident % granule;
}

/* Shorter blocks cost more to claim than is spent. */
static uint64_t least_claimed_ns(const struct split_input *input)
{
	return (CLAIM_NS + CLAIM_THREADS_NS((uint64_t)input->nr_threads)) * 1000 / CLAIM_PER_MILLE;
}

static int leaves_soon(const struct split_input *input)
{
	return input->nr_blocks <= SPLIT_LEAVE_NS * 1000 / LEAVE_PS;
}

/* So many atoms the budget pays for: n launches, and n - 1 times half of all blocks in vain. */
static uint64_t most_atoms(const struct split_input *input)
{
	uint64_t budget_ns = input->predicted_ns * ATOM_PER_HUNDRED / 100;
	uint64_t half_ns = input->nr_blocks * EMPTY_PS(input->nr_threads) / 2000;

	return smaller((budget_ns + half_ns) / (ATOM_NS + half_ns), SPLIT_MAX_ATOMS);
}

/* Turns a plan of whole into one of atoms, where two or more are worth their cost. */
static void cut_into_atoms(struct split_plan *plan, const struct split_input *input, uint64_t wave)
{
	uint64_t target_ns = input->target_ns ? input->target_ns : SPLIT_TARGET_NS;
	uint64_t nr_waves = divide_up(input->nr_blocks, wave);
	uint64_t nr = smaller(divide_up(input->predicted_ns, target_ns), most_atoms(input));

	if (nr < 2)
		return;

	/* Rounded up: fewer atoms than asked for rather than more than are paid for. */
	uint64_t per_atom = divide_up(nr_waves, nr) * wave;

	plan->way = SPLIT_ATOMS;
	plan->blocks_per_atom = per_atom;
	plan->nr_atoms = (uint32_t)divide_up(input->nr_blocks, per_atom);
}

static struct split_plan one_wave(const struct split_input *input, uint64_t wave)
{
	struct split_plan plan = whole(input, SPLIT_ONE_WAVE);

	plan.block_ns = wave ? input->predicted_ns : 0;
	if (wave && input->may_claim)
		plan.way = SPLIT_CLAIMED;
	return plan;
}

/* Why a kernel of several waves is not claimed; SPLIT_LONG: it is. */
static enum split_reason against_claiming(const struct split_input *input, uint64_t block_ns)
{
	if (block_ns < least_claimed_ns(input))
		return SPLIT_CHEAP_BLOCKS;
	if (!leaves_soon(input))
		return SPLIT_MANY_BLOCKS;
	return input->may_claim ? SPLIT_LONG : SPLIT_MANY_OWNERS;
}

struct split_plan split_choose(const struct split_input *input)
{
	uint64_t target_ns = input->target_ns ? input->target_ns : SPLIT_TARGET_NS;
	uint64_t wave = wave_of(input);
	struct split_plan plan = whole(input, SPLIT_UNPREDICTED);

	if (!input->predicted_ns || !input->nr_blocks)
		return plan;
	if (input->predicted_ns < SPLIT_MIN_NS)
		return whole(input, SPLIT_SHORT);
	if (!wave || wave >= input->nr_blocks)
		return one_wave(input, wave);
	plan.block_ns = input->predicted_ns / divide_up(input->nr_blocks, wave);
	plan.reason = against_claiming(input, plan.block_ns);
	if (plan.reason == SPLIT_LONG) {
		plan.way = SPLIT_CLAIMED;
		if (plan.block_ns > target_ns)
			plan.reason = SPLIT_LONG_BLOCKS;
	} else if (input->may_atomize) {
		cut_into_atoms(&plan, input, wave);
	}
	return plan;
}

struct split_plan split_forced_atoms(uint64_t nr_blocks, uint32_t granule, uint32_t nr_atoms)
{
	uint64_t unit = GRANULE(granule);
	uint64_t nr_units = divide_up(nr_blocks, unit);
	uint64_t nr = smaller(nr_units, nr_atoms);
	struct split_plan plan = {
		.way = SPLIT_WHOLE,
		.reason = SPLIT_FORCED,
		.nr_atoms = 1,
		.blocks_per_atom = nr_blocks,
	};

	if (nr < 2)
		return plan;
	plan.way = SPLIT_ATOMS;
	plan.blocks_per_atom = divide_up(nr_units, nr) * unit;
	plan.nr_atoms = (uint32_t)divide_up(nr_blocks, plan.blocks_per_atom);
	return plan;
}

const char *split_way_name(enum split_way way)
{
	static const char *const names[SPLIT_NR_WAYS] = {
		[SPLIT_WHOLE] = "whole",
		[SPLIT_ATOMS] = "atoms",
		[SPLIT_CLAIMED] = "claimed",
	};

	return names[way];
}

const char *split_reason_text(enum split_reason reason)
{
	static const char *const texts[SPLIT_NR_REASONS] = {
		[SPLIT_NOT_ASKED] =
			"not asked for: on TPCs of its own, or the option split is whole",
		[SPLIT_UNPREDICTED] = "not predicted: its time is not known yet",
		[SPLIT_SHORT] = "short: it ends before splitting pays",
		[SPLIT_ONE_WAVE] = "one wave: can leave only until it begins",
		[SPLIT_COOPERATIVE] = "cooperative: launched as a gang",
		[SPLIT_GANG] = "gang: its blocks wait for one another",
		[SPLIT_UNREAD] = "unread: its code is not read yet or cannot be followed",
		[SPLIT_NO_PRELUDE] = "no prelude: this GPU, descriptor or kernel cannot have one",
		[SPLIT_NO_ROOM] = "no room: too many blocks, or all slots are in use",
		[SPLIT_CHEAP_BLOCKS] = "cheap blocks: claiming them would cost too much",
		[SPLIT_MANY_OWNERS] = "many owners: more than a launch can be told to go by",
		[SPLIT_LONG_BLOCKS] = "long blocks: an owner waits for one of them",
		[SPLIT_LONG] = "long: it runs longer than an owner should wait",
		[SPLIT_MANY_BLOCKS] = "many blocks: they would be too long in leaving",
		[SPLIT_FORCED] = "forced: the option split says so",
	};

	return texts[reason];
}
