/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model of lending, reclaim and crashes: docs/sharing.md sections 1 to 3 and 8, for spin.
 *
 * Three tenants, four TPCs. T0 owns TPCs 0 and 1 and launches on them. T1 is best effort and
 * borrows. T2 arrives at any time, is given two free TPCs, and both owns and borrows. Any tenant
 * may be killed between any two steps; so may the daemon, which starts again.
 *
 * What a tenant knows is what is in its memory: its grant (g_own, g_borrow), the board (sees: T2's
 * TPCs as the tenant's board shows them; T0's never change) and the owners' active words. A daemon
 * that starts again makes new grants and a new board, which a tenant has from the moment it returns;
 * until then it goes on with the old ones.
 *
 * Launch, owner: count it, fence, read the active word and set it if it is 0, submit. Tracker: when
 * all counted launches are complete, clear the word, fence, and take that back if the count moved.
 * The count is one bit, "moved since the tracker looked", which is what the comparison tells.
 * Borrower: copy the borrow set, take out the TPCs of active owners, start if something is left.
 *
 * Asserted at every step: no TPC is in two tenants' own sets; own and free make all; borrow sets of
 * living tenants that want are disjoint; nobody borrows its own; the word of an owner with work in
 * the driver reads 1 outside of the tracker's look; no borrower starts on TPCs for which it read the
 * word of an owner then at work (the one launch that read before is allowed). As ltl, under weak
 * fairness: a dead tenant's TPCs become free; who holds work while something is lendable launches.
 *
 * Assumptions: memory is sequentially consistent but for the mutant without fence, which reads
 * before its store is seen; a tenant has one launch of each kind outstanding; time is choice, but
 * for a period of lending being longer than a borrower takes to look again. Stricter than lithosd
 * in one thing: here the set of who does not want is empty, there it is wide, so that a first launch
 * need not wait, and until the next division the timers of the board alone keep two apart.
 *
 * Mutants, each of which spin must refute (run.sh):
 *   NO_FENCE          the launcher reads the active word before its count is visible
 *   NO_RECHECK        the tracker does not look at the count again
 *   FREE_EARLY        who has not come back to the restarted daemon is freed although it lives
 *   LEND_AT_RESTART   the restarted daemon lends before all living tenants are back
 *   GROW_FIRST        borrow sets grow before others have shrunk
 *   BOARD_LATE        a new owner may launch before the board shows it
 *   NO_ROTATION       the same tenant is served first in every period
 *   NEVER_FREED       a death is not noticed while the daemon is down, nor later
 *   STAYS_DOWN        the daemon does not start again: whose last turn was empty waits for ever, unless
 *                     tenants have a way out of their own (a beat that is too old)
 */

#define ALL   15
#define NONE  0
#define LOW   3 /* TPCs 0 and 1; no others are ever alone, so the state space stays small */
#define HIGH  12

bool alive[3];
bool word[3];  /* the active words of the activity regions */
bool wants[3]; /* borrowed work is there and not complete */
bool on[3];    /* ... and is with the driver */
bool out[3];   /* own launch counted and not complete */
bool sub[3];   /* own launch given to the driver and not complete */
bool moved[3]; /* the count moved since the tracker looked */

byte g_own[3]; /* grants, as the tenant sees them */
byte g_borrow[3];
byte sees[3]; /* T2's TPCs on the tenant's board */

byte led_own[3]; /* the ledger, kept in the daemon's state file */
byte led_free = ALL;
bool back[3];    /* the tenant is connected with this run of the daemon */
bool noticed[3]; /* its death was handled */
bool is_up = true;
byte kills = KILLS;
byte crashes = CRASHES;

bool window[3]; /* the tracker has cleared the word and not looked again yet; for the properties */
#ifdef PROGRESS
bool looked[3]; /* at its grant since the last change of turn */
#endif

#define disjoint(a, b) (((a) & (b)) == 0)
#define held(t) (wants[t] && !on[t])
#define settled(o) (sub[o] && !window[o])
#define live_borrower(t) (alive[t] && wants[t])

/* --- what holds at every step ------------------------------------------------------------------ */

#define own_once ((!alive[0] || !alive[2] || disjoint(g_own[0], g_own[2])) && \
		  disjoint(led_own[0], led_own[2]))
#define adds_up ((led_own[0] | led_own[2] | led_free) == ALL && \
		 disjoint(led_own[0] | led_own[2], led_free))
#define borrow_once (!live_borrower(1) || !live_borrower(2) || disjoint(g_borrow[1], g_borrow[2]))
#define own_not_borrowed (disjoint(g_borrow[2], g_own[2]))
#define word_is_seen(o) (!settled(o) || word[o])

