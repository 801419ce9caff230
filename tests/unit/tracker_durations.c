/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From invented records to durations, at invented times: behind a busy stream, on an idle one,
 * without a time of submission, of long kernels only; and the thread that reads, publishes and
 * ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lithos/stats.h>

#include "shim/tenant.h"
#include "shim/track/execs.h"
#include "shim/track/tracker.h"

#define US 1000u
/* The GPU's clock is this far ahead of ours. */
#define GPU_AHEAD 7000000000000u

static _Atomic uint64_t now_ns = 1000000000u; /* what the linker makes CLOCK_MONOTONIC say */
static struct stats_region *region;
static struct record_pool pool;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	uint64_t now = atomic_load(&now_ns);

	(void)clock;
	ret_time->tv_sec = (time_t)(now / 1000000000u);
	ret_time->tv_nsec = (long)(now % 1000000000u);
	return 0;
}

/* --- in place of tenant.c
 * ------------------------------------------------------------------------- */

struct tenant tenant;

/* Records the tracker's thread finds at its next pass. */
static struct {
	pthread_mutex_t lock;
	struct launch_note note[8];
	uint64_t end_ns[8];
	uint32_t nr;
	atomic_uint nr_passes;
} found = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void script_look(record_read_fn read);

uint32_t tenant_collect(record_read_fn read)
{
	script_look(read);
	(void)pthread_mutex_lock(&found.lock);
	for (uint32_t i = 0; i < found.nr; i++)
		read(&pool, &found.note[i], found.end_ns[i]);
	found.nr = 0;
	(void)pthread_mutex_unlock(&found.lock);
	atomic_fetch_add(&found.nr_passes, 1);
	return 0;
}

/* --- records
 * --------------------------------------------------------------------------------------- */

static int setup(void **state)
{
	(void)state;
	memset(region->kernel, 0, 8 * sizeof(region->kernel[0]));
	memset(&pool.sync, 0, sizeof(pool.sync));
	return 0;
}

/* All in the CPU's time, from the start of the test; the record itself has the GPU's. */
static uint64_t start_ns;
static uint64_t stream; /* a new one each test */

static void read_note_at(struct launch_note note, uint64_t submitted, uint64_t end, uint64_t seen)
{
	note.submitted_ns = submitted ? start_ns + submitted : 0;
	atomic_store(&now_ns, start_ns + seen);
	tracker_read(&pool, &note, start_ns + end + GPU_AHEAD);
}

static void read_at(uint32_t kernel, uint64_t submitted, uint64_t end, uint64_t seen)
{
	read_note_at((struct launch_note){.stream_key = stream, .kernel = kernel}, submitted, end,
		     seen);
}

static void begin(void)
{
	stream += 1000003;
	start_ns = atomic_load(&now_ns) + 1000000;
}

static uint64_t timed(uint32_t kernel, uint64_t nr_launches, uint64_t nr_timed)
{
	const struct stats_kernel *row = &region->kernel[kernel];
	uint64_t in_hist = 0;

	for (uint32_t i = 0; i < STATS_HIST_BUCKETS; i++)
		in_hist += row->hist[i];
	assert_int_equal(row->nr_launches, nr_launches);
	assert_int_equal(row->nr_timed, nr_timed);
	assert_int_equal(in_hist, nr_timed);
	return row->total_ns;
}

/* Makes the clocks' offset known to the nanosecond: a record seen when it was written. */
static void know_clock(void)
{
	read_at(7, 1, 1, 1);
}

static void test_behind_a_busy_stream(void **state)
{
	(void)state;
	begin();
	know_clock();
	read_at(0, 90 * US, 110 * US, 111 * US);
	read_at(1, 100 * US, 112 * US + 500, 120 * US);
	assert_int_equal(timed(0, 1, 1), 20 * US);
	assert_int_equal(timed(1, 1, 1), 2500);
	assert_int_equal(region->kernel[1].hist[stats_bucket_of(2500)], 1);
}

