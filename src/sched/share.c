/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dividing what is lendable among those who want it.
 *
 * In space: with n members of the highest priority and L lendable TPCs, each gets L/n of them, made
 * by quota_pick(), so of whole GPCs as far as they go. The sets depend only on who wants and what
 * is lendable, so they stay the same from period to period and nobody has to drain; only the
 * remainder, one TPC each to L mod n members, goes round: to those that had it longest ago.
 * Example, 66 TPCs and 4 members: 16 each, and 2 of the 4 have 17; over 10 periods everybody had 17
 * five times.
 *
 * In turns: a part of fewer than four TPCs is no use to most kernels. When L/4 is less than n, only
 * L/4 members are served in a period, those that waited longest. Example, 8 lendable TPCs and 5
 * members: two a period with 4 each, everybody twice in 50 ms.
 *
 * Owners and best effort are divided among separately, each as if the others did not want: the same
 * TPC can be in a set of both. An owner borrows short launches, or such as leave at once, and its
 * blocks go first on the hardware; what it leaves of its turn would idle if it were barred to all
 * others. Best effort has its share of what the hardware has left.
 *
 * Lower priorities get nothing, but who had nothing for 900 ms counts as of the highest priority
 * for one period. Within a period an update (somebody began or stopped wanting) keeps the turns
 * that were given, so turns cannot be won by flapping.
 *
 * TPCs of active owners are no part of the even division, because they are worth nothing now and
 * everything in a moment. They are dealt in pieces of four, so that whoever looks first after the
 * owner went idle finds them in exactly one set; also when the owner itself, as the highest
 * priority, is the only one served: who comes after it would else wait for the next update each
 * time.
 *
 * What it does badly: with more than 360 members of one priority and 4 lendable TPCs a round takes
 * longer than a second. Tested by tests/unit/share_even.c and share_starve.c.
 */
#include "sched/share.h"

#include <errno.h>
#include <stddef.h>

#include "hw/topology.h"
#include "sched/quota.h"

/* One division in progress. */
struct division {
	const struct topology *topo;
	struct share_member *const *members;
	uint32_t nr;
	int is_of_owners; /* among those who own TPCs; else among those who own none */
	struct tpcset lendable;
	struct tpcset kept; /* of owners that are active */
	uint32_t nr_served;
	struct share_member *served[SHARE_MAX_TURNS];
};

static int owns(const struct share_member *m)
{
	return !tpcset_is_empty(&m->own);
}

/* Wants a part of what is being divided. */
static int takes_part(const struct division *d, const struct share_member *m)
{
	return m->wants && owns(m) == d->is_of_owners;
}

/* --- times ------------------------------------------------------------------------------------ */

static void begin_period(struct share *share, struct share_member *const *members, uint32_t nr,
			 uint64_t now_ns)
{
	share->begin_ns = now_ns;
	share->turn++;
	for (uint32_t i = 0; i < nr; i++) {
		struct share_member *m = members[i];

		m->in_turn = 0;
		m->is_raised = m->wants && m->wanted && !m->has_part &&
			       now_ns - m->served_ns >= SHARE_STARVE_NS;
	}
}

/* Books what was until now. */
static void note_past(struct share_member *m, uint64_t now_ns)
{
	if (m->has_part || (m->wants && !m->wanted))
		m->served_ns = now_ns;
	if (!m->wants)
		m->in_turn = 0;
	m->wanted = m->wants;
	m->has_part = 0;
}

/* --- who -------------------------------------------------------------------------------------- */

/* Of those that want, but one (NULL: of all); 0 when there is none. */
static uint32_t highest_priority(const struct division *d, const struct share_member *but)
{
	uint32_t highest = 0;

	for (uint32_t i = 0; i < d->nr; i++) {
		const struct share_member *m = d->members[i];

		if (m != but && takes_part(d, m) && m->priority > highest)
			highest = m->priority;
	}
	return highest;
}

/* a comes before b: it has the turn already, or it has waited longer. */
static int goes_before(const struct share_member *a, const struct share_member *b)
{
	if (a->in_turn != b->in_turn)
		return a->in_turn;
	if (a->served_ns != b->served_ns)
		return a->served_ns < b->served_ns;
	if (a->turn_order != b->turn_order)
		return a->turn_order < b->turn_order;
	return a->id < b->id;
}

/* The best candidate that is not served yet, or NULL. */
static struct share_member *next_served(const struct division *d, uint32_t priority)
{
	struct share_member *best = NULL;

	for (uint32_t i = 0; i < d->nr; i++) {
		struct share_member *m = d->members[i];

		if (!takes_part(d, m) || m->has_part || (m->priority != priority && !m->is_raised))
			continue;
		if (!best || goes_before(m, best))
			best = m;
	}
	return best;
}

