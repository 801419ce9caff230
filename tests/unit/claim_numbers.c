/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of launches at their end: works that are under way go on, no new one begins, and once
 * none is left the words are cleared and the numbers start again, without anybody waiting for the
 * GPU.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "hw/prelude/prelude.h"
#include "shim/link/link.h"
#include "shim/link/share.h"
#include "shim/split/arena.h"
#include "shim/split/claim.h"
#include "shim/tenant.h"
#include "shim/track/tracker.h"

#define LAST  0xfffffff0u
#define SPARE ((1u << 26) * PRELUDE_NUMBER_STEP)

struct tenant tenant;

static struct {
	uint32_t nr_clears;
	uint32_t value; /* that `done` gets once the GPU comes to it */
	int is_stuck;   /* it does not */
} gpu;

static struct {
	struct prelude_slot slot[ARENA_RUNS + 1];
	_Atomic uint32_t report[ARENA_RUNS];
	_Atomic uint32_t done;
	struct context context;
} memory;

/* --- what claim.c and arena.c are linked with ------------------------------------------------- */

struct thread_state *thread_self(void)
{
	static struct thread_state t;

	return &t;
}

void thread_count(enum stats_counter counter)
{
	(void)counter;
}

int share_is_on(void)
{
	return 0;
}

struct tpcset share_own(struct thread_state *t)
{
	(void)t;
	return (struct tpcset){{0}};
}

int share_stream_priority(int asked)
{
	return asked;
}

struct link link_state;

struct share_view *view_of_slow(struct thread_state *t, struct share_view *scratch)
{
	(void)t;
	return scratch;
}

struct tpcset view_lendable(struct share_view *view, uint64_t now_ns)
{
	(void)view, (void)now_ns;
	return (struct tpcset){{0}};
}

int epoch_is_calm(const struct epoch_coverage *coverage)
{
	(void)coverage;
	return 1;
}

int epoch_cover_lendable(struct thread_state *t, const struct tpcset *within,
			 struct epoch_coverage *ret_coverage)
{
	(void)t, (void)within, (void)ret_coverage;
	return -EAGAIN;
}

void tracker_set_run_ended(void (*run_ended)(uint32_t run))
{
	(void)run_ended;
}

int prelude_open(const struct driver_ops *ops, int cc_major, int cc_minor,
		 struct prelude_slot *slot, uint64_t slot_address, struct prelude *ret_prelude)
{
	(void)ops, (void)cc_major, (void)cc_minor, (void)slot, (void)slot_address;
	(void)ret_prelude;
	return -ENOENT;
}

/* --- the driver ------------------------------------------------------------------------------- */

static CUresult clear(CUdeviceptr at, unsigned int value, size_t n, CUstream stream)
{
	(void)at, (void)stream;
	assert_int_equal(value, 0);
	assert_int_equal(n, ARENA_WORDS);
	gpu.nr_clears++;
	return CUDA_SUCCESS;
}

static void gpu_goes_on(void)
{
	atomic_store(&memory.done, gpu.value);
}

static CUresult write32(CUstream stream, CUdeviceptr at, cuuint32_t value, unsigned int flags)
{
	(void)stream, (void)flags;
	assert_int_equal(at, (uintptr_t)&memory.done);
	gpu.value = value;
	if (!gpu.is_stuck)
		gpu_goes_on();
	return CUDA_SUCCESS;
}

/* Nobody may wait for it here. */
static CUresult synchronize(CUstream stream)
{
	(void)stream;
	fail();
	return CUDA_SUCCESS;
}

/* --- tests ------------------------------------------------------------------------------------ */

static int setup(void **state)
{
	(void)state;
	memset(&gpu, 0, sizeof(gpu));
	claim_after_fork();
	tenant.ops.memset_d32_async = clear;
	tenant.ops.stream_write32 = write32;
	tenant.ops.stream_synchronize = synchronize;
	arena.context = &memory.context;
	arena.slot = memory.slot;
	arena.report = memory.report;
	arena.done = &memory.done;
	arena.done_at = (uintptr_t)&memory.done;
	arena.words = 0x100000;
	arena.number = LAST - SPARE - PRELUDE_NUMBER_STEP;
	return 0;
}

static struct work *begin(struct split_edit *edit)
{
	static const struct epoch_coverage coverage;

	return claim_begin((struct op *)0x1000, &coverage, 1000, 0, edit);
}

/* A launch that was made; or made, and cut. */
static void launched(struct work *work, struct split_edit *edit, int is_cut)
{
	edit->result = EDIT_APPLIED;
	claim_launched(work, edit, 1, 1000);
	if (!is_cut)
		return;
	memory.report[edit->run] = edit->slot.run;
	arena_run_ended(edit->run);
}

static enum work_event look(void)
{
	const struct work_look what = {.now_ns = 2, .is_current = 1};
	uint64_t next_ns = UINT64_MAX;
	struct op *op;

	return claim_look(0, &what, &op, &next_ns);
}

/* A kernel that was cut after the last number for a new one was given away goes on, many times. */
static void test_cut_works_go_on(void **state)
{
	static const struct epoch_coverage coverage;
	struct split_edit edit;
	struct work *work = begin(&edit);
	uint32_t number;

	(void)state;
	assert_non_null(work);
	number = edit.slot.run;
	launched(work, &edit, 1);
	assert_int_equal(look(), WORK_CUT);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(claim_resume(work, &coverage, &edit), 0);
		assert_true(edit.slot.run > number);
		number = edit.slot.run;
		launched(work, &edit, 1);
		assert_int_equal(look(), WORK_CUT);
	}
	assert_int_equal(gpu.nr_clears, 0);
}

static void test_no_new_work_meanwhile(void **state)
{
	struct split_edit edit, other;
	struct work *work = begin(&edit);

	(void)state;
	assert_non_null(work);
	launched(work, &edit, 0);
	assert_null(begin(&other));
	assert_int_equal(gpu.nr_clears, 0);
	/* Everything ran. */
	arena_run_ended(edit.run);
	assert_int_equal(look(), WORK_DONE);
	work = begin(&other);
	assert_non_null(work);
	assert_int_equal(gpu.nr_clears, 1);
	assert_true(other.slot.run < 100);
	claim_abandon(work);
}

/* The clearing kernel finds no room: launches go whole until it has run, and it is made once. */
static void test_nobody_waits_for_clearing(void **state)
{
	struct split_edit edit;
	struct work *work = begin(&edit);

	(void)state;
	assert_non_null(work);
	claim_abandon(work);
	gpu.is_stuck = 1;
	for (int i = 0; i < 3; i++)
		assert_null(begin(&edit));
	assert_int_equal(gpu.nr_clears, 1);
	gpu_goes_on();
	work = begin(&edit);
	assert_non_null(work);
	assert_int_equal(gpu.nr_clears, 1);
	claim_abandon(work);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_cut_works_go_on, setup),
		cmocka_unit_test_setup(test_no_new_work_meanwhile, setup),
		cmocka_unit_test_setup(test_nobody_waits_for_clearing, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
