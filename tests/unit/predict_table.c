/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shapes find their own places: kernels, blocks and threads apart; more shapes than places;
 * unloaded modules; threads that look up while times come in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "shim/thread.h"
#include "shim/track/predict_table.h"

#define US      1000u
#define NR_TPCS 10u
#define FUNC(i) ((CUfunction)(uintptr_t)(0x7f0000000000 + (uint64_t)(i)*0x1a0))

static void learn(uint64_t func, uint64_t nr_blocks, uint32_t nr_threads, uint64_t ns)
{
	uint32_t slot = predict_slot(FUNC(func), nr_blocks, nr_threads);

	for (int i = 0; i < 3; i++)
		predict_seen(slot, ns, NR_TPCS, 0);
}

static uint64_t predicted(uint64_t func, uint32_t nr_blocks, uint32_t nr_threads)
{
	struct thread_state *t = thread_self();
	uint64_t ns = predict_of(t, FUNC(func), nr_blocks, nr_threads, 0);

	/* What the descriptor hook is told is what it would find itself. */
	if (ns) {
		assert_ptr_equal(t->asked.func, FUNC(func));
		assert_int_equal(t->asked.slot, predict_slot(FUNC(func), nr_blocks, nr_threads));
		assert_int_equal(t->asked.predicted_ns, ns);
	} else {
		assert_true(!t->asked.func || predict_in_slot(t->asked.slot, t->asked.width) == 0);
	}
	return ns;
}

static void is_about(uint64_t found, uint64_t expected)
{
	assert_in_range(found, expected - expected / 100, expected + expected / 100 + 1);
}

static void test_shapes(void **state)
{
	(void)state;
	predict_set_width(NR_TPCS);
	assert_int_equal(predicted(1, 100, 128), 0);
	learn(1, 100, 128, 50 * US);
	learn(1, 101, 128, 60 * US);
	learn(1, 100, 129, 70 * US);
	learn(2, 100, 128, 80 * US);
	is_about(predicted(1, 100, 128), 50 * US);
	is_about(predicted(1, 101, 128), 60 * US);
	is_about(predicted(1, 100, 129), 70 * US);
	is_about(predicted(2, 100, 128), 80 * US);
	assert_int_equal(predicted(2, 101, 128), 0);
	predict_set_width(NR_TPCS / 2);
	is_about(predicted(1, 100, 128), 100 * US);
	predict_set_width(NR_TPCS);
	assert_int_equal(predict_in_slot(PREDICT_NO_SLOT, 1), 0);
	predict_seen(PREDICT_NO_SLOT, 1, 1, 0);
}

static void test_flush(void **state)
{
	(void)state;
	learn(3, 7, 32, 10 * US);
	predict_flush();
	assert_int_equal(predicted(3, 7, 32), 0);
	learn(3, 7, 32, 20 * US);
	is_about(predicted(3, 7, 32), 20 * US);
}

/* What a full table still knows is right, and new shapes are learned. */
static void test_full(void **state)
{
	uint32_t nr_known = 0;

	(void)state;
	for (uint32_t i = 0; i < 20000; i++)
		learn(100 + i % 10, 1000 + i, 64, (1 + i % 50) * US);
	for (uint32_t i = 0; i < 20000; i++) {
		uint64_t ns = predicted(100 + i % 10, 1000 + i, 64);
		if (ns)
			is_about(ns, (1 + i % 50) * US);
		nr_known += ns != 0;
	}
	assert_in_range(nr_known, 4000, 8192);
	learn(500, 9, 64, 30 * US);
	is_about(predicted(500, 9, 64), 30 * US);
}

/* What was noted of a shape is not for the one that takes its place. */
static void test_notes(void **state)
{
	uint32_t slot = predict_slot(FUNC(700), 9, 64), other, i = 0;

	(void)state;
	predict_set_note(slot, 77);
	assert_int_equal(predict_note(slot), 77);
	do {
		other = predict_slot(FUNC(701), 100000 + i, 64);
	} while (other != slot && ++i < 1000000);
	assert_int_equal(other, slot);
	assert_int_equal(predict_note(slot), 0);
	predict_set_note(PREDICT_NO_SLOT, 1);
	assert_int_equal(predict_note(PREDICT_NO_SLOT), 0);
}

/* The program launches it, the tracker sees it end: what was predicted before. */
static uint64_t run(uint64_t func, uint64_t ns)
{
	struct thread_state *t = thread_self();
	uint64_t predicted_ns;

	predict_step(t, FUNC(func), 132, 384);
	predicted_ns = predict_of(t, FUNC(func), 132, 384, t->launch_path);
	predict_seen(t->asked.func ? t->asked.slot : predict_slot(FUNC(func), 132, 384), ns,
		     NR_TPCS, 0);
	return predicted_ns;
}

