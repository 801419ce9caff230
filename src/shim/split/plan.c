/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what is known of a launch to how it is made.
 *
 * The decision itself is sched/split.h's; here is what it needs: the predictor's time, how many
 * blocks are resident at once (noted when a shape is first seen in its descriptor), what the code
 * reader says, and whether the owners concerned can tell the launch to go. All of it is looked at
 * for launches that are predicted to be long, by the dispatcher; others never get here.
 *
 * A launch that may start before the one in front of it has ended (programmatic dependence) would,
 * once resumed, depend on its own first part instead: split launches are made without that
 * permission.
 *
 * Tested by tests/integration/split.bats.
 */
#include "shim/split/plan.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <lithos/stats.h>

#include "base/clock.h"
#include "hw/qmd.h"
#include "sched/split.h"
#include "shim/link/link.h"
#include "shim/link/share.h"
#include "shim/queue/ops.h"
#include "shim/split/arena.h"
#include "shim/split/claim.h"
#include "shim/split/code.h"
#include "shim/split/code_read.h"
#include "shim/split/epoch.h"
#include "shim/tenant.h"
#include "shim/track/predict_table.h"
#include "shim/track/records.h"

#define SHAPE_KNOWN       1u
#define SHAPE_WHOLE       2u /* not to be split on as many TPCs as the top byte says */
#define SHAPE_CLAIMED     4u /* was claimed the last time, on as many */
#define SHAPE_WIDTH_SHIFT 24u
#define SHAPE_WIDTH       (1u << SHAPE_WIDTH_SHIFT)
#define US_NS             1000u
#define OVERLAP_CC_MAJOR  9 /* programmatic launches: Hopper and later */
/* So long the dispatcher waits for a kernel's code: a borrower's launches in front of it take no
 * longer, mostly. */
#define READ_NS        2000000u
#define FORCED_READ_NS 1000000000u /* the first launch of a kernel is to be split, too */
#define PATIENCE_NS                                                                                \
	100000000u /* so long a launch waits for TPCs that its owner does not have back yet */

enum mode {
	MODE_AUTO,
	MODE_WHOLE,
	MODE_ATOMS,        /* never claimed */
	MODE_CLAIMS,       /* never in atoms */
	MODE_FORCED_ATOMS, /* every launch */
	MODE_FORCED_CUTS,
};

static struct {
	enum mode mode;
	uint32_t nr_atoms;      /* MODE_FORCED_ATOMS */
	int is_always;          /* also where nobody could come back */
	struct split_edit edit; /* of the dispatcher's launch */
	struct epoch_coverage coverage;
	int cover_err;      /* of epoch_cover_lendable() */
	struct work *begun; /* by the launch that is being made */
} plan;

static int number_after(const char *text, const char *word, uint32_t *ret_number)
{
	size_t length = strlen(word);
	char *end;
	unsigned long value;

	if (strncmp(text, word, length) != 0)
		return 0;
	value = strtoul(text + length, &end, 10);
	*ret_number = (uint32_t)value;
	return *end == '\0' && end != text + length && value > 0 && value <= UINT32_MAX;
}

/* "auto", "atoms" or "claims", alone or with ":always". */
static int is_way(const char *text, const char *way)
{
	size_t length = strlen(way);

	if (strncmp(text, way, length) != 0)
		return 0;
	plan.is_always = strcmp(text + length, ":always") == 0;
	return plan.is_always || text[length] == '\0';
}

int plan_read_option(const char *text)
{
	uint32_t number = 0;

	plan.mode = MODE_AUTO;
	if (strcmp(text, "whole") == 0) {
		plan.mode = MODE_WHOLE;
	} else if (is_way(text, "atoms")) {
		plan.mode = MODE_ATOMS;
	} else if (is_way(text, "claims")) {
		plan.mode = MODE_CLAIMS;
	} else if (number_after(text, "atoms:", &number)) {
		plan.mode = MODE_FORCED_ATOMS;
		plan.nr_atoms = number;
	} else if (number_after(text, "preempt:", &number)) {
		plan.mode = MODE_FORCED_CUTS;
		claim_force_cut((uint64_t)number * US_NS);
	} else if (!is_way(text, "auto")) {
		plan.mode = MODE_WHOLE;
		return -1;
	}
	return 0;
}

