/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread aside.
 *
 * Two things cannot be done where they turn out to be needed. Other processes' memory is opened for
 * the dispatcher, which must not wait for the context (mapped.c). And the epoch word is written
 * when a grid of the driver's own made the process active (epoch.c): that is found in the
 * descriptor hook, where the driver must not be called, and no function of ours is called after it.
 *
 * The thread sleeps until it is woken, looks at both, and sleeps again. It may be stuck in a driver
 * call for as long as the program's work lasts; then the other thing waits, too. It ends with the
 * process. Tested by tests/integration/split.bats.
 */
#include "shim/split/aside.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

#include "base/futex.h"
#include "base/quiet_thread.h"
#include "shim/split/arena.h"
#include "shim/split/epoch.h"
#include "shim/split/mapped.h"
#include "shim/tenant.h"

#define STACK_BYTES   ((size_t)256 * 1024)
#define SLEEP_NS      3600000000000u
#define STOP_PAUSE_NS 100000
#define STOP_TRIES    100

static struct {
	_Atomic uint32_t nr_wakes; /* the thread sleeps on it */
	_Atomic uint32_t is_working;
	int has_thread; /* under the contexts' lock */
} aside;

int aside_enter(void)
{
	/* Either aside_stop() sees that this works, or this sees that the arena is off. */
	atomic_store_explicit(&aside.is_working, 1, memory_order_seq_cst);
	if (atomic_load_explicit(&arena.is_on, memory_order_seq_cst) &&
	    !tenant.ops.ctx_push(
		    atomic_load_explicit(&arena.context->handle, memory_order_relaxed)))
		return 1;
	atomic_store_explicit(&aside.is_working, 0, memory_order_release);
	return 0;
}

void aside_leave(void)
{
	CUcontext popped;

	(void)tenant.ops.ctx_pop(&popped);
	atomic_store_explicit(&aside.is_working, 0, memory_order_release);
}

static void *aside_main(void *unused)
{
	CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;

	(void)tenant.ops.exchange_capture_mode(&mode);
	for (;;) {
		uint32_t seen = atomic_load_explicit(&aside.nr_wakes, memory_order_acquire);
		epoch_serve();
		mapped_serve();
		futex_wait(&aside.nr_wakes, seen, SLEEP_NS, FUTEX_WORD_PRIVATE);
	}
	return unused;
}

void aside_start(void)
{
	pthread_t thread;

	if (aside.has_thread || quiet_thread_start(&thread, STACK_BYTES, aside_main, NULL))
		return;
	(void)pthread_detach(thread);
	aside.has_thread = 1;
}

void aside_wake(void)
{
	(void)atomic_fetch_add_explicit(&aside.nr_wakes, 1, memory_order_release);
	futex_wake(&aside.nr_wakes, 1, FUTEX_WORD_PRIVATE);
}

void aside_stop(void)
{
	static const struct timespec pause = {.tv_nsec = STOP_PAUSE_NS};

	for (int i = 0; i < STOP_TRIES; i++) {
		if (!atomic_load_explicit(&aside.is_working, memory_order_seq_cst))
			return;
		(void)nanosleep(&pause, NULL);
	}
}

void aside_after_fork(void)
{
	aside.has_thread = 0;
	atomic_store(&aside.is_working, 0);
}
