/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a claimed launch.
 *
 * A work has up to two launches on the GPU at a time, its own and a helper. It is complete when all of
 * them have ended and one ended without a report: that one met every block, and each block was run by it
 * or had been claimed by the other. If all reported, blocks are left, and the operation goes again.
 *
 * Commit. When little is left of it and something waits behind it, the work is disarmed: launches up to
 * the latest number are not told any more. Only if no owner had raised its epoch by the time that this
 * took effect (epoch.h) may the next operation go; else the record decides.
 *
 * A work of one wave is committed as soon as it is known to have begun: from then on it cannot be cut.
 *
 * Extents of words are taken in turn around the arena; works end in almost the same order, so the place
 * after the newest extent is free unless the arena is full.
 *
 * A committed work that reports all the same was told by an owner that broke the order of epoch.h. Its
 * successors may have run on half of its results: it is said once, as an error of the neighbour.
 *
 * What it does badly: with thousands of short claimed launches at once it would run out of works; those
 * are launched whole. Tested by tests/integration/split.bats, and with every launch cut by
 * tests/torture/order.
 */
#include "shim/split/claim.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "shim/queue/ops.h"
#include "shim/split/arena.h"
#include "shim/thread.h"

#define COMMIT_LEAD_NS  250000u /* so early before its end a work is committed */
#define HELP_AFTER_NS   100000000u
#define HELP_FACTOR     10u
#define EXTENT_ALIGN    32u /* words: a cache line */
#define HEADER_WORDS    (PRELUDE_HEADER_BYTES / 4)
#define OWN_EPOCH_AT    ((size_t)64)  /* raised by the option `split=preempt` alone */
#define HELPER_EPOCH_AT ((size_t)128) /* a word that nobody raises */
#define MAX_RUNS        2u
#define CUT_AT_ONCE_NS  1000u
#define CUT_QUIET_NS    5000ull

struct work {
	struct op *op; /* gone once the work is committed */
	struct epoch_coverage coverage;
	uint32_t extent_at, extent_words; /* of the arena's words, header included */
	uint32_t first;                   /* number of the first launch */
	uint32_t last;                    /* of the latest */
	uint32_t nr_runs;
	uint32_t run[MAX_RUNS];
	uint32_t number[MAX_RUNS];
	uint64_t launched_ns;  /* the latest launch that is no helper */
	uint64_t told_ns;      /* when it was first seen to be told; 0 = not */
	uint64_t helped_ns;    /* when it last got a helper */
	uint64_t predicted_ns; /* of the latest launch */
	uint8_t is_used;
	uint8_t is_complete; /* a launch ended without a report */
	uint8_t is_committed;
	uint8_t cannot_commit;
	uint8_t is_cut; /* waits to be resumed */
	uint8_t is_one_wave;
	uint8_t nr_cuts;
};

static struct {
	struct work work[CLAIM_MAX_WORKS];
	_Atomic uint32_t nr_works;
	uint64_t cut_every_ns; /* option `split=preempt` */
	uint64_t cut_due_ns;   /* next time */
	uint32_t own_epoch;    /* the arena's, where nobody else raises it */
} claims;

uint32_t claim_nr_works(void)
{
	return atomic_load_explicit(&claims.nr_works, memory_order_relaxed);
}

int claim_any(void)
{
	return claim_nr_works() != 0;
}

void claim_force_cut(uint64_t every_ns)
{
	claims.cut_every_ns = every_ns;
}

/* --- words ------------------------------------------------------------------------------------------- */

static int extents_meet(uint32_t at, uint32_t nr, const struct work *work)
{
	return at < work->extent_at + work->extent_words && work->extent_at < at + nr;
}

/* The work whose extent is in the way, or NULL. */
static const struct work *extent_blocker(uint32_t at, uint32_t nr)
{
	for (uint32_t i = 0; i < CLAIM_MAX_WORKS; i++) {
		if (claims.work[i].is_used && extents_meet(at, nr, &claims.work[i]))
			return &claims.work[i];
	}
	return NULL;
}

