/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a launch may go, at invented times: each row of the table in link/share.c, the limits
 * after which held ones go, what is charged, where a launch goes for which there is no TPC; and
 * that an owner is never held, and borrows only what costs nobody anything.
 */
#include "base/clock.h"
#include "base/futex.h"
#include "link_world.h"

#include <pthread.h>
#include <time.h>

#include "shim/thread.h"

#define US 1000ull
#define MS 1000000ull

static uint64_t now_ns = 1000 * MS;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	uint64_t now = __atomic_load_n(&now_ns, __ATOMIC_RELAXED);

	(void)clock;
	ret_time->tv_sec = (time_t)(now / 1000000000u);
	ret_time->tv_nsec = (long)(now % 1000000000u);
	return 0;
}

static void later(uint64_t ns)
{
	__atomic_add_fetch(&now_ns, ns, __ATOMIC_RELAXED);
}

/* Borrows 8-23, owns nothing. */
static int best_effort(void **state)
{
	(void)world_setup(state);
	thread_self()->may_borrow = 0;
	grant_is((struct tpcset){{0}}, bits(8, 23));
	return 0;
}

/* Owns 0-3 and borrows 8-23. */
static int owner_world(void **state)
{
	(void)world_setup(state);
	thread_self()->may_borrow = 0;
	return 0;
}

/* The mask of the launch that was asked about last. */
static struct tpcset mask_now(void)
{
	uint32_t is_borrowed;
	struct tpcset set;

	share_mask(&world.device, &set, &is_borrowed);
	return set;
}

static void assert_mask(struct tpcset expected)
{
	struct tpcset set = mask_now();

	assert_memory_equal(&set, &expected, sizeof(set));
}

static enum share_verdict ask(uint64_t predicted_ns)
{
	return share_ask(&world.device, &(struct share_request){.predicted_ns = predicted_ns});
}

static struct launch_note charge(struct tpcset allowed, uint64_t predicted_ns)
{
	struct launch_note note = {.submitted_ns = now_ns};

	share_charge(thread_self(), &allowed, predicted_ns, &note);
	return note;
}

static void test_bound(void **state)
{
	struct launch_note first, second;

	(void)state;
	assert_int_equal(ask(0), SHARE_GO);
	assert_int_equal(ask(50 * MS), SHARE_GO); /* alone, however long */
	first = charge(bits(0, 12), 700 * US);
	assert_int_equal(first.charged_ns, 700 * US);
	assert_int_equal(ask(200 * US), SHARE_GO);
	assert_int_equal(ask(400 * US), SHARE_HOLD_BOUND);
	assert_int_equal(ask(0), SHARE_HOLD_BOUND);
	/* What leaves the GPU when it is told to keeps no owner waiting. */
	assert_int_equal(share_ask(&world.device, &(struct share_request){.predicted_ns = 400 * US,
									  .is_revocable = 1}),
			 SHARE_GO);
	second = charge(bits(0, 12), 0);
	assert_int_equal(second.charged_ns, 1 * MS);
	assert_int_equal(ask(1), SHARE_HOLD_BOUND);
	hold_end(first.charged_ns, first.ticket, clock_now_ns());
	hold_end(second.charged_ns, second.ticket, clock_now_ns());
	assert_int_equal(hold_outstanding_ns(), 0);
	assert_int_equal(ask(0), SHARE_GO);
}

/* On TPCs of nobody there is nobody to hold back for; with one owner's among them there is. */
static void test_no_owner(void **state)
{
	struct launch_note first, second;

	(void)state;
	grant_is((struct tpcset){{0}}, bits(24, 31));
	first = charge(bits(24, 31), 3 * MS);
	assert_int_equal(ask(2 * MS), SHARE_GO);
	assert_int_equal(ask(2 * MS + 1), SHARE_HOLD_BOUND);
	/* An unknown one counts as before. */
	assert_int_equal(ask(0), SHARE_GO);
	second = charge(bits(24, 31), 0);
	assert_int_equal(second.charged_ns, 1 * MS);
	grant_is((struct tpcset){{0}}, bits(23, 31));
	assert_int_equal(ask(1), SHARE_HOLD_BOUND);
	grant_is((struct tpcset){{0}}, bits(24, 31));
	assert_int_equal(ask(1 * MS), SHARE_GO);
	/* A bound that is longer by itself stays. */
	world.grant.bound_ns = 20 * MS;
	grant_is((struct tpcset){{0}}, bits(24, 31));
	assert_int_equal(ask(16 * MS), SHARE_GO);
	assert_int_equal(ask(17 * MS), SHARE_HOLD_BOUND);
	hold_end(first.charged_ns, first.ticket, clock_now_ns());
	hold_end(second.charged_ns, second.ticket, clock_now_ns());
}

