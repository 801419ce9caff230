/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner's number and word, and the borrower's view of them.
 *
 * Order. The owner: `active`, then the number in shared memory, then the word on the GPU. The
 * borrower reads the number first and `active` after it. If it reads a number that was raised
 * already, it sees `active` as well and does not launch; if it reads the one before, its launch is
 * told to go by the word. If it finds the number unchanged after it disarmed a work, the word had
 * not been raised when the disarming took effect.
 *
 * The word is written by a stream of its own at the highest priority (1.4 to 5 us in the caller, at
 * each idle-to-active change, not at each launch). Two threads that raise at the same time may
 * write in the other order: the word is then one behind until the next time, and its launches of
 * that moment are told by the earlier write already.
 *
 * The word is written when the driver's launch call has returned: some 15 us that the owner's own
 * launch need not wait for, and in the descriptor hook the driver must not be called. A grid of the
 * driver's own (a fill of rows) has no launch call of ours behind it: then the thread aside writes
 * the word (split/aside.h).
 *
 * The borrower's side of the words: split/mapped.h.
 *
 * Tested by tests/integration/split.bats.
 */
#include "shim/split/epoch.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "shim/link/link.h"
#include "shim/link/share.h"
#include "shim/split/arena.h"
#include "shim/split/aside.h"
#include "shim/split/mapped.h"
#include "shim/tenant.h"

/* The process' own. */
static struct {
	_Atomic uint32_t is_open; /* release, after the rest */
	_Atomic uint32_t number;
	_Atomic uint32_t is_late; /* the thread aside writes the word */
	CUipcMemHandle handle;
	CUstream stream;
} own;

_Static_assert(sizeof(CUipcMemHandle) == sizeof(((struct shm_proc *)0)->epoch_handle), "64 bytes");

/* --- owner --- */

void epoch_publish(void)
{
	struct shm_proc *line = link_line();

	if (!line)
		return;
	__atomic_store_n(&line->epoch_state, SHM_EPOCH_NONE, __ATOMIC_SEQ_CST);
	if (!atomic_load_explicit(&own.is_open, memory_order_acquire))
		return;
	memcpy(line->epoch_handle, &own.handle, sizeof(own.handle));
	__atomic_store_n(&line->epoch, atomic_load(&own.number), __ATOMIC_SEQ_CST);
	/* pairs with the acquire in cover_make(): the handle before the state */
	__atomic_store_n(&line->epoch_state, SHM_EPOCH_READY, __ATOMIC_RELEASE);
}

void epoch_open(void)
{
	int least = 0, greatest = 0;

	if (!arena_is_on() || !link_is_on() || atomic_load(&own.is_open))
		return;
	if (tenant.ops.priority_range(&least, &greatest) ||
	    tenant.ops.stream_create_with_priority(&own.stream, CU_STREAM_NON_BLOCKING, greatest) ||
	    tenant.ops.ipc_export(&own.handle, arena.epoch)) {
		static struct log_site site;
		log_line(&site, LOG_INFO,
			 "msg=\"borrowers cannot be told to go in the middle of a kernel\"");
		return;
	}
	atomic_store_explicit(&own.is_open, 1, memory_order_release);
	epoch_publish();
}

void epoch_close(void)
{
	atomic_store_explicit(&own.is_open, 0, memory_order_release);
	epoch_publish();
}

/* The stream's context must be current for the driver to take the call. */
static void word_write(void)
{
	CUcontext arena_ctx = atomic_load_explicit(&arena.context->handle, memory_order_relaxed);
	CUcontext current = NULL, popped;
	int is_other = tenant.ops.ctx_current(&current) != CUDA_SUCCESS || current != arena_ctx;

	if (!arena_ctx || (is_other && tenant.ops.ctx_push(arena_ctx)))
		return;
	(void)tenant.ops.stream_write32(own.stream, arena.epoch,
					atomic_load_explicit(&own.number, memory_order_relaxed), 0);
	if (is_other)
		(void)tenant.ops.ctx_pop(&popped);
	thread_count(STATS_epochs_raised);
}

void epoch_raise(struct thread_state *t)
{
	uint32_t number;

	if (!atomic_load_explicit(&own.is_open, memory_order_acquire))
		return;
	number = atomic_fetch_add_explicit(&own.number, 1, memory_order_seq_cst) + 1;
	__atomic_store_n(&link_line()->epoch, number, __ATOMIC_SEQ_CST);
	t->epoch_is_late = 1;
}