/* In the order of ids, so that the same members get the same sets in every period. */
static void insert_served(struct division *d, struct share_member *m)
{
	uint32_t i = d->nr_served++;

	for (; i > 0 && d->served[i - 1]->id > m->id; i--)
		d->served[i] = d->served[i - 1];
	d->served[i] = m;
}

static void choose_served(struct division *d, struct share *share)
{
	uint32_t priority = highest_priority(d, NULL);
	uint32_t nr_tpcs = tpcset_count(&d->lendable);
	uint32_t most = (nr_tpcs ? nr_tpcs : tpcset_count(&d->kept)) / SHARE_MIN_TPCS;

	most = most ? most : 1;
	while (d->nr_served < most && d->nr_served < SHARE_MAX_TURNS) {
		struct share_member *m = next_served(d, priority);

		if (!m)
			return;
		/* A place in the list for now; cleared again when there was nothing to give. */
		m->has_part = 1;
		if (!m->in_turn)
			m->turn_order = ++share->order;
		m->in_turn = 1;
		insert_served(d, m);
	}
}

/* --- what ------------------------------------------------------------------------------------- */

static void give(struct division *d, struct share_member *m, struct tpcset set)
{
	m->borrow = tpcset_or(m->borrow, set);
	d->lendable = tpcset_andnot(d->lendable, set);
}

/* Who had one more this period keeps it; else who had it longest ago. */
static int deserves_extra_before(const struct share_member *a, const struct share_member *b,
				 uint64_t turn)
{
	if ((a->extra_turn == turn) != (b->extra_turn == turn))
		return a->extra_turn == turn;
	if (a->extra_order != b->extra_order)
		return a->extra_order < b->extra_order;
	return a->id < b->id;
}

static void give_remainder(struct division *d, struct share *share)
{
	uint32_t has_extra = 0; /* bit i: served[i] */

	while (!tpcset_is_empty(&d->lendable)) {
		uint32_t best = d->nr_served;
		struct tpcset one;

		for (uint32_t i = 0; i < d->nr_served; i++) {
			if (!((has_extra >> i) & 1) &&
			    (best == d->nr_served ||
			     deserves_extra_before(d->served[i], d->served[best], share->turn)))
				best = i;
		}
		if (best == d->nr_served || quota_pick(d->topo, &d->lendable, 1, &one) < 0)
			return;
		has_extra |= 1u << best;
		if (d->served[best]->extra_turn != share->turn)
			d->served[best]->extra_order = ++share->order;
		d->served[best]->extra_turn = share->turn;
		give(d, d->served[best], one);
	}
}

static void divide_lendable(struct division *d, struct share *share)
{
	uint32_t each = tpcset_count(&d->lendable) / d->nr_served;

	for (uint32_t i = 0; i < d->nr_served; i++) {
		struct tpcset set;

		if (each && quota_pick(d->topo, &d->lendable, each, &set) == 0)
			give(d, d->served[i], set);
	}
	give_remainder(d, share);
}

/*
 * Who finds the TPCs of an active owner in its set: those that are served, but itself. An owner
 * that is the only one of the highest priority cannot borrow from itself: then those that come
 * after it.
 */
static uint32_t heirs_find(const struct division *d, const struct share_member *owner,
			   struct share_member *ret_heirs[SHARE_MAX_TURNS])
{
	uint32_t priority, nr = 0;

	for (uint32_t i = 0; i < d->nr_served; i++) {
		if (d->served[i] != owner)
			ret_heirs[nr++] = d->served[i];
	}
	if (nr)
		return nr;
	priority = highest_priority(d, owner);
	for (uint32_t i = 0; i < d->nr && nr < SHARE_MAX_TURNS; i++) {
		struct share_member *m = d->members[i];

		if (m != owner && takes_part(d, m) && m->priority == priority)
			ret_heirs[nr++] = m;
	}
	return nr;
}

/* Owned TPCs of one active member, in pieces, to its heirs. */
static void deal_out(struct division *d, const struct share_member *owner, uint32_t *next)
{
	struct share_member *heirs[SHARE_MAX_TURNS];
	uint32_t nr_heirs = heirs_find(d, owner, heirs);
	uint32_t in_piece = 0;

	for (unsigned int bit = 0; nr_heirs && bit < TPCSET_BITS; bit++) {
		if (!tpcset_has(&owner->own, bit) || !tpcset_has(&d->kept, bit))
			continue;
		if (in_piece++ % SHARE_MIN_TPCS == 0)
			(*next)++;
		tpcset_add(&heirs[*next % nr_heirs]->borrow, bit);
	}
}

