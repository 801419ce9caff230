/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of link/ share: the regions, and who writes what.
 *
 * Glossary
 *   line     the part of the tenant's activity region that is this process' own
 *   ticket   which of two sets of borrowed TPCs a launch was counted in (hold.c), 1 or 2
 *
 *   connect.c   socket, handshake, the thread that keeps it      writes struct link
 *   detached.c  the grant and board of a process that no daemon has answered
 *   regions.c   memfds: checking and mapping them
 *   view.c      the copy of grant and board each thread has
 *   activity.c  the line's active, wants, counters; the tracker's side
 *   hold.c      what is borrowed and outstanding
 *   graphs.c    launches of graphs
 *   share.c     the decisions of share.h
 *
 * struct link is written before `is_on` is set (release) and then constant, but for the contents of
 * the regions, which may be exchanged under their addresses: then `generation` is raised. The line
 * is another one after a process attached late: link_line().
 */
#ifndef LITHOS_SHIM_LINK_H
#define LITHOS_SHIM_LINK_H

#include <stdatomic.h>
#include <stdint.h>

#include <lithos/shm.h>

#include "hw/topology.h"
#include "sched/lend.h"
#include "shim/thread.h"
#include "shim/track/records.h"

struct link {
	_Atomic uint32_t is_on;      /* release, after the rest */
	_Atomic uint32_t may_hold;   /* share_may_hold(), as of the view made last by any thread */
	_Atomic uint32_t generation; /* raised when regions were exchanged; part of a view's key */
	_Atomic uint32_t is_lost;    /* the daemon is gone and was not found again; relaxed */
	const struct shm_grant *grant;
	const struct shm_board *board;
	struct shm_activity *activity; /* of the tenant: all its processes */
	struct shm_proc *line; /* atomic; memory of nobody else's until the process is attached */
	uint32_t line_index;
	uint32_t is_verified; /* the daemon proved masks and records on this GPU and driver */
	struct topology topo; /* the daemon's */
	struct tpcset present;
	struct lend_peer peer[SHM_MAX_OWNERS];
};

extern struct link link_state;

#define link_unlikely(x) __builtin_expect(!!(x), 0)

static inline int link_is_on(void)
{
	/* pairs with the release in link_attach(): the regions before the flag */
	return (int)atomic_load_explicit(&link_state.is_on, memory_order_acquire);
}

/*
 * Where the process says what it does: in the tenant's activity, or nowhere while it is
 * detached.
 */
static inline struct shm_proc *link_line(void)
{
	/* pairs with the release in link_line_set(): what is begun there before the pointer */
	return __atomic_load_n(&link_state.line, __ATOMIC_ACQUIRE);
}

/* --- detached.c --- */

/* The line of before is left to whoever still writes there. */
void link_line_set(struct shm_proc *line);

/* The tenant has no TPCs that are surely its own. */
int link_is_best_effort(void);

/* No daemon has answered, with -errno: a line of our own. */
void detached_begin(int reason);
int detached_is_on(void);

/* A grant and a board of our own, when the GPU is known; nr_own as in link_confine(). */
int detached_fill(const struct topology *topo, uint32_t nr_own);
void detached_forget(void);

/* --- view.c --- */

/* What a thread knows of grant and board, and how old that is. */
struct share_view {
	uint32_t is_valid;
	uint32_t generation, grant_sequence, board_sequence;
	uint32_t number;       /* among the good views of the process */
	uint32_t asked_at;     /* completions before the thread's last share_ask() that said hold */
	uint32_t verdict;      /* of that share_ask(), enum share_verdict */
	uint64_t ask_again_ns; /* when the bound would let that launch go, if predictions hold */
	struct tpcset busy;    /* see lend_busy() */
	uint64_t busy_till_ns; /* when to look at the timers again */
	/* The mask of last time, and what it counts: the same one mostly comes again. */
	struct tpcset mask;
	uint32_t nr_own, nr_borrowed;
	struct tpcset usable; /* own and lendable TPCs of last time */
	struct lend_view lend;
};

static inline uint32_t view_sequence(const struct shm_header *header)
{
	return __atomic_load_n(&header->sequence, __ATOMIC_ACQUIRE);
}

static inline int view_is_current(const struct share_view *view)
{
	return view->is_valid && view->grant_sequence == view_sequence(&link_state.grant->header) &&
	       view->board_sequence == view_sequence(&link_state.board->header) &&
	       view->generation ==
		       atomic_load_explicit(&link_state.generation, memory_order_acquire);
}

struct share_view *view_of_slow(struct thread_state *t, struct share_view *scratch);

/* The thread's view, made anew when the daemon wrote since. `scratch` serves threads without
 * memory. */
