/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that make views while a daemon writes: no view mixes two writings, all see the last one
 * in the end, and a daemon that stops in the middle leaves everybody with the last whole one.
 */
#include "link_world.h"

#include <pthread.h>

#include "shim/thread.h"

#define NR_READERS 3
#define NR_TURNS   20000u

static atomic_int is_over;

/* Own is one TPC, and the borrow set the eight after it. */
static void turn_is(unsigned int i)
{
	grant_is(bits(i % 16, i % 16), bits(i % 16 + 1, i % 16 + 8));
}

static void view_is_whole(const struct share_view *view)
{
	unsigned int own = (unsigned int)__builtin_ctz(view->lend.own.w[0]);
	struct tpcset borrow = bits(own + 1, own + 8);

	assert_int_equal(tpcset_count(&view->lend.own), 1);
	assert_memory_equal(&view->lend.borrow, &borrow, sizeof(borrow));
}

static void *reader(void *arg)
{
	struct share_view scratch;

	(void)arg;
	while (!atomic_load(&is_over))
		view_is_whole(view_of(thread_self(), &scratch));
	return NULL;
}

static void test_turns(void **state)
{
	pthread_t thread[NR_READERS];
	struct share_view scratch;

	(void)state;
	turn_is(0);
	assert_int_equal(view_first(), 0); /* as at the attach: there is one from here on */
	for (int i = 0; i < NR_READERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, reader, NULL), 0);
	for (unsigned int i = 0; i < NR_TURNS; i++)
		turn_is(i);
	atomic_store(&is_over, 1);
	for (int i = 0; i < NR_READERS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	turn_is(5);
	struct tpcset own = bits(5, 5);
	assert_memory_equal(&view_of(thread_self(), &scratch)->lend.own, &own, sizeof(own));
}

static void *newcomer(void *arg)
{
	struct share_view scratch;

	*(struct tpcset *)arg = view_of(thread_self(), &scratch)->lend.own;
	return NULL;
}

static void test_daemon_dies_writing(void **state)
{
	struct tpcset own = bits(7, 7), found;
	struct share_view scratch;
	pthread_t thread;

	(void)state;
	turn_is(7);
	(void)view_of(thread_self(), &scratch);
	world.grant.header.sequence++;
	world.grant.own = bits(9, 9);
	assert_memory_equal(&view_of(thread_self(), &scratch)->lend.own, &own, sizeof(own));
	/* A thread, and one without memory of its own, that never had a view. */
	assert_int_equal(pthread_create(&thread, NULL, newcomer, &found), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_memory_equal(&found, &own, sizeof(own));
	struct thread_state spare = {.is_spare = 1};
	assert_memory_equal(&view_of(&spare, &scratch)->lend.own, &own, sizeof(own));
	/* The board, too. */
	world.grant.header.sequence++;
	world.board.header.sequence++;
	assert_memory_equal(&view_of(thread_self(), &scratch)->lend.own, &own, sizeof(own));
	world.board.header.sequence++;
	own = bits(9, 9);
	assert_memory_equal(&view_of(thread_self(), &scratch)->lend.own, &own, sizeof(own));
}

/* Regions exchanged under their addresses may have the numbers of the old ones. */
static void test_exchanged(void **state)
{
	struct tpcset own = bits(3, 3);
	struct share_view scratch;

	(void)state;
	turn_is(2);
	(void)view_of(thread_self(), &scratch);
	world.grant.own = own;
	assert_memory_not_equal(&view_of(thread_self(), &scratch)->lend.own, &own, sizeof(own));
	(void)atomic_fetch_add(&link_state.generation, 1);
	assert_memory_equal(&view_of(thread_self(), &scratch)->lend.own, &own, sizeof(own));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_turns, world_setup),
		cmocka_unit_test_setup(test_daemon_dies_writing, world_setup),
		cmocka_unit_test_setup(test_exchanged, world_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