/* In every step that changes one of these. */
#define check_sets assert(own_once && adds_up && borrow_once && own_not_borrowed)

/* --- owners ------------------------------------------------------------------------------------ */

inline own_launch(t)
{
#ifdef NO_FENCE
	seen = word[t];
	atomic { out[t] = true; moved[t] = true }
#else
	atomic { out[t] = true; moved[t] = true }
	seen = word[t];
#endif
	atomic {
		if
		:: !seen -> word[t] = true
		:: else
		fi;
		seen = false
	}
	atomic { sub[t] = true; assert(word_is_seen(t)) }
	!sub[t]
}

proctype tracker(byte t)
{
end:	do
	:: atomic { word[t] && !out[t] && alive[t] -> moved[t] = false }
		atomic { word[t] = false; window[t] = true }
		atomic {
#ifndef NO_RECHECK
			if
			:: moved[t] && alive[t] -> word[t] = true
			:: else
			fi;
#endif
			window[t] = false; assert(word_is_seen(t))
		}
	od
}

/* --- borrowers --------------------------------------------------------------------------------- */

/* Takes out what an owner that is active holds: no launch starts on an owner that is at work. */
inline leave_out(t, o, tpcs)
{
	atomic {
		if
		:: o != t && word[o] -> mask = mask & ~(tpcs)
		:: else
		fi;
		assert(o == t || !settled(o) || disjoint(mask, g_own[o]))
	}
}

inline borrowed_launch(t)
{
	atomic { wants[t] = true; check_sets }
	do
	:: atomic {
			mask = g_borrow[t];
#ifdef PROGRESS
			looked[t] = true
#endif
		}
		leave_out(t, 0, LOW);
		leave_out(t, 2, sees[t]);
		atomic {
			if
			:: mask != NONE -> mask = NONE; on[t] = true; break
			:: else
			fi
		}
	od;
	atomic { !on[t] -> wants[t] = false }
}

proctype tenant(byte t)
{
	bool seen;
	byte mask;

	{
		if
		:: t == 2 -> g_own[2] != NONE
		:: else
		fi;
end:		do
		:: t != 1 -> own_launch(t)
		:: t != 0 -> borrowed_launch(t)
		od
	} unless { atomic { !alive[t] -> seen = false; mask = NONE } }
}

/* --- the GPU, and what kills -------------------------------------------------------------------- */

active proctype gpu()
{
end:	do
	:: atomic { sub[0] -> sub[0] = false; out[0] = false }
	:: atomic { sub[2] -> sub[2] = false; out[2] = false }
	:: atomic { on[1] -> on[1] = false }
	:: atomic { on[2] -> on[2] = false }
	od
}

inline kill(t)
{
	alive[t] && kills > 0 && (t == 1 || g_own[t] != NONE) ->
	kills--; alive[t] = false; sub[t] = false; out[t] = false; on[t] = false;
	moved[t] = false
}

active proctype killer()
{
end:	do
	:: atomic { kill(0) }
	:: atomic { kill(1) }
	:: atomic { kill(2) }
	:: atomic { is_up && crashes > 0 -> crashes--; is_up = false }
	od
}

/* --- the daemon -------------------------------------------------------------------------------- */

/* One transaction of the state file; the grant is nobody's any more. */
inline free_tpcs(t)
{
	led_free = led_free | led_own[t]; led_own[t] = NONE;
#ifndef FREE_EARLY
	g_borrow[t] = NONE; wants[t] = false; word[t] = false;
#endif
	noticed[t] = true; check_sets
}

inline admit()
{
	d_step {
		set = (disjoint(led_free, LOW) -> HIGH : LOW);
		led_own[2] = set; led_free = led_free & ~set; back[2] = true; check_sets
	}
	/* Who borrows there now does so until its next launch: the owner's word decides. */
#ifdef BOARD_LATE
	atomic { g_own[2] = set; sees[2] = set; set = NONE; check_sets }
	atomic { sees[0] = g_own[2]; sees[1] = g_own[2] }
#else
	atomic { sees[0] = set; sees[1] = set; sees[2] = set }
	atomic { g_own[2] = set; set = NONE; check_sets }
#endif
}

#define may_borrow(t) (back[t] && !noticed[t] && wants[t])

/* Halves if both want them, otherwise all; nobody its own. */
inline choose()
{
	one = NONE; two = NONE;
	if
	:: may_borrow(1) && may_borrow(2) && turn -> one = HIGH; two = LOW
	:: may_borrow(1) && may_borrow(2) && !turn -> one = LOW; two = HIGH
	:: may_borrow(1) && !may_borrow(2) -> one = ALL
	:: !may_borrow(1) && may_borrow(2) -> two = ALL
	:: else
	fi;
	two = two & ~led_own[2]
}