static void test_no_tpcs(void **state)
{
	struct launch_note note = charge(bits(8, 9), 5 * MS);

	(void)state;
	assert_int_equal(ask(1), SHARE_HOLD_BOUND);
	assert_true(share_may_hold());
	owner_works(0, 1);
	owner_works(1, 1);
	assert_int_equal(ask(1), SHARE_HOLD_TPCS);
	owner_works(1, 0);
	assert_int_equal(ask(1), SHARE_HOLD_BOUND);
	hold_end(note.charged_ns, note.ticket, clock_now_ns());
	assert_int_equal(ask(1), SHARE_GO);
	assert_true(share_may_hold());
	grant_is(bits(0, 3), (struct tpcset){{0}});
	assert_int_equal(ask(1), SHARE_GO);
	assert_false(share_may_hold());
	world.device.is_shared = 0;
	grant_is((struct tpcset){{0}}, (struct tpcset){{0}});
	assert_int_equal(ask(1), SHARE_GO);
}

/*
 * Whatever an owner has outstanding on lent TPCs, and whoever works, its launches go; on lent TPCs
 * only when they are known to fit into the bound or leave when they are told.
 */
static void test_owner_never_held(void **state)
{
	struct tpcset own = bits(0, 3), all = tpcset_or(own, bits(8, 23)), lent = bits(8, 12);
	struct share_request long_graph = {.predicted_ns = 50 * MS, .fixed = &lent},
			     gang = {.predicted_ns = 1, .min_tpcs = 4};
	struct launch_note note;

	(void)state;
	assert_int_equal(ask(400 * US), SHARE_GO);
	assert_mask(all);
	assert_mask(own); /* nobody asked about this one */
	assert_int_equal(ask(0), SHARE_GO);
	assert_mask(own);
	assert_int_equal(ask(2 * MS), SHARE_GO);
	assert_mask(own);
	note = charge(all, 700 * US);
	assert_int_equal(ask(200 * US), SHARE_GO);
	assert_mask(all);
	assert_int_equal(ask(400 * US), SHARE_GO);
	assert_mask(own);
	assert_int_equal(share_ask(&world.device, &(struct share_request){.predicted_ns = 400 * US,
									  .is_revocable = 1}),
			 SHARE_GO);
	assert_mask(all);
	owner_works(0, 1);
	owner_works(1, 1);
	assert_int_equal(share_ask(&world.device, &long_graph), SHARE_GO);
	assert_mask(own);
	assert_int_equal(share_ask(&world.device, &gang), SHARE_GO);
	assert_mask(own);
	assert_int_equal(ask(1), SHARE_GO);
	assert_mask(own);
	owner_works(0, 0);
	assert_int_equal(ask(1), SHARE_GO);
	assert_mask(tpcset_or(own, bits(8, 15)));
	/* Own TPCs alone are never charged. */
	assert_int_equal(charge(own, 1 * MS).ticket, 0);
	hold_end(note.charged_ns, note.ticket, clock_now_ns());
}

static void test_gang(void **state)
{
	struct share_request gang = {.predicted_ns = 1, .min_tpcs = 16};

	(void)state;
	assert_int_equal(share_ask(&world.device, &gang), SHARE_GO);
	gang.min_tpcs = 17;
	assert_int_equal(share_ask(&world.device, &gang), SHARE_HOLD_TPCS);
	gang.held_since_ns = now_ns;
	later(19 * MS);
	assert_int_equal(share_ask(&world.device, &gang), SHARE_HOLD_TPCS);
	later(1 * MS);
	assert_int_equal(share_ask(&world.device, &gang), SHARE_GO);
}

