/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Per-thread state: counters of many threads add up, also after they ended; states are used again;
 * without memory threads share the spare; an ended thread gives up its open chunks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/thread.h"
#include "shim/track/records.h"

#define NR_THREADS 200u
#define NR_COUNTS  1000u

/* Put in place of mmap by the linker. */
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);

static atomic_int memory_is_short;

void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	if (memory_is_short)
		return MAP_FAILED;
	return __real_mmap(address, bytes, protection, flags, fd, offset);
}

/* All threads of a crowd live at once, so no two can have the same state. */
struct crowd {
	pthread_barrier_t barrier;
	pthread_t thread[NR_THREADS];
	struct thread_state *state[NR_THREADS];
	void (*work)(void);
	atomic_uint next;
};

static void count_some(void)
{
	for (uint32_t i = 0; i < NR_COUNTS; i++)
		thread_count(STATS_qmd_seen);
	thread_count(STATS_graph_launches);
}

static void *crowd_main(void *arg)
{
	struct crowd *crowd = arg;
	struct thread_state *self = thread_self();

	crowd->state[atomic_fetch_add(&crowd->next, 1)] = self;
	crowd->work();
	(void)pthread_barrier_wait(&crowd->barrier);
	/* It is the thread's for all its life. */
	return self == thread_self() ? NULL : self;
}

static void crowd_start(struct crowd *crowd, void (*work)(void))
{
	memset(crowd, 0, sizeof(*crowd));
	crowd->work = work;
	assert_int_equal(pthread_barrier_init(&crowd->barrier, NULL, NR_THREADS), 0);
	for (uint32_t i = 0; i < NR_THREADS; i++)
		assert_int_equal(pthread_create(&crowd->thread[i], NULL, crowd_main, crowd), 0);
}

static void crowd_end(struct crowd *crowd)
{
	for (uint32_t i = 0; i < NR_THREADS; i++) {
		void *result = crowd;

		assert_int_equal(pthread_join(crowd->thread[i], &result), 0);
		assert_null(result);
	}
	(void)pthread_barrier_destroy(&crowd->barrier);
}

static int has_state(const struct crowd *crowd, const struct thread_state *state)
{
	uint32_t nr_found = 0;

	for (uint32_t i = 0; i < NR_THREADS; i++)
		nr_found += crowd->state[i] == state;
	return (int)nr_found;
}

static void test_totals_and_reuse(void **state)
{
	static struct crowd first, second;
	uint64_t seen = thread_total(STATS_qmd_seen);
	uint64_t before = 0;

	(void)state;
	crowd_start(&first, count_some);
	/* Totals may be read at any time; they only grow. */
	for (int i = 0; i < 100; i++) {
		uint64_t now = thread_total(STATS_qmd_seen);

		assert_true(now >= before);
		before = now;
	}
	crowd_end(&first);
	assert_int_equal(thread_total(STATS_qmd_seen) - seen, NR_THREADS * NR_COUNTS);
	assert_int_equal(thread_total(STATS_graph_launches), NR_THREADS);
	assert_int_equal(thread_total(STATS_hook_busy), 0);
	for (uint32_t i = 0; i < NR_THREADS; i++) {
		assert_int_equal(has_state(&first, first.state[i]), 1);
		assert_false(first.state[i]->is_spare);
	}
	/* The second crowd lives in the states of the first, whose counts stay. */
	crowd_start(&second, count_some);
	crowd_end(&second);
	uint32_t nr_reused = 0;
	for (uint32_t i = 0; i < NR_THREADS; i++)
		nr_reused += has_state(&first, second.state[i]) == 1;
	assert_true(nr_reused > NR_THREADS - 64); /* a slab may have had some never used */
	assert_int_equal(thread_total(STATS_qmd_seen) - seen, 2 * NR_THREADS * NR_COUNTS);
}

static void *count_on_spare(void *arg)
{
	struct thread_state *self = thread_self();

	(void)arg;
	thread_count(STATS_coop_refused);
	return self;
}

/* The first test of all: no slab is mapped yet. Without memory a thread counts on the shared spare.
 */
static void test_spare(void **state)
{
	pthread_t thread;
	void *spare = NULL;

	(void)state;
	memory_is_short = 1;
	assert_int_equal(pthread_create(&thread, NULL, count_on_spare, NULL), 0);
	assert_int_equal(pthread_join(thread, &spare), 0);
	thread_count(STATS_coop_refused);
	assert_ptr_equal(thread_self(), spare);
	memory_is_short = 0;
	assert_true(((struct thread_state *)spare)->is_spare);
	assert_int_equal(thread_total(STATS_coop_refused), 2);
	/* As soon as there is memory the thread has a state of its own. */
	assert_ptr_not_equal(thread_self(), spare);
	thread_count(STATS_coop_refused);
	assert_int_equal(thread_total(STATS_coop_refused), 3);
}

static struct record_pool pool;
static struct record_chunk *opened;

static void *open_and_end(void *arg)
{
	struct thread_state *t = thread_self();

	(void)arg;
	opened = chunk_open(&pool);
	t->chunk[3] = opened;
	(void)chunk_arm(opened, &(struct launch_note){.kernel = 1});
	return t;
}

static void test_end_closes_chunks(void **state)
{
	pthread_t thread;
	void *t;

	(void)state;
	assert_int_equal(record_pool_init(&pool), 0);
	assert_int_equal(pthread_create(&thread, NULL, open_and_end, NULL), 0);
	assert_int_equal(pthread_join(thread, &t), 0);
	assert_non_null(opened);
	assert_int_equal(atomic_load(opened->state), CHUNK_CLOSED);
	assert_null(((struct thread_state *)t)->chunk[3]);
	record_pool_free(&pool);
}

static void test_child_of_a_fork(void **state)
{
	uint64_t before = thread_total(STATS_hook_busy);
	pid_t child = fork();
	int status = -1;

	(void)state;
	if (child == 0) {
		thread_after_fork();
		thread_count(STATS_hook_busy);
		_exit(thread_total(STATS_hook_busy) == before + 1 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(thread_total(STATS_hook_busy), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spare),
		cmocka_unit_test(test_totals_and_reuse),
		cmocka_unit_test(test_end_closes_chunks),
		cmocka_unit_test(test_child_of_a_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