int plan_is_forced(void)
{
	return plan.mode >= MODE_FORCED_ATOMS;
}

int plan_is_off(void)
{
	return plan.mode == MODE_WHOLE;
}

/* --- shapes ----------------------------------------------------------------------------------- */

/* SHAPE_KNOWN, blocks of an SM << 8, of a cluster << 16; 0 = not known. */
static uint32_t shape_of(uint32_t slot)
{
	return predict_note(slot);
}

static int is_long(const struct thread_state *t)
{
	return t->asked.func && t->asked.predicted_ns >= SPLIT_MIN_NS && plan.mode != MODE_WHOLE &&
	       arena_is_on();
}

static int shape_was(const struct thread_state *t, uint32_t what)
{
	uint32_t shape = shape_of(t->asked.slot);

	return (shape & what) && shape >> SHAPE_WIDTH_SHIFT == t->asked.width;
}

/* What cannot be split on so many TPCs goes as it did before there was splitting. */
int plan_wants(const struct thread_state *t)
{
	return is_long(t) && !shape_was(t, SHAPE_WHOLE);
}

/* How launches of the shape are made, for good or while it has this width. */
static void shape_note_way(const struct thread_state *t, const struct split_plan *chosen)
{
	uint32_t shape = shape_of(t->asked.slot), way = 0, noted;

	if (!t->asked.func || !shape || t->asked.width > UINT8_MAX)
		return;
	if (chosen->way == SPLIT_CLAIMED)
		way = SHAPE_CLAIMED;
	else if (chosen->reason == SPLIT_ONE_WAVE || chosen->reason == SPLIT_GANG)
		way = SHAPE_WHOLE;
	noted = (shape & (SHAPE_WIDTH - 1) & ~(SHAPE_WHOLE | SHAPE_CLAIMED)) | way |
		t->asked.width << SHAPE_WIDTH_SHIFT;
	if (noted != shape)
		predict_set_note(t->asked.slot, noted);
}

int plan_is_revocable(const struct thread_state *t, const struct op *op)
{
	if (plan.mode == MODE_WHOLE || op->atom_blocks)
		return 0;
	return op->work || (is_long(t) && shape_was(t, SHAPE_CLAIMED));
}

int plan_knows_shape(uint32_t slot)
{
	return slot == PREDICT_NO_SLOT || shape_of(slot) != 0;
}

void plan_note_shape(uint32_t slot, CUfunction func, const struct qmd_grid *grid,
		     uint32_t blocks_per_sm)
{
	uint32_t cluster = qmd_grid_cluster_blocks(grid);

	code_note_entry(func, grid->entry);
	predict_set_note(slot, SHAPE_KNOWN | (blocks_per_sm & 0xff) << 8 | (cluster & 0xff) << 16);
}

/* --- deciding --------------------------------------------------------------------------------- */

static struct split_plan whole(enum split_reason reason)
{
	return (struct split_plan){.way = SPLIT_WHOLE, .reason = reason, .nr_atoms = 1};
}

/* Its code is read by copies in the stream that the launch is for. */
static enum code_state code_of(CUfunction func, CUstream stream)
{
	const struct code_reader reader = {
		.prelude = &arena.prelude,
		.buffer = arena.code,
		.buffer_at = arena.code_at,
		.buffer_bytes = ARENA_CODE_BYTES,
		.wait_ns = plan_is_forced() ? FORCED_READ_NS : READ_NS,
		.cc_major = arena.cc_major,
		.cc_minor = arena.cc_minor,
	};
	enum code_state state = code_state_of(func);

