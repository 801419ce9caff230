/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may be used, on invented boards: the worked example of sched/lend.c step by step, every
 * doubt about an owner, timers at their edges, and garbage, against a model that goes TPC by TPC.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "sched/lend.h"

#define NOW 1000000000ull
#define US  1000ull

static struct {
	struct shm_grant grant;
	struct shm_board board;
	struct shm_activity activity[SHM_MAX_OWNERS];
	struct lend_peer peer[SHM_MAX_OWNERS];
	struct tpcset present;
	struct lend_hold mine;
	struct lend_view view;
} world;

static struct tpcset bits(unsigned int from, unsigned int to)
{
	struct tpcset set = {{0}};

	for (unsigned int i = from; i <= to; i++)
		tpcset_add(&set, i);
	return set;
}

static void owner_is(uint32_t place, struct tpcset tpcs)
{
	world.board.owner[place] = (struct shm_owner){
		.state = SHM_OWNER_LIVE, .generation = 7, .nr_lines = 2, .tpcs = tpcs};
	if (world.board.nr_owners <= place)
		world.board.nr_owners = place + 1;
	world.peer[place].tag = lend_tag(7);
}

/* TPCs 0-7; A has 0-3, B has 4-5; the tenant's turn is 2-7. */
static int setup(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	world.present = bits(0, 7);
	world.grant.state = SHM_GRANT_LIVE;
	world.grant.borrow = bits(2, 7);
	for (uint32_t i = 0; i < SHM_MAX_OWNERS; i++)
		world.peer[i].activity = &world.activity[i];
	owner_is(0, bits(0, 3));
	owner_is(1, bits(4, 5));
	return 0;
}

static struct tpcset lendable(void)
{
	struct tpcset busy;

	lend_view_make(&world.grant, &world.board, &world.present, &world.view);
	busy = lend_busy(world.board.timer_ns, &world.view.borrow, &world.mine, NOW);
	return lend_lendable(&world.view, world.peer, &busy);
}

static void lends(struct tpcset expected)
{
	struct tpcset found = lendable();

	assert_memory_equal(&found, &expected, sizeof(found));
}

static void test_example(void **state)
{
	struct tpcset expected = bits(2, 7);

	(void)state;
	lends(expected);
	world.activity[0].proc[1].active = 1;
	lends(bits(4, 7));
	world.board.timer_ns[6] = world.board.timer_ns[7] = NOW + 300 * US;
	lends(bits(4, 5));
	world.mine = (struct lend_hold){.tpcs = bits(7, 7), .until_ns = NOW + 300 * US};
	expected = bits(4, 5);
	tpcset_add(&expected, 7);
	lends(expected);
	world.board.owner[0].state = SHM_OWNER_STALLED;
	expected = tpcset_or(expected, bits(2, 3));
	lends(expected);
}

static void test_doubt_means_active(void **state)
{
	(void)state;
	world.peer[1].tag = 0;
	lends(tpcset_or(bits(2, 3), bits(6, 7)));
	world.peer[1].tag = lend_tag(6);
	lends(tpcset_or(bits(2, 3), bits(6, 7)));
	world.peer[1].tag = lend_tag(7);
	lends(bits(2, 7));
	/* Generation 0 is a generation, and not "none". */
	world.board.owner[1].generation = 0;
	world.peer[1].tag = 0;
	lends(tpcset_or(bits(2, 3), bits(6, 7)));
	world.peer[1].tag = lend_tag(0);
	lends(bits(2, 7));
	/* Any value but 0, in the lines that count. */
	world.activity[1].proc[1].active = 0x80000000;
	lends(tpcset_or(bits(2, 3), bits(6, 7)));
	world.activity[1].proc[1].active = 0;
	world.activity[1].proc[2].active = 1;
	lends(bits(2, 7));
}

