/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The predictors of a process, by shape of launch.
 *
 * Every launch of a borrower needs a predicted time, so looking one up must cost no more than a few
 * loads: a table of 8192 places, found by a 64-bit hash of kernel, blocks and threads, of which eight
 * in a row are tried. The hash stands for the key: two shapes that share one would share their times,
 * which is unlikely and harmless. A shape that finds no free place takes one of those eight, chosen by
 * its hash; programs with more shapes than places lose predictions, not correctness.
 *
 * A predictor is 8 bytes in one atomic word. The tracker alone adds times; a launching thread that
 * takes a place over clears it. The tracker may then add one time of the old shape to the new one's:
 * the mean forgets it.
 *
 * Kernel handles are used again after modules are unloaded: the number of unloads is part of the hash.
 *
 * Tested by tests/unit/predict_table.c.
 */
#include "shim/track/predict_table.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "base/hash.h"
#include "sched/predict.h"
#include "shim/thread.h"

#define PLACES 8192u /* power of two; fits in a note (track/records.h) */
#define TRIES  8u

static struct {
	_Atomic uint32_t generation;
	_Atomic uint32_t width;
	struct {
		_Atomic uint64_t key;     /* 0 = free */
		_Atomic uint64_t predict; /* struct predict */
	} place[PLACES];
} table;

static uint64_t word_of(struct predict predict)
{
	uint64_t word;

	memcpy(&word, &predict, sizeof(word));
	return word;
}

static struct predict predict_of_word(uint64_t word)
{
	struct predict predict;

	memcpy(&predict, &word, sizeof(predict));
	return predict;
}

static uint64_t key_of(CUfunction func, uint64_t nr_blocks, uint32_t nr_threads)
{
	uint64_t generation = atomic_load_explicit(&table.generation, memory_order_relaxed);
	uint64_t shape = hash_u64(nr_blocks ^ (uint64_t)nr_threads << 40 ^ generation << 52);
	uint64_t key = hash_u64((uint64_t)(uintptr_t)func ^ shape);

	return key ? key : 1;
}

static uint32_t find(uint64_t key)
{
	uint32_t start = (uint32_t)(key >> 32);

	for (uint32_t i = 0; i < TRIES; i++) {
		uint32_t at = (start + i) % PLACES;
		uint64_t found = atomic_load_explicit(&table.place[at].key, memory_order_acquire);
		if (found == key)
			return at;
		if (!found)
			break;
	}
	return PREDICT_NO_SLOT;
}

static uint32_t take(uint32_t at, uint64_t expected, uint64_t key, uint64_t nr_blocks)
{
	if (!atomic_compare_exchange_strong_explicit(&table.place[at].key, &expected, key,
						     memory_order_acq_rel, memory_order_acquire))
		return expected == key ? at : PREDICT_NO_SLOT;
	atomic_store_explicit(&table.place[at].predict, word_of(predict_new(nr_blocks)),
			      memory_order_release);
	return at;
}

/* First sight of a shape. Another thread may add the same: then one of two places goes unused. */
static __attribute__((noinline)) uint32_t add_slow(uint64_t key, uint64_t nr_blocks)
{
	uint32_t start = (uint32_t)(key >> 32), at;

	for (uint32_t i = 0; i < TRIES; i++) {
		at = (start + i) % PLACES;
		if (atomic_load_explicit(&table.place[at].key, memory_order_relaxed))
			continue;
		at = take(at, 0, key, nr_blocks);
		if (at != PREDICT_NO_SLOT)
			return at;
	}
	at = (start + (uint32_t)key % TRIES) % PLACES;
	return take(at, atomic_load_explicit(&table.place[at].key, memory_order_relaxed), key,
		    nr_blocks);
}

uint32_t predict_slot(CUfunction func, uint64_t nr_blocks, uint32_t nr_threads)
{
	uint64_t key = key_of(func, nr_blocks, nr_threads);
	uint32_t at = find(key);

	return __builtin_expect(at != PREDICT_NO_SLOT, 1) ? at : add_slow(key, nr_blocks);
}

uint64_t predict_in_slot(uint32_t slot, uint32_t nr_tpcs)
{
	struct predict predict;

	if (slot >= PLACES)
		return 0;
	predict = predict_of_word(
		atomic_load_explicit(&table.place[slot].predict, memory_order_acquire));
	return predict_ns(&predict, nr_tpcs);
}

void predict_seen(uint32_t slot, uint64_t duration_ns, uint32_t nr_tpcs, int was_disturbed)
{
	uint64_t word;
	struct predict predict;

	if (slot >= PLACES)
		return;
	word = atomic_load_explicit(&table.place[slot].predict, memory_order_acquire);
	predict = predict_of_word(word);
	if (was_disturbed)
		predict_add_most(&predict, duration_ns, nr_tpcs);
	else
		predict_add(&predict, duration_ns, nr_tpcs);
	/* Fails when the place was taken over meanwhile: the time is of no use then. */
	(void)atomic_compare_exchange_strong_explicit(&table.place[slot].predict, &word,
						      word_of(predict), memory_order_release,
						      memory_order_relaxed);
}

void predict_set_width(uint32_t nr_tpcs)
{
	if (atomic_load_explicit(&table.width, memory_order_relaxed) != nr_tpcs)
		atomic_store_explicit(&table.width, nr_tpcs, memory_order_relaxed);
}

uint64_t predict_of(struct thread_state *t, CUfunction func, uint64_t nr_blocks,
		    uint32_t nr_threads)
{
	uint32_t slot = find(key_of(func, nr_blocks, nr_threads));
	uint32_t width = atomic_load_explicit(&table.width, memory_order_relaxed);
	uint64_t predicted_ns = predict_in_slot(slot, width);

	/* A shape without a place gets one from the descriptor hook. */
	t->asked.func = slot == PREDICT_NO_SLOT ? NULL : func;
	t->asked.slot = slot;
	t->asked.width = width;
	t->asked.predicted_ns = predicted_ns;
	return predicted_ns;
}

void predict_flush(void)
{
	(void)atomic_fetch_add_explicit(&table.generation, 1, memory_order_relaxed);
}
