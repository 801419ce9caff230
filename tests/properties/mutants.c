/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults, one at a time, for the tests of the properties themselves: each must be found by the
 * mixes.
 *
 * A shim is linked anew from the same objects, with one or two of its functions wrapped (ld
 * --wrap); MUTANT says which fault it has. The shim that ships knows nothing of it. Most are faults
 * that lithos once had, or stands one line away from.
 */
#include <string.h>

#include "base/clock.h"
#include "sched/lend.h"
#include "shim/link/link.h"
#include "shim/link/share.h"
#include "shim/queue/copy.h"
#include "shim/queue/funcs.h"
#include "shim/split/claim.h"
#include "shim/thread.h"

/* Numbers as in CMakeLists.txt. */
#define GRAPH_MASKS 1 /* an owner's graph has its neighbour's TPCs, and is held for them */
#define HALF        2 /* an owner's launch gets half of its own TPCs */
#define LATE        3 /* an owner's launch is held for a while, as a borrower's is */
#define UNOWNED     4 /* best effort never gets what owners lend */
#define STARVED     5 /* best effort never gets anything */
#define UNCONFINED  6 /* every other grid may run everywhere */
#define LOST        7 /* what is left of a kernel that was cut does not run */
#define ARGUMENTS   8 /* some held launches run with another argument */

#define GRAPH_HOLD_NS 100000000u
#define LATE_NS       30000000u

/* NOLINTBEGIN(bugprone-reserved-identifier): ld's names */
void __real_share_grid_now(struct thread_state *t, uint64_t now_ns, struct share_grid *ret_grid);
void __wrap_share_grid_now(struct thread_state *t, uint64_t now_ns, struct share_grid *ret_grid);
enum share_verdict __real_share_ask(const struct device *device,
				    const struct share_request *request);
enum share_verdict __wrap_share_ask(const struct device *device,
				    const struct share_request *request);
void __real_lend_view_make(const struct shm_grant *grant, const struct shm_board *board,
			   const struct tpcset *present, struct lend_view *ret_view);
void __wrap_lend_view_make(const struct shm_grant *grant, const struct shm_board *board,
			   const struct tpcset *present, struct lend_view *ret_view);
enum work_event __real_claim_look(uint32_t index, const struct work_look *look, struct op **ret_op,
				  uint64_t *next_ns);
enum work_event __wrap_claim_look(uint32_t index, const struct work_look *look, struct op **ret_op,
				  uint64_t *next_ns);
void __real_copy_launch(void *payload, const struct launch *launch, const struct func_info *info,
			const struct copy_layout *at);
void __wrap_copy_launch(void *payload, const struct launch *launch, const struct func_info *info,
			const struct copy_layout *at);

#if MUTANT == GRAPH_MASKS || MUTANT == LATE
static int was_held_for(const struct share_request *request, uint64_t limit_ns)
{
	return request->held_since_ns && clock_now_ns() - request->held_since_ns >= limit_ns;
}
#endif

#if MUTANT == GRAPH_MASKS
/* TPCs of the graph that cannot be used now. */
static int is_fixed_elsewhere(const struct share_request *request)
{
	struct share_view scratch;
	struct share_view *view = view_of(thread_self(), &scratch);
	struct tpcset usable = tpcset_or(view->lend.own, view_lendable(view, clock_now_ns()));
	struct tpcset wrong = tpcset_andnot(*request->fixed, usable);

	return !tpcset_is_empty(&wrong);
}

enum share_verdict __wrap_share_ask(const struct device *device,
				    const struct share_request *request)
{
	if (request->fixed && is_fixed_elsewhere(request) && !was_held_for(request, GRAPH_HOLD_NS))
		return SHARE_HOLD_TPCS;
	return __real_share_ask(device, request);
}
#endif

#if MUTANT == LATE
enum share_verdict __wrap_share_ask(const struct device *device,
				    const struct share_request *request)
{
	struct share_view scratch;

	if (view_of(thread_self(), &scratch)->lend.is_owner && !was_held_for(request, LATE_NS))
		return SHARE_HOLD_BOUND;
	return __real_share_ask(device, request);
}
#endif

#if MUTANT == GRAPH_MASKS || MUTANT == HALF || MUTANT == UNCONFINED
static void change_grid(struct thread_state *t, struct share_grid *grid)
{
#if MUTANT == HALF
	uint32_t nr = 0, half = grid->nr_own / 2;

	(void)t;
	for (unsigned int bit = 0; bit < TPCSET_BITS && half && !grid->nr_borrowed; bit++) {
		if (tpcset_has(&grid->allowed, bit) && nr++ >= half)
			grid->allowed.w[bit / 32] &= ~(1u << (bit % 32));
	}
#elif MUTANT == UNCONFINED
	static _Atomic uint32_t nr;

	(void)t;
	if (atomic_fetch_add_explicit(&nr, 1, memory_order_relaxed) % 2)
		grid->allowed = link_state.present;
#else
	(void)t;
	(void)grid;
#endif
}

void __wrap_share_grid_now(struct thread_state *t, uint64_t now_ns, struct share_grid *ret_grid)
{
	if (MUTANT == GRAPH_MASKS)
		t->may_borrow = 1;
	__real_share_grid_now(t, now_ns, ret_grid);
	change_grid(t, ret_grid);
}
#endif

#if MUTANT == UNOWNED || MUTANT == STARVED
void __wrap_lend_view_make(const struct shm_grant *grant, const struct shm_board *board,
			   const struct tpcset *present, struct lend_view *ret_view)
{
	__real_lend_view_make(grant, board, present, ret_view);
	if (ret_view->is_owner)
		return;
	if (MUTANT == STARVED)
		ret_view->borrow = (struct tpcset){{0}};
	ret_view->borrow = tpcset_and(ret_view->borrow, ret_view->unowned);
}
#endif

#if MUTANT == LOST
enum work_event __wrap_claim_look(uint32_t index, const struct work_look *look, struct op **ret_op,
				  uint64_t *next_ns)
{
	enum work_event event = __real_claim_look(index, look, ret_op, next_ns);

	return event == WORK_CUT ? WORK_DONE : event;
}
#endif

#if MUTANT == ARGUMENTS
void __wrap_copy_launch(void *payload, const struct launch *launch, const struct func_info *info,
			const struct copy_layout *at)
{
	static _Atomic uint32_t nr;
	struct launch *copy = payload;

	__real_copy_launch(payload, launch, info, at);
	/* Pointer, then a number. */
	if (copy->params && atomic_fetch_add_explicit(&nr, 1, memory_order_relaxed) % 32 == 31)
		*(uint32_t *)copy->params[1] ^= 2;
}
#endif
/* NOLINTEND(bugprone-reserved-identifier) */