/* Two atoms, of which the second has half as many blocks, and a part of a kernel without a row. */
static void test_parts(void **state)
{
	struct launch_note first = {.kernel = 0, .whole_64ths = 96},
			   more = {.kernel = 0, .is_part = 1};

	(void)state;
	begin();
	know_clock();
	first.stream_key = more.stream_key = stream;
	read_note_at(first, 10 * US, 30 * US, 31 * US);
	read_note_at(more, 11 * US, 40 * US, 41 * US);
	assert_int_equal(timed(0, 1, 1), 30 * US);
	assert_int_equal(region->kernel[0].hist[stats_bucket_of(30 * US)], 1);
	more.kernel = UINT32_MAX;
	read_note_at(more, 42 * US, 50 * US, 51 * US);
	assert_int_equal(timed(0, 1, 1), 30 * US);
}

static void test_on_an_idle_stream(void **state)
{
	(void)state;
	begin();
	know_clock();
	read_at(0, 90 * US, 97 * US, 98 * US);
	read_at(1, 100 * US, 112 * US + 500, 120 * US);
	assert_int_equal(timed(0, 1, 1), 7 * US);
	assert_int_equal(timed(1, 1, 1), 12500);
}

/* The same two launches on two streams do not wait for each other. */
static void test_streams_are_apart(void **state)
{
	(void)state;
	begin();
	know_clock();
	read_at(0, 90 * US, 110 * US, 111 * US);
	stream += 17;
	read_at(1, 100 * US, 112 * US + 500, 120 * US);
	assert_int_equal(timed(1, 1, 1), 12500);
}

/* Nothing says when it began: it is counted, not timed. Behind another it can be timed again. */
static void test_submission_not_known(void **state)
{
	(void)state;
	begin();
	read_at(0, 0, 100 * US, 200 * US);
	assert_int_equal(timed(0, 1, 0), 0);
	read_at(0, 0, 130 * US, 230 * US);
	assert_int_equal(timed(0, 2, 0), 0);
	read_at(1, 120 * US, 140 * US, 140 * US);
	assert_int_equal(timed(1, 1, 1), 10 * US);
}

/* A record that is read late, after its successor's, is counted, and gives no time. */
static void test_out_of_order(void **state)
{
	(void)state;
	begin();
	know_clock();
	read_at(0, 100 * US, 200 * US, 201 * US);
	read_at(1, 90 * US, 150 * US, 202 * US);
	assert_int_equal(timed(1, 1, 0), 0);
	read_at(2, 100 * US, 200 * US, 203 * US);
	assert_int_equal(timed(2, 1, 0), 0);
	read_at(3, 100 * US, 204 * US, 205 * US);
	assert_int_equal(timed(3, 1, 1), 4 * US);
}

static void test_kernel_without_a_row(void **state)
{
	uint64_t before = thread_total(STATS_records_read);

	(void)state;
	begin();
	know_clock();
	read_at(UINT32_MAX, 100 * US, 200 * US, 201 * US);
	assert_int_equal(thread_total(STATS_records_read), before + 2);
	for (uint32_t i = 0; i < 7; i++)
		assert_int_equal(timed(i, 0, 0), 0);
}

/* --- the thread
 * ------------------------------------------------------------------------------------ */

static void put(uint32_t kernel, uint64_t submitted_ns, uint64_t end_ns)
{
	(void)pthread_mutex_lock(&found.lock);
	found.note[found.nr] = (struct launch_note){
		.stream_key = stream, .kernel = kernel, .submitted_ns = submitted_ns};
	found.end_ns[found.nr++] = end_ns;
	(void)pthread_mutex_unlock(&found.lock);
}

static void wait_for_passes(uint32_t nr)
{
	uint32_t before = atomic_load(&found.nr_passes);

	while (atomic_load(&found.nr_passes) - before < nr)
		(void)sched_yield();
}

static void test_thread(void **state)
{
	uint64_t now = atomic_load(&now_ns);
	uint64_t read_before = thread_total(STATS_records_read);

	(void)state;
	stream += 17;
	assert_int_equal(tracker_start(region), 0);
	assert_int_equal(tracker_start(region), 0); /* does nothing */
	put(0, now - 5000, now + GPU_AHEAD);
	put(1, now - 5000, now + 3000 + GPU_AHEAD);
	wait_for_passes(3);
	assert_int_equal(
		__atomic_load_n(&region->header.counter[STATS_records_read], __ATOMIC_RELAXED),
		read_before + 2);
	wait_for_passes(8); /* it backs off, and looks all the same */
	put(1, now - 9000, now + 4000 + GPU_AHEAD);
	tracker_stop();
	assert_int_equal(found.nr, 0);
	assert_int_equal(region->header.counter[STATS_records_read], read_before + 3);
	assert_int_equal(region->header.updated_ns, now);
	assert_int_equal(timed(1, 2, 2), 4000);
	tracker_stop();
	/* It can be started again. */
	assert_int_equal(tracker_start(region), 0);
	tracker_stop();
}

