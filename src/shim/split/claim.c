/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a claimed launch.
 *
 * A work has a launch in the program's stream and up to two helpers in streams of ours. It is
 * complete when all of them have ended and one ended without a report: that one met every block,
 * and each block was run by it or had been claimed by another. If all reported, blocks are left,
 * and the operation goes again.
 *
 * Growth. TPCs become free while a kernel runs on few: a helper joins in there, told by their
 * owners alone. So when an owner of the first launch's TPCs comes back, the helper goes on with
 * what is left, and the other way round. Worth it when a quarter of a millisecond is gained, which
 * is more than is lost because a work with a helper is not committed. Example: 20 TPCs, 10 ms left,
 * 46 become free: ends in 3 ms.
 *
 * Order. A helper's stream waits for an event that was recorded in the program's stream right
 * before the first launch: it begins when that could. What follows the kernel in its stream is held
 * until the work is complete, or committed, which it is only while its one launch is that in the
 * program's stream.
 *
 * How many. Words bear the launch in the program's stream, which helpers have as their lead, one
 * helper at a time that may be told, and any that may not (hw/prelude/prelude.h): growth, then a
 * rescue.
 *
 * Commit. When little is left of it and something waits behind it, the work is disarmed: launches
 * up to the latest number are not told any more. Only if no owner had raised its epoch by the time
 * that this took effect (epoch.h) may the next operation go; else the record decides.
 *
 * A work of one wave is committed as soon as it is known to have begun: from then on it cannot be
 * cut. None is before what is in front of it has ended, of which copies have no records: the event
 * of *Order* tells.
 *
 * Extents of words are taken in turn around the arena; works end in almost the same order, so the
 * place after the newest extent is free unless the arena is full.
 *
 * A committed work that reports all the same was told by an owner that broke the order of epoch.h.
 * Its successors may have run on half of its results: it is said once, as an error of the
 * neighbour.
 *
 * What it does badly: with thousands of short claimed launches at once it would run out of works;
 * those are launched whole.
 *
 * Tested by tests/integration/split.bats, with every launch cut by tests/torture/order, and what is
 * asked of the words by tests/unit/sim_prelude_random.c, sim_prelude_race.c and
 * prelude/test_claims.py.
 */
#include "shim/split/claim.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "shim/link/link.h"
#include "shim/link/share.h"
#include "shim/queue/ops.h"
#include "shim/split/arena.h"
#include "shim/tenant.h"
#include "shim/thread.h"

#define COMMIT_LEAD_NS  250000u /* so early before its end a work is committed */
#define HELP_AFTER_NS   100000000u
#define HELP_FACTOR     10u
#define EXTENT_ALIGN    32u /* words: a cache line */
#define HEADER_WORDS    (PRELUDE_HEADER_BYTES / 4)
#define OWN_EPOCH_AT    ((size_t)64)  /* raised by the option `split=preempt` alone */
#define HELPER_EPOCH_AT ((size_t)128) /* a word that nobody raises */
#define MAX_RUNS        3u
#define GROW_GAIN_NS    250000u /* a helper must gain so much */
#define GROW_MIN_TPCS   4u      /* and have so many TPCs, and a quarter of what is there */
#define PASS_POLL_NS    200000u
#define GROW_PAUSE_NS   1000000u /* after one that could not be launched */
#define CUT_AT_ONCE_NS  1000u
#define CUT_QUIET_NS    5000ull

/* A launch of a work that has not been seen to end. */
struct part {
	uint32_t run;
	uint32_t number;
	uint8_t is_helper; /* in a stream of ours */
	uint8_t is_rescue;
	struct epoch_coverage coverage;
	struct tpcset tpcs; /* where it runs */
};