/* A place for so many words: behind the newest one, or further on. -EAGAIN. */
static int extent_take(uint32_t nr, uint32_t *ret_at)
{
	uint32_t at = arena.next_word;

	for (uint32_t i = 0; i < 2 * CLAIM_MAX_WORKS; i++) {
		const struct work *blocker;
		if (at + nr > arena.nr_words)
			at = 0;
		blocker = extent_blocker(at, nr);
		if (!blocker) {
			arena.next_word = at + nr;
			*ret_at = at;
			return 0;
		}
		at = blocker->extent_at + blocker->extent_words;
	}
	return -EAGAIN;
}

static CUdeviceptr header_of(const struct work *work)
{
	return arena.words + (uint64_t)work->extent_at * sizeof(uint32_t);
}

/* --- launches ---------------------------------------------------------------------------------------- */

/* Words that nobody raises, where fewer than two owners are concerned. */
static void slot_epochs(const struct work *work, struct prelude_slot *slot)
{
	for (uint32_t i = 0; i < EPOCH_COVERS; i++) {
		const struct epoch_cover *cover = &work->coverage.cover[i];
		int is_used = i < work->coverage.nr;
		slot->flag[i] = is_used ? cover->word : arena.epoch + OWN_EPOCH_AT;
		slot->calm[i] = is_used ? cover->calm : claims.own_epoch;
	}
}

static void edit_make(const struct work *work, uint32_t run, uint32_t number,
		      struct split_edit *ret_edit)
{
	*ret_edit = (struct split_edit){
		.kind = PRELUDE_CLAIM,
		.run = run,
		.within = &work->coverage.tpcs,
		.slot = {.state = header_of(work) + PRELUDE_HEADER_BYTES,
			 .first = work->first,
			 .run = number,
			 .report = arena.report_at + run * sizeof(uint32_t)},
	};
	slot_epochs(work, &ret_edit->slot);
}

/* Option `split=preempt:1`: not one block of the first launch runs. */
static void told_before(struct prelude_slot *slot)
{
	for (uint32_t i = 0; i < EPOCH_COVERS; i++)
		slot->calm[i]--;
}

static struct work *work_place(void)
{
	for (uint32_t i = 0; i < CLAIM_MAX_WORKS; i++) {
		if (!claims.work[i].is_used)
			return &claims.work[i];
	}
	return NULL;
}

/* The next number; the words are cleared first when numbers have run out and nobody uses them. */
static uint32_t number_take(void)
{
	uint32_t number = arena_next_number();

	if (number || claim_any() || arena_renumber())
		return number;
	return arena_next_number();
}

struct work *claim_begin(struct op *op, const struct epoch_coverage *coverage, uint64_t nr_blocks,
			 int is_one_wave, struct split_edit *ret_edit)
{
	struct work *work = work_place();
	uint32_t run, number, at, nr;

	if (nr_blocks > ARENA_MAX_WORDS / 2 - EXTENT_ALIGN)
		return NULL;
	nr = ((uint32_t)nr_blocks + HEADER_WORDS + EXTENT_ALIGN - 1) & ~(EXTENT_ALIGN - 1);
	if (nr > arena.nr_words / 2 && (claim_any() || arena_grow(nr)))
		return NULL;
	if (!work || extent_take(nr, &at))
		return NULL;
	number = number_take();
	run = number ? arena_take_run() : ARENA_RUNS;
	if (run == ARENA_RUNS)
		return NULL;
	*work = (struct work){.is_used = 1,
			      .is_one_wave = is_one_wave != 0,
			      .op = op,
			      .coverage = *coverage,
			      .extent_at = at,
			      .extent_words = nr,
			      .first = number,
			      .last = number};
	(void)atomic_fetch_add_explicit(&claims.nr_works, 1, memory_order_relaxed);
	edit_make(work, run, number, ret_edit);
	ret_edit->is_all = 1;
	if (claims.cut_every_ns && claims.cut_every_ns <= CUT_AT_ONCE_NS)
		told_before(&ret_edit->slot);
	return work;
}

