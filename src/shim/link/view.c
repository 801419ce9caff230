/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each thread's own copy of grant and board.
 *
 * Both are written by the daemon under a sequence number and read at every launch; copying nine
 * kilobytes each time would cost more than the launch. So each thread keeps what it made of them,
 * with the numbers they had, and a launch compares three words. They move when turns change, every
 * few milliseconds; then the thread copies and checks again (about a microsecond). A copy in one
 * place for all threads would need a lock, or somebody who knows when the last reader has left.
 *
 * While the daemon writes, or when it died in the middle of writing, the thread takes the last good
 * view that any thread of the process made; its own may be from long ago, when it launches rarely
 * or had its state from a thread that ended.
 *
 * The timers are looked at every 50 us only: others' borrowed work on this tenant's turn is left
 * over from an earlier turn, and the daemon copies holds into timers only every few milliseconds
 * itself.
 *
 * Tested by tests/unit/share_view_copies.c, with a daemon that writes meanwhile.
 */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/clock.h"
#include "shim/link/link.h"
#include "shim/link/share.h"
#include "shim/thread.h"

#define BUSY_FOR_NS    50000u
#define COPY_TRIES     4
#define FIRST_TRIES    100
#define FIRST_PAUSE_NS 1000000
#define WORDS(bytes)   ((bytes) / sizeof(uint32_t))

static struct {
	pthread_mutex_t lock;
	struct share_view view;  /* the last that was good, of any thread */
	_Atomic uint32_t number; /* of that view */
} last = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Acquire on every word: the sequence is read again after all of them. */
static void copy_words(void *to, const void *from, size_t nr_words)
{
	uint32_t *out = to;
	const uint32_t *in = from;

	for (size_t i = 0; i < nr_words; i++)
		out[i] = __atomic_load_n(&in[i], __ATOMIC_ACQUIRE);
}

static int grant_copy(struct shm_grant *ret_grant, uint32_t *ret_sequence)
{
	const struct shm_grant *grant = link_state.grant;

	*ret_sequence = view_sequence(&grant->header);
	if (*ret_sequence & 1)
		return 0;
	copy_words(ret_grant, grant, WORDS(sizeof(*grant)));
	return view_sequence(&grant->header) == *ret_sequence;
}

/* All of the board but its timers and the places that nobody uses. */
static int board_copy(struct shm_board *ret_board, uint32_t *ret_sequence)
{
	const struct shm_board *board = link_state.board;
	size_t nr;

	*ret_sequence = view_sequence(&board->header);
	if (*ret_sequence & 1)
		return 0;
	copy_words(ret_board, board, WORDS(offsetof(struct shm_board, owner)));
	nr = ret_board->nr_owners < SHM_MAX_OWNERS ? ret_board->nr_owners : SHM_MAX_OWNERS;
	copy_words(ret_board->owner, board->owner, nr * WORDS(sizeof(struct shm_owner)));
	return view_sequence(&board->header) == *ret_sequence;
}

/*
 * The daemon may have died between two turns of ours, and nobody gives us another: everything is
 * our turn then, and so it is for others in the same state. Owners and timers are respected as
 * before.
 */
static void turn_without_daemon(struct shm_grant *grant)
{
	if (atomic_load_explicit(&link_state.is_lost, memory_order_relaxed) &&
	    tpcset_is_empty(&grant->borrow))
		grant->borrow = tpcset_andnot(link_state.present, grant->own);
}

static int view_copy(struct share_view *view)
{
	/* The generation first: regions exchanged during the copy make it stale. */
	uint32_t generation = atomic_load_explicit(&link_state.generation, memory_order_acquire);
	uint32_t grant_sequence, board_sequence;
	struct shm_grant grant;
	struct shm_board board;

	if (!grant_copy(&grant, &grant_sequence) || !board_copy(&board, &board_sequence))
		return 0;
	view->is_valid = 1;
	view->generation = generation;
	view->grant_sequence = grant_sequence;
	view->board_sequence = board_sequence;
	view->busy_till_ns = 0;
	view->mask = (struct tpcset){{0}};
	view->nr_own = view->nr_borrowed = 0;
	view->usable = (struct tpcset){{0}};
	turn_without_daemon(&grant);
	lend_view_make(&grant, &board, &link_state.present, &view->lend);
	return 1;
}

static void may_hold_note(const struct share_view *view)
{
	uint32_t may = !view->lend.is_owner || !tpcset_is_empty(&view->lend.borrow);

	if (atomic_load_explicit(&link_state.may_hold, memory_order_relaxed) != may)
		atomic_store_explicit(&link_state.may_hold, may, memory_order_relaxed);
}

