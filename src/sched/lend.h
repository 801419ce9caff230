/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which TPCs a tenant may use at this moment.
 *
 * Glossary
 *   view   what the board and the grant say of one tenant, copied and checked
 *   peer   the activity region of an owner, as this process has it mapped
 *   busy   TPCs of the borrow set on which somebody else's borrowed work is predicted to run still
 *
 * Pure: reads the memory it is given, keeps nothing. Any thread.
 */
#ifndef LITHOS_SCHED_LEND_H
#define LITHOS_SCHED_LEND_H

#include <stdint.h>

#include <lithos/shm.h>
#include <lithos/tpcset.h>

/* An owner that works but whose beat is older does not answer: stopped, or killed unseen. */
#define LEND_STALL_NS 1000000000u

/* A TPC whose timer ends within a launch's way to the GPU counts as free. */
#define LEND_TOLERANCE_NS 20000u

/* An owner whose TPCs the borrow set overlaps. */
struct lend_owner {
	uint32_t place; /* on the board */
	uint32_t generation;
	uint32_t nr_lines;   /* at most SHM_MAX_PROCS */
	struct tpcset tpcs;  /* the overlap */
	uint32_t is_stalled; /* as of lend_look_at_beats() */
	uint32_t reserved;
};

struct lend_view {
	struct tpcset own;
	struct tpcset borrow;  /* disjoint from own; empty when the grant is not live */
	struct tpcset unowned; /* of nobody on the board */
	uint64_t bound_ns;
	uint64_t grace_ns;
	uint32_t is_owner;
	uint32_t nr_owners; /* in use below */
	struct lend_owner owner[SHM_MAX_OWNERS];
};

/* By place on the board. The activity may be read at any time, whatever the tag says. */
struct lend_peer {
	uint64_t tag; /* lend_tag() of the generation it belongs to, 0 = none; atomic */
	const struct shm_activity *activity;
};

static inline uint64_t lend_tag(uint32_t generation)
{
	return 1ull << 32 | generation;
}

/* Borrowed work of the tenant itself: its timers do not keep it off. */
struct lend_hold {
	struct tpcset tpcs;
	uint64_t until_ns;
};

/*
 * Makes a view of private copies of a grant and of a board, whatever is in them; `present` are the
 * TPCs that exist.
 */
void lend_view_make(const struct shm_grant *grant, const struct shm_board *board,
		    const struct tpcset *present, struct lend_view *ret_view);

/* TPCs of `candidates` that somebody else's timer keeps. `timer_ns` is the board's. */
struct tpcset lend_busy(const uint64_t timer_ns[TPCSET_BITS], const struct tpcset *candidates,
			const struct lend_hold *mine, uint64_t now_ns);

/*
 * Looks which owners have stalled: all their processes that are active have not beaten for
 * LEND_STALL_NS. They lend as if idle. The daemon says so on the board; this is for when it is
 * away. Every now and then, not at each launch: it reads a second cache line of each active
 * process.
 */
void lend_look_at_beats(struct lend_view *view, const struct lend_peer peer[SHM_MAX_OWNERS],
			uint64_t now_ns);

/* 1 when the owner has work, or when nobody can tell. */
static inline int lend_owner_is_active(const struct lend_owner *owner, const struct lend_peer *peer)
{
	uint64_t tag = lend_tag(owner->generation);

	/* pairs with the release of who maps a peer: its memory before its tag */
	if (__atomic_load_n(&peer->tag, __ATOMIC_ACQUIRE) != tag)
		return 1;
	for (uint32_t i = 0; i < owner->nr_lines; i++) {
		if (__atomic_load_n(&peer->activity->proc[i].active, __ATOMIC_ACQUIRE))
			return 1;
	}
	/* Still the same region: it may have been exchanged while its words were read. */
	return __atomic_load_n(&peer->tag, __ATOMIC_RELAXED) != tag;
}

/* TPCs of the borrow set that may be used now; about 5 ns and a cache line an owner. */
static inline struct tpcset lend_lendable(const struct lend_view *view,
					  const struct lend_peer peer[SHM_MAX_OWNERS],
					  const struct tpcset *busy)
{
	struct tpcset set = tpcset_andnot(view->borrow, *busy);

	for (uint32_t i = 0; i < view->nr_owners; i++) {
		const struct lend_owner *owner = &view->owner[i];
		if (!owner->is_stalled && lend_owner_is_active(owner, &peer[owner->place]))
			set = tpcset_andnot(set, owner->tpcs);
	}
	return set;
}

/*
 * What to use when own and lendable TPCs are none: own, else the borrow set, else what nobody owns,
 * else all that is present. Empty only when `present` is.
 */
struct tpcset lend_fallback(const struct lend_view *view, const struct tpcset *present);

#endif