static void divide(struct division *d, struct share *share)
{
	int is_worth_nothing = tpcset_is_empty(&d->lendable);
	uint32_t next = 0;

	for (uint32_t i = 0; i < d->nr; i++) {
		struct share_member *m = d->members[i];

		if (owns(m) == d->is_of_owners)
			m->borrow = m->wants ? (struct tpcset){{0}}
					     : tpcset_andnot(d->topo->present, m->own);
	}
	choose_served(d, share);
	if (!d->nr_served)
		return;
	divide_lendable(d, share);
	for (uint32_t i = 0; i < d->nr; i++) {
		if (d->members[i]->is_active || d->members[i]->wants)
			deal_out(d, d->members[i], &next);
	}
	for (uint32_t i = 0; is_worth_nothing && i < d->nr_served; i++)
		d->served[i]->has_part = 0;
}

/* At most one wants: nobody has to be kept from anybody. */
static void give_everything(struct division *d)
{
	for (uint32_t i = 0; i < d->nr; i++) {
		struct share_member *m = d->members[i];
		struct tpcset usable = tpcset_andnot(d->lendable, m->own);

		if (owns(m) != d->is_of_owners)
			continue;
		m->borrow = tpcset_andnot(d->topo->present, m->own);
		m->has_part = m->wants && !tpcset_is_empty(&usable);
		m->in_turn = m->wants;
	}
}

static void divide_among(struct division d, int is_of_owners, struct share *share)
{
	uint32_t nr_wanting = 0;

	d.is_of_owners = is_of_owners;
	for (uint32_t i = 0; i < d.nr; i++)
		nr_wanting += (uint32_t)takes_part(&d, d.members[i]);
	if (nr_wanting > 1)
		divide(&d, share);
	else
		give_everything(&d);
}

void share_update(struct share *share, const struct topology *topo,
		  struct share_member *const *members, uint32_t nr, uint64_t now_ns)
{
	struct division d = {.topo = topo, .members = members, .nr = nr};

	if (!share->turn || now_ns - share->begin_ns >= SHARE_PERIOD_NS)
		begin_period(share, members, nr, now_ns);
	for (uint32_t i = 0; i < nr; i++) {
		note_past(members[i], now_ns);
		/* Who wants more than it owns uses what it owns. */
		if (members[i]->is_active || members[i]->wants)
			d.kept = tpcset_or(d.kept, members[i]->own);
	}
	d.lendable = tpcset_andnot(topo->present, d.kept);
	divide_among(d, 1, share);
	divide_among(d, 0, share);
}

/* --- looking at it ---------------------------------------------------------------------------- */

void share_count(const struct topology *topo, struct share_member *const *members, uint32_t nr,
		 struct share_counts *ret_counts)
{
	struct tpcset own = {{0}}, kept = {{0}}, lent = {{0}}, idle;

	for (uint32_t i = 0; i < nr; i++) {
		const struct share_member *m = members[i];

		own = tpcset_or(own, m->own);
		if (m->is_active || m->wants)
			kept = tpcset_or(kept, m->own);
		if (m->wants)
			lent = tpcset_or(lent, m->borrow);
	}
	lent = tpcset_andnot(lent, kept);
	own = tpcset_andnot(own, lent);
	idle = tpcset_andnot(tpcset_andnot(topo->present, own), lent);
	*ret_counts = (struct share_counts){.nr_own = tpcset_count(&own),
					    .nr_lent = tpcset_count(&lent),
					    .nr_free = tpcset_count(&idle),
					    .nr_all = topo->nr_tpcs};
}

static int member_is_sound(const struct topology *topo, const struct share_member *m)
{
	struct tpcset alien = tpcset_andnot(m->borrow, topo->present);
	struct tpcset own = tpcset_and(m->borrow, m->own);

	return tpcset_is_empty(&alien) && tpcset_is_empty(&own);
}

int share_check(const struct topology *topo, struct share_member *const *members, uint32_t nr)
{
	struct tpcset seen_by[2] = {{{0}}}; /* best effort, owners */
	struct share_counts counts;

	for (uint32_t i = 0; i < nr; i++) {
		struct tpcset *seen = &seen_by[owns(members[i])];
		struct tpcset twice = tpcset_and(*seen, members[i]->borrow);

		if (!member_is_sound(topo, members[i]))
			return -EUCLEAN;
		if (members[i]->wants && !tpcset_is_empty(&twice))
			return -EUCLEAN;
		if (members[i]->wants)
			*seen = tpcset_or(*seen, members[i]->borrow);
	}
	share_count(topo, members, nr, &counts);
	return counts.nr_own + counts.nr_lent + counts.nr_free == counts.nr_all ? 0 : -EUCLEAN;
}