/* --- a program that launches long kernels, one at a time
 * ------------------------------------------------------------------------------------ */

#define LONG_NS      2000000u
#define LONG_KERNELS 120u
#define LONG_LEARN   40u    /* kernels until the clock is expected to be known well */
#define LOOK_NS      50000u /* of virtual time, from look to look */

/* Each look of the tracker's thread moves the virtual time on by itself. */
static struct {
	_Atomic uint32_t is_on;
	uint64_t submitted_ns;
	unsigned int seed;
	uint32_t nr_ended;
	uint64_t least_ns; /* durations after the first LONG_LEARN */
	uint64_t most_ns;
} script;

static void script_look(record_read_fn read)
{
	struct launch_note note = {.stream_key = 5, .kernel = UINT32_MAX};
	uint64_t end = script.submitted_ns + LONG_NS;

	if (!atomic_load(&script.is_on))
		return;
	if (end <= atomic_load(&now_ns)) {
		note.submitted_ns = script.submitted_ns;
		read(&pool, &note, end + GPU_AHEAD);
		/* The program saw the end long before the tracker, and launched the next one. */
		script.submitted_ns = end + 10 * US + (uint64_t)rand_r(&script.seed) % (20 * US);
		if (script.nr_ended == LONG_KERNELS)
			atomic_store(&script.is_on, 0);
	}
	atomic_fetch_add(&now_ns, LOOK_NS + (uint64_t)rand_r(&script.seed) % (3 * US));
}

static void script_before(void)
{
}

static uint64_t script_after(void)
{
	return 1000; /* of real time */
}

static void script_ended(const struct launch_note *note, uint64_t duration_ns, uint64_t end_ns)
{
	(void)note;
	(void)end_ns;
	if (++script.nr_ended <= LONG_LEARN)
		return;
	if (duration_ns < script.least_ns)
		script.least_ns = duration_ns;
	if (duration_ns > script.most_ns)
		script.most_ns = duration_ns;
}

/*
 * Nothing is short here, so submissions say little of the clock: it is known by where the tracker
 * looked in vain.
 */
static void test_only_long_kernels(void **state)
{
	static const struct tracker_ops ops = {
		.before = script_before, .ended = script_ended, .after = script_after};

	(void)state;
	script.submitted_ns = atomic_load(&now_ns) + 1000 * US;
	script.seed = 11;
	script.least_ns = UINT64_MAX;
	tracker_set_ops(&ops);
	atomic_store(&script.is_on, 1);
	assert_int_equal(tracker_start(region), 0);
	while (atomic_load(&script.is_on))
		(void)sched_yield();
	tracker_stop();
	tracker_set_ops(NULL);
	assert_in_range(script.least_ns, LONG_NS - LONG_NS / 50, LONG_NS + LONG_NS / 50);
	assert_in_range(script.most_ns, LONG_NS - LONG_NS / 50, LONG_NS + LONG_NS / 50);
}

/* In a child the thread is not there, so there is none to wait for. */
static void test_after_fork(void **state)
{
	(void)state;
	tracker_after_fork();
	tracker_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_behind_a_busy_stream, setup),
		cmocka_unit_test_setup(test_parts, setup),
		cmocka_unit_test_setup(test_on_an_idle_stream, setup),
		cmocka_unit_test_setup(test_streams_are_apart, setup),
		cmocka_unit_test_setup(test_submission_not_known, setup),
		cmocka_unit_test_setup(test_out_of_order, setup),
		cmocka_unit_test_setup(test_kernel_without_a_row, setup),
		cmocka_unit_test_setup(test_thread, setup),
		cmocka_unit_test_setup(test_only_long_kernels, setup),
		cmocka_unit_test_setup(test_after_fork, setup),
	};
	int nr_failed;

	region = calloc(1, sizeof(*region));
	if (!region)
		return 1;
	/* tracker_read() writes where the last start said. */
	execs_init(region);
	if (tracker_start(region))
		return 1;
	tracker_stop();
	nr_failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(region);
	return nr_failed;
}