struct work {
	struct op *op;                    /* gone once the work is committed */
	struct epoch_coverage coverage;   /* of the launch that is being made */
	uint32_t extent_at, extent_words; /* of the arena's words, header included */
	uint32_t first;                   /* number of the first launch */
	uint32_t lead;                    /* of the latest that is no helper */
	uint32_t last;                    /* of the latest */
	uint32_t nr_parts;
	struct part part[MAX_RUNS];
	/* The latest launch that is no helper, or when it was last found waiting */
	uint64_t launched_ns;
	uint64_t told_ns;      /* when it was first seen to be told; 0 = not */
	uint64_t helped_ns;    /* when it was last rescued, or seen not to have begun */
	uint64_t grow_ns;      /* it does not grow before */
	uint64_t predicted_ns; /* of the latest launch */
	uint8_t is_used;
	uint8_t is_complete; /* a launch ended without a report */
	uint8_t is_committed;
	uint8_t cannot_commit; /* disarming was tried; it does not grow */
	uint8_t is_marked;     /* what is in front of the first launch has an event */
	uint8_t has_passed;    /* that event */
	uint8_t is_waiting;    /* was found not to have begun */
	uint8_t is_cut;        /* waits to be resumed */
	uint8_t is_one_wave;
	uint8_t nr_cuts;
};

/* For the works of one place, one after the other; in the arena's context. */
struct place {
	CUevent front;             /* in the program's stream, in front of the first launch */
	CUstream stream[NR_HELPS]; /* made when first needed */
};

static struct {
	struct work work[CLAIM_MAX_WORKS];
	struct place place[CLAIM_MAX_WORKS];
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

void claim_open(void)
{
	for (uint32_t i = 0; i < CLAIM_MAX_WORKS; i++) {
		CUevent *front = &claims.place[i].front;
		if (tenant.ops.event_create(front, CU_EVENT_DISABLE_TIMING))
			*front = NULL;
	}
}

CUcontext claim_context(void)
{
	return atomic_load_explicit(&arena.context->handle, memory_order_relaxed);
}

void claim_force_cut(uint64_t every_ns)
{
	claims.cut_every_ns = every_ns;
}

/* --- words ------------------------------------------------------------------------------------ */

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
		if (at + nr > ARENA_WORDS)
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

/* --- launches --------------------------------------------------------------------------------- */

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
			 .lead = work->lead,
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
	uint32_t number = arena_first_number();

	if (number || claim_any() || arena_renumber())
		return number;
	return arena_first_number();
}

struct work *claim_begin(struct op *op, const struct epoch_coverage *coverage, uint64_t nr_blocks,
			 int is_one_wave, struct split_edit *ret_edit)
{
	struct work *work = work_place();
	uint32_t run, number, at, nr;

	if (nr_blocks > ARENA_WORDS / 2 - EXTENT_ALIGN)
		return NULL;
	nr = ((uint32_t)nr_blocks + HEADER_WORDS + EXTENT_ALIGN - 1) & ~(EXTENT_ALIGN - 1);
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
			      .lead = number,
			      .last = number};
	(void)atomic_fetch_add_explicit(&claims.nr_works, 1, memory_order_relaxed);
	edit_make(work, run, number, ret_edit);
	ret_edit->is_all = 1;
	if (claims.cut_every_ns && claims.cut_every_ns <= CUT_AT_ONCE_NS)
		told_before(&ret_edit->slot);
	return work;
}

/* The edit of a launch that is not the work's first; -EAGAIN without a free run. */
static int edit_make_part(struct work *work, int is_helper, struct split_edit *ret_edit)
{
	uint32_t run = arena_take_run();
	uint32_t number = run < ARENA_RUNS ? arena_next_number() : 0;

	if (!number) {
		if (run < ARENA_RUNS)
			arena_give_run(run);
		return -EAGAIN;
	}
	work->last = number;
	if (!is_helper)
		work->lead = number;
	edit_make(work, run, number, ret_edit);
	ret_edit->is_part = 1;
	ret_edit->is_helper = is_helper != 0;
	return 0;
}

int claim_resume(struct work *work, const struct epoch_coverage *coverage,
		 struct split_edit *ret_edit)
{
	work->coverage = *coverage;
	return edit_make_part(work, 0, ret_edit);
}

void claim_abandon(struct work *work)
{
	work->is_used = 0;
	(void)atomic_fetch_sub_explicit(&claims.nr_works, 1, memory_order_relaxed);
}

/* Its one launch is that in the program's stream, behind which its end is known. */
static int is_alone(const struct work *work)
{
	return work->nr_parts == 1 && !work->part[0].is_helper;
}

