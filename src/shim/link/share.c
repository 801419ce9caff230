/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a launch may use, and whether it may go now.
 *
 * Best effort has no TPCs of its own: it runs on what is lent, and what it launches is held back so
 * that an owner that comes back finds little of it:
 *
 *   case                                                     verdict
 *   no TPC at all                                            hold
 *   a graph was given a TPC that may not be used now         hold, up to 100 ms
 *   a gang needs more than is lent                           hold, up to 20 ms
 *   it leaves the GPU again when an owner returns (split/)   go
 *   borrowed work remains, and with this is over the bound   hold
 *   else                                                     go
 *
 * An owner is never held. Its own TPCs run its launch now, whatever it has borrowed; what is lent
 * is added when that costs neither its neighbour nor itself: when the launch leaves the GPU as soon
 * as the neighbour returns, or is known to be short and fits into the bound. Everything else an
 * owner launches (graphs, whose masks stay as they are for life; long or unknown kernels; grids
 * that the driver makes by itself) runs on its own TPCs alone. Two owners work at the same hardware
 * priority, so what one had on the other's TPCs would not give way by itself.
 *
 * What remains is the predicted work outstanding less what the running launch has used of it
 * (hold.c), so that the next launch is queued before the running one ends and the GPU does not idle
 * between them. A launch that is longer than the bound, or unknown, goes when 60 us remain: that is
 * the way from here to the GPU, woken thread and driver call included (35 us measured). Held
 * launches may be what an outstanding kernel waits for (another stream's flag): when nothing has
 * completed for 20 ms, or for the predicted time of what is outstanding if that is longer, one
 * goes, and the time starts again.
 *
 * Example: bound 200 us, a launch of 150 us begun. One of 40 us goes; one of 80 us is held for 30
 * us, one of 1.4 ms, and an unknown one, which counts as 200 us, for 90 us. An owner that comes
 * back then waits for 200, or for 1,460 us; not for one of 1.4 ms that leaves again (split/). Had
 * an owner launched them, all would have gone at once: that of 40 us also on lent TPCs, the others
 * on its own.
 *
 * Where no owner could come back, because none is on the board for the TPCs of the borrow set, the
 * bound is half a period of sharing: others who borrow wait for no more than that, and the GPU need
 * not idle while predictions are wrong. A training of many short kernels took 8 to 12 % longer
 * under the owner's bound.
 *
 * When own and lendable TPCs are none, a launch must still run somewhere, since an empty mask hangs
 * the GPU's queue: a launch that was held until its limit, one of the driver's own, or one that
 * nobody asked about. lend_fallback() says where; counted.
 *
 * Tested by tests/unit/share_view_ask.c and tests/integration/link_shim.c.
 */
#include "shim/link/share.h"

#include <stddef.h>

#include "base/clock.h"
#include "base/futex.h"
#include "sched/share.h"
#include "shim/link/link.h"
#include "shim/slots.h"
#include "shim/tenant.h"
#include "shim/track/predict_table.h"
#include "shim/track/tracker.h"

#define GANG_HOLD_NS  20000000u
#define GRAPH_HOLD_NS 100000000u
#define POLL_MIN_NS   100000u
#define POLL_MAX_NS   1000000u
#define BOUND_MIN_NS  1000u
#define LEAD_NS       60000u
#define ALONE_NS      (SHARE_PERIOD_NS / 2)

int share_is_on(void)
{
	return link_is_on();
}

int share_may_hold(void)
{
	/* As of the last view: the first launch of a turn may go unasked. */
	return link_is_on() &&
	       (int)atomic_load_explicit(&link_state.may_hold, memory_order_relaxed);
}

int share_is_best_effort(void)
{
	struct share_view scratch;

	return link_is_on() && !view_of(thread_self(), &scratch)->lend.is_owner;
}

int share_must_yield(void)
{
	struct share_view scratch;

	return view_of(thread_self(), &scratch)->lend.nr_owners != 0;
}

static __attribute__((noinline)) void grid_count(struct share_view *view,
						 const struct tpcset *allowed)
{
	struct tpcset own = tpcset_and(*allowed, view->lend.own);

	view->mask = *allowed;
	view->nr_own = tpcset_count(&own);
	view->nr_borrowed = tpcset_count(allowed) - view->nr_own;
}

/* Times are predicted for what a launch could have, not for what the last one had. */
static __attribute__((noinline)) void width_note(struct share_view *view,
						 const struct tpcset *usable)
{
	view->usable = *usable;
	predict_set_width(tpcset_count(usable));
}

void share_grid_now(struct thread_state *t, uint64_t now_ns, struct share_grid *ret_grid)
{
	struct share_view scratch;
	struct share_view *view = view_of(t, &scratch);
	struct tpcset usable = tpcset_or(view->lend.own, view_lendable(view, now_ns));
	struct tpcset allowed = view->lend.is_owner && !t->may_borrow ? view->lend.own : usable;

	t->may_borrow = 0;
	if (link_unlikely(tpcset_is_empty(&allowed))) {
		allowed = lend_fallback(&view->lend, &link_state.present);
		thread_count_in(t, STATS_share_no_tpcs);
	}
	if (link_unlikely(!tpcset_equal(&usable, &view->usable)))
		width_note(view, &usable);
	if (link_unlikely(!tpcset_equal(&allowed, &view->mask)))
		grid_count(view, &allowed);
	ret_grid->allowed = allowed;
	ret_grid->nr_own = view->nr_own;
	ret_grid->nr_borrowed = view->nr_borrowed;
}

void share_mask(const struct device *device, struct tpcset *ret_allowed, uint32_t *ret_is_borrowed)
{
	struct share_grid grid;

	if (!device->is_shared) {
		*ret_allowed = device->allowed;
		*ret_is_borrowed = 0;
		return;
	}
	share_grid_now(thread_self(), clock_now_ns(), &grid);
	*ret_allowed = grid.allowed;
	*ret_is_borrowed = grid.nr_borrowed != 0;
}

struct tpcset share_reach(struct thread_state *t)
{
	struct share_view scratch;
	const struct share_view *view = view_of(t, &scratch);
	struct tpcset reach = tpcset_or(view->lend.own, view->lend.borrow);

	if (!tpcset_is_empty(&reach))
		return reach;
	return lend_fallback(&view->lend, &link_state.present);
}

struct tpcset share_own(struct thread_state *t)
{
	struct share_view scratch;

	return view_of(t, &scratch)->lend.own;
}

struct tpcset share_unowned(struct thread_state *t)
{
	struct share_view scratch;

	return view_of(t, &scratch)->lend.unowned;
}

/* --- charging --- */

static uint64_t bound_of(const struct share_view *view)
{
	return view->lend.bound_ns > BOUND_MIN_NS ? view->lend.bound_ns : BOUND_MIN_NS;
}

/* How much may be outstanding. */
static uint64_t limit_of(const struct share_view *view)
{
	uint64_t bound = bound_of(view);

	return view->lend.nr_owners || bound > ALONE_NS ? bound : ALONE_NS;
}

/* What a launch counts for: an unknown one, a whole bound. */
static uint32_t charge_of(const struct share_view *view, uint64_t predicted_ns)
{
	uint64_t charge = predicted_ns ? predicted_ns : bound_of(view);

	return charge < UINT32_MAX ? (uint32_t)charge : UINT32_MAX;
}

void share_charge(struct thread_state *t, const struct tpcset *allowed, uint64_t predicted_ns,
		  struct launch_note *note)
{
	struct share_view scratch;
	const struct share_view *view = view_of(t, &scratch);
	struct tpcset borrowed = tpcset_andnot(*allowed, view->lend.own);

	if (tpcset_is_empty(&borrowed))
		return;
	note->charged_ns = charge_of(view, predicted_ns);
	note->ticket = (uint8_t)hold_begin(note->charged_ns, &borrowed, note->submitted_ns);
}

uint64_t share_remaining_ns(uint64_t now_ns)
{
	return link_is_on() ? hold_remaining_ns(now_ns) : UINT64_MAX;
}

uint32_t share_nr_outstanding(void)
{
	return link_is_on() ? hold_nr_outstanding() : UINT32_MAX;
}

void share_wake(void)
{
	hold_notify();
}

/* --- asking --- */

static int held_for(const struct share_request *request, uint64_t now_ns, uint64_t limit_ns)
{
	return request->held_since_ns && now_ns - request->held_since_ns >= limit_ns;
}

static enum share_verdict ask_bound(struct share_view *view, const struct share_request *request,
				    uint64_t now_ns)
{
	uint64_t charge = charge_of(view, request->predicted_ns), bound = limit_of(view);
	uint64_t outstanding = hold_outstanding_ns();
	uint64_t remaining = hold_remaining_ns(now_ns);
	uint64_t allowed = charge + LEAD_NS < bound ? bound - charge : LEAD_NS;

	view->ask_again_ns = 0;
	if (!outstanding || outstanding + charge <= bound || request->is_revocable)
		return SHARE_GO;
	if (remaining > allowed) {
		view->ask_again_ns = now_ns + remaining - allowed;
		return SHARE_HOLD_BOUND;
	}
	/* Overdue: how long it will still take is unknown, so a completion is awaited. */
	return remaining ? SHARE_GO : SHARE_HOLD_BOUND;
}

static enum share_verdict ask_fixed(struct share_view *view, const struct tpcset *lendable,
				    const struct share_request *request, uint64_t now_ns)
{
	struct tpcset wrong = tpcset_andnot(*request->fixed, *lendable);

	if (held_for(request, now_ns, GRAPH_HOLD_NS))
		return SHARE_GO;
	return tpcset_is_empty(&wrong) ? ask_bound(view, request, now_ns) : SHARE_HOLD_TPCS;
}

static enum share_verdict ask_free(struct share_view *view, const struct tpcset *lendable,
				   const struct share_request *request, uint64_t now_ns)
{
	int is_gang = request->min_tpcs > 0;

	if (is_gang && held_for(request, now_ns, GANG_HOLD_NS))
		return SHARE_GO;
	if (tpcset_is_empty(lendable) || tpcset_count(lendable) < request->min_tpcs)
		return SHARE_HOLD_TPCS;
	return ask_bound(view, request, now_ns);
}

/* 1 when the bound has room for the launch, whatever the time is. */
static int is_within_bound(const struct share_view *view, uint64_t charge_ns)
{
	return hold_outstanding_ns() + charge_ns <= limit_of(view);
}

/* 1 when an owner's launch may have lent TPCs as well. */
static uint32_t may_borrow(const struct share_view *view, const struct share_request *request)
{
	if (request->fixed || request->min_tpcs)
		return 0;
	return request->is_revocable ||
	       (request->predicted_ns && is_within_bound(view, request->predicted_ns));
}

/*
 * 1 when an ordinary launch may go whatever the time is: TPCs can be had and the bound is far. The
 * descriptor hook looks at the clock, and at the timers if that was long ago.
 */
static int goes_at_any_time(const struct share_view *view, const struct share_request *request)
{
	struct tpcset lendable;

	if (request->fixed || request->min_tpcs || !view_lendable_lately(view, &lendable))
		return 0;
	if (tpcset_is_empty(&lendable))
		return 0;
	return !hold_outstanding_ns() || request->is_revocable ||
	       is_within_bound(view, charge_of(view, request->predicted_ns));
}

static __attribute__((noinline)) enum share_verdict
ask_slow(struct share_view *view, const struct share_request *request, uint32_t nr_completed)
{
	uint64_t now = clock_now_ns();
	struct tpcset lendable = view_lendable(view, now);
	enum share_verdict verdict;

	verdict = request->fixed ? ask_fixed(view, &lendable, request, now)
				 : ask_free(view, &lendable, request, now);
	view->asked_at = nr_completed;
	view->verdict = verdict;
	if (verdict == SHARE_GO || !hold_is_stuck(now, request->predicted_ns))
		return verdict;
	thread_count(STATS_share_unstuck);
	return SHARE_GO;
}

enum share_verdict share_ask(const struct device *device, const struct share_request *request)
{
	/* Before anything is looked at: share_wait() returns at once when more has completed
	 * since. */
	uint32_t nr_completed = hold_nr_completed();
	struct thread_state *t = thread_self();
	struct share_view scratch, *view;

	if (!device->is_shared)
		return SHARE_GO;
	view = view_of(t, &scratch);
	if (view->lend.is_owner) {
		t->may_borrow = may_borrow(view, request);
		return SHARE_GO;
	}
	if (link_unlikely(!goes_at_any_time(view, request)))
		return ask_slow(view, request, nr_completed);
	view->asked_at = nr_completed;
	view->verdict = SHARE_GO;
	view->ask_again_ns = 0;
	return SHARE_GO;
}

static struct tpcset lendable_now(void)
{
	struct share_view scratch;

	return view_lendable(view_of(thread_self(), &scratch), clock_now_ns());
}

/*
 * The word of an owner that keeps TPCs of the borrow set, and what it says, or NULL: it falls to 0
 * with its work. What it says is the owner's process' affair, any number but 0.
 */
static const uint32_t *active_word(const struct share_view *view, uint32_t *ret_seen)
{
	for (uint32_t i = 0; i < view->lend.nr_owners; i++) {
		const struct lend_owner *owner = &view->lend.owner[i];
		const struct lend_peer *peer = &link_state.peer[owner->place];
		if (__atomic_load_n(&peer->tag, __ATOMIC_ACQUIRE) != lend_tag(owner->generation))
			continue;
		for (uint32_t k = 0; k < owner->nr_lines; k++) {
			const uint32_t *word = &peer->activity->proc[k].active;
			*ret_seen = __atomic_load_n(word, __ATOMIC_ACQUIRE);
			if (*ret_seen)
				return word;
		}
	}
	return NULL;
}

/* 1 when the owner that is in the way has been waited for: until it is idle, or the time is
 * over. */
static int wait_for_owner(const struct share_view *view, uint64_t timeout_ns)
{
	uint32_t seen = 0;
	const uint32_t *word = active_word(view, &seen);

	if (!word || timeout_ns >= 1000000000u)
		return 0;
	/* Shared, and readable only; woken by become_idle() in the owner's process. */
	futex_wait(word, seen, timeout_ns, FUTEX_WORD_SHARED);
	return 1;
}

void share_wait(uint64_t timeout_ns)
{
	uint64_t end = clock_now_ns() + timeout_ns, now = clock_now_ns();
	uint64_t slice = POLL_MIN_NS;
	struct share_view scratch, *view;
	struct tpcset before;
	uint32_t seen;

	if (!link_is_on()) {
		(void)hold_wait(hold_nr_completed(), timeout_ns);
		return;
	}
	view = view_of(thread_self(), &scratch);
	if (view->verdict == SHARE_HOLD_TPCS && wait_for_owner(view, timeout_ns))
		return;
	/* It may be dozing after an idle time, and would see completions only milliseconds from
	 * now. */
	tracker_kick();
	if (view->ask_again_ns && time_before(view->ask_again_ns, end))
		end = view->ask_again_ns;
	view->ask_again_ns = 0;
	seen = view->asked_at;
	/* A wait without a question in between is for what completes from now on. */
	view->asked_at = hold_nr_completed();
	before = lendable_now();
	/* Nobody wakes us when a turn begins: that is looked for, ever more rarely. */
	for (; time_before(now, end); now = clock_now_ns()) {
		struct tpcset lendable;
		if (hold_wait(seen, slice < end - now ? slice : end - now))
			return;
		lendable = lendable_now();
		if (!tpcset_equal(&lendable, &before))
			return;
		slice = slice * 2 < POLL_MAX_NS ? slice * 2 : POLL_MAX_NS;
	}
}

/* --- priorities --- */

typedef CUresult (*priority_range_fn)(int *least, int *greatest);

/* Asked once: all contexts of a device have the same. */
static int priority_range(int *ret_least, int *ret_greatest)
{
	static _Atomic int range[2];
	static _Atomic int is_known;

	if (!atomic_load_explicit(&is_known, memory_order_acquire)) {
		priority_range_fn ask =
			(priority_range_fn)slots_real("cuCtxGetStreamPriorityRange");
		if (!ask || ask(ret_least, ret_greatest))
			return -1;
		atomic_store_explicit(&range[0], *ret_least, memory_order_relaxed);
		atomic_store_explicit(&range[1], *ret_greatest, memory_order_relaxed);
		atomic_store_explicit(&is_known, 1, memory_order_release);
	}
	*ret_least = atomic_load_explicit(&range[0], memory_order_relaxed);
	*ret_greatest = atomic_load_explicit(&range[1], memory_order_relaxed);
	return 0;
}

int share_priority_in_range(int asked)
{
	int least = 0, greatest = 0;

	if (priority_range(&least, &greatest))
		return asked;
	if (asked > least)
		return least;
	return asked < greatest ? greatest : asked;
}

int share_stream_priority(int asked)
{
	struct share_view scratch;
	int least = 0, greatest = 0;

	if (!link_is_on() || priority_range(&least, &greatest))
		return asked;
	if (!view_of(thread_self(), &scratch)->lend.is_owner)
		return least;
	asked = share_priority_in_range(asked);
	return asked - 1 < greatest ? greatest : asked - 1;
}
