/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process says of itself: that it works, and what it has done.
 *
 * `active` must be 1 before a launch of an owner can reach the GPU, and should be 0 soon after the
 * last one has ended; it is read by every launch of every borrower, so it is written only when it
 * changes. Launching threads set it, the tracker takes it back after the grace period. The danger
 * is a launch that sees the 1 just before the tracker makes it 0. So:
 *
 *   launching thread                       tracker
 *   1. arm the record (kernels)            1. take the number of launches begun
 *   2. count the launch as begun           2. look at all records: nothing outstanding
 *   3. read active; if 0, make it 1        3. make active 0
 *                                          4. take the number again; if it moved, make active 1
 *
 * Counting, reading and both writes are sequentially consistent. If the thread's 2 comes before the
 * tracker's 1, its record was armed before and is seen outstanding. If between 1 and 4, the number
 * moved. If after 4, the thread reads the 0 and makes it 1 itself. No timing is assumed. Launch
 * hooks do it as well, before the driver builds the descriptor: then `active` is up some
 * microseconds earlier, which is what empties the TPCs in time. There it needs no barrier
 * (share_launching_soon()): what it misses, the descriptor hook finds.
 *
 * The tracker makes its passes every 50 us while work is outstanding, and every 20 us while a held
 * launch waits for a completion (less often on machines with fewer than 8 CPUs). In an idle process
 * its pauses double to 20 ms; the launch that ends the idleness wakes it, and so does who waits for
 * a completion.
 *
 * The grace period bridges the gaps that programs leave between launches that belong together, and
 * costs borrowers its length each time there is no such gap. How long it is now, up to what is
 * configured, is learned from the gaps that were (sched/grace.h); it counts from the end of the
 * work, and the tracker looks again when it is over.
 *
 * What it does badly: between the tracker's 3 and 4 a borrower can read the 0 of an owner that
 * works, and send one launch. Launches without a record (pool full) keep the process active for 20
 * ms.
 *
 * Tested by tests/unit/link_activity.c and tests/integration/link_shim.c.
 */
#include <stddef.h>
#include <sys/sysinfo.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/quiet_thread.h"
#include "sched/grace.h"
#include "shim/link/link.h"
#include "shim/link/share.h"
#include "shim/memory/account.h"
#include "shim/split/arena.h"
#include "shim/split/epoch.h"
#include "shim/thread.h"
#include "shim/track/execs.h"
#include "shim/track/predict_table.h"
#include "shim/track/tracker.h"

#define PAUSE_NS       50000u
#define PAUSE_QUICK_NS 20000u /* somebody waits for what ends */
#define PAUSE_CPUS     8      /* with fewer, trackers of many tenants would need most of them */
#define UNTRACKED_NS   20000000u
#define COUNT_EVERY_NS 1000000u /* summing up walks the states of all threads */

static struct {
	/* Any thread. */
	_Atomic uint32_t nr_in_call; /* graphs inside the driver's call */
	_Atomic uint64_t untracked_until_ns;
	_Atomic uint64_t nr_queued;
	/* Of the tracker, or under the contexts' lock during its pass. */
	uint64_t nr_outstanding;
	uint64_t nr_begun;            /* at the begin of the pass */
	uint64_t last_busy_ns;        /* pass that saw work, or the latest end */
	_Atomic uint64_t last_end_ns; /* of all work so far */
	_Atomic uint64_t grace_ns;    /* learned; 0 = not yet */
	struct grace gaps;            /* under the contexts' lock */
	_Atomic uint64_t own_tpc_ns, borrowed_tpc_ns;
	uint64_t counted_ns;       /* when the counters of all threads were summed up */
	_Atomic uint32_t nr_ended; /* since the last pass */
	int has_slack;
	int is_lost;          /* what is outstanding will never be seen to end */
	uint64_t progress_ns; /* when something last began or ended */
	uint64_t pause_ns;    /* between passes while there is work */
} activity;

_Atomic uint64_t activity_lost_after_ns = 60000000000;

/* --- launching threads --- */

/* TPCs of ours that somebody's timer still keeps: the owner came back while they were lent. */
static int own_tpcs_are_held(uint64_t now_ns)
{
	struct tpcset own;
	struct tpcset busy;

	for (int i = 0; i < TPCSET_WORDS; i++)
		own.w[i] = __atomic_load_n(&link_state.grant->own.w[i], __ATOMIC_RELAXED);
	own = tpcset_and(own, link_state.present);
	busy = lend_busy(link_state.board->timer_ns, &own, &(struct lend_hold){.until_ns = 0},
			 now_ns);
	return !tpcset_is_empty(&busy);
}