/* As in a Transformer: the same product twice a layer behind the same two norms, of two sizes. */
static void test_paths(void **state)
{
	uint64_t small = 0, large = 0;

	(void)state;
	predict_set_width(NR_TPCS);
	for (int i = 0; i < 40; i++) {
		(void)run(900, 30 * US);
		(void)run(901, 30 * US);
		small = run(902, 180 * US);
		(void)run(903, 300 * US);
		(void)run(901, 30 * US);
		large = run(902, 1200 * US);
	}
	is_about(small, 180 * US);
	is_about(large, 1200 * US);
	/* Whoever does not know the path gets the mean, in which both are. */
	assert_in_range(predicted(902, 132, 384), 400 * US, 1000 * US);
	/* What takes the same time always has no paths, nor has what is short. */
	(void)run(903, 300 * US);
	assert_int_equal(thread_self()->asked.slot, predict_slot(FUNC(903), 132, 384));
	for (int i = 0; i < 20; i++)
		(void)run(904, (1 + i % 2 * 9) * US);
	assert_int_equal(thread_self()->asked.slot, predict_slot(FUNC(904), 132, 384));
}

/* A path that is new is taken for the shape, and only so many get a place. */
static void test_no_order(void **state)
{
	struct thread_state *t = thread_self();
	uint32_t shape = predict_slot(FUNC(910), 132, 384), nr_paths = 0, seed = 1;

	(void)state;
	predict_set_width(NR_TPCS);
	for (int i = 0; i < 1000; i++) {
		seed = seed * 1664525 + 1013904223;
		(void)run(911 + (seed >> 16) % 50, 60 * US);
		predict_step(t, FUNC(910), 132, 384);
		(void)predict_of(t, FUNC(910), 132, 384, t->launch_path);
		if (i > 100 && t->asked.slot != shape)
			assert_in_range(t->asked.predicted_ns, 90 * US, 1010 * US);
		nr_paths += t->asked.slot != shape;
		predict_seen(t->asked.func ? t->asked.slot : shape, (i % 2 ? 100 : 1000) * US,
			     NR_TPCS, 0);
	}
	assert_int_equal(nr_paths, 64);
	assert_in_range(predict_in_slot(shape, NR_TPCS), 300 * US, 800 * US);
}

/* One launch of a shape without order; 1 when a path has the place. */
static int run_without_order(uint64_t func, uint32_t *seed)
{
	struct thread_state *t = thread_self();
	uint32_t shape = predict_slot(FUNC(func), 132, 384), slot;

	*seed = *seed * 1664525 + 1013904223;
	predict_step(t, FUNC(5000 + (*seed >> 16) % 50), 1, 32);
	predict_step(t, FUNC(func), 132, 384);
	(void)predict_of(t, FUNC(func), 132, 384, t->launch_path);
	slot = t->asked.func ? t->asked.slot : shape;
	predict_seen(slot, (*seed >> 31 ? 200 : 2000) * US, NR_TPCS, 0);
	return slot != shape;
}

/* Whatever a program does, its shapes stay known. */
static void test_many_without_order(void **state)
{
	uint32_t seed = 7, nr_paths = 0;

	(void)state;
	predict_flush();
	predict_set_width(NR_TPCS);
	for (uint64_t i = 0; i < 100; i++) {
		for (int n = 0; n < 100; n++)
			nr_paths += run_without_order(6000 + i, &seed) != 0;
	}
	/* Each is used once, as it does not come again. */
	assert_int_equal(nr_paths, 8192 / 4);
	for (uint64_t i = 0; i < 100; i++)
		assert_in_range(predicted(6000 + i, 132, 384), 190 * US, 2010 * US);
}

static atomic_int is_over;

static void *looker(void *arg)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; !atomic_load(&is_over); i++) {
		uint32_t slot = predict_slot(FUNC(i % 3000), i % 3000, 64);
		nr += predict_in_slot(slot, NR_TPCS) != 0;
		/* Without what predicted() asserts: places change owners meanwhile. */
		nr += predict_of(thread_self(), FUNC(i % 3000), i % 3000, 64, i % 5) != 0;
	}
	*(uint32_t *)arg = nr;
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t thread[2];
	uint32_t nr[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, looker, &nr[i]), 0);
	for (uint32_t i = 0; i < 30000; i++)
		predict_seen(predict_slot(FUNC(i % 3000), i % 3000, 64), 5 * US, NR_TPCS, 0);
	atomic_store(&is_over, 1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	is_about(predicted(7, 7, 64), 5 * US);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_flush),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_no_order),
		cmocka_unit_test(test_many_without_order),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_full), /* last: these leave the table full */
		cmocka_unit_test(test_notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
