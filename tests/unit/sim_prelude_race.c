/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of a claim, decided from several threads at once, as a launch and its helpers on
 * several processors do while a third party raises an epoch or disarms them: each block is run by
 * one of them, the warps of a block agree, blocks are missing only when all have reported, and what
 * is missing is run by the next launch. A lead and its helper that may both be told, one that may
 * beside one that may not, and two beside a rescue. A rule that loads and stores instead of
 * swapping fails here, and one that lets a word forget who has given it up;
 * tests/unit/prelude/test_claims.py goes through all orders.
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

#define NR_BLOCKS   20000u
#define NR_ROUNDS   60u
#define NR_LAUNCHES 3u
#define NR_WARPS    2u

/* A round's race, or its peaceful end. */
struct launch {
	struct prelude_slot slot;
	uint32_t report;
	uint8_t has_run[NR_WARPS][NR_BLOCKS];
};

struct warp {
	struct launch *launch;
	unsigned int number;
};

static struct {
	_Alignas(8) uint32_t told, disarm;
	uint32_t words[NR_BLOCKS];
} state;

static uint32_t epoch = UINT32_MAX - 1; /* overflows on the way */
static const uint32_t calm_epoch;
static struct launch race[NR_LAUNCHES], last;
static uint32_t nr_racing; /* launches of this round */
static atomic_int nr_decided;

static void *decide_all(void *arg)
{
	const struct warp *warp = arg;

	for (uint32_t i = 0; i < NR_BLOCKS; i++) {
		warp->launch->has_run[warp->number][i] =
			(uint8_t)prelude_runs(SIM_PROGRAM_CLAIM, &warp->launch->slot, i);
		(void)atomic_fetch_add_explicit(&nr_decided, 1, memory_order_relaxed);
	}
	return NULL;
}

struct disturbance {
	int raise_at, disarm_at; /* so many decisions were taken; 0: raised before the first */
	uint32_t disarm;
};

static void *disturb(void *arg)
{
	const struct disturbance *what = arg;
	int has_raised = !what->raise_at, has_disarmed = 0, n;

	do {
		n = atomic_load(&nr_decided);
		if (!has_raised && n >= what->raise_at) {
			(void)__atomic_add_fetch(&epoch, 1, __ATOMIC_RELAXED);
			has_raised = 1;
		}
		if (!has_disarmed && n >= what->disarm_at && what->disarm) {
			__atomic_store_n(&state.disarm, what->disarm, __ATOMIC_RELAXED);
			has_disarmed = 1;
		}
	} while (n < (int)(nr_racing * NR_WARPS * NR_BLOCKS));
	return NULL;
}

static void launch_init(struct launch *launch, uint32_t first, uint32_t run, uint32_t lead,
			int never_goes)
{
	uintptr_t flag = never_goes ? (uintptr_t)&calm_epoch : (uintptr_t)&epoch;

	launch->report = 0;
	launch->slot = (struct prelude_slot){.state = (uintptr_t)state.words,
					     .flag = {(uintptr_t)&calm_epoch, flag},
					     .calm = {0, never_goes ? 0 : epoch},
					     .first = first,
					     .run = run,
					     .lead = lead,
					     .report = (uintptr_t)&launch->report};
}

/* How many blocks nobody has run. */
static uint64_t check_blocks(void)
{
	uint64_t nr_left = 0;

	for (uint32_t i = 0; i < NR_BLOCKS; i++) {
		uint32_t nr_ran = 0;

		for (uint32_t j = 0; j < nr_racing; j++) {
			assert_int_equal(race[j].has_run[0][i], race[j].has_run[1][i]);
			nr_ran += race[j].has_run[0][i];
		}
		assert_true(nr_ran <= 1);
		nr_left += !nr_ran;
	}
	return nr_left;
}

static void race_run(struct disturbance *what)
{
	struct warp warp[NR_LAUNCHES][NR_WARPS];
	pthread_t thread[NR_LAUNCHES][NR_WARPS], other;

	atomic_store(&nr_decided, 0);
	assert_int_equal(pthread_create(&other, NULL, disturb, what), 0);
	for (uint32_t j = 0; j < nr_racing * NR_WARPS; j++) {
		struct warp *mine = &warp[j / NR_WARPS][j % NR_WARPS];

		*mine = (struct warp){&race[j / NR_WARPS], j % NR_WARPS};
		assert_int_equal(
			pthread_create(&thread[j / NR_WARPS][j % NR_WARPS], NULL, decide_all, mine),
			0);
	}
	for (uint32_t j = 0; j < nr_racing * NR_WARPS; j++)
		assert_int_equal(pthread_join(thread[j / NR_WARPS][j % NR_WARPS], NULL), 0);
	assert_int_equal(pthread_join(other, NULL), 0);
}

static void check_last(void)
{
	for (uint32_t i = 0; i < NR_BLOCKS; i++) {
		uint32_t nr_ran = 0;

		for (uint32_t j = 0; j < nr_racing; j++)
			nr_ran += race[j].has_run[0][i];
		assert_int_equal(last.has_run[0][i], !nr_ran);
	}
}

static uint32_t number(uint32_t first, uint32_t launch)
{
	return first + PRELUDE_NUMBER_STEP * launch;
}

/* Who may be told, by round: both; the first; the first and the second of three. */
static void launches_init(uint32_t round, uint32_t first)
{
	uint32_t mode = round % 3;

	nr_racing = mode == 2 ? 3 : 2;
	for (uint32_t j = 0; j < nr_racing; j++) {
		int never_goes = (mode == 1 && j == 1) || (mode == 2 && j == 2);

		launch_init(&race[j], first, number(first, j), first, never_goes);
	}
}

/* Returns how many blocks were left for the last launch. */
static uint64_t round_run(uint32_t round)
{
	const uint32_t first = number(PRELUDE_NUMBER_STEP, (NR_LAUNCHES + 1) * round);
	const uint32_t next = number(first, NR_LAUNCHES);
	struct disturbance what;
	struct warp warp = {&last, 0};
	uint64_t nr_left;
	int part;

	launches_init(round, first);
	part = (int)(nr_racing * NR_WARPS * NR_BLOCKS) / 20;
	what = (struct disturbance){.raise_at = part * (int)(round / 3 % 20),
				    .disarm_at = part * (int)(round / 3 % 20) + part / 2,
				    .disarm = round % 2 ? number(first, 1) : 0};
	epoch += !what.raise_at;
	race_run(&what);
	nr_left = check_blocks();
	for (uint32_t j = 0; j < nr_racing; j++) {
		assert_true(!race[j].report || race[j].report == number(first, j));
		if (!race[j].report)
			assert_int_equal(nr_left, 0);
	}
	launch_init(&last, first, next, next, 0);
	(void)decide_all(&warp);
	assert_int_equal(last.report, 0);
	check_last();
	return nr_left;
}

static void each_block_has_one_owner(void **unused)
{
	uint64_t nr_left = 0, nr_reports = 0;

	(void)unused;
	for (uint32_t i = 0; i < NR_ROUNDS; i++) {
		nr_left += round_run(i);
		for (uint32_t j = 0; j < nr_racing; j++)
			nr_reports += race[j].report != 0;
	}
	print_message("left=%llu of=%u reports=%llu\n", (unsigned long long)nr_left,
		      NR_BLOCKS * NR_ROUNDS, (unsigned long long)nr_reports);
	/* In round 0 all blocks were given up twice. */
	assert_true(nr_reports > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_block_has_one_owner)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