static __attribute__((noinline)) void become_active(struct thread_state *t, struct shm_proc *line)
{
	struct share_view scratch;
	uint64_t now = clock_now_ns();

	__atomic_store_n(&line->active, 1, __ATOMIC_SEQ_CST);
	/* Nobody is told by borrowers, and the word costs a second stream on the GPU. */
	if (view_of(t, &scratch)->lend.is_owner)
		epoch_raise(t);
	__atomic_store_n(&line->wants, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&line->active_since_ns, now, __ATOMIC_RELAXED);
	if (own_tpcs_are_held(now))
		(void)__atomic_fetch_add(&line->nr_reclaims, 1, __ATOMIC_RELAXED);
	/* It may be dozing for longer than this work lasts, and borrowers wait for its end: a
	 * system call (2 us), once for each time that the process becomes active. */
	tracker_kick();
}

void share_launching(struct thread_state *t)
{
	struct shm_proc *line;

	if (!link_is_on())
		return;
	line = link_line();
	(void)atomic_fetch_add_explicit(&t->nr_begun, 1, memory_order_seq_cst);
	if (link_unlikely(!__atomic_load_n(&line->active, __ATOMIC_SEQ_CST)))
		become_active(t, line);
}

void share_launching_soon(struct thread_state *t)
{
	uint64_t n;

	if (!link_is_on())
		return;
	if (link_unlikely(t->is_spare)) {
		share_launching(t);
		return;
	}
	n = atomic_load_explicit(&t->nr_begun, memory_order_relaxed);
	atomic_store_explicit(&t->nr_begun, n + 1, memory_order_relaxed);
	if (link_unlikely(!__atomic_load_n(&link_line()->active, __ATOMIC_RELAXED)))
		become_active(t, link_line());
}

void share_failed(CUresult result)
{
	if (link_is_on())
		__atomic_store_n(&link_line()->last_error, (uint32_t)result, __ATOMIC_RELAXED);
}

void share_queued(uint64_t nr_queued)
{
	uint64_t before =
		atomic_exchange_explicit(&activity.nr_queued, nr_queued, memory_order_relaxed);

	if (!link_is_on())
		return;
	__atomic_store_n(&link_line()->nr_queued, nr_queued, __ATOMIC_RELAXED);
	if (nr_queued > before)
		(void)__atomic_fetch_add(&link_line()->nr_deferred, nr_queued - before,
					 __ATOMIC_RELAXED);
}

void activity_untracked(void)
{
	thread_count(STATS_share_untracked);
	atomic_store_explicit(&activity.untracked_until_ns, clock_now_ns() + UNTRACKED_NS,
			      memory_order_relaxed);
}

void activity_in_call(int change)
{
	(void)atomic_fetch_add_explicit(&activity.nr_in_call, (uint32_t)change,
					memory_order_seq_cst);
}

/* --- tracker --- */

void activity_collected(uint64_t nr_outstanding)
{
	activity.nr_outstanding = nr_outstanding;
}

/*
 * What a helper made faster, or an owner cut short, teaches the wrong time; what an owner's return
 * slowed down, too long a one.
 */
static void learn(const struct launch_note *note, uint64_t duration_ns, uint64_t end_ns)
{
	int was_disturbed;

	if (!note->slot || (note->run && arena_run_was_joined(note->run - 1u)))
		return;
	was_disturbed =
		note->ticket && view_was_disturbed(thread_self(), note->submitted_ns, end_ns);
	if (was_disturbed && note->run)
		return;
	predict_seen(note->slot - 1u, note_whole_ns(note, duration_ns),
		     (uint32_t)note->own_tpcs + note->borrowed_tpcs, was_disturbed);
}

static uint64_t configured_grace_ns(void)
{
	uint64_t grace = __atomic_load_n(&link_state.grant->grace_ns, __ATOMIC_RELAXED);

	return grace < UNTRACKED_NS ? grace : UNTRACKED_NS;
}

/* Records of one pass may come out of order: then a gap is taken for longer than it was. */
static void gap_note(const struct launch_note *note, uint64_t end_ns)
{
	uint64_t before = atomic_load_explicit(&activity.last_end_ns, memory_order_relaxed);
	uint64_t most = configured_grace_ns();

	if (before && time_before(before, note->submitted_ns)) {
		grace_add(&activity.gaps, note->submitted_ns - before, most);
		atomic_store_explicit(&activity.grace_ns, grace_ns(&activity.gaps, most),
				      memory_order_relaxed);
	}
	if (time_before(before, end_ns))
		atomic_store_explicit(&activity.last_end_ns, end_ns, memory_order_relaxed);
}

