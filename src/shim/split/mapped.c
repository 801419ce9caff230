/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening other processes' memory aside.
 *
 * The driver may make cuIpcOpenMemHandle and cuIpcCloseMemHandle wait until everything in the
 * context has ended. A stream of the program may wait for the host, and the program for a launch
 * that the dispatcher holds: the dispatcher must not wait there. So it writes down what it wants,
 * and a thread that is started at the first want opens it. What takes longer than 20 ms is waited
 * for no more; launches that want it go as if there was no such memory until it is open.
 *
 * A place belongs to the dispatcher, but while its state is WANTED: then to the thread. Each
 * process is opened once and stays open: what it maps lives on when the process has died. When all
 * places are in use, the one asked for longest ago is closed, unless launches may read its word.
 *
 * Tested by tests/integration/split.bats.
 */
#include "shim/split/mapped.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/quiet_thread.h"
#include "shim/split/arena.h"
#include "shim/split/claim.h"
#include "shim/tenant.h"

#define MAX_MAPPED    32u
#define STACK_BYTES   ((size_t)256 * 1024)
#define PATIENCE_NS   20000000u
#define SLEEP_NS      3600000000000u
#define STOP_PAUSE_NS 100000
#define STOP_TRIES    100

enum state {
	PLACE_FREE,
	PLACE_WANTED,
	PLACE_OPEN,
	PLACE_BAD, /* it cannot be opened */
};

static struct place {
	_Atomic uint32_t state; /* enum state; release, after handle, word */
	CUipcMemHandle handle;
	CUdeviceptr word; /* of what was here before, to be closed, while it is wanted */
	uint64_t used;    /* when last, in looks */
	uint64_t wanted_ns;
} places[MAX_MAPPED];

static struct {
	uint64_t nr_looks;
	int has_thread;             /* or cannot have one: -1 */
	_Atomic uint32_t nr_wanted; /* the thread sleeps on it */
	_Atomic uint32_t is_working;
} mapper;

static enum state state_of(const struct place *place)
{
	return (enum state)atomic_load_explicit(&place->state, memory_order_acquire);
}

/* --- the thread --- */

static void place_open(struct place *place)
{
	CUdeviceptr word = 0;

	if (place->word)
		(void)tenant.ops.ipc_close(place->word);
	if (tenant.ops.ipc_open(&word, place->handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS))
		word = 0;
	place->word = word;
	/* pairs with the acquire in state_of(): the word before the state */
	atomic_store_explicit(&place->state, word ? PLACE_OPEN : PLACE_BAD, memory_order_release);
}

/* With the arena's context, as long as there is one. */
static void place_serve(struct place *place)
{
	CUcontext popped;

	/* Either mapped_stop() sees that this works, or this sees that the arena is off. */
	atomic_store_explicit(&mapper.is_working, 1, memory_order_seq_cst);
	if (atomic_load_explicit(&arena.is_on, memory_order_seq_cst) &&
	    !tenant.ops.ctx_push(
		    atomic_load_explicit(&arena.context->handle, memory_order_relaxed))) {
		place_open(place);
		(void)tenant.ops.ctx_pop(&popped);
	}
	atomic_store_explicit(&mapper.is_working, 0, memory_order_release);
}

static void *mapper_main(void *unused)
{
	CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;

	(void)tenant.ops.exchange_capture_mode(&mode);
	for (;;) {
		uint32_t seen = atomic_load_explicit(&mapper.nr_wanted, memory_order_acquire);
		for (uint32_t i = 0; i < MAX_MAPPED; i++) {
			if (state_of(&places[i]) == PLACE_WANTED)
				place_serve(&places[i]);
		}
		futex_wait(&mapper.nr_wanted, seen, SLEEP_NS, FUTEX_WORD_PRIVATE);
	}
	return unused;
}

static int thread_is_there(void)
{
	pthread_t thread;

	if (!mapper.has_thread) {
		mapper.has_thread = -1;
		if (!quiet_thread_start(&thread, STACK_BYTES, mapper_main, NULL) &&
		    !pthread_detach(thread))
			mapper.has_thread = 1;
	}
	return mapper.has_thread > 0;
}

void mapped_stop(void)
{
	static const struct timespec pause = {.tv_nsec = STOP_PAUSE_NS};

	for (int i = 0; i < STOP_TRIES; i++) {
		if (!atomic_load_explicit(&mapper.is_working, memory_order_seq_cst))
			return;
		(void)nanosleep(&pause, NULL);
	}
}

/* --- the dispatcher --- */

static struct place *place_find(const uint8_t handle[64])
{
	for (uint32_t i = 0; i < MAX_MAPPED; i++) {
		if (state_of(&places[i]) != PLACE_FREE &&
		    memcmp(&places[i].handle, handle, sizeof(places[i].handle)) == 0)
			return &places[i];
	}
	return NULL;
}

/* A free one, else that which was asked for longest ago and is not being opened. */
static struct place *place_oldest(void)
{
	struct place *oldest = NULL;

	for (uint32_t i = 0; i < MAX_MAPPED; i++) {
		enum state state = state_of(&places[i]);
		if (state == PLACE_FREE)
			return &places[i];
		if (state != PLACE_WANTED && (!oldest || places[i].used < oldest->used))
			oldest = &places[i];
	}
	return claim_nr_works() ? NULL : oldest;
}

static struct place *place_want(const uint8_t handle[64])
{
	struct place *place = thread_is_there() ? place_oldest() : NULL;

	if (!place)
		return NULL;
	memcpy(&place->handle, handle, sizeof(place->handle));
	place->wanted_ns = clock_now_ns();
	atomic_store_explicit(&place->state, PLACE_WANTED, memory_order_release);
	(void)atomic_fetch_add_explicit(&mapper.nr_wanted, 1, memory_order_release);
	futex_wake(&mapper.nr_wanted, 1, FUTEX_WORD_PRIVATE);
	return place;
}

int mapped_word(const uint8_t handle[64], CUdeviceptr *ret_word)
{
	struct place *place = place_find(handle);

	if (!place)
		place = place_want(handle);
	if (!place)
		return -ENOENT;
	place->used = ++mapper.nr_looks;
	switch (state_of(place)) {
	case PLACE_OPEN:
		*ret_word = place->word;
		return 0;
	case PLACE_WANTED:
		return clock_now_ns() - place->wanted_ns < PATIENCE_NS ? -EAGAIN : -ENOENT;
	case PLACE_FREE:
	case PLACE_BAD:
	default:
		return -ENOENT;
	}
}

void mapped_after_fork(void)
{
	mapper.has_thread = 0;
}
