/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Per-thread state: a pool of structs, a thread-local pointer, a destructor.
 *
 * The thread-local variable is one pointer in the initial-exec model, because a library that is
 * opened late has only the loader's small static reserve for it, and because it must cost one load.
 * States are taken from mapped slabs and never unmapped: the tracker walks all of them without a
 * lock, and a state whose thread ended waits on a free list, its counters still counting towards
 * the totals.
 *
 * What it does badly: a process with thousands of launching threads keeps their states (5 KiB
 * each). Tested by tests/unit/thread_pool.c and the 64-thread programs.
 */
#include "shim/thread.h"

#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>

#include "shim/track/records.h"

#define SLAB_THREADS 64u
#define MAX_SLABS    256u

static struct thread_state sentinel; /* never written: thread_self() leaves it for a real one */
static struct thread_state spare = {.is_spare = 1}; /* for threads for whom no memory was left */

static _Thread_local struct thread_state *self __attribute__((tls_model("initial-exec"))) =
	&sentinel;

static struct {
	pthread_mutex_t lock;
	pthread_once_t once;
	pthread_key_t key;
	int has_key;
	struct thread_state *free;                      /* under lock */
	_Atomic(struct thread_state *) slab[MAX_SLABS]; /* set once, read without lock */
	_Atomic uint32_t nr_slabs;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT};

static void thread_release(void *state)
{
	struct thread_state *t = state;

	for (uint32_t i = 0; i < MAX_CONTEXTS; i++) {
		if (t->chunk[i])
			chunk_close(t->chunk[i]);
		t->chunk[i] = NULL;
	}
	self = &sentinel;
	(void)pthread_mutex_lock(&pool.lock);
	t->next_free = pool.free;
	pool.free = t;
	(void)pthread_mutex_unlock(&pool.lock);
}

static void pool_start(void)
{
	pool.has_key = pthread_key_create(&pool.key, thread_release) == 0;
}

/* Maps one more slab and puts its states on the free list. Called with the lock held. */
static void pool_grow_locked(void)
{
	uint32_t n = atomic_load_explicit(&pool.nr_slabs, memory_order_relaxed);
	struct thread_state *slab;

	if (n == MAX_SLABS)
		return;
	slab = mmap(NULL, SLAB_THREADS * sizeof(*slab), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (slab == MAP_FAILED)
		return;
	for (uint32_t i = 0; i < SLAB_THREADS; i++) {
		slab[i].next_free = pool.free;
		pool.free = &slab[i];
	}
	atomic_store_explicit(&pool.slab[n], slab, memory_order_relaxed);
	/* pairs with the acquire in thread_total(): the slab is there before its number */
	atomic_store_explicit(&pool.nr_slabs, n + 1, memory_order_release);
}

static struct thread_state *thread_attach_slow(void)
{
	struct thread_state *t;

	(void)pthread_once(&pool.once, pool_start);
	(void)pthread_mutex_lock(&pool.lock);
	if (!pool.free)
		pool_grow_locked();
	t = pool.free;
	if (t)
		pool.free = t->next_free;
	(void)pthread_mutex_unlock(&pool.lock);
	if (!t)
		return &spare;
	self = t;
	if (pool.has_key)
		(void)pthread_setspecific(pool.key, t);
	return t;
}

struct thread_state *thread_self(void)
{
	struct thread_state *t = self;

	if (__builtin_expect(t == &sentinel, 0))
		return thread_attach_slow();
	return t;
}

void thread_count(enum stats_counter counter)
{
	/* The spare, which several threads may share, may lose a count. */
	thread_count_in(thread_self(), counter);
}

uint64_t thread_total(enum stats_counter counter)
{
	/* pairs with the release in pool_grow_locked() */
	uint32_t n = atomic_load_explicit(&pool.nr_slabs, memory_order_acquire);
	uint64_t sum = atomic_load_explicit(&spare.counter[counter], memory_order_relaxed);

	for (uint32_t i = 0; i < n; i++) {
		struct thread_state *slab =
			atomic_load_explicit(&pool.slab[i], memory_order_relaxed);
		for (uint32_t k = 0; k < SLAB_THREADS; k++)
			sum += atomic_load_explicit(&slab[k].counter[counter],
						    memory_order_relaxed);
	}
	return sum;
}

uint64_t thread_total_begun(void)
{
	/* pairs with the release in pool_grow_locked() */
	uint32_t n = atomic_load_explicit(&pool.nr_slabs, memory_order_acquire);
	uint64_t sum = atomic_load_explicit(&spare.nr_begun, memory_order_seq_cst);

	for (uint32_t i = 0; i < n; i++) {
		struct thread_state *slab =
			atomic_load_explicit(&pool.slab[i], memory_order_relaxed);
		for (uint32_t k = 0; k < SLAB_THREADS; k++)
			sum += atomic_load_explicit(&slab[k].nr_begun, memory_order_seq_cst);
	}
	return sum;
}

void thread_after_fork(void)
{
	(void)pthread_mutex_init(&pool.lock, NULL);
}
