/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Borrowed work that is outstanding: how much, and on which TPCs.
 *
 * How much is a sum of predictions, added at the launch and taken off when its record is read. The
 * same numbers are used both times, so the sum comes back to zero whatever the predictions are
 * worth.
 *
 * On which TPCs tells others to keep off when this tenant's turn there is over (the daemon makes
 * timers of it). A set that only grows until nothing is outstanding would never shrink in a program
 * that keeps one launch in flight. So there are two: launches are counted into one until the other
 * has drained; then the other is emptied and takes the new ones. What is published is both, and a
 * TPC that is not used any more leaves after at most two drainings.
 *
 * Example, one kernel in flight at all times, 1 ms each: set 1 has the TPCs of turn A. The turn
 * moves to B: new launches go into set 1 until set 2 is found drained, then into set 2, and 1 ms
 * later set 1 is empty and A's TPCs are gone from the line.
 *
 * What remains of it is the sum less the time since something last completed: the launch that runs
 * has used that much of its prediction. It is what an owner would have to wait for.
 *
 * Races. A thread may count itself into the set that has just been emptied: then its TPCs are
 * there, only in the older set. The tracker's store of the published set may lose what a launch
 * adds in that moment; the tracker's next pass, 50 us later, puts it back.
 *
 * Tested by tests/unit/share_view_ask.c.
 */
#include <errno.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/futex.h"
#include "shim/link/link.h"
#include "shim/link/share.h"
#include "shim/thread.h"

#define STUCK_NS 20000000u

static struct {
	_Atomic uint64_t outstanding_ns;
	_Atomic uint32_t current; /* 0 or 1: the set that launches are counted into */
	_Atomic uint32_t nr[2];   /* outstanding in each */
	_Atomic uint32_t set[2][TPCSET_WORDS];
	_Atomic uint32_t left[TPCSET_WORDS]; /* emptied last: timers of it may still be ours */
	_Atomic uint64_t until_ns;           /* latest time ever published */
	_Atomic uint64_t last_event_ns; /* a completion, or a launch with nothing outstanding */
	_Atomic uint32_t nr_completed;  /* futex word of the waiting thread */
	_Atomic uint32_t nr_waiting;
} hold;

static struct tpcset set_load(_Atomic uint32_t word[TPCSET_WORDS])
{
	struct tpcset set;

	for (int i = 0; i < TPCSET_WORDS; i++)
		set.w[i] = atomic_load_explicit(&word[i], memory_order_relaxed);
	return set;
}

static void set_store(_Atomic uint32_t word[TPCSET_WORDS], const struct tpcset *set)
{
	for (int i = 0; i < TPCSET_WORDS; i++)
		atomic_store_explicit(&word[i], set->w[i], memory_order_relaxed);
}

/* 1 when all of the set is there already, as it mostly is. */
static int set_has(_Atomic uint32_t word[TPCSET_WORDS], const struct tpcset *set)
{
	uint32_t missing = 0;

#pragma GCC unroll 4
	for (int i = 0; i < TPCSET_WORDS; i++)
		missing |= set->w[i] & ~atomic_load_explicit(&word[i], memory_order_relaxed);
	return !missing;
}

static int line_has(const struct tpcset *shared, const struct tpcset *set)
{
	uint32_t missing = 0;

#pragma GCC unroll 4
	for (int i = 0; i < TPCSET_WORDS; i++)
		missing |= set->w[i] & ~__atomic_load_n(&shared->w[i], __ATOMIC_RELAXED);
	return !missing;
}

/* Adds; writes a word only when it changes. */
static __attribute__((noinline)) void set_add(_Atomic uint32_t word[TPCSET_WORDS],
					      const struct tpcset *set)
{
	for (int i = 0; i < TPCSET_WORDS; i++) {
		if (set->w[i] & ~atomic_load_explicit(&word[i], memory_order_relaxed))
			(void)atomic_fetch_or_explicit(&word[i], set->w[i], memory_order_relaxed);
	}
}