static void test_timers(void **state)
{
	(void)state;
	world.board.timer_ns[2] = NOW + LEND_TOLERANCE_NS;
	lends(bits(2, 7));
	world.board.timer_ns[2]++;
	lends(bits(3, 7));
	world.board.timer_ns[2] = UINT64_MAX;
	lends(bits(3, 7));
	/* Longer than anything of ours: it is another's. */
	world.mine = (struct lend_hold){.tpcs = bits(2, 2), .until_ns = NOW};
	lends(bits(3, 7));
	world.board.timer_ns[2] = NOW + LEND_TOLERANCE_NS + 1;
	world.mine.until_ns = NOW + 1;
	lends(bits(2, 7));
}

static void test_grant(void **state)
{
	(void)state;
	world.grant.own = bits(6, 9);
	lends(bits(2, 5));
	assert_memory_equal(&world.view.own, &(struct tpcset){{0xc0}}, sizeof(struct tpcset));
	assert_true(world.view.is_owner);
	assert_true(tpcset_is_empty(&world.view.unowned));
	world.grant.state = SHM_GRANT_REVOKED;
	lends((struct tpcset){{0}});
	world.grant.state = 99;
	lends((struct tpcset){{0}});
	world.grant.own = bits(8, 20);
	(void)lendable();
	assert_false(world.view.is_owner);
}

static void test_fallback(void **state)
{
	struct tpcset set;

	(void)state;
	world.grant.own = bits(4, 5);
	(void)lendable();
	set = lend_fallback(&world.view, &world.present);
	assert_memory_equal(&set, &world.grant.own, sizeof(set));
	world.grant.own = (struct tpcset){{0}};
	(void)lendable();
	set = lend_fallback(&world.view, &world.present);
	assert_memory_equal(&set, &world.grant.borrow, sizeof(set));
	world.grant.borrow = (struct tpcset){{0}};
	(void)lendable();
	set = lend_fallback(&world.view, &world.present);
	assert_memory_equal(&set, &(struct tpcset){{0xc0}}, sizeof(set));
	owner_is(2, bits(6, 7));
	(void)lendable();
	set = lend_fallback(&world.view, &world.present);
	assert_memory_equal(&set, &world.present, sizeof(set));
}

/* --- garbage ---------------------------------------------------------------------------------- */

static void scribble(void *memory, size_t bytes, unsigned int *seed)
{
	uint8_t *byte = memory;

	for (size_t i = 0; i < bytes; i++)
		byte[i] = (uint8_t)rand_r(seed);
}

static int model_owner_lends(uint32_t place)
{
	const struct shm_owner *owner = &world.board.owner[place];
	uint32_t nr_lines = owner->nr_lines < SHM_MAX_PROCS ? owner->nr_lines : SHM_MAX_PROCS;

	if (owner->state != SHM_OWNER_LIVE && owner->state != SHM_OWNER_STALLED)
		return 1;
	if (world.board.is_partitioned)
		return 0;
	if (owner->state == SHM_OWNER_STALLED)
		return 1;
	if (world.peer[place].tag != lend_tag(owner->generation))
		return 0;
	for (uint32_t i = 0; i < nr_lines; i++) {
		if (world.activity[place].proc[i].active)
			return 0;
	}
	return 1;
}

static int model_lends(unsigned int bit)
{
	uint32_t nr =
		world.board.nr_owners < SHM_MAX_OWNERS ? world.board.nr_owners : SHM_MAX_OWNERS;

	if (!tpcset_has(&world.present, bit) || !tpcset_has(&world.grant.borrow, bit) ||
	    tpcset_has(&world.grant.own, bit) || world.grant.state != SHM_GRANT_LIVE)
		return 0;
	for (uint32_t i = 0; i < nr; i++) {
		if (tpcset_has(&world.board.owner[i].tpcs, bit) && !model_owner_lends(i))
			return 0;
	}
	if (world.board.timer_ns[bit] <= NOW + LEND_TOLERANCE_NS)
		return 1;
	return tpcset_has(&world.mine.tpcs, bit) &&
	       world.board.timer_ns[bit] <= world.mine.until_ns + LEND_TOLERANCE_NS;
}

