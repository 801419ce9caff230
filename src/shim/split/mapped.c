/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening other processes' memory aside.
 *
 * The driver may make cuIpcOpenMemHandle and cuIpcCloseMemHandle wait until everything in the
 * context has ended. A stream of the program may wait for the host, and the program for a launch
 * that the dispatcher holds: the dispatcher must not wait there. So it writes down what it wants,
 * and the thread aside (aside.h) opens it. What takes longer than 20 ms is waited for no more;
 * launches that want it go as if there was no such memory until it is open.
 *
 * A place belongs to the dispatcher, but while its state is WANTED: then to the thread. Each
 * process is opened once and stays open: what it maps lives on when the process has died. When all
 * places are in use, the one asked for longest ago is closed, unless launches may read its word.
 *
 * Tested by tests/integration/split.bats.
 */
#include "shim/split/mapped.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "shim/split/aside.h"
#include "shim/split/claim.h"
#include "shim/tenant.h"

#define MAX_MAPPED  32u
#define PATIENCE_NS 20000000u

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

static uint64_t nr_looks;

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

void mapped_serve(void)
{
	for (uint32_t i = 0; i < MAX_MAPPED; i++) {
		if (state_of(&places[i]) != PLACE_WANTED || !aside_enter())
			continue;
		place_open(&places[i]);
		aside_leave();
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
	struct place *place = place_oldest();

	if (!place)
		return NULL;
	memcpy(&place->handle, handle, sizeof(place->handle));
	place->wanted_ns = clock_now_ns();
	atomic_store_explicit(&place->state, PLACE_WANTED, memory_order_release);
	aside_wake();
	return place;
}

int mapped_word(const uint8_t handle[64], CUdeviceptr *ret_word)
{
	struct place *place = place_find(handle);

	if (!place)
		place = place_want(handle);
	if (!place)
		return -ENOENT;
	place->used = ++nr_looks;
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