/* The edit of a launch that is not the work's first; -EAGAIN without a free run. */
static int edit_make_part(struct work *work, struct split_edit *ret_edit)
{
	uint32_t run = arena_take_run();
	uint32_t number = run < ARENA_RUNS ? arena_next_number() : 0;

	if (!number) {
		if (run < ARENA_RUNS)
			arena_give_run(run);
		return -EAGAIN;
	}
	work->last = number;
	edit_make(work, run, number, ret_edit);
	ret_edit->is_part = 1;
	return 0;
}

int claim_resume(struct work *work, const struct epoch_coverage *coverage,
		 struct split_edit *ret_edit)
{
	work->coverage = *coverage;
	return edit_make_part(work, ret_edit);
}

int claim_help(struct work *work, struct split_edit *ret_edit)
{
	if (work->nr_runs != 1 || edit_make_part(work, ret_edit))
		return -EAGAIN;
	for (uint32_t i = 0; i < EPOCH_COVERS; i++) {
		ret_edit->slot.flag[i] = arena.epoch + HELPER_EPOCH_AT;
		ret_edit->slot.calm[i] = 0;
	}
	ret_edit->within = NULL;
	ret_edit->is_everywhere = 1;
	return 0;
}

void claim_abandon(struct work *work)
{
	work->is_used = 0;
	(void)atomic_fetch_sub_explicit(&claims.nr_works, 1, memory_order_relaxed);
}

void claim_launched(struct work *work, const struct split_edit *edit, uint64_t now_ns,
		    uint64_t predicted_ns)
{
	if (edit->result != EDIT_APPLIED) {
		arena_give_run(edit->run);
		return;
	}
	work->run[work->nr_runs] = edit->run;
	work->number[work->nr_runs] = edit->slot.run;
	work->nr_runs++;
	work->is_cut = 0;
	if (edit->is_everywhere) {
		work->helped_ns = now_ns;
		return;
	}
	work->launched_ns = now_ns;
	work->predicted_ns = predicted_ns;
	work->told_ns = 0;
	work->cannot_commit = 0;
}

uint64_t claim_left_ns(const struct work *work)
{
	uint64_t ran = work->told_ns ? work->told_ns - work->launched_ns : 0;
	uint64_t least = work->predicted_ns / 8;

	return ran + least < work->predicted_ns ? work->predicted_ns - ran : least;
}

/* --- looking at works ------------------------------------------------------------------------------------ */

/* Takes in the runs whose records were read. */
static void runs_collect(struct work *work)
{
	for (uint32_t i = 0; i < work->nr_runs;) {
		uint32_t run = work->run[i];
		/* acquire: pairs with the release in arena_run_ended() */
		if (atomic_load_explicit(&arena.run_state[run], memory_order_acquire) !=
		    RUN_ENDED) {
			i++;
			continue;
		}
		if (atomic_load_explicit(&arena.report[run], memory_order_acquire) !=
		    work->number[i])
			work->is_complete = 1;
		arena_give_run(run);
		work->nr_runs--;
		work->run[i] = work->run[work->nr_runs];
		work->number[i] = work->number[work->nr_runs];
	}
}

static enum work_event work_ended(struct work *work)
{
	static struct log_site site;
	enum work_event event = work->is_committed ? WORK_NOTHING : WORK_DONE;

	if (work->is_complete) {
		claim_abandon(work);
		return event;
	}
	if (work->is_committed) {
		log_line(
			&site, LOG_ERROR,
			"msg=\"a neighbour told a committed kernel to go: its results are wrong\"");
		claim_abandon(work);
		return WORK_NOTHING;
	}
	work->is_cut = 1;
	work->nr_cuts = (uint8_t)(work->nr_cuts + (work->nr_cuts < UINT8_MAX));
	thread_count(STATS_works_cut);
	return WORK_CUT;
}