static void test_graph(void **state)
{
	struct tpcset lent = bits(8, 12);
	struct share_request graph = {.predicted_ns = 10 * US, .fixed = &lent};

	(void)state;
	assert_int_equal(share_ask(&world.device, &graph), SHARE_GO);
	owner_works(0, 1);
	assert_int_equal(share_ask(&world.device, &graph), SHARE_HOLD_TPCS);
	graph.held_since_ns = now_ns;
	later(99 * MS);
	assert_int_equal(share_ask(&world.device, &graph), SHARE_HOLD_TPCS);
	later(1 * MS);
	assert_int_equal(share_ask(&world.device, &graph), SHARE_GO);
	owner_works(0, 0);
	struct launch_note note = charge(lent, 1 * MS);
	graph.held_since_ns = 0;
	assert_int_equal(share_ask(&world.device, &graph), SHARE_HOLD_BOUND);
	hold_end(note.charged_ns, note.ticket, clock_now_ns());
}

static void test_stuck(void **state)
{
	struct launch_note note = charge(bits(8, 9), 1 * MS), longer;

	(void)state;
	later(19 * MS);
	assert_int_equal(ask(1), SHARE_HOLD_BOUND);
	later(1 * MS);
	assert_int_equal(ask(1), SHARE_GO);
	assert_int_equal(ask(1), SHARE_HOLD_BOUND); /* one */
	later(20 * MS);
	assert_int_equal(ask(1), SHARE_GO);
	/* Longer when what is outstanding is. */
	longer = charge(bits(8, 9), 49 * MS);
	later(49 * MS);
	assert_int_equal(ask(1), SHARE_HOLD_BOUND);
	later(1 * MS);
	assert_int_equal(ask(1), SHARE_GO);
	/* A completion starts the time again. */
	hold_end(longer.charged_ns, longer.ticket, clock_now_ns());
	later(19 * MS);
	assert_int_equal(ask(1), SHARE_HOLD_BOUND);
	hold_end(note.charged_ns, note.ticket, clock_now_ns());
}

static void test_mask(void **state)
{
	struct tpcset set, expected = tpcset_or(bits(0, 3), bits(8, 23));
	uint32_t is_borrowed = 9;
	uint64_t before = thread_total(STATS_share_no_tpcs);

	(void)state;
	assert_int_equal(ask(1), SHARE_GO);
	share_mask(&world.device, &set, &is_borrowed);
	assert_memory_equal(&set, &expected, sizeof(set));
	assert_int_equal(is_borrowed, 1);
	owner_works(0, 1);
	owner_works(1, 1);
	share_mask(&world.device, &set, &is_borrowed);
	expected = bits(0, 3);
	assert_memory_equal(&set, &expected, sizeof(set));
	assert_int_equal(is_borrowed, 0);
	assert_int_equal(thread_total(STATS_share_no_tpcs), before);
	/* Nothing of its own, nothing lendable: the turn, although its owners work. */
	grant_is((struct tpcset){{0}}, bits(8, 23));
	share_mask(&world.device, &set, &is_borrowed);
	expected = bits(8, 23);
	assert_memory_equal(&set, &expected, sizeof(set));
	assert_int_equal(thread_total(STATS_share_no_tpcs), before + 1);
	grant_is((struct tpcset){{0}}, (struct tpcset){{0}});
	share_mask(&world.device, &set, &is_borrowed);
	expected = tpcset_or(bits(0, 7), bits(24, 31));
	assert_memory_equal(&set, &expected, sizeof(set));
}

/* Timers of this process' own work, and of its tenant's other processes, do not keep it off. */
static void test_timers(void **state)
{
	struct launch_note note;
	struct tpcset set;
	uint32_t is_borrowed;

	(void)state;
	world.board.timer_ns[8] = now_ns + 1 * MS;
	later(60 * US);
	share_mask(&world.device, &set, &is_borrowed);
	assert_false(tpcset_has(&set, 8));
	assert_true(tpcset_has(&set, 9));
	world.activity.proc[9].hold = bits(8, 8);
	world.activity.proc[9].hold_until_ns = world.board.timer_ns[8];
	later(60 * US);
	share_mask(&world.device, &set, &is_borrowed);
	assert_true(tpcset_has(&set, 8));
	world.activity.proc[9].hold_until_ns = 0;
	later(60 * US);
	share_mask(&world.device, &set, &is_borrowed);
	assert_false(tpcset_has(&set, 8));
	note = charge(bits(8, 8), 2 * MS);
	later(60 * US);
	share_mask(&world.device, &set, &is_borrowed);
	assert_true(tpcset_has(&set, 8));
	hold_end(note.charged_ns, note.ticket, clock_now_ns());
}

