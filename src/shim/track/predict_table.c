/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The predictors of a process, by shape of launch.
 *
 * Every launch of a borrower needs a predicted time, so looking one up must cost no more than a few
 * loads: a table of 8192 places, found by a 64-bit hash of kernel, blocks and threads, of which
 * eight in a row are tried. The hash stands for the key: two shapes that share one would share
 * their times, which is unlikely and harmless. A shape that finds no free place takes one of those
 * eight, chosen by its hash; programs with more shapes than places lose predictions, not
 * correctness.
 *
 * A predictor is 8 bytes in one atomic word. The tracker alone adds times; a launching thread that
 * takes a place over clears it. The tracker may then add one time of the old shape to the new
 * one's: the mean forgets it.
 *
 * Paths. Products of libraries have one block for each SM whatever their size, so one shape may
 * take 0.2 ms and 1.2 ms in turns. Programs that keep a GPU busy repeat themselves: which one it
 * is, is told by the launches before it. Where a shape's times are off its mean by a quarter on the
 * average, each of the paths that lead to it gets a place of its own: a hash of the sixteen
 * launches that the thread made before, enough to tell the products of a Transformer layer apart
 * behind the same norm. At most 64 of a shape, and a quarter of the table in all, so that a program
 * without order, or one whose TPCs change all the time, does not lose its shapes. Until a path is
 * known, and for launches that were not asked about, the shape's mean answers; a place by path
 * teaches its shape as well.
 *
 * Example: launches a S b S for ever, of which S takes 0.2 ms behind a and 1 ms behind b. The mean
 * of S is 0.6 ms, 67 % off. From then on S has two places, and both are right when they were seen
 * twice.
 *
 * What it does badly: one thread that launches in several streams without a fixed order has no
 * paths.
 *
 * Kernel handles are used again after modules are unloaded: the number of unloads is part of the
 * hash.
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
#include "shim/track/records.h"

#define PLACES      8192u /* power of two */
#define TRIES       8u
#define PATH_SHIFT  4       /* of 64 bits: a launch is forgotten after 16 */
#define PATH_MIN_NS 100000u /* shorter ones are not worth a place each */
#define PATHS       64u     /* of a shape */
#define ALL_PATHS   (PLACES / 4)
#define UNSTEADY    64 /* 256ths */
#define MOST_SPREAD 1024
#define SLOT_MASK   ((uint64_t)NOTE_MOST_SLOT) /* a place + 1 */

static struct {
	_Atomic uint32_t generation;
	_Atomic uint32_t width;
	_Atomic uint32_t nr_paths; /* places that paths have got */
	struct {
		_Atomic uint64_t key;     /* 0 = free */
		_Atomic uint64_t predict; /* struct predict */
		/* Of a path: place + 1 of its shape, and the upper bits of its key; else 0. */
		_Atomic uint64_t base;
		_Atomic uint32_t spread;   /* mean distance from the mean, in 256ths of it */
		_Atomic uint32_t nr_paths; /* of a shape, that have got places */
		_Atomic uint32_t note;     /* predict_note(); 0 = none */
	} place[PLACES];
} table;

_Static_assert(PLACES <= NOTE_MOST_SLOT, "a place + 1 fits in a note, and in `base`");

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
	atomic_store_explicit(&table.place[at].base, 0, memory_order_relaxed);
	atomic_store_explicit(&table.place[at].spread, 0, memory_order_relaxed);
	atomic_store_explicit(&table.place[at].nr_paths, 0, memory_order_relaxed);
	atomic_store_explicit(&table.place[at].note, 0, memory_order_relaxed);
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

/* The shape's own place, of that of a path; PREDICT_NO_SLOT when there is none, or another shape
 * has it now. */
static uint32_t base_of(uint32_t slot)
{
	uint64_t base = atomic_load_explicit(&table.place[slot].base, memory_order_relaxed);
	uint32_t at = (uint32_t)(base & SLOT_MASK) - 1;

	if (!base || at >= PLACES)
		return PREDICT_NO_SLOT;
	return (atomic_load_explicit(&table.place[at].key, memory_order_relaxed) ^ base) >>
			       NOTE_SLOT_BITS
		       ? PREDICT_NO_SLOT
		       : at;
}

static uint64_t time_in(uint32_t slot, uint32_t nr_tpcs)
{
	struct predict predict = predict_of_word(
		atomic_load_explicit(&table.place[slot].predict, memory_order_acquire));

	return predict_ns(&predict, nr_tpcs);
}

uint64_t predict_in_slot(uint32_t slot, uint32_t nr_tpcs)
{
	uint64_t ns;

	if (slot >= PLACES)
		return 0;
	ns = time_in(slot, nr_tpcs);
	if (ns)
		return ns;
	slot = base_of(slot);
	return slot == PREDICT_NO_SLOT ? 0 : time_in(slot, nr_tpcs);
}

/* `expected_ns`: 0 = it was not known. */
static void spread_note(uint32_t slot, uint64_t expected_ns, uint64_t duration_ns)
{
	uint64_t off =
		expected_ns > duration_ns ? expected_ns - duration_ns : duration_ns - expected_ns;
	int32_t of_mean = MOST_SPREAD;
	int32_t spread =
		(int32_t)atomic_load_explicit(&table.place[slot].spread, memory_order_relaxed);

	if (!expected_ns)
		return;
	if (off < expected_ns * (MOST_SPREAD / 256))
		of_mean = (int32_t)(off * 256 / expected_ns);
	atomic_store_explicit(&table.place[slot].spread,
			      (uint32_t)(spread + (of_mean - spread) / 8), memory_order_relaxed);
}