static __attribute__((noinline)) void line_add(struct tpcset *shared, const struct tpcset *set)
{
	for (int i = 0; i < TPCSET_WORDS; i++) {
		if (set->w[i] & ~__atomic_load_n(&shared->w[i], __ATOMIC_RELAXED))
			(void)__atomic_fetch_or(&shared->w[i], set->w[i], __ATOMIC_RELAXED);
	}
}

uint64_t hold_outstanding_ns(void)
{
	return atomic_load_explicit(&hold.outstanding_ns, memory_order_relaxed);
}

uint32_t hold_nr_outstanding(void)
{
	return atomic_load_explicit(&hold.nr[0], memory_order_relaxed) +
	       atomic_load_explicit(&hold.nr[1], memory_order_relaxed);
}

uint64_t hold_remaining_ns(uint64_t now_ns)
{
	uint64_t outstanding = hold_outstanding_ns();
	uint64_t last = atomic_load_explicit(&hold.last_event_ns, memory_order_relaxed);
	uint64_t elapsed = time_before(last, now_ns) ? now_ns - last : 0;

	return outstanding > elapsed ? outstanding - elapsed : 0;
}

static void until_raise(uint64_t until_ns)
{
	if (time_before(atomic_load_explicit(&hold.until_ns, memory_order_relaxed), until_ns))
		atomic_store_explicit(&hold.until_ns, until_ns, memory_order_relaxed);
}

uint32_t hold_begin(uint64_t predicted_ns, const struct tpcset *borrowed, uint64_t now_ns)
{
	uint32_t at = atomic_load_explicit(&hold.current, memory_order_relaxed);
	uint64_t before;

	(void)atomic_fetch_add_explicit(&hold.nr[at], 1, memory_order_seq_cst);
	before =
		atomic_fetch_add_explicit(&hold.outstanding_ns, predicted_ns, memory_order_relaxed);
	if (!before)
		atomic_store_explicit(&hold.last_event_ns, now_ns, memory_order_relaxed);
	if (link_unlikely(!set_has(hold.set[at], borrowed)))
		set_add(hold.set[at], borrowed);
	if (link_unlikely(!line_has(&link_line()->hold, borrowed)))
		line_add(&link_line()->hold, borrowed);
	__atomic_store_n(&link_line()->hold_until_ns, now_ns + before + predicted_ns,
			 __ATOMIC_RELAXED);
	until_raise(now_ns + before + predicted_ns);
	return at + 1;
}

void hold_wake(void)
{
	/* pairs with the count in hold_wait(): either it sees the new number, or is seen here */
	if (atomic_load_explicit(&hold.nr_waiting, memory_order_seq_cst))
		futex_wake(&hold.nr_completed, INT32_MAX, FUTEX_WORD_PRIVATE);
}

/* Records are read some time after they were written, and not in their order. */
static void event_at(uint64_t end_ns)
{
	if (time_before(atomic_load_explicit(&hold.last_event_ns, memory_order_relaxed), end_ns))
		atomic_store_explicit(&hold.last_event_ns, end_ns, memory_order_relaxed);
}

void hold_end(uint64_t predicted_ns, uint32_t ticket, uint64_t end_ns)
{
	if (ticket < 1 || ticket > 2)
		return;
	(void)atomic_fetch_sub_explicit(&hold.outstanding_ns, predicted_ns, memory_order_relaxed);
	(void)atomic_fetch_sub_explicit(&hold.nr[ticket - 1], 1, memory_order_release);
	event_at(end_ns);
	(void)atomic_fetch_add_explicit(&hold.nr_completed, 1, memory_order_seq_cst);
}

int hold_is_stuck(uint64_t now_ns, uint64_t predicted_ns)
{
	uint64_t last = atomic_load_explicit(&hold.last_event_ns, memory_order_relaxed);
	uint64_t outstanding = hold_outstanding_ns();
	uint64_t limit = outstanding > STUCK_NS ? outstanding : STUCK_NS;

	limit = predicted_ns > limit ? predicted_ns : limit;
	if (!outstanding || time_before(now_ns, last + limit))
		return 0;
	/* One caller wins, and the time starts again. */
	return atomic_compare_exchange_strong_explicit(&hold.last_event_ns, &last, now_ns,
						       memory_order_relaxed, memory_order_relaxed);
}