static void part_add(struct work *work, const struct split_edit *edit)
{
	struct part *part = &work->part[work->nr_parts++];

	*part = (struct part){.run = edit->run,
			      .number = edit->slot.run,
			      .is_helper = edit->is_helper,
			      .is_rescue = edit->is_everywhere,
			      .tpcs = edit->tpcs};
	if (!edit->is_everywhere)
		part->coverage = work->coverage;
}

static void join_all(const struct work *work)
{
	for (uint32_t i = 0; i < work->nr_parts; i++)
		arena_join_run(work->part[i].run);
}

void claim_launched(struct work *work, const struct split_edit *edit, uint64_t now_ns,
		    uint64_t predicted_ns)
{
	if (edit->result != EDIT_APPLIED) {
		arena_give_run(edit->run);
		return;
	}
	part_add(work, edit);
	work->is_cut = 0;
	if (edit->is_helper) {
		join_all(work);
		work->helped_ns = edit->is_everywhere ? now_ns : work->helped_ns;
		return;
	}
	work->launched_ns = now_ns;
	work->predicted_ns = predicted_ns;
	work->told_ns = 0;
	work->cannot_commit = 0;
}

uint64_t claim_left_ns(const struct work *work)
{
	int has_run = work->told_ns && time_before(work->launched_ns, work->told_ns);
	uint64_t ran = has_run ? work->told_ns - work->launched_ns : 0;
	uint64_t least = work->predicted_ns / 8;

	return ran + least < work->predicted_ns ? work->predicted_ns - ran : least;
}

/* --- helpers ---------------------------------------------------------------------------------- */

static struct place *place_of(const struct work *work)
{
	return &claims.place[work - claims.work];
}

void claim_mark(struct work *work, CUstream stream)
{
	CUevent front = place_of(work)->front;

	work->is_marked = front && !tenant.ops.event_record(front, stream);
}

/* Owners before borrowers, as for the program's own streams; but a rescue goes where it is waited
 * for. */
static int stream_make(enum claim_help help, CUstream *ret_stream)
{
	int least = 0, priority = 0;

	if (help == HELP_GROW)
		priority = share_stream_priority(0);
	else if (tenant.ops.priority_range(&least, &priority))
		return -EIO;
	if (tenant.ops.stream_create_with_priority(ret_stream, CU_STREAM_NON_BLOCKING, priority)) {
		*ret_stream = NULL;
		return -EIO;
	}
	return 0;
}

/* The stream for a helper, with all that its kernel depends on in front of it. */
static int stream_ready(const struct work *work, enum claim_help help, CUstream *ret_stream)
{
	struct place *place = place_of(work);
	CUstream *stream = &place->stream[help];

	if (!work->is_marked || (!*stream && stream_make(help, stream)) ||
	    tenant.ops.stream_wait_event(*stream, place->front, 0))
		return -EIO;
	*ret_stream = *stream;
	return 0;
}

/* Once. */
static int may_rescue(const struct work *work)
{
	for (uint32_t i = 0; i < work->nr_parts; i++) {
		const struct part *part = &work->part[i];
		if (part->is_rescue)
			return 0;
	}
	return work->is_marked && work->nr_parts < MAX_RUNS;
}

static int rescue_make(struct work *work, struct split_edit *ret_edit)
{
	if (!may_rescue(work) || edit_make_part(work, 1, ret_edit))
		return -EAGAIN;
	for (uint32_t i = 0; i < EPOCH_COVERS; i++) {
		ret_edit->slot.flag[i] = arena.epoch + HELPER_EPOCH_AT;
		ret_edit->slot.calm[i] = 0;
	}
	ret_edit->within = NULL;
	ret_edit->is_everywhere = 1;
	return 0;
}

uint64_t claim_gain_ns(uint64_t left_ns, const struct tpcset *has, const struct tpcset *more)
{
	uint64_t nr = tpcset_count(has), nr_more = tpcset_count(more), gain;

	if (nr_more < GROW_MIN_TPCS || nr_more * 4 < nr)
		return 0;
	gain = left_ns / (nr + nr_more) * nr_more;
	return gain >= GROW_GAIN_NS ? gain : 0;
}

