/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner's word against the tracker, as fast as both can: while a launch is outstanding,
 * `active` is 1; when nothing is, it becomes 0 after the grace period, and not while a graph is in
 * the driver's call, something is held, or a launch cannot be seen.
 */
#include "link_world.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <lithos/stats.h>

#include "base/clock.h"
#include "shim/thread.h"
#include "shim/track/execs.h"
#include "shim/track/kernels.h"
#include "shim/track/tracker.h"

#define NR_THREADS  3
#define NR_LAUNCHES 3000
#define PATIENCE_NS 60000000000ull

static struct stats_region *region;

static uint32_t is_active(void)
{
	return __atomic_load_n(&link_state.line->active, __ATOMIC_SEQ_CST);
}

static void nap(long ns)
{
	(void)nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

/* And stays it: the tracker may take a first 0 back, when a launch has begun since it looked. */
static int becomes_idle(void)
{
	uint64_t end = clock_now_ns() + PATIENCE_NS;
	int nr_idle = 0;

	while (nr_idle < 10 && clock_now_ns() < end) {
		nap(100000);
		nr_idle = is_active() ? 0 : nr_idle + 1;
	}
	return nr_idle == 10;
}

static int start(void **state)
{
	world_setup(state);
	world.grant.grace_ns = 1000; /* hardly any: the tracker takes back whenever it can */
	activity_reset();
	activity_start();
	return tracker_start(region);
}

static int stop(void **state)
{
	(void)state;
	tracker_stop();
	return 0;
}

/* The tracker may have written a 0 that it takes back a moment later. */
static int says_active(void)
{
	uint64_t end = clock_now_ns() + PATIENCE_NS / 10;

	while (!is_active() && clock_now_ns() < end)
		;
	return is_active() || clock_now_ns() < end;
}

static void *launcher(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	uintptr_t nr_wrong = 0;

	for (int i = 0; i < NR_LAUNCHES; i++) {
		/* As the descriptor hook: the record first, then the word. */
		(void)atomic_fetch_add(&world.nr_outstanding, 1);
		share_launching(thread_self());
		nr_wrong += !says_active();
		if (rand_r(&seed) % 4 == 0)
			nap(rand_r(&seed) % 200000);
		nr_wrong += !says_active();
		(void)atomic_fetch_sub(&world.nr_outstanding, 1);
		if (rand_r(&seed) % 4 == 0)
			nap(rand_r(&seed) % 400000);
	}
	return (void *)nr_wrong;
}

static void test_race(void **state)
{
	pthread_t thread[NR_THREADS];

	(void)state;
	for (uintptr_t i = 0; i < NR_THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, launcher, (void *)(i + 1)), 0);
	for (uint32_t i = 0; i < NR_THREADS; i++) {
		void *nr_wrong;
		assert_int_equal(pthread_join(thread[i], &nr_wrong), 0);
		assert_null(nr_wrong);
	}
	assert_true(becomes_idle());
	assert_int_equal(__atomic_load_n(&link_state.line->wants, __ATOMIC_SEQ_CST), 0);
}

static _Atomic uint32_t nr_late;

/* A launch that begins between the tracker's look and its 0, and reads the 1 that is about to
 * go. */
static void launch_late(void)
{
	if (atomic_load(&world.nr_outstanding) || atomic_load(&nr_late) >= 20)
		return;
	if (!is_active())
		return;
	(void)atomic_fetch_add(&world.nr_outstanding, 1);
	share_launching(thread_self());
	(void)atomic_fetch_add(&nr_late, 1);
}

static int start_late(void **state)
{
	world_setup(state);
	world.grant.grace_ns = 1000;
	world.during_pass = launch_late;
	activity_reset();
	activity_start();
	return tracker_start(region);
}

/* The tracker may have taken it back a moment ago, and be about to find out. */
static int is_active_again(void)
{
	uint64_t end = clock_now_ns() + PATIENCE_NS;

	while (!is_active() && clock_now_ns() < end)
		nap(10000);
	return is_active();
}

static void test_late(void **state)
{
	(void)state;
	share_launching(thread_self());
	for (uint32_t i = 1; i <= 20; i++) {
		uint64_t end = clock_now_ns() + PATIENCE_NS;
		while (atomic_load(&nr_late) < i && clock_now_ns() < end)
			nap(10000);
		/* Several passes, in which it is outstanding. */
		nap(2000000);
		assert_true(is_active_again());
		atomic_store(&world.nr_outstanding, 0);
	}
}

static void stays_active(void)
{
	for (int i = 0; i < 20; i++) {
		nap(500000);
		assert_true(is_active_again());
	}
}

static void test_reasons(void **state)
{
	(void)state;
	share_graph_launching(thread_self());
	assert_int_equal(__atomic_load_n(&link_state.line->wants, __ATOMIC_SEQ_CST), 1);
	stays_active();
	activity_in_call(-1);
	assert_true(becomes_idle());
	/* First what keeps it active, or the tracker may take it back in between. */
	share_queued(2);
	share_launching(thread_self());
	stays_active();
	assert_int_equal(link_state.line->nr_queued, 2);
	share_queued(0);
	assert_int_equal(link_state.line->nr_deferred, 2);
	assert_true(becomes_idle());
	atomic_store(&world.nr_outstanding, 1);
	share_launching(thread_self());
	stays_active();
	atomic_store(&world.nr_outstanding, 0);
	assert_true(becomes_idle());
	/* 20 ms for what cannot be seen. */
	uint64_t start_ns = clock_now_ns();
	activity_untracked();
	share_launching(thread_self());
	assert_true(becomes_idle());
	assert_true(clock_now_ns() - start_ns >= 20000000);
}

/* Records of a context that has failed never come; those that come late count again. */
static void test_lost(void **state)
{
	(void)state;
	atomic_store(&world.nr_outstanding, 2);
	share_launching(thread_self());
	stays_active();
	atomic_store(&activity_lost_after_ns, 30000000);
	assert_true(becomes_idle());
	assert_int_equal(__atomic_load_n(&link_state.line->hold_until_ns, __ATOMIC_SEQ_CST), 0);
	atomic_store(&activity_lost_after_ns, 60000000000);
	share_launching(thread_self());
	stays_active();
	atomic_store(&world.nr_outstanding, 0);
	assert_true(becomes_idle());
}

static void test_reclaim(void **state)
{
	(void)state;
	share_launching(thread_self());
	assert_int_equal(link_state.line->nr_reclaims, 0);
	assert_true(becomes_idle());
	world.board.timer_ns[2] = UINT64_MAX / 2;
	share_launching(thread_self());
	assert_int_equal(link_state.line->nr_reclaims, 1);
	share_failed(CUDA_ERROR_LAUNCH_FAILED);
	assert_int_equal(link_state.line->last_error, CUDA_ERROR_LAUNCH_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_race, start, stop),
		cmocka_unit_test_setup_teardown(test_late, start_late, stop),
		cmocka_unit_test_setup_teardown(test_reasons, start, stop),
		cmocka_unit_test_setup_teardown(test_lost, start, stop),
		cmocka_unit_test_setup_teardown(test_reclaim, start, stop),
	};

	region = calloc(1, sizeof(*region));
	execs_init(region);
	kernels_init(region, NULL);
	int result = cmocka_run_group_tests(tests, NULL, NULL);
	free(region);
	return result;
}
