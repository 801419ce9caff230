/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From completion records to durations.
 *
 * A record says when a grid ended, on the GPU's clock; nothing says when it began. On one stream
 * grids run one after the other, so a grid's time is its end minus the end of the one before it,
 * unless it was submitted later than that: then from its submission, which is on the CPU's clock.
 * The offset of the two clocks is estimated from the records themselves (base/clock_sync.h): a
 * record cannot have been written before its launch was submitted, nor before the last look, which
 * did not find it, nor after it was seen.
 *
 * What it does badly: a kernel on an idle stream is charged the launch latency (a few us), and
 * grids that overlap by programmatic launch share their time by their ends.
 *
 * Example: submitted at CPU 100.0 us; the stream's last grid ended at 97 us: the GPU's end of 112.5
 * us gives 12.5 us. Submitted at 100.0 behind a grid that ended at 110.0: 2.5 us.
 *
 * Streams are told apart by a hash; two that share a slot only make each other's times shorter.
 * Tested by tests/unit/tracker_durations.c and the statistics tests on the simulated GPU.
 */
#include "shim/track/tracker.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <lithos/stats.h>

#include "base/clock.h"
#include "base/clock_sync.h"
#include "base/futex.h"
#include "base/hash.h"
#include "base/quiet_thread.h"
#include "base/stats_file.h"
#include "shim/tenant.h"
#include "shim/track/kernels.h"
#include "shim/track/rows.h"

#define STREAM_SLOTS     4096u
#define PAUSE_MIN_NS     200000u
#define PAUSE_MAX_NS     20000000u
#define PUBLISH_EVERY_NS 1000000u
#define STACK_BYTES      ((size_t)512 * 1024)

static struct {
	pthread_mutex_t lock; /* start and stop */
	pthread_t thread;
	int is_running;
	_Atomic uint32_t must_stop;
	struct stats_region *region;
	uint64_t stream_end_ns[STREAM_SLOTS]; /* GPU clock, last end by hash of the stream */
	_Atomic uint32_t nr_read;             /* since the last pass */
	_Atomic(const struct tracker_ops *) ops;
	_Atomic(tracker_run_fn) run_ended;
	_Atomic uint32_t nr_kicks; /* futex word */
	_Atomic uint32_t is_asleep;
	_Atomic uint64_t looked_ns; /* when the last look at all pools began that is over */
	uint64_t published_ns;
	int is_stale; /* something was read since the counters were published */
} tracker = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t *stream_end_of(uint64_t key)
{
	return &tracker.stream_end_ns[hash_u64(key) >> 52];
}

_Static_assert(STREAM_SLOTS == 1u << 12, "stream_end_of() takes the top 12 bits");

/* GPU time of one grid, or 0 when it cannot be told yet. */
static uint64_t duration_of(const struct clock_sync *sync, const struct launch_note *note,
			    uint64_t end_ns, uint64_t before_ns)
{
	uint64_t end_cpu, before_cpu;

	if (!note->submitted_ns || clock_sync_to_cpu(sync, end_ns, &end_cpu))
		return 0;
	before_cpu = before_ns ? end_cpu - (end_ns - before_ns) : 0;
	if (before_ns && !time_before(before_cpu, note->submitted_ns))
		return end_ns - before_ns;
	return time_before(note->submitted_ns, end_cpu) ? end_cpu - note->submitted_ns : 0;
}

void tracker_set_ops(const struct tracker_ops *ops)
{
	atomic_store_explicit(&tracker.ops, ops, memory_order_release);
}

void tracker_set_run_ended(tracker_run_fn ended)
{
	atomic_store_explicit(&tracker.run_ended, ended, memory_order_release);
}

static const struct tracker_ops *tracker_ops(void)
{
	return atomic_load_explicit(&tracker.ops, memory_order_acquire);
}