/* At least: it may have begun later than it was launched. */
static uint64_t left_ns(const struct work *work, uint64_t now_ns)
{
	uint64_t ran = time_before(work->launched_ns, now_ns) ? now_ns - work->launched_ns : 0;

	return ran < work->predicted_ns ? work->predicted_ns - ran : 0;
}

/* TPCs that may be used now and that the work's launch does not have. */
static struct tpcset more_tpcs(const struct work *work)
{
	struct share_view scratch, *view = view_of(thread_self(), &scratch);
	struct tpcset usable = tpcset_or(view->lend.own, view_lendable(view, clock_now_ns()));

	return tpcset_andnot(usable, work->part[0].tpcs);
}

static uint64_t growth_ns(const struct work *work, uint64_t now_ns, const struct tpcset *more)
{
	return claim_gain_ns(left_ns(work, now_ns), &work->part[0].tpcs, more);
}

/* What is asked of the work comes first: most have nothing to gain. */
static int may_grow(const struct work *work, uint64_t now_ns)
{
	struct tpcset more;

	if (!is_alone(work) || work->is_complete || work->is_one_wave || work->cannot_commit ||
	    !work->is_marked || claims.cut_every_ns || !share_is_on() ||
	    time_before(now_ns, work->grow_ns) || left_ns(work, now_ns) < GROW_GAIN_NS)
		return 0;
	more = more_tpcs(work);
	return growth_ns(work, now_ns, &more) != 0;
}

/*
 * The first launch's charge, if it has one, covers the time until both have ended. 0 would stand
 * for an unknown time.
 */
static uint64_t grow_charge_ns(const struct work *work, uint64_t left, uint64_t gain)
{
	struct tpcset own = share_own(thread_self());
	struct tpcset charged = tpcset_andnot(work->part[0].tpcs, own);

	return tpcset_is_empty(&charged) ? left - gain : 1;
}

static int grow_make(struct work *work, struct split_edit *ret_edit)
{
	uint64_t now = clock_now_ns();
	struct tpcset more = more_tpcs(work);
	uint64_t gain = growth_ns(work, now, &more);
	struct epoch_coverage coverage;
	int err;

	if (!gain)
		return -EAGAIN;
	err = epoch_cover_lendable(thread_self(), &more, &coverage);
	if (err)
		return err;
	coverage.tpcs = tpcset_and(coverage.tpcs, more);
	work->coverage = coverage;
	err = edit_make_part(work, 1, ret_edit);
	if (!err)
		ret_edit->charge_ns = grow_charge_ns(work, left_ns(work, now), gain);
	return err;
}

int claim_help(struct work *work, enum claim_help help, struct split_edit *ret_edit,
	       CUstream *ret_stream)
{
	int err = stream_ready(work, help, ret_stream);

	/* Whatever comes of it. */
	work->grow_ns = clock_now_ns() + GROW_PAUSE_NS;
	if (err)
		return err;
	return help == HELP_GROW ? grow_make(work, ret_edit) : rescue_make(work, ret_edit);
}

/* --- looking at works ------------------------------------------------------------------------- */

static int parts_are_calm(const struct work *work)
{
	for (uint32_t i = 0; i < work->nr_parts; i++) {
		if (!epoch_is_calm(&work->part[i].coverage))
			return 0;
	}
	return 1;
}

/* Takes in the runs whose records were read. */
static void parts_collect(struct work *work)
{
	uint32_t before = work->nr_parts;

	for (uint32_t i = 0; i < work->nr_parts;) {
		const struct part *part = &work->part[i];
		/* acquire: pairs with the release in arena_run_ended() */
		if (atomic_load_explicit(&arena.run_state[part->run], memory_order_acquire) !=
		    RUN_ENDED) {
			i++;
			continue;
		}
		if (atomic_load_explicit(&arena.report[part->run], memory_order_acquire) !=
		    part->number)
			work->is_complete = 1;
		arena_give_run(part->run);
		work->part[i] = work->part[--work->nr_parts];
	}
	/* Only the one that has gone was told. */
	if (work->nr_parts && work->nr_parts < before && !claims.cut_every_ns &&
	    parts_are_calm(work))
		work->told_ns = 0;
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
	if (!work->told_ns && !parts_are_calm(work))
		work->told_ns = now_ns;
	return work->told_ns != 0;
}