void epoch_write_slow(struct thread_state *t)
{
	t->epoch_is_late = 0;
	if (atomic_load_explicit(&own.is_open, memory_order_acquire))
		word_write();
}

void epoch_write_aside(struct thread_state *t)
{
	t->epoch_is_late = 0;
	atomic_store_explicit(&own.is_late, 1, memory_order_release);
	aside_wake();
}

void epoch_serve(void)
{
	if (!atomic_exchange_explicit(&own.is_late, 0, memory_order_acquire) || !aside_enter())
		return;
	if (atomic_load_explicit(&own.is_open, memory_order_acquire))
		word_write();
	aside_leave();
}

/* --- borrower --- */

static int cover_make(const struct lend_owner *owner, uint32_t line, struct epoch_cover *ret_cover)
{
	const struct shm_proc *proc = &link_state.peer[owner->place].activity->proc[line];
	uint8_t handle[64];
	int err;

	if (__atomic_load_n(&proc->epoch_state, __ATOMIC_ACQUIRE) != SHM_EPOCH_READY)
		return -E2BIG;
	memcpy(handle, proc->epoch_handle, sizeof(handle));
	*ret_cover = (struct epoch_cover){
		.place = owner->place,
		.generation = owner->generation,
		.line = line,
		.calm = __atomic_load_n(&proc->epoch, __ATOMIC_SEQ_CST),
	};
	err = mapped_word(handle, &ret_cover->word);
	return err == -ENOENT ? -E2BIG : err;
}

static int peer_is_current(const struct lend_owner *owner)
{
	return __atomic_load_n(&link_state.peer[owner->place].tag, __ATOMIC_ACQUIRE) ==
	       lend_tag(owner->generation);
}

static int cover_owner(const struct lend_owner *owner, struct epoch_coverage *coverage)
{
	const struct lend_peer *peer = &link_state.peer[owner->place];

	for (uint32_t i = 0; i < owner->nr_lines; i++) {
		/* A line without a process raises nothing. */
		if (!__atomic_load_n(&peer->activity->proc[i].pid, __ATOMIC_RELAXED))
			continue;
		if (coverage->nr == EPOCH_COVERS)
			return -E2BIG;
		int err = cover_make(owner, i, &coverage->cover[coverage->nr]);
		if (err)
			return err;
		coverage->nr++;
	}
	return peer_is_current(owner) ? 0 : -E2BIG;
}

int epoch_cover_lendable(struct thread_state *t, const struct tpcset *within,
			 struct epoch_coverage *ret_coverage)
{
	struct share_view scratch, *view = view_of(t, &scratch);
	struct tpcset lendable = view_lendable(view, clock_now_ns());

	if (within)
		lendable = tpcset_and(lendable, *within);
	*ret_coverage = (struct epoch_coverage){
		.tpcs = tpcset_or(view->lend.own,
				  tpcset_and(view->lend.borrow, view->lend.unowned))};
	for (uint32_t i = 0; i < view->lend.nr_owners; i++) {
		const struct lend_owner *owner = &view->lend.owner[i];
		struct tpcset lent = tpcset_and(owner->tpcs, lendable);
		int err;
		if (tpcset_is_empty(&lent))
			continue;
		err = peer_is_current(owner) ? cover_owner(owner, ret_coverage) : -E2BIG;
		if (err)
			return err;
		ret_coverage->tpcs = tpcset_or(ret_coverage->tpcs, owner->tpcs);
	}
	lendable = tpcset_or(lendable, view->lend.own);
	return tpcset_is_empty(&lendable) ? -EAGAIN : 0;
}

int epoch_is_calm(const struct epoch_coverage *coverage)
{
	for (uint32_t i = 0; i < coverage->nr; i++) {
		const struct epoch_cover *cover = &coverage->cover[i];
		const struct lend_peer *peer = &link_state.peer[cover->place];
		uint32_t now;
		if (__atomic_load_n(&peer->tag, __ATOMIC_ACQUIRE) != lend_tag(cover->generation))
			return 0;
		now = __atomic_load_n(&peer->activity->proc[cover->line].epoch, __ATOMIC_SEQ_CST);
		if (now != cover->calm)
			return 0;
	}
	return 1;
}

void epoch_after_fork(void)
{
	atomic_store(&own.is_open, 0);
}