	if (state != CODE_STATE_SEEN)
		return state;
	state = code_read(&reader, func, stream);
	if (state != CODE_STATE_SEEN)
		thread_count(STATS_code_read);
	return state;
}

/* Of a launch that the predictor knows to be long. */
static struct split_plan choose_learned(const struct thread_state *t, const struct op *op,
					int may_claim)
{
	uint32_t shape = shape_of(t->asked.slot);
	struct split_input input = {
		.predicted_ns = t->asked.predicted_ns,
		.nr_blocks = op->nr_blocks,
		.nr_resident = (uint64_t)(shape >> 8 & 0xff) * op->device->topo.sms_per_tpc *
			       t->asked.width,
		.granule = shape >> 16 & 0xff,
		.nr_threads = op->nr_threads,
		.may_claim = may_claim && plan.mode != MODE_ATOMS,
		.may_atomize = plan.mode != MODE_CLAIMS,
	};

	return split_choose(&input);
}

static struct split_plan choose_forced(const struct op *op)
{
	if (plan.mode == MODE_FORCED_ATOMS)
		return split_forced_atoms(op->nr_blocks, 1, plan.nr_atoms);
	plan.coverage = (struct epoch_coverage){.tpcs = tpcset_full()};
	return (struct split_plan){.way = SPLIT_CLAIMED, .reason = SPLIT_FORCED, .nr_atoms = 1};
}

/*
 * On own TPCs, and on those of nobody, there is nobody to go for. But a claimed kernel can use TPCs
 * that become free while it runs.
 */
static struct split_plan choose_unasked(struct thread_state *t, const struct op *op)
{
	struct tpcset has = plan.coverage.tpcs, reach = share_reach(t);
	struct tpcset more = tpcset_andnot(reach, has);
	struct split_plan chosen;

	if (!claim_gain_ns(t->asked.predicted_ns, &has, &more))
		return whole(SPLIT_NOT_ASKED);
	chosen = choose_learned(t, op, 1);
	return chosen.way == SPLIT_CLAIMED && chosen.reason != SPLIT_ONE_WAVE
		       ? chosen
		       : whole(SPLIT_NOT_ASKED);
}

static struct split_plan choose_free(struct thread_state *t, const struct op *op)
{
	if (plan_is_forced())
		return choose_forced(op);
	if (!plan.cover_err && !plan.coverage.nr && !plan.is_always)
		return choose_unasked(t, op);
	return choose_learned(t, op, plan.cover_err == 0);
}

static struct split_plan choose(struct thread_state *t, const struct op *op, CUstream stream)
{
	struct context *context = tenant_context_of(t, op->ctx);

	if (plan.mode == MODE_WHOLE || !op->func)
		return whole(SPLIT_NOT_ASKED);
	if (!context || !arena_serves(context) || !op->device)
		return whole(SPLIT_NO_PRELUDE);
	if (op->min_tpcs)
		return whole(SPLIT_COOPERATIVE);
	if (!plan_is_forced() && !is_long(t))
		return whole(t->asked.func && t->asked.predicted_ns ? SPLIT_SHORT
								    : SPLIT_UNPREDICTED);
	if (!arena_is_ready())
		return whole(SPLIT_NO_PRELUDE);
	switch (code_of(op->func, stream)) {
	case CODE_STATE_FREE:
		return choose_free(t, op);
	case CODE_STATE_GANG:
		return whole(SPLIT_GANG);
	case CODE_STATE_UNSEEN:
		/* Entries are forgotten with modules: this launch's descriptor tells it again. */
		if (t->asked.func)
			predict_set_note(t->asked.slot, 0);
		return whole(SPLIT_UNREAD);
	default:
		return whole(SPLIT_UNREAD);
	}
}

/* --- making launches -------------------------------------------------------------------------- */