static __attribute__((noinline)) void view_renew(struct share_view *view)
{
	uint32_t asked_at = view->asked_at;
	int is_good = 0;

	for (int i = 0; i < COPY_TRIES && !is_good; i++)
		is_good = view_copy(view);
	if (!is_good && view->is_valid &&
	    view->number == atomic_load_explicit(&last.number, memory_order_relaxed))
		return;
	if (is_good)
		may_hold_note(view);
	(void)pthread_mutex_lock(&last.lock);
	if (is_good) {
		view->number = atomic_fetch_add_explicit(&last.number, 1, memory_order_relaxed) + 1;
		last.view = *view;
	} else {
		*view = last.view;
		view->asked_at = asked_at;
		view->verdict = SHARE_HOLD_BOUND;
		view->ask_again_ns = 0;
	}
	(void)pthread_mutex_unlock(&last.lock);
}

static struct share_view *view_allocate(struct thread_state *t)
{
	void *memory;

	if (t->is_spare)
		return NULL;
	memory = mmap(NULL, sizeof(*t->view), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	/* Never unmapped: the state serves another thread when this one has ended. */
	t->view = memory == MAP_FAILED ? NULL : memory;
	return t->view;
}

__attribute__((noinline)) struct share_view *view_of_slow(struct thread_state *t,
							  struct share_view *scratch)
{
	struct share_view *view = t->view;

	if (link_unlikely(!view))
		view = view_allocate(t);
	if (link_unlikely(!view)) {
		view = scratch;
		view->is_valid = 0;
		view->asked_at = hold_nr_completed();
	}
	if (link_unlikely(!view_is_current(view)))
		view_renew(view);
	return view;
}

/* Looks at the timers of the borrow set, unless that was a moment ago. */
static __attribute__((noinline)) void view_look_at_timers(struct share_view *view, uint64_t now_ns)
{
	const uint64_t *timer = link_state.board->timer_ns;
	struct lend_hold mine = {.until_ns = 0};

	view->busy = (struct tpcset){{0}};
	view->busy_till_ns = now_ns + BUSY_FOR_NS;
	lend_look_at_beats(&view->lend, link_state.peer, now_ns);
	/* An owner's blocks go before best effort's on the hardware: no timer is in its way. */
	if (view->lend.is_owner)
		return;
	view->busy = lend_busy(timer, &view->lend.borrow, &mine, now_ns);
	if (tpcset_is_empty(&view->busy))
		return;
	hold_of_process(&mine);
	view->busy = lend_busy(timer, &view->busy, &mine, now_ns);
	if (tpcset_is_empty(&view->busy))
		return;
	/* The timers may be those of the tenant's other processes: 64 lines, so only in need. */
	hold_add_siblings(&mine);
	view->busy = lend_busy(timer, &view->busy, &mine, now_ns);
}

struct tpcset view_lendable(struct share_view *view, uint64_t now_ns)
{
	if (tpcset_is_empty(&view->lend.borrow))
		return view->lend.borrow;
	if (link_unlikely(now_ns >= view->busy_till_ns))
		view_look_at_timers(view, now_ns);
	return lend_lendable(&view->lend, link_state.peer, &view->busy);
}

int view_lendable_lately(const struct share_view *view, struct tpcset *ret_lendable)
{
	uint64_t beat = __atomic_load_n(&link_line()->beat_ns, __ATOMIC_RELAXED);

	/* Without a tracker there is no beat. */
	if (!beat || beat >= view->busy_till_ns)
		return 0;
	*ret_lendable = lend_lendable(&view->lend, link_state.peer, &view->busy);
	return 1;
}

/* 1 when one of the owner's processes began to work in that time. */
static int owner_came_back(const struct lend_owner *owner, uint64_t from_ns, uint64_t to_ns)
{
	const struct lend_peer *peer = &link_state.peer[owner->place];

	if (__atomic_load_n(&peer->tag, __ATOMIC_ACQUIRE) != lend_tag(owner->generation))
		return 0;
	for (uint32_t i = 0; i < owner->nr_lines; i++) {
		const uint64_t *at = &peer->activity->proc[i].active_since_ns;
		uint64_t since = __atomic_load_n(at, __ATOMIC_RELAXED);
		if (time_before(from_ns, since) && time_before(since, to_ns))
			return 1;
	}
	return 0;
}

int view_was_disturbed(struct thread_state *t, uint64_t submitted_ns, uint64_t end_ns)
{
	struct share_view scratch;
	const struct share_view *view = view_of(t, &scratch);

	for (uint32_t i = 0; i < view->lend.nr_owners; i++) {
		if (owner_came_back(&view->lend.owner[i], submitted_ns, end_ns))
			return 1;
	}
	return 0;
}

int view_first(void)
{
	struct share_view view = {.is_valid = 0};

	for (int i = 0; i < FIRST_TRIES; i++) {
		view_renew(&view);
		if (view.is_valid)
			return 0;
		(void)nanosleep(&(struct timespec){.tv_nsec = FIRST_PAUSE_NS}, NULL);
	}
	return -EAGAIN;
}

void view_reset(void)
{
	(void)pthread_mutex_init(&last.lock, NULL);
	last.view.is_valid = 0;
}
