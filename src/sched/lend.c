/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lending by the borrower's own eyes.
 *
 * The daemon says whose turn it is to borrow which TPCs, every few milliseconds. Between two of its
 * words an owner may start to work, and must find its TPCs free at once. So each launch of a
 * borrower looks itself: it takes its borrow set, less the TPCs of owners whose activity says that
 * they work, less the TPCs on which the work of another borrower, whose turn ended, is predicted to
 * last still. Nothing is asked and nobody is told; the price is one cache line for each process of
 * each owner concerned.
 *
 * Example: TPCs 0-7. Owner A has 0-3, owner B has 4-5, nobody 6-7. The tenant owns none, and its
 * turn is 2-7. A works; the timer of 6 says 300 us from now, by another borrower; that of 7 says
 * the same, by this tenant. Lendable: 2-7 less 2-3 (A works) less 6 = 4, 5, 7. When A is stopped,
 * the board calls it stalled: 2 and 3 are lendable as if A were idle. With no daemon to say so, the
 * borrower finds after a second that A's beat is old, and comes to the same.
 *
 * In doubt an owner counts as working: when its activity is not mapped yet, or is that of a tenant
 * that had the place before. A launch that looked just before an owner began runs on its TPCs: that
 * is the one launch, or bound of launches, that an owner may find there.
 *
 * What it does badly: an owner with 64 processes costs 64 cache lines a launch. A borrower that
 * lies about its turn cannot be stopped from here; masks are written by each tenant for itself.
 *
 * Tested by tests/unit/lend_effective.c, with invented boards and with garbage.
 */
#include "sched/lend.h"

static uint32_t nr_places(const struct shm_board *board)
{
	return board->nr_owners < SHM_MAX_OWNERS ? board->nr_owners : SHM_MAX_OWNERS;
}

static struct tpcset owned_on(const struct shm_board *board)
{
	struct tpcset owned = {{0}};

	for (uint32_t i = 0; i < nr_places(board); i++) {
		const struct shm_owner *owner = &board->owner[i];

		if (owner->state == SHM_OWNER_LIVE || owner->state == SHM_OWNER_STALLED)
			owned = tpcset_or(owned, owner->tpcs);
	}
	return owned;
}

/* Owners whose activity is to be asked before their TPCs are borrowed. */
static void owners_add(const struct shm_board *board, struct lend_view *view)
{
	for (uint32_t i = 0; i < nr_places(board); i++) {
		const struct shm_owner *owner = &board->owner[i];
		struct tpcset overlap = tpcset_and(owner->tpcs, view->borrow);

		if (owner->state != SHM_OWNER_LIVE || tpcset_is_empty(&overlap))
			continue;
		view->owner[view->nr_owners++] = (struct lend_owner){
			.place = i,
			.generation = owner->generation,
			.nr_lines =
				owner->nr_lines < SHM_MAX_PROCS ? owner->nr_lines : SHM_MAX_PROCS,
			.tpcs = overlap,
		};
	}
}

void lend_view_make(const struct shm_grant *grant, const struct shm_board *board,
		    const struct tpcset *present, struct lend_view *ret_view)
{
	struct tpcset borrow = tpcset_and(grant->borrow, *present), owned = owned_on(board);

	ret_view->own = tpcset_and(grant->own, *present);
	/* A borrow set made up without the daemon does not leave them out. */
	if (board->is_partitioned)
		borrow = tpcset_andnot(borrow, owned);
	ret_view->borrow = (struct tpcset){{0}};
	if (grant->state == SHM_GRANT_LIVE)
		ret_view->borrow = tpcset_andnot(borrow, ret_view->own);
	ret_view->bound_ns = grant->bound_ns;
	ret_view->grace_ns = grant->grace_ns;
	ret_view->is_owner = !tpcset_is_empty(&ret_view->own);
	ret_view->nr_owners = 0;
	owners_add(board, ret_view);
	owned = tpcset_or(owned, ret_view->own);
	ret_view->unowned = tpcset_andnot(*present, owned);
}

/* A beat of the future is one of now, as the daemon takes it; who never beat may be beginning. */
static int proc_works(const struct shm_proc *proc, uint64_t now_ns)
{
	uint64_t beat_ns = __atomic_load_n(&proc->beat_ns, __ATOMIC_RELAXED);

	return !beat_ns || beat_ns > now_ns || now_ns - beat_ns < LEND_STALL_NS;
}

static uint32_t is_stalled(const struct lend_owner *owner, const struct lend_peer *peer,
			   uint64_t now_ns)
{
	uint32_t nr_active = 0;

	if (__atomic_load_n(&peer->tag, __ATOMIC_ACQUIRE) != lend_tag(owner->generation))
		return 0;
	for (uint32_t i = 0; i < owner->nr_lines; i++) {
		const struct shm_proc *proc = &peer->activity->proc[i];

		if (!__atomic_load_n(&proc->active, __ATOMIC_ACQUIRE))
			continue;
		if (proc_works(proc, now_ns))
			return 0;
		nr_active++;
	}
	return nr_active != 0 &&
	       __atomic_load_n(&peer->tag, __ATOMIC_RELAXED) == lend_tag(owner->generation);
}

void lend_look_at_beats(struct lend_view *view, const struct lend_peer peer[SHM_MAX_OWNERS],
			uint64_t now_ns)
{
	for (uint32_t i = 0; i < view->nr_owners; i++)
		view->owner[i].is_stalled =
			is_stalled(&view->owner[i], &peer[view->owner[i].place], now_ns);
}

static int timer_keeps_off(uint64_t until_ns, uint64_t soon_ns)
{
	/* Not time_before(): a wild value is no time of this century, and must not wrap around. */
	return until_ns > soon_ns;
}

struct tpcset lend_busy(const uint64_t timer_ns[TPCSET_BITS], const struct tpcset *candidates,
			const struct lend_hold *mine, uint64_t now_ns)
{
	struct tpcset busy = {{0}};
	uint64_t soon = now_ns + LEND_TOLERANCE_NS;

	for (unsigned int w = 0; w < TPCSET_WORDS; w++) {
		for (uint32_t left = candidates->w[w]; left; left &= left - 1) {
			unsigned int bit = w * 32 + (unsigned int)__builtin_ctz(left);
			uint64_t until = __atomic_load_n(&timer_ns[bit], __ATOMIC_RELAXED);

			if (!timer_keeps_off(until, soon))
				continue;
			if (tpcset_has(&mine->tpcs, bit) &&
			    until <= mine->until_ns + LEND_TOLERANCE_NS)
				continue;
			tpcset_add(&busy, bit);
		}
	}
	return busy;
}

struct tpcset lend_fallback(const struct lend_view *view, const struct tpcset *present)
{
	if (!tpcset_is_empty(&view->own))
		return view->own;
	if (!tpcset_is_empty(&view->borrow))
		return view->borrow;
	if (!tpcset_is_empty(&view->unowned))
		return view->unowned;
	return *present;
}