uint64_t plan_predict(struct thread_state *t, const struct op *op)
{
	uint64_t predicted = predict_of(t, op->func, op->nr_blocks, op->nr_threads, op->path);

	if (op->work)
		return claim_left_ns(op->work);
	if (op->atom_blocks)
		return predicted * op->atom_blocks / op->nr_blocks;
	return predicted;
}

static void explain(struct thread_state *t, const struct split_plan *chosen)
{
	t->way_reason = stats_way_pack(chosen->way, chosen->reason,
				       chosen->way == SPLIT_ATOMS ? chosen->nr_atoms : 0);
	t->block_us = (uint32_t)(chosen->block_ns / US_NS);
}

/* Of a last atom that is shorter than the others, the time would be stretched too far to mean
 * much. */
static uint32_t whole_64ths(const struct op *op, uint64_t count)
{
	uint64_t nr = op->nr_blocks * 64 / count;

	return count == op->atom_blocks && nr <= NOTE_MOST_64THS ? (uint32_t)nr : 0;
}

/*
 * Atoms overlap, but for the last: it begins when all others have ended. So what comes behind it
 * needs to wait for it alone, also when the program lets that begin early, and its record is the
 * kernel's end.
 */
static enum plan_next atom_begin(struct thread_state *t, struct op *op)
{
	uint64_t left = op->nr_blocks - op->next_block;
	uint64_t count = left < op->atom_blocks ? left : op->atom_blocks;
	int may_overlap = op->device->cc_major >= OVERLAP_CC_MAJOR;
	uint32_t run = arena_take_run();

	if (run == ARENA_RUNS)
		return PLAN_LATER;
	plan.edit = (struct split_edit){
		.kind = PRELUDE_GATE,
		.run = run,
		.is_part = op->next_block != 0,
		.whole_64ths = whole_64ths(op, count),
		.overlaps = may_overlap && op->next_block != 0 && left > count,
		.lets_next = may_overlap && left - count > op->atom_blocks,
		.slot = {.lo = (uint32_t)op->next_block, .count = (uint32_t)count},
	};
	t->split = &plan.edit;
	thread_count(STATS_atoms_launched);
	return PLAN_DONE;
}

static enum plan_next first_begin(struct thread_state *t, struct op *op, CUstream stream)
{
	struct split_plan chosen = choose(t, op, stream);

	if (chosen.way == SPLIT_CLAIMED) {
		op->work = claim_begin(op, &plan.coverage, op->nr_blocks,
				       chosen.reason == SPLIT_ONE_WAVE, &plan.edit);
		t->split = op->work ? &plan.edit : NULL;
		plan.begun = op->work;
		if (!op->work)
			chosen = whole(SPLIT_NO_ROOM);
	} else if (chosen.way == SPLIT_ATOMS) {
		op->atom_blocks = chosen.blocks_per_atom;
		if (atom_begin(t, op) == PLAN_LATER) {
			op->atom_blocks = 0;
			/* Runs come free with each completion. */
			return PLAN_LATER;
		}
	}
	shape_note_way(t, &chosen);
	explain(t, &chosen);
	return PLAN_DONE;
}

/*
 * With more owners than words by now, the rest runs as any other launch does: to its end. It must
 * run somewhere.
 */
static enum plan_next resume_begin(struct thread_state *t, struct op *op)
{
	if (plan_is_forced() || plan.cover_err)
		plan.coverage = (struct epoch_coverage){.tpcs = tpcset_full()};
	if (claim_resume(op->work, &plan.coverage, &plan.edit))
		return PLAN_LATER;
	t->split = &plan.edit;
	thread_count(STATS_works_resumed);
	return PLAN_DONE;
}

/*
 * Looks for covers where the launch may be claimed. 1 when every TPC that it was let go for has
 * been taken back meanwhile, by owners that it could not be told by: but not for ever, as the owner
 * may wait for it.
 */