/* What is configured may have become less since it was learned. */
static uint64_t current_grace_ns(void)
{
	uint64_t learned = atomic_load_explicit(&activity.grace_ns, memory_order_relaxed);
	uint64_t most = configured_grace_ns();

	return learned && learned < most ? learned : most;
}

static void account(const struct launch_note *note, uint64_t duration_ns, uint64_t end_ns)
{
	(void)atomic_fetch_add_explicit(&activity.nr_ended, 1, memory_order_relaxed);
	(void)atomic_fetch_add_explicit(&activity.own_tpc_ns, duration_ns * note->own_tpcs,
					memory_order_relaxed);
	(void)atomic_fetch_add_explicit(&activity.borrowed_tpc_ns,
					duration_ns * note->borrowed_tpcs, memory_order_relaxed);
	if (duration_ns)
		learn(note, duration_ns, end_ns);
	if (note->ticket)
		hold_end(note->charged_ns, note->ticket, end_ns);
	gap_note(note, end_ns);
}

/* The end of a graph launch is known only as well as the tracker looks. */
void activity_mark_ended(const struct launch_note *note, int is_lost)
{
	static uint64_t last_end_ns;
	uint64_t now = clock_now_ns();
	uint64_t from =
		time_before(note->submitted_ns, last_end_ns) ? last_end_ns : note->submitted_ns;

	account(note, is_lost || !time_before(from, now) ? 0 : now - from, now);
	last_end_ns = now;
}

static void pass_before(void)
{
	if (!activity.has_slack) {
		/* Of this thread alone: 50 us of default slack would double its pauses. */
		quiet_thread_wake_on_time();
		activity.has_slack = 1;
	}
	activity.nr_begun = thread_total_begun();
}

/*
 * Work that has made no progress for a minute, nothing begun and nothing ended, is taken for lost:
 * the records of a context that has failed are never written, and borrowers would wait for ever. If
 * it was only long, its end, or the next launch, makes the process active again.
 */
static int is_lost(uint32_t nr_ended, uint64_t now_ns)
{
	static uint64_t begun_before;

	if (nr_ended || activity.nr_begun != begun_before || !activity.progress_ns)
		activity.progress_ns = now_ns;
	begun_before = activity.nr_begun;
	return now_ns - activity.progress_ns >=
	       atomic_load_explicit(&activity_lost_after_ns, memory_order_relaxed);
}

static int has_work(void)
{
	return activity.nr_outstanding || execs_nr_unfinished();
}

static int is_busy(uint64_t now_ns)
{
	return (has_work() && !activity.is_lost) ||
	       atomic_load_explicit(&activity.nr_in_call, memory_order_seq_cst) ||
	       atomic_load_explicit(&activity.nr_queued, memory_order_relaxed) ||
	       time_before(now_ns, atomic_load_explicit(&activity.untracked_until_ns,
							memory_order_relaxed));
}

/* Takes `active` back, unless a launch began since the pass did; see the theory. */
static void become_idle(struct shm_proc *line)
{
	__atomic_store_n(&line->active, 0, __ATOMIC_SEQ_CST);
	if (thread_total_begun() != activity.nr_begun) {
		__atomic_store_n(&line->active, 1, __ATOMIC_SEQ_CST);
		return;
	}
	/* Borrowers sleep on the word (share.c), in other processes. */
	futex_wake(&line->active, INT32_MAX, FUTEX_WORD_SHARED);
	__atomic_store_n(&line->wants, 0, __ATOMIC_RELAXED);
	/* A launch that came meanwhile may have said it wants, before this took it back. */
	if (__atomic_load_n(&line->active, __ATOMIC_SEQ_CST))
		__atomic_store_n(&line->wants, 1, __ATOMIC_RELAXED);
}