static void wild_world(unsigned int *seed)
{
	scribble(&world.grant, sizeof(world.grant), seed);
	scribble(&world.board, sizeof(world.board), seed);
	scribble(&world.present, sizeof(world.present), seed);
	world.grant.state = rand_r(seed) % 4 ? SHM_GRANT_LIVE : (uint32_t)rand_r(seed);
	world.board.is_partitioned = rand_r(seed) % 4 == 0;
	world.board.nr_owners = rand_r(seed) % 4 ? (uint32_t)rand_r(seed) % 6 : UINT32_MAX;
	world.mine.until_ns = NOW + (uint64_t)(rand_r(seed) % 1000) * US;
	scribble(&world.mine.tpcs, sizeof(world.mine.tpcs), seed);
	for (uint32_t i = 0; i < SHM_MAX_OWNERS; i++) {
		world.board.owner[i].state = (uint32_t)rand_r(seed) % 4;
		world.peer[i].tag =
			lend_tag(world.board.owner[i].generation + (rand_r(seed) % 8 == 0));
		world.activity[i].proc[rand_r(seed) % 64].active = rand_r(seed) % 8 == 0;
		world.board.timer_ns[i] =
			rand_r(seed) % 2 ? 0 : NOW + (uint64_t)(rand_r(seed) % 1000) * US;
	}
}

static void lends_after_a_look(uint64_t now_ns, struct tpcset expected)
{
	const struct tpcset nobody = {{0}};
	struct tpcset found;

	lend_look_at_beats(&world.view, world.peer, now_ns);
	found = lend_lendable(&world.view, world.peer, &nobody);
	assert_memory_equal(&found, &expected, sizeof(found));
}

/* A works on 2-3 and is stopped, with no daemon to call it stalled. */
static void test_old_beat(void **state)
{
	struct shm_proc *first = &world.activity[0].proc[0], *second = &world.activity[0].proc[1];
	const uint64_t now = 10ull * LEND_STALL_NS;

	(void)state;
	first->active = 1;
	lends(bits(4, 7));
	/* Never beaten: it may be beginning. */
	lends_after_a_look(now, bits(4, 7));
	first->beat_ns = now - LEND_STALL_NS + 1;
	lends_after_a_look(now, bits(4, 7));
	first->beat_ns = now - LEND_STALL_NS;
	lends_after_a_look(now, bits(2, 7));
	/* One that answers is enough, and a beat of the future is an answer. */
	second->active = 1;
	second->beat_ns = UINT64_MAX;
	lends_after_a_look(now, bits(4, 7));
	second->active = 0;
	lends_after_a_look(now, bits(2, 7));
	/* Another tenant's beats say nothing. */
	world.peer[0].tag = lend_tag(8);
	lends_after_a_look(now, bits(4, 7));
	world.peer[0].tag = lend_tag(7);
	/* It goes on. */
	first->beat_ns = now;
	lends_after_a_look(now, bits(4, 7));
}

static void test_garbage(void **state)
{
	unsigned int seed = 1;
	uint32_t nr_lent = 0;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		wild_world(&seed);
		struct tpcset found = lendable();
		for (unsigned int bit = 0; bit < TPCSET_BITS; bit++)
			assert_int_equal(tpcset_has(&found, bit), model_lends(bit));
		nr_lent += tpcset_count(&found);
		struct tpcset last = lend_fallback(&world.view, &world.present);
		assert_false(tpcset_is_empty(&last));
	}
	assert_true(nr_lent > 1000);
}

/* Where nothing is lent, what is owned is no one else's, stalled or not, whatever the grant
 * says. */
static void test_partitioned(void **state)
{
	(void)state;
	world.board.is_partitioned = 1;
	lends(bits(6, 7));
	world.board.owner[0].state = SHM_OWNER_STALLED;
	lends(bits(6, 7));
	assert_int_equal(world.view.nr_owners, 0);
	world.grant.own = bits(4, 5);
	lends(bits(6, 7));
	assert_true(tpcset_has(&world.view.own, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_example, setup),
		cmocka_unit_test_setup(test_partitioned, setup),
		cmocka_unit_test_setup(test_doubt_means_active, setup),
		cmocka_unit_test_setup(test_timers, setup),
		cmocka_unit_test_setup(test_grant, setup),
		cmocka_unit_test_setup(test_fallback, setup),
		cmocka_unit_test_setup(test_garbage, setup),
		cmocka_unit_test_setup(test_old_beat, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