static void look_again_at(uint64_t *next_ns, uint64_t at_ns)
{
	if (time_before(at_ns, *next_ns))
		*next_ns = at_ns;
}

static int is_told(struct work *work, uint64_t now_ns)
{
	if (!work->told_ns && !epoch_is_calm(&work->coverage))
		work->told_ns = now_ns;
	return work->told_ns != 0;
}

/*
 * Option `split=preempt`: nobody else tells it. Each time that a work is cut it is left alone for twice as
 * long, so that it ends where launches take longer to begin than they are given.
 */
static void force_cut(struct work *work, uint64_t now_ns, uint64_t *next_ns)
{
	uint64_t quiet = CUT_QUIET_NS << (work->nr_cuts < 20 ? work->nr_cuts : 20);
	uint64_t due = work->launched_ns + quiet;

	if (!claims.cut_every_ns || work->told_ns)
		return;
	if (time_before(due, claims.cut_due_ns))
		due = claims.cut_due_ns;
	if (time_before(now_ns, due)) {
		look_again_at(next_ns, due);
		return;
	}
	claims.cut_due_ns = now_ns + claims.cut_every_ns;
	claims.own_epoch++;
	(void)arena_write(arena.epoch + OWN_EPOCH_AT, claims.own_epoch);
	for (uint32_t i = 0; i < CLAIM_MAX_WORKS; i++) {
		if (claims.work[i].is_used && claims.work[i].nr_runs)
			claims.work[i].told_ns = now_ns;
	}
}

/* 1 when the work may not be told any more, and was not. */
static int commit(struct work *work)
{
	work->cannot_commit = 1;
	if (!epoch_is_calm(&work->coverage) ||
	    arena_write(header_of(work) + sizeof(uint32_t), work->last))
		return 0;
	if (!epoch_is_calm(&work->coverage))
		return 0;
	work->is_committed = 1;
	thread_count(STATS_works_committed);
	return 1;
}

/* Everything in front of it has ended, so all its blocks run or are about to. */
static int has_begun(const struct work *work, const struct work_look *look)
{
	return work->is_one_wave && look->nr_outstanding == 1;
}

static int may_commit(const struct work *work, const struct work_look *look, uint64_t *next_ns)
{
	uint64_t due = look->now_ns + look->remaining_ns - COMMIT_LEAD_NS;

	if (work->cannot_commit || work->told_ns || claims.cut_every_ns || !look->is_awaited)
		return 0;
	if (look->remaining_ns <= COMMIT_LEAD_NS || has_begun(work, look))
		return 1;
	look_again_at(next_ns, due);
	return 0;
}

static int is_stuck(const struct work *work, uint64_t now_ns)
{
	uint64_t since = work->helped_ns ? work->helped_ns : work->told_ns;
	uint64_t limit = work->predicted_ns * HELP_FACTOR;

	if (limit < HELP_AFTER_NS)
		limit = HELP_AFTER_NS;
	return work->told_ns && work->nr_runs == 1 && !time_before(now_ns, since + limit);
}

enum work_event claim_look(uint32_t place, const struct work_look *look, struct op **ret_op,
			   uint64_t *ret_next_ns)
{
	struct work *work = &claims.work[place];

	*ret_op = work->op;
	if (!work->is_used || work->is_cut)
		return WORK_NOTHING;
	runs_collect(work);
	if (!work->nr_runs)
		return work_ended(work);
	if (work->is_committed)
		return WORK_NOTHING;
	force_cut(work, look->now_ns, ret_next_ns);
	if (is_told(work, look->now_ns))
		return is_stuck(work, look->now_ns) ? WORK_STUCK : WORK_NOTHING;
	return may_commit(work, look, ret_next_ns) && commit(work) ? WORK_COMMITTED : WORK_NOTHING;
}

void claim_after_fork(void)
{
	memset(claims.work, 0, sizeof(claims.work));
	atomic_store_explicit(&claims.nr_works, 0, memory_order_relaxed);
}
