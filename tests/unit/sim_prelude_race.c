/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of a claim, decided from several threads at once, as a launch and its helper on two
 * processors do while a third party moves the flag: each block is run by one of them, and what was
 * given up is run by the next launch. A rule that loads and stores instead of swapping fails here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <pthread.h>
#include <stdatomic.h>

#include <cmocka.h>

#include "hw/prelude/prelude.h"
#include "sim/device/device.h"

#define NR_BLOCKS 20000u
#define NR_ROUNDS 20u

static uint32_t words[NR_BLOCKS];
static uint32_t flag;
static atomic_uchar nr_ran[NR_BLOCKS];
static atomic_int nr_deciding;

static void *decide_all(void *arg)
{
	const struct prelude_slot *slot = arg;

	for (uint32_t i = 0; i < NR_BLOCKS; i++) {
		if (prelude_runs(SIM_PROGRAM_CLAIM, slot, i))
			(void)atomic_fetch_add(&nr_ran[i], 1);
	}
	(void)atomic_fetch_sub(&nr_deciding, 1);
	return NULL;
}

static void *move_flag(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; atomic_load(&nr_deciding) > 0; i++)
		__atomic_store_n(&flag, i / 64 & 1, __ATOMIC_RELAXED);
	__atomic_store_n(&flag, 0, __ATOMIC_RELAXED);
	return NULL;
}

static struct prelude_slot slot_of(uint32_t first, uint32_t run)
{
	return (struct prelude_slot){.state = (uintptr_t)words,
				     .flag = (uintptr_t)&flag,
				     .first = first,
				     .run = run,
				     .stride = 4};
}

static uint64_t count(uint32_t expected)
{
	uint64_t nr = 0;

	for (uint32_t i = 0; i < NR_BLOCKS; i++)
		nr += atomic_load(&nr_ran[i]) == expected;
	return nr;
}

/* Returns how many blocks were left for the last launch. */
static uint64_t round_run(uint32_t first)
{
	struct prelude_slot slot[] = {slot_of(first, first), slot_of(first, first + 2),
				      slot_of(first, first + 4)};
	pthread_t thread[3];
	uint64_t nr_left;

	for (uint32_t i = 0; i < NR_BLOCKS; i++)
		atomic_store(&nr_ran[i], 0);
	atomic_store(&nr_deciding, 2);
	assert_int_equal(pthread_create(&thread[0], NULL, decide_all, &slot[0]), 0);
	assert_int_equal(pthread_create(&thread[1], NULL, decide_all, &slot[1]), 0);
	assert_int_equal(pthread_create(&thread[2], NULL, move_flag, NULL), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	nr_left = count(0);
	assert_int_equal(nr_left + count(1), NR_BLOCKS);
	(void)decide_all(&slot[2]);
	assert_int_equal(count(1), NR_BLOCKS);
	return nr_left;
}

static void each_block_has_one_owner(void **state)
{
	uint64_t nr_left = 0;

	(void)state;
	for (uint32_t i = 0; i < NR_ROUNDS; i++)
		nr_left += round_run(2 + 6 * i);
	print_message("left=%llu of=%u\n", (unsigned long long)nr_left, NR_BLOCKS * NR_ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_block_has_one_owner)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