/* Each grant is written by itself, so all shrink before any grows. Who begins to want meanwhile waits
 * for the next period. */
inline share()
{
	d_step { choose() }
#ifndef GROW_FIRST
	atomic { if :: back[1] -> g_borrow[1] = g_borrow[1] & one :: else fi; check_sets }
	atomic { if :: back[2] -> g_borrow[2] = g_borrow[2] & two :: else fi; check_sets }
#endif
	atomic { if :: back[1] -> g_borrow[1] = one :: else fi; one = NONE; check_sets }
	atomic {
		if :: back[2] -> g_borrow[2] = two :: else fi; two = NONE; check_sets;
#ifndef NO_ROTATION
		turn = !turn;
#endif
#ifdef PROGRESS
		looked[1] = false; looked[2] = false
#endif
	}
}

/* The loop sees to deaths before it decides anything. */
#ifdef NEVER_FREED
#define all_noticed true
#else
#define all_noticed ((alive[0] || noticed[0]) && (alive[1] || noticed[1]) && (alive[2] || noticed[2]))
#endif

#define is_here(t) (back[t] || noticed[t])

#ifdef LEND_AT_RESTART
#define may_act all_noticed
#else
#define may_act (all_noticed && is_here(0) && is_here(1) && (is_here(2) || led_own[2] == NONE))
#endif

/* A period is longer than a borrower takes to look again. */
#ifdef PROGRESS
#define has_looked(t) (looked[t] || !held(t) || !back[t])
#define period_is_over (has_looked(1) && has_looked(2))
#else
#define period_is_over true
#endif

#define has_something_to_share (wants[1] || wants[2] || g_borrow[1] != NONE || g_borrow[2] != NONE)

proctype daemon()
{
	byte set, one, two;
	bool turn, is_new;

up:	{
		do
		:: atomic { !is_new && !alive[0] && !noticed[0] -> free_tpcs(0) }
		:: atomic { !is_new && !alive[1] && !noticed[1] -> free_tpcs(1) }
		:: atomic { !is_new && !alive[2] && !noticed[2] -> free_tpcs(2) }
		/* Returns: a new grant, which lends nothing yet, and the board as it is. */
		:: atomic { !back[0] && alive[0] -> back[0] = true; sees[0] = led_own[2] }
		:: atomic { !back[1] && alive[1] ->
				back[1] = true; sees[1] = led_own[2]; g_borrow[1] = NONE }
		:: atomic { !back[2] && alive[2] && g_own[2] != NONE ->
				back[2] = true; sees[2] = led_own[2]; g_borrow[2] = NONE }
		/* T2 did not have its answer when the daemon died, and asks again. */
		:: atomic { !back[2] && led_own[2] != NONE && g_own[2] == NONE ->
				led_free = led_free | led_own[2]; led_own[2] = NONE;
				sees[0] = NONE; sees[1] = NONE; check_sets }
#ifdef FREE_EARLY
		:: atomic { !back[0] && !noticed[0] -> free_tpcs(0) }
#endif
		:: alive[2] && led_own[2] == NONE && g_own[2] == NONE && led_free != NONE && may_act ->
			admit()
		:: has_something_to_share && may_act && period_is_over -> share()
		od
	} unless { !is_up };
#ifdef STAYS_DOWN
	false;
#endif
	/* All but the state file is lost; the tenants go on with what they have. */
	atomic {
		set = NONE; one = NONE; two = NONE; turn = false;
		back[0] = false; back[1] = false; back[2] = false;
#ifdef NEVER_FREED
		is_new = true;
#endif
		is_up = true
	}
	goto up
}

init {
	atomic {
		alive[0] = true; alive[1] = true; alive[2] = HAS_T2; noticed[2] = !HAS_T2;
		led_own[0] = LOW; led_free = HIGH; g_own[0] = LOW;
		back[0] = true; back[1] = true;
		run daemon();
		run tenant(1);
		if :: T0_LAUNCHES -> run tenant(0); run tracker(0) :: else fi;
		if :: HAS_T2 -> run tenant(2); run tracker(2) :: else fi
	}
}

#ifdef PROGRESS
/* A killed tenant's TPCs are free again. */
ltl freed { [] ((!alive[0]) -> <> (led_own[0] == NONE)) }

/* Who holds work launches: TPCs 2 and 3 are lendable while T2 is not there, or idle. */
ltl served { [] (held(1) -> <> (!held(1) || word[2])) }
#endif