static int is_too_soon(struct thread_state *t, const struct op *op)
{
	plan.cover_err = 0;
	if (plan_is_forced() || !share_is_on() || (!op->work && !is_long(t)))
		return 0;
	plan.cover_err = epoch_cover_lendable(t, NULL, &plan.coverage);
	return plan.cover_err == -EAGAIN && clock_now_ns() - op->held_ns < PATIENCE_NS;
}

enum plan_next plan_begin(struct thread_state *t, struct op *op, CUstream stream)
{
	uint64_t predicted_ns = share_is_on() && op->func ? plan_predict(t, op) : 0;
	enum plan_next next;

	t->split = NULL;
	t->way_reason = 0;
	plan.begun = NULL;
	if (is_too_soon(t, op))
		return PLAN_LATER;
	if (op->work)
		next = resume_begin(t, op);
	else
		next = op->atom_blocks ? atom_begin(t, op) : first_begin(t, op, stream);
	/* An atom's is known only now that there are atoms. */
	if (t->split)
		t->split->charge_ns =
			op->atom_blocks && share_is_on() ? plan_predict(t, op) : predicted_ns;
	return next;
}

static enum plan_next atom_end(struct op *op)
{
	if (plan.edit.result != EDIT_APPLIED) {
		arena_give_run(plan.edit.run);
		/* The first one ran whole. */
		return plan.edit.is_part ? PLAN_LATER : PLAN_DONE;
	}
	arena_forget_run(plan.edit.run);
	op->next_block += plan.edit.slot.count;
	return op->next_block < op->nr_blocks ? PLAN_AGAIN : PLAN_DONE;
}

static enum plan_next claim_end(struct op *op)
{
	claim_launched(op->work, &plan.edit, clock_now_ns(), plan.edit.charge_ns);
	switch (plan.edit.result) {
	case EDIT_APPLIED:
		if (!plan.edit.is_part)
			thread_count(STATS_works_claimed);
		return PLAN_STAYS;
	case EDIT_EMPTIED:
		return PLAN_LATER;
	case EDIT_UNSEEN:
	case EDIT_REFUSED:
	default:
		claim_abandon(op->work);
		op->work = NULL;
		return PLAN_DONE;
	}
}

/* The driver refused the launch: the operation is over, and the program is told at its next
 * call. */
static enum plan_next failed(struct op *op)
{
	arena_give_run(plan.edit.run);
	if (op->work)
		claim_abandon(op->work);
	op->work = NULL;
	return PLAN_DONE;
}

enum plan_next plan_end(struct thread_state *t, struct op *op, CUresult result)
{
	int was_split = t->split != NULL;

	t->split = NULL;
	t->way_reason = 0;
	if (!was_split)
		return PLAN_DONE;
	if (result != CUDA_SUCCESS)
		return failed(op);
	if (plan.edit.result == EDIT_REFUSED || plan.edit.result == EDIT_UNSEEN)
		thread_count(STATS_split_refused);
	return op->work ? claim_end(op) : atom_end(op);
}

void plan_mark(CUstream stream)
{
	if (plan.begun)
		claim_mark(plan.begun, stream);
	plan.begun = NULL;
}

int plan_help_begin(struct thread_state *t, struct op *op, enum claim_help help,
		    CUstream *ret_stream)
{
	int err = claim_help(op->work, help, &plan.edit, ret_stream);

	if (err)
		return err;
	if (help == HELP_RESCUE)
		code_is_gang(op->func);
	t->split = &plan.edit;
	/* It leaves when its owner returns, and it was made for what is lent. */
	t->may_borrow = help == HELP_GROW;
	return 0;
}

void plan_help_end(struct thread_state *t, struct op *op, CUresult result)
{
	int is_rescue = plan.edit.is_everywhere;

	t->split = NULL;
	if (result != CUDA_SUCCESS) {
		arena_give_run(plan.edit.run);
		return;
	}
	if (plan.edit.result == EDIT_APPLIED)
		thread_count(is_rescue ? STATS_works_helped : STATS_works_grown);
	claim_launched(op->work, &plan.edit, clock_now_ns(), 0);
}
