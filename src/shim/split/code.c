/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels' code: where it lies, and whether its blocks wait for one another.
 *
 * The table. 4096 places, open addressing, eight tries; read without a lock, as every long launch
 * asks. A key is a hash of handle and generation, and for one generation no two handles share one.
 * A place's word holds entry point, state, and seven bits of the generation; so a word that is read
 * after its place went to another generation is seen to be foreign, unless 128 flushes lie between
 * the two loads. Places of the current generation are never taken over: a wrong "free" would hang a
 * kernel, and a function without a place is merely launched whole. A handle with two entry points
 * was used again without a flush; which code a launch would run is not known then, so it is UNSURE.
 *
 * Reading them: split/code_read.c. Tested by tests/unit/code_reader.c.
 */
#include "shim/split/code.h"

#include <stdatomic.h>

#include "base/hash.h"

#define PLACES   4096u /* power of two */
#define TRIES    8u
#define NO_PLACE UINT32_MAX
#define KEY_BUSY 1u /* its word is being written */

/* A word: bits 0-3 enum code_state, 4-56 entry point, 57-63 generation. 0 = never used. */
#define STATE_MASK  0xfull
#define ENTRY_MASK  0x01fffffffffffff0ull
#define STAMP_SHIFT 57

static struct {
	_Atomic uint64_t generation;
	struct {
		_Atomic uint64_t key; /* 0 = free */
		_Atomic uint64_t word;
	} place[PLACES];
} table;

/* --- table ------------------------------------------------------------------------------------ */

static uint64_t generation_now(void)
{
	return atomic_load_explicit(&table.generation, memory_order_acquire);
}

/* Of one generation: different handles, different keys, but for the two that stand for 0 and 1. */
static uint64_t key_of(CUfunction func, uint64_t generation)
{
	uint64_t key = hash_u64((uint64_t)(uintptr_t)func ^ hash_u64(generation + 1));

	return key > KEY_BUSY ? key : key + 2;
}

static uint64_t stamp_of(uint64_t generation)
{
	return generation << STAMP_SHIFT;
}

static int is_of(uint64_t word, uint64_t generation)
{
	return word && word >> STAMP_SHIFT == stamp_of(generation) >> STAMP_SHIFT;
}

static enum code_state state_of(uint64_t word)
{
	return (enum code_state)(word & STATE_MASK);
}

static uint64_t with_state(uint64_t word, enum code_state state)
{
	return (word & ~STATE_MASK) | (uint64_t)state;
}

static uint32_t place_at(uint64_t key, uint32_t try)
{
	return ((uint32_t)(key >> 32) + try) % PLACES;
}

/* The place, and the word in it, of a function in this generation; or NO_PLACE. */
static uint32_t find(CUfunction func, uint64_t generation, uint64_t *ret_word)
{
	uint64_t key = key_of(func, generation);

	for (uint32_t i = 0; i < TRIES; i++) {
		uint32_t at = place_at(key, i);
		/* pairs with the release in take(): the word of this key, or a later one */
		uint64_t found = atomic_load_explicit(&table.place[at].key, memory_order_acquire);
		if (!found)
			break;
		if (found != key)
			continue;

		uint64_t word = atomic_load_explicit(&table.place[at].word, memory_order_acquire);

		if (!is_of(word, generation))
			break;
		*ret_word = word;
		return at;
	}
	return NO_PLACE;
}

/* Nobody else writes to a busy place. Fails when another thread was faster. */
static void take(uint32_t at, uint64_t old_key, uint64_t key, uint64_t word)
{
	if (!atomic_compare_exchange_strong_explicit(&table.place[at].key, &old_key, KEY_BUSY,
						     memory_order_acq_rel, memory_order_relaxed))
		return;
	atomic_store_explicit(&table.place[at].word, word, memory_order_release);
	/* pairs with the acquire in find(): the word must be there first */
	atomic_store_explicit(&table.place[at].key, key, memory_order_release);
}

/*
 * First sight of a function. All threads try the same places in the same order, and leave the
 * function to its next launch when they meet one that is busy: so it never gets two. Who comes here
 * late, a flush in between, may take the place of one function of the new generation; its next
 * launch notes it again.
 */
static __attribute__((noinline)) void add_slow(uint64_t key, uint64_t generation, uint64_t word)
{
	for (uint32_t i = 0; i < TRIES; i++) {
		uint32_t at = place_at(key, i);
		uint64_t found = atomic_load_explicit(&table.place[at].key, memory_order_acquire);
		if (found == key || found == KEY_BUSY)
			return;

		uint64_t old = atomic_load_explicit(&table.place[at].word, memory_order_acquire);

		if (generation != generation_now())
			return;
		if (!found || !is_of(old, generation)) {
			take(at, found, key, word);
			return;
		}
	}
}

/* Only from what is still known: a flush or another finding that came first stands. */
static void change(uint32_t at, uint64_t word, enum code_state state)
{
	(void)atomic_compare_exchange_strong_explicit(&table.place[at].word, &word,
						      with_state(word, state), memory_order_acq_rel,
						      memory_order_relaxed);
}

enum code_state code_state_of(CUfunction func)
{
	uint64_t word;

	return find(func, generation_now(), &word) == NO_PLACE ? CODE_STATE_UNSEEN : state_of(word);
}

void code_note_entry(CUfunction func, uint64_t entry)
{
	uint64_t generation = generation_now(), word;
	uint32_t at = find(func, generation, &word);
	enum code_state state = (entry & ~ENTRY_MASK) ? CODE_STATE_UNSURE : CODE_STATE_SEEN;

	if (!entry)
		return;
	if (at == NO_PLACE)
		add_slow(key_of(func, generation), generation,
			 stamp_of(generation) | (entry & ENTRY_MASK) | (uint64_t)state);
	else if ((word & ENTRY_MASK) != (entry & ENTRY_MASK) && state_of(word) != CODE_STATE_GANG)
		change(at, word, CODE_STATE_UNSURE);
}

void code_is_gang(CUfunction func)
{
	uint64_t generation = generation_now(), word;
	uint32_t at = find(func, generation, &word);

	while (at != NO_PLACE && state_of(word) != CODE_STATE_GANG) {
		change(at, word, CODE_STATE_GANG);
		at = find(func, generation, &word);
	}
}

void code_flush(void)
{
	(void)atomic_fetch_add_explicit(&table.generation, 1, memory_order_acq_rel);
}

/* --- for the reader --------------------------------------------------------------------------- */

int code_is_seen(CUfunction func, struct code_place *ret_place)
{
	uint64_t generation = generation_now(), word;
	uint32_t at = find(func, generation, &word);

	if (at == NO_PLACE || state_of(word) != CODE_STATE_SEEN)
		return 0;
	*ret_place = (struct code_place){
		.generation = generation, .word = word, .entry = word & ENTRY_MASK, .at = at};
	return 1;
}

int code_is_current(const struct code_place *place)
{
	return place->generation == generation_now() &&
	       atomic_load_explicit(&table.place[place->at].word, memory_order_acquire) ==
		       place->word;
}

void code_judged(const struct code_place *place, enum code_state state)
{
	change(place->at, place->word, state);
}