/*
 * Option `split=preempt`: nobody else tells it. Each time that a work is cut it is left alone for
 * twice as long, so that it ends where launches take longer to begin than they are given.
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
		if (claims.work[i].is_used && claims.work[i].nr_parts)
			claims.work[i].told_ns = now_ns;
	}
}

/* 1 when the work may not be told any more, and was not. */
static int commit(struct work *work)
{
	work->cannot_commit = 1;
	if (!parts_are_calm(work) || arena_write(header_of(work) + sizeof(uint32_t), work->last))
		return 0;
	if (!parts_are_calm(work))
		return 0;
	work->is_committed = 1;
	thread_count(STATS_works_committed);
	return 1;
}

/*
 * 1 once what is in front of the first launch has ended: copies and host functions have no records.
 * A work that is found waiting has all its time before it.
 */
static int has_passed(struct work *work, uint64_t now_ns, uint64_t *next_ns)
{
	if (work->has_passed || !work->is_marked)
		return 1;
	work->has_passed = tenant.ops.event_query(place_of(work)->front) == CUDA_SUCCESS;
	work->is_waiting = !work->has_passed;
	if (work->is_waiting) {
		work->launched_ns = now_ns;
		look_again_at(next_ns, now_ns + PASS_POLL_NS);
	}
	return work->has_passed;
}

/* With nothing in front of it, all its blocks run or are about to. */
static int has_begun(const struct work *work, const struct work_look *look)
{
	return work->is_one_wave && look->nr_outstanding == 1;
}

static int may_commit(struct work *work, const struct work_look *look, uint64_t *next_ns)
{
	uint64_t left = left_ns(work, look->now_ns);
	uint64_t remaining = look->remaining_ns > left ? look->remaining_ns : left;
	int is_due = remaining <= COMMIT_LEAD_NS || has_begun(work, look);

	if (work->cannot_commit || work->told_ns || claims.cut_every_ns || !look->is_awaited ||
	    !is_alone(work))
		return 0;
	if (is_due || work->is_waiting)
		return has_passed(work, look->now_ns, next_ns) && is_due;
	look_again_at(next_ns, look->now_ns + remaining - COMMIT_LEAD_NS);
	return 0;
}

/* What has not begun, behind a long copy for example, is not stuck: the time starts again. */
static int is_stuck(struct work *work, uint64_t now_ns, uint64_t *next_ns)
{
	uint64_t since = work->helped_ns ? work->helped_ns : work->told_ns;
	uint64_t limit = work->predicted_ns * HELP_FACTOR;

	if (limit < HELP_AFTER_NS)
		limit = HELP_AFTER_NS;
	if (!work->told_ns || !may_rescue(work) || time_before(now_ns, since + limit))
		return 0;
	if (has_passed(work, now_ns, next_ns))
		return 1;
	work->helped_ns = now_ns;
	return 0;
}

enum work_event claim_look(uint32_t place, const struct work_look *look, struct op **ret_op,
			   uint64_t *ret_next_ns)
{
	struct work *work = &claims.work[place];

	*ret_op = work->op;
	if (!work->is_used || work->is_cut)
		return WORK_NOTHING;
	parts_collect(work);
	if (!work->nr_parts)
		return work_ended(work);
	if (work->is_committed || !look->is_current)
		return WORK_NOTHING;
	force_cut(work, look->now_ns, ret_next_ns);
	if (is_told(work, look->now_ns))
		return is_stuck(work, look->now_ns, ret_next_ns) ? WORK_STUCK : WORK_NOTHING;
	if (may_grow(work, look->now_ns))
		return WORK_GROWS;
	return may_commit(work, look, ret_next_ns) && commit(work) ? WORK_COMMITTED : WORK_NOTHING;
}

void claim_after_fork(void)
{
	memset(claims.work, 0, sizeof(claims.work));
	atomic_store_explicit(&claims.nr_works, 0, memory_order_relaxed);
}