/* `end_ns` on the GPU's clock; 0 = unknown: it was not later than now. */
static void tracker_ended(const struct record_pool *pool, const struct launch_note *note,
			  uint64_t duration_ns, uint64_t end_ns)
{
	const struct tracker_ops *ops = tracker_ops();
	uint64_t now, end_cpu;

	if (!ops)
		return;
	now = clock_now_ns();
	if (!end_ns || clock_sync_to_cpu(&pool->sync, end_ns, &end_cpu) ||
	    time_before(now, end_cpu))
		end_cpu = now;
	ops->ended(note, duration_ns, end_cpu);
}

/*
 * Records are armed before they are launched, and a look is at all that are armed. So one that is
 * found now was either not written when the last look began, or not even armed.
 */
static void clock_learn(struct clock_sync *sync, const struct launch_note *note, uint64_t end_ns)
{
	struct clock_record record = {
		.gpu_ns = end_ns,
		.submitted_ns = note->submitted_ns,
		.looked_ns = atomic_load_explicit(&tracker.looked_ns, memory_order_relaxed),
		/* Taken after the record was seen: not earlier than the GPU's write. */
		.polled_ns = clock_now_ns(),
	};

	clock_sync_observe(sync, &record);
}

/* The kernel counts once, by its first launch; the times of all its launches add up. */
static void row_read(struct stats_region *region, const struct launch_note *note,
		     uint64_t duration_ns)
{
	if (!note->is_part)
		row_launched(region, note->kernel, 1);
	if (duration_ns)
		row_took(region, note->kernel, duration_ns);
	if (duration_ns && !note->is_part)
		row_sampled(region, note->kernel, note_whole_ns(note, duration_ns));
}

void tracker_read(void *of, const struct launch_note *note, uint64_t end_ns)
{
	struct record_pool *pool = of;
	uint64_t *stream_end = stream_end_of(note->stream_key);
	uint64_t duration = 0;

	/* Before the dispatcher is woken, by tracker_ended() in the end. */
	if (note->run)
		atomic_load_explicit(&tracker.run_ended,
				     memory_order_acquire)((uint32_t)note->run - 1);
	if (!end_ns) {
		tracker_ended(pool, note, 0, 0);
		return;
	}
	clock_learn(&pool->sync, note, end_ns);
	if (*stream_end < end_ns)
		duration = duration_of(&pool->sync, note, end_ns, *stream_end);
	if (*stream_end < end_ns)
		*stream_end = end_ns;
	if (note->kernel != KERNEL_NONE)
		row_read(tracker.region, note, duration);
	tracker_ended(pool, note, duration, end_ns);
	(void)atomic_fetch_add_explicit(&tracker.nr_read, 1, memory_order_relaxed);
	thread_count(STATS_records_read);
}

static void counters_publish(void)
{
	struct stats_header *header = &tracker.region->header;

	for (uint32_t i = 0; i < STATS_NR_COUNTERS; i++)
		__atomic_store_n(&header->counter[i], thread_total(i), __ATOMIC_RELAXED);
	tracker.published_ns = clock_now_ns();
	tracker.is_stale = 0;
	__atomic_store_n(&header->updated_ns, tracker.published_ns, __ATOMIC_RELAXED);
}

/* One look at everything; 1 when something had completed. */
static int tracker_pass(void)
{
	uint64_t began_ns = clock_now_ns();
	uint32_t nr_new = tenant_collect(tracker_read);

	/* Whoever reads this too early sees that of an earlier look, which is as true. */
	atomic_store_explicit(&tracker.looked_ns, began_ns, memory_order_relaxed);
	/* Also what a thread read that closed a context meanwhile. */
	nr_new += atomic_exchange_explicit(&tracker.nr_read, 0, memory_order_relaxed);
	tracker.is_stale |= nr_new != 0;
	/* Summing up walks the states of all threads: too much for every pass of a tracker that
	 * looks every 50 us. */
	if (tracker.is_stale &&
	    (!tracker_ops() || clock_now_ns() - tracker.published_ns >= PUBLISH_EVERY_NS))
		counters_publish();
	return nr_new != 0;
}