/* The older set takes over once it has drained. Tracker only. */
static void hold_turn(void)
{
	uint32_t current = atomic_load_explicit(&hold.current, memory_order_relaxed);
	uint32_t older = 1 - current;
	struct tpcset content;

	/* pairs with the release in hold_end() */
	if (atomic_load_explicit(&hold.nr[older], memory_order_acquire))
		return;
	content = set_load(hold.set[older]);
	if (!tpcset_is_empty(&content)) {
		set_store(hold.left, &content);
		set_store(hold.set[older], &(struct tpcset){{0}});
		/* Somebody counted himself in after the look: his TPCs are among these. */
		if (atomic_load_explicit(&hold.nr[older], memory_order_seq_cst)) {
			set_add(hold.set[older], &content);
			return;
		}
	}
	atomic_store_explicit(&hold.current, older, memory_order_relaxed);
}

void hold_publish(uint64_t now_ns)
{
	struct shm_proc *line = link_line();
	uint64_t outstanding = hold_outstanding_ns();
	struct tpcset all;

	hold_turn();
	all = tpcset_or(set_load(hold.set[0]), set_load(hold.set[1]));
	for (int i = 0; i < TPCSET_WORDS; i++) {
		if (__atomic_load_n(&line->hold.w[i], __ATOMIC_RELAXED) != all.w[i])
			__atomic_store_n(&line->hold.w[i], all.w[i], __ATOMIC_RELAXED);
	}
	__atomic_store_n(&line->hold_until_ns, outstanding ? now_ns + outstanding : 0,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&line->outstanding_ns, outstanding, __ATOMIC_RELAXED);
	if (outstanding)
		until_raise(now_ns + outstanding);
}

/* Another process of the tenant holds for all of them. Whatever is in its line is only compared. */
static void sibling_add(struct lend_hold *mine, const struct shm_proc *proc)
{
	uint64_t until = __atomic_load_n(&proc->hold_until_ns, __ATOMIC_RELAXED);

	if (!until)
		return;
	for (int i = 0; i < TPCSET_WORDS; i++)
		mine->tpcs.w[i] |= __atomic_load_n(&proc->hold.w[i], __ATOMIC_RELAXED);
	if (until > mine->until_ns)
		mine->until_ns = until;
}

void hold_of_process(struct lend_hold *ret_hold)
{
	struct tpcset mine = tpcset_or(set_load(hold.set[0]), set_load(hold.set[1]));

	ret_hold->tpcs = tpcset_or(mine, set_load(hold.left));
	ret_hold->until_ns = atomic_load_explicit(&hold.until_ns, memory_order_relaxed);
}

void hold_add_siblings(struct lend_hold *mine)
{
	for (uint32_t i = 0; i < SHM_MAX_PROCS; i++)
		sibling_add(mine, &link_state.activity->proc[i]);
}

uint32_t hold_nr_completed(void)
{
	return atomic_load_explicit(&hold.nr_completed, memory_order_seq_cst);
}

void hold_notify(void)
{
	(void)atomic_fetch_add_explicit(&hold.nr_completed, 1, memory_order_seq_cst);
	hold_wake();
}

int hold_is_awaited(void)
{
	return atomic_load_explicit(&hold.nr_waiting, memory_order_relaxed) != 0;
}

int hold_wait(uint32_t seen, uint64_t timeout_ns)
{
	(void)atomic_fetch_add_explicit(&hold.nr_waiting, 1, memory_order_seq_cst);
	futex_wait(&hold.nr_completed, seen, timeout_ns, FUTEX_WORD_PRIVATE);
	(void)atomic_fetch_sub_explicit(&hold.nr_waiting, 1, memory_order_seq_cst);
	return atomic_load_explicit(&hold.nr_completed, memory_order_relaxed) != seen;
}

void hold_reset(void)
{
	/* In the child of a fork: what the parent has outstanding is not ours. */
	atomic_store(&hold.outstanding_ns, 0);
	for (int i = 0; i < 2; i++) {
		atomic_store(&hold.nr[i], 0);
		set_store(hold.set[i], &(struct tpcset){{0}});
	}
	set_store(hold.left, &(struct tpcset){{0}});
	atomic_store(&hold.nr_waiting, 0);
}