static void line_publish(struct shm_proc *line, uint64_t now_ns)
{
	__atomic_store_n(&line->beat_ns, now_ns, __ATOMIC_RELAXED);
	hold_publish(now_ns);
	if (activity.is_lost)
		__atomic_store_n(&line->hold_until_ns, 0, __ATOMIC_RELAXED);
	if (now_ns - activity.counted_ns < COUNT_EVERY_NS)
		return;
	activity.counted_ns = now_ns;
	__atomic_store_n(&line->nr_launches,
			 thread_total(STATS_qmd_seen) + thread_total(STATS_graph_launches),
			 __ATOMIC_RELAXED);
	__atomic_store_n(&line->own_tpc_ns, atomic_load(&activity.own_tpc_ns), __ATOMIC_RELAXED);
	__atomic_store_n(&line->borrowed_tpc_ns, atomic_load(&activity.borrowed_tpc_ns),
			 __ATOMIC_RELAXED);
	__atomic_store_n(&line->memory_bytes, memory_bytes(), __ATOMIC_RELAXED);
}

/*
 * How long the next look can wait; 0 = as in a process that does not share. A process that waits
 * for the end of its grace looks again then.
 */
static uint64_t pause_of(int busy, int is_active, uint64_t quiet_ns, uint64_t grace)
{
	if (busy)
		return hold_is_awaited() ? activity.pause_ns * PAUSE_QUICK_NS / PAUSE_NS
					 : activity.pause_ns;
	if (!is_active)
		return 0;
	return quiet_ns < grace && grace - quiet_ns < activity.pause_ns ? grace - quiet_ns
									: activity.pause_ns;
}

/* A launch that began counts as work, also before its record is armed. */
static void note_work(int busy, uint32_t nr_ended, uint64_t now_ns)
{
	static uint64_t begun_before;
	uint64_t last_end = atomic_load_explicit(&activity.last_end_ns, memory_order_relaxed);

	if (busy || activity.nr_begun != begun_before)
		activity.last_busy_ns = now_ns;
	else if (nr_ended && time_before(activity.last_busy_ns, last_end))
		activity.last_busy_ns = last_end;
	begun_before = activity.nr_begun;
}

/* What was taken for lost and is not: the process is active again. */
static void lost_set(struct shm_proc *line, int is_lost_now)
{
	if (activity.is_lost && !is_lost_now && has_work())
		__atomic_store_n(&line->active, 1, __ATOMIC_SEQ_CST);
	activity.is_lost = is_lost_now;
}

static uint64_t pass_after(void)
{
	struct shm_proc *line = link_line();
	uint64_t now = clock_now_ns();
	uint32_t nr_ended = atomic_exchange_explicit(&activity.nr_ended, 0, memory_order_relaxed);
	uint64_t grace, quiet;
	int busy;

	if (!link_is_on())
		return 0;
	lost_set(line, is_lost(nr_ended, now));
	busy = is_busy(now);
	if (nr_ended)
		hold_wake();
	note_work(busy, nr_ended, now);
	grace = current_grace_ns();
	quiet = time_before(activity.last_busy_ns, now) ? now - activity.last_busy_ns : 0;
	if (__atomic_load_n(&line->active, __ATOMIC_RELAXED) && !busy && quiet >= grace)
		become_idle(line);
	line_publish(line, now);
	return pause_of(busy, (int)__atomic_load_n(&line->active, __ATOMIC_RELAXED), quiet, grace);
}

static void ended(const struct launch_note *note, uint64_t duration_ns, uint64_t end_ns)
{
	account(note, duration_ns, end_ns);
}

static const struct tracker_ops tracker_side = {
	.before = pass_before,
	.ended = ended,
	.after = pass_after,
};

void activity_start(void)
{
	struct shm_proc *line = link_line();
	int nr_cpus = get_nprocs();

	activity.gaps = (struct grace){.is_known = 0};
	atomic_store(&activity.grace_ns, 0);
	atomic_store(&activity.last_end_ns, 0);
	activity.pause_ns = PAUSE_NS;
	if (nr_cpus > 0 && nr_cpus < PAUSE_CPUS)
		activity.pause_ns = (uint64_t)PAUSE_NS * PAUSE_CPUS / (uint64_t)nr_cpus;
	__atomic_store_n(&line->beat_ns, clock_now_ns(), __ATOMIC_RELAXED);
	tracker_set_ops(&tracker_side);
}

void activity_stop(void)
{
	struct shm_proc *line = link_line();

	tracker_set_ops(NULL);
	__atomic_store_n(&line->hold_until_ns, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&line->wants, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&line->active, 0, __ATOMIC_RELEASE);
}

void activity_reset(void)
{
	tracker_set_ops(NULL);
	atomic_store(&activity.nr_in_call, 0);
	atomic_store(&activity.nr_queued, 0);
	atomic_store(&activity.untracked_until_ns, 0);
	activity.nr_outstanding = 0;
	activity.has_slack = 0;
	activity.is_lost = 0;
	activity.progress_ns = 0;
}