/* In a process that shares its GPU, others can end the pause. */
static void pause_ns(uint64_t ns, uint32_t nr_kicks)
{
	struct timespec ts = {.tv_sec = 0, .tv_nsec = (long)ns};

	if (!tracker_ops()) {
		(void)nanosleep(&ts, NULL);
		return;
	}
	atomic_store_explicit(&tracker.is_asleep, 1, memory_order_seq_cst);
	futex_wait(&tracker.nr_kicks, nr_kicks, ns, FUTEX_WORD_PRIVATE);
	atomic_store_explicit(&tracker.is_asleep, 0, memory_order_relaxed);
}

void tracker_kick(void)
{
	(void)atomic_fetch_add_explicit(&tracker.nr_kicks, 1, memory_order_seq_cst);
	/* pairs with the store in pause_ns(): either it is seen here, or sees the new number */
	if (atomic_load_explicit(&tracker.is_asleep, memory_order_seq_cst))
		futex_wake(&tracker.nr_kicks, 1, FUTEX_WORD_PRIVATE);
}

/* A pass in a process that shares its GPU; `pause` as usual when there is no wish. */
static uint64_t tracker_pass_shared(const struct tracker_ops *ops, uint64_t usual)
{
	uint64_t wish;
	int is_new;

	ops->before();
	is_new = tracker_pass();
	wish = ops->after();
	if (wish)
		return wish;
	return is_new ? PAUSE_MIN_NS : usual;
}

/* Split launches that are waited for without a daemon (option `split`): their ends are looked for
 * often. */
static uint64_t longer_pause(uint64_t pause)
{
	int is_awaited = !tracker_ops() &&
			 atomic_load_explicit(&tracker.run_ended, memory_order_relaxed) != NULL;
	uint64_t most = is_awaited ? PAUSE_MIN_NS : PAUSE_MAX_NS;

	return pause * 2 < most ? pause * 2 : most;
}

static void *tracker_main(void *arg)
{
	uint64_t pause = PAUSE_MIN_NS;

	(void)arg;
	while (!atomic_load_explicit(&tracker.must_stop, memory_order_acquire)) {
		const struct tracker_ops *ops = tracker_ops();
		uint32_t nr_kicks = atomic_load_explicit(&tracker.nr_kicks, memory_order_seq_cst);
		uint64_t longer = longer_pause(pause);

		if (ops)
			pause = tracker_pass_shared(ops, longer);
		else
			pause = tracker_pass() ? PAUSE_MIN_NS : longer;
		pause_ns(pause, nr_kicks);
	}
	(void)tracker_pass();
	(void)tracker_pass(); /* graphs are sampled one pass after their launch */
	counters_publish();
	return NULL;
}

int tracker_start(struct stats_region *region)
{
	int err = 0;

	(void)pthread_mutex_lock(&tracker.lock);
	if (!tracker.is_running) {
		tracker.region = region;
		atomic_store_explicit(&tracker.must_stop, 0, memory_order_relaxed);
		err = quiet_thread_start(&tracker.thread, STACK_BYTES, tracker_main, NULL);
		tracker.is_running = !err;
	}
	(void)pthread_mutex_unlock(&tracker.lock);
	return err;
}

void tracker_stop(void)
{
	(void)pthread_mutex_lock(&tracker.lock);
	if (tracker.is_running) {
		/* pairs with the acquire in tracker_main(): all that was launched before is read */
		atomic_store_explicit(&tracker.must_stop, 1, memory_order_release);
		(void)pthread_join(tracker.thread, NULL);
		tracker.is_running = 0;
	}
	(void)pthread_mutex_unlock(&tracker.lock);
}

void tracker_after_fork(void)
{
	(void)pthread_mutex_init(&tracker.lock, NULL);
	tracker.is_running = 0;
}