static void *end_soon(void *of)
{
	const struct launch_note *note = of;

	(void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	hold_end(note->charged_ns, note->ticket, clock_now_ns());
	hold_wake();
	return NULL;
}

static void *idle_soon(void *unused)
{
	(void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	owner_works(0, 0);
	futex_wake(&world.peer[0].proc[0].active, INT32_MAX, FUTEX_WORD_SHARED);
	return unused;
}

/* Whatever an owner's process has written into its word: who waits for it sleeps until it is 0. */
static void test_wait_for_owner(void **state)
{
	pthread_t thread;

	(void)state;
	owner_works(0, 2);
	owner_works(1, 0);
	grant_is((struct tpcset){{0}}, bits(8, 15));
	assert_int_equal(ask(1), SHARE_HOLD_TPCS);
	assert_int_equal(pthread_create(&thread, NULL, idle_soon, NULL), 0);
	share_wait(999 * MS);
	assert_int_equal(__atomic_load_n(&world.peer[0].proc[0].active, __ATOMIC_SEQ_CST), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_wait(void **state)
{
	struct launch_note note = charge(bits(8, 8), 1 * MS);
	pthread_t thread;

	(void)state;
	/* What completed between the answer and the wait is not missed. */
	assert_int_equal(ask(1 * MS), SHARE_HOLD_BOUND);
	hold_end(note.charged_ns, note.ticket, clock_now_ns());
	share_wait(1000 * MS);
	note = charge(bits(8, 8), 1 * MS);
	assert_int_equal(ask(1 * MS), SHARE_HOLD_BOUND);
	/* Time stands still here, so that only the completion ends the wait. */
	assert_int_equal(pthread_create(&thread, NULL, end_soon, &note), 0);
	share_wait(1000 * MS);
	assert_int_equal(hold_outstanding_ns(), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

/* Launch by launch onto other TPCs: what is not used any more leaves the line. */
static void test_hold_moves(void **state)
{
	struct launch_note note = charge(bits(8, 8), 1 * MS);

	(void)state;
	for (unsigned int i = 9; i < 20; i++) {
		struct launch_note next = charge(bits(i, i), 1 * MS);

		hold_end(note.charged_ns, note.ticket, clock_now_ns());
		hold_publish(now_ns);
		note = next;
		assert_true(tpcset_has(&link_state.line->hold, i));
		if (i > 11)
			assert_false(tpcset_has(&link_state.line->hold, i - 4));
	}
	assert_int_equal(link_state.line->outstanding_ns, 1 * MS);
	assert_int_equal(link_state.line->hold_until_ns, now_ns + 1 * MS);
	hold_end(note.charged_ns, note.ticket, clock_now_ns());
	hold_publish(now_ns);
	hold_publish(now_ns);
	assert_true(tpcset_is_empty(&link_state.line->hold));
	assert_int_equal(link_state.line->hold_until_ns, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_bound, best_effort),
		cmocka_unit_test_setup(test_no_owner, best_effort),
		cmocka_unit_test_setup(test_no_tpcs, best_effort),
		cmocka_unit_test_setup(test_owner_never_held, owner_world),
		cmocka_unit_test_setup(test_gang, best_effort),
		cmocka_unit_test_setup(test_graph, best_effort),
		cmocka_unit_test_setup(test_stuck, best_effort),
		cmocka_unit_test_setup(test_mask, owner_world),
		cmocka_unit_test_setup(test_timers, best_effort),
		cmocka_unit_test_setup(test_wait, best_effort),
		cmocka_unit_test_setup(test_wait_for_owner, best_effort),
		cmocka_unit_test_setup(test_hold_moves, best_effort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