static void seen_in(uint32_t slot, uint64_t duration_ns, uint32_t nr_tpcs, int was_disturbed)
{
	uint64_t word = atomic_load_explicit(&table.place[slot].predict, memory_order_acquire);
	struct predict predict = predict_of_word(word);

	if (was_disturbed) {
		predict_add_most(&predict, duration_ns, nr_tpcs);
	} else {
		spread_note(slot, predict_ns(&predict, nr_tpcs), duration_ns);
		predict_add(&predict, duration_ns, nr_tpcs);
	}
	/* Fails when the place was taken over meanwhile: the time is of no use then. */
	(void)atomic_compare_exchange_strong_explicit(&table.place[slot].predict, &word,
						      word_of(predict), memory_order_release,
						      memory_order_relaxed);
}

void predict_seen(uint32_t slot, uint64_t duration_ns, uint32_t nr_tpcs, int was_disturbed)
{
	uint32_t base;

	if (slot >= PLACES)
		return;
	base = base_of(slot);
	seen_in(slot, duration_ns, nr_tpcs, was_disturbed);
	if (base != PREDICT_NO_SLOT)
		seen_in(base, duration_ns, nr_tpcs, was_disturbed);
}

void predict_set_width(uint32_t nr_tpcs)
{
	if (atomic_load_explicit(&table.width, memory_order_relaxed) != nr_tpcs)
		atomic_store_explicit(&table.width, nr_tpcs, memory_order_relaxed);
}

/* --- paths --- */

/* Once it has paths it keeps them: mixed times come steady for a while. */
static int has_paths(uint32_t slot)
{
	return atomic_load_explicit(&table.place[slot].nr_paths, memory_order_relaxed) ||
	       atomic_load_explicit(&table.place[slot].spread, memory_order_relaxed) >= UNSTEADY;
}

static __attribute__((noinline)) uint32_t path_add_slow(uint32_t slot, uint64_t shape_key,
							uint64_t key, uint64_t nr_blocks)
{
	uint32_t at;

	if (atomic_load_explicit(&table.place[slot].nr_paths, memory_order_relaxed) >= PATHS ||
	    atomic_load_explicit(&table.nr_paths, memory_order_relaxed) >= ALL_PATHS)
		return slot;
	at = add_slow(key, nr_blocks);
	if (at == PREDICT_NO_SLOT)
		return slot;
	(void)atomic_fetch_add_explicit(&table.nr_paths, 1, memory_order_relaxed);
	/* It may have taken the shape's own place. */
	if (at != slot)
		(void)atomic_fetch_add_explicit(&table.place[slot].nr_paths, 1,
						memory_order_relaxed);
	atomic_store_explicit(&table.place[at].base, (shape_key & ~SLOT_MASK) | (slot + 1),
			      memory_order_relaxed);
	return at;
}

/* The place of the path to a shape, made at its first launch; the shape's when there is none. */
static uint32_t path_slot(uint32_t slot, uint64_t shape_key, uint64_t path, uint64_t nr_blocks)
{
	uint64_t key = hash_u64(shape_key ^ hash_u64(path)) | 1;
	uint32_t at = find(key);

	return at != PREDICT_NO_SLOT ? at : path_add_slow(slot, shape_key, key, nr_blocks);
}

void predict_step(struct thread_state *t, CUfunction func, uint64_t nr_blocks, uint32_t nr_threads)
{
	/* Threads without a state of their own have no order. */
	if (t->is_spare)
		return;
	t->launch_path = t->path;
	t->path = t->path << PATH_SHIFT ^ key_of(func, nr_blocks, nr_threads) >> 32;
}

uint64_t predict_of(struct thread_state *t, CUfunction func, uint64_t nr_blocks,
		    uint32_t nr_threads, uint64_t path)
{
	uint64_t key = key_of(func, nr_blocks, nr_threads);
	uint32_t slot = find(key);
	uint32_t width = atomic_load_explicit(&table.width, memory_order_relaxed);
	uint64_t predicted_ns = predict_in_slot(slot, width);

	if (path && predicted_ns >= PATH_MIN_NS && has_paths(slot)) {
		slot = path_slot(slot, key, path, nr_blocks);
		predicted_ns = predict_in_slot(slot, width);
	}
	/* A shape without a place gets one from the descriptor hook. */
	t->asked.func = slot == PREDICT_NO_SLOT ? NULL : func;
	t->asked.slot = slot;
	t->asked.width = width;
	t->asked.predicted_ns = predicted_ns;
	return predicted_ns;
}

uint32_t predict_note(uint32_t slot)
{
	return slot < PLACES ? atomic_load_explicit(&table.place[slot].note, memory_order_relaxed)
			     : 0;
}

void predict_set_note(uint32_t slot, uint32_t note)
{
	if (slot < PLACES)
		atomic_store_explicit(&table.place[slot].note, note, memory_order_relaxed);
}

void predict_flush(void)
{
	(void)atomic_fetch_add_explicit(&table.generation, 1, memory_order_relaxed);
	/* Those of before are taken over one by one. */
	atomic_store_explicit(&table.nr_paths, 0, memory_order_relaxed);
}