static inline struct share_view *view_of(struct thread_state *t, struct share_view *scratch)
{
	struct share_view *view = t->view;

	return view && view_is_current(view) ? view : view_of_slow(t, scratch);
}

/*
 * 1 when an owner of TPCs of the borrow set came back during a launch: how long it took then says
 * nothing of how long it takes.
 */
int view_was_disturbed(struct thread_state *t, uint64_t submitted_ns, uint64_t end_ns);

/* TPCs of others that may be used now. */
struct tpcset view_lendable(struct share_view *view, uint64_t now_ns);

/*
 * The same without looking at a clock or at the timers. 0 when that was too long ago: more than 50
 * us as of the tracker's last pass, which in a busy process is 50 to 200 us old.
 */
int view_lendable_lately(const struct share_view *view, struct tpcset *ret_lendable);

/*
 * Waits for the first good view, so that every thread finds one from then on; -EAGAIN when the
 * daemon is found writing for 100 ms.
 */
int view_first(void);

/* In the child of a fork. */
void view_reset(void);

/* --- share.c --- */

/* What a grid may use, and how much of that is lent. */
struct share_grid {
	struct tpcset allowed;
	uint32_t nr_own, nr_borrowed; /* TPCs in it */
};

void share_grid_now(struct thread_state *t, uint64_t now_ns, struct share_grid *ret_grid);

/* All that the tenant may ever use at this turn: own and borrow set; never empty. */
struct tpcset share_reach(struct thread_state *t);

struct tpcset share_own(struct thread_state *t);

/* TPCs of nobody. */
struct tpcset share_unowned(struct thread_state *t);

/*
 * Charges a launch that was given `allowed` to the bound, and to the TPCs not the tenant's own,
 * into the note that comes back with its completion. Nothing when all are its own.
 */
void share_charge(struct thread_state *t, const struct tpcset *allowed, uint64_t predicted_ns,
		  struct launch_note *note);

/* --- hold.c --- */

uint32_t hold_begin(uint64_t predicted_ns, const struct tpcset *borrowed, uint64_t now_ns);
void hold_end(uint64_t predicted_ns, uint32_t ticket, uint64_t end_ns);
uint64_t hold_outstanding_ns(void);
uint32_t hold_nr_outstanding(void);

/* Of that, what is predicted to be left; 0 also when it takes longer than predicted. */
uint64_t hold_remaining_ns(uint64_t now_ns);

/* 1 once for each long time in which nothing completed although something is outstanding. */
int hold_is_stuck(uint64_t now_ns, uint64_t predicted_ns);

/* What this process has borrowed, or had a moment ago; and those of the tenant's other
 * processes. */
void hold_of_process(struct lend_hold *ret_hold);
void hold_add_siblings(struct lend_hold *mine);

/* Tracker: brings the line up to date. */
void hold_publish(uint64_t now_ns);

/* Wakes who waits for a completion. Once a pass of the tracker, not once a completion. */
void hold_wake(void);

/* Sleeps until more has completed than `seen`, 1, or the time is over, 0. */
uint32_t hold_nr_completed(void);
/* As if something had completed: hold_wait() returns. */
void hold_notify(void);
int hold_wait(uint32_t seen, uint64_t timeout_ns);
/* 1 while somebody is in hold_wait(). */
int hold_is_awaited(void);
void hold_reset(void);

/* --- regions.c --- */

/* Addresses for everything, once a process; nothing but zeros there. */
int regions_reserve(void);
void regions_forget(void);

/* Grant and board of our own, in memory of nobody else's, at the places of the daemon's. */
int regions_fill(const struct tpcset *own, const struct tpcset *borrow,
		 const struct tpcset *present);

/*
 * Checks a region and maps it at its place, over what is there: no reader ever finds the address
 * unmapped. -EPROTO when it is not such a region of this version, or could be cut off under us.
 */
int region_map_grant(int fd);
int region_map_board(int fd, const uint8_t uuid[16]);
int region_map_activity(int fd);
int region_map_peer(int fd, uint32_t place, uint32_t generation);

/* The place has no activity to read any more. */
void region_drop_peer(uint32_t place);

/* --- activity.c --- */

/* Tracker's hooks from now on; the line's first words. */
void activity_start(void);
void activity_stop(void);
void activity_reset(void);

/* Under the contexts' lock, from the tracker's collection: what it found outstanding. */
void activity_collected(uint64_t nr_outstanding);

/* So long work may make no progress before it is taken for lost; constant but for tests. */
extern _Atomic uint64_t activity_lost_after_ns;

/* A launch whose end cannot be seen. */
void activity_untracked(void);

/* A graph is inside the driver's call, or is not any more. */
void activity_in_call(int change);

/* A graph's mark was read. */
void activity_mark_ended(const struct launch_note *note, int is_lost);

#endif
