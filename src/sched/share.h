/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may borrow which TPCs of one GPU at this moment. Pure: time is a parameter.
 *
 * Glossary
 *   lendable  TPCs that nobody owns, and those of owners that are idle
 *   period    10 ms; who has a turn keeps it for a period
 *   served    wants to borrow, and has a part of the lendable TPCs
 *
 * Members that own TPCs and members that own none are divided among separately: sets of the two
 * kinds may overlap. While at most one of a kind wants, its kind's borrow sets are all TPCs but
 * their own, so that a first launch need not wait for anybody. From two on, those who want have
 * disjoint sets. A member that does not want keeps the wide set: it is not in the division, and the
 * timers on the board keep it off TPCs in use until it is.
 */
#ifndef LITHOS_SCHED_SHARE_H
#define LITHOS_SCHED_SHARE_H

#include <stdint.h>

#include <lithos/tpcset.h>

struct topology;

#define SHARE_PERIOD_NS 10000000u
#define SHARE_STARVE_NS 900000000u
#define SHARE_MIN_TPCS  4u
#define SHARE_MAX_TURNS (TPCSET_BITS / SHARE_MIN_TPCS)

struct share_member {
	/* Set by the caller before each update. */
	uint32_t id; /* not two the same; settles ties */
	uint32_t priority;
	uint32_t wants;     /* has work that borrowed TPCs would run */
	uint32_t is_active; /* uses its own TPCs: they are not lendable */
	struct tpcset own;

	/* Kept here between updates; zero at first. */
	uint32_t wanted;      /* at the last update */
	uint32_t has_part;    /* was served at the last update */
	uint32_t in_turn;     /* was served in this period */
	uint32_t is_raised;   /* this period counts as of the highest priority: it starved */
	uint64_t served_ns;   /* last time it was served, or began to want */
	uint64_t turn_order;  /* among those served until the same moment: who was chosen first */
	uint64_t extra_turn;  /* number of the period in which it last had one TPC more */
	uint64_t extra_order; /* who had one more longest ago is next: order of the choices */

	/* The answer. */
	struct tpcset borrow;
};

struct share {
	uint64_t begin_ns; /* of the period */
	uint64_t turn;     /* number of the period; 0 = none yet */
	uint64_t order; /* of the last choice made: no two choices are at the same place in line */
};

struct share_counts {
	uint32_t nr_own;  /* owned, and not lent */
	uint32_t nr_lent; /* in the set of a member that wants, and not an active owner's */
	uint32_t nr_free; /* nobody's, and not lent */
	uint32_t nr_all;
};

/* Divides anew: when a period is over, or when somebody began or stopped wanting. */
void share_update(struct share *share, const struct topology *topo,
		  struct share_member *const *members, uint32_t nr, uint64_t now_ns);

/* Where the TPCs are after the last update: nr_own + nr_lent + nr_free = nr_all. */
void share_count(const struct topology *topo, struct share_member *const *members, uint32_t nr,
		 struct share_counts *ret_counts);

/* 0, or -EUCLEAN: a set holds own or absent TPCs, or sets of two of a kind that want overlap. */
int share_check(const struct topology *topo, struct share_member *const *members, uint32_t nr);

#endif
