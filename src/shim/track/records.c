/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record pool: arming without contention, reading without CUDA calls.
 *
 * A launching thread owns a chunk of 64 records, so arming touches no shared line but the records'
 * own notes; only every 64th launch takes a chunk with one compare-and-swap. The tracker walks the
 * chunks from the one after the hint, which is where the oldest ones are, because chunks are handed
 * out in rising order; so records of one stream are read in the order of their launches, except
 * across a wrap of the hint, where a kernel may be given the time of its predecessor as well
 * (bounded by one chunk per thread and wrap).
 *
 * A record counts as written when its payload is the chunk's generation and its timestamp is not
 * zero: both words come in one 16-byte write on the hardware seen, but nothing promises that, and
 * the timestamps of the previous life are cleared when the chunk is freed.
 *
 * Costs: 64 K records of 16 bytes in registered memory and 24 bytes of note each. Tested by
 * tests/unit/records_pool.c, with a thread in the GPU's place.
 */
#include "shim/track/records.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#define POOL_RECORDS (POOL_CHUNKS * CHUNK_RECORDS + POOL_NODES + POOL_MARKS)

uint64_t record_pool_bytes(void)
{
	return (uint64_t)POOL_RECORDS * sizeof(struct record);
}

static void *map_zeroed(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int record_pool_init(struct record_pool *pool)
{
	memset(pool, 0, sizeof(*pool));
	pool->memory = map_zeroed(record_pool_bytes());
	pool->chunk = map_zeroed(POOL_CHUNKS * sizeof(struct record_chunk));
	if (pool->memory && pool->chunk)
		return 0;
	record_pool_free(pool);
	return -ENOMEM;
}

void record_pool_free(struct record_pool *pool)
{
	if (pool->memory)
		(void)munmap(pool->memory, record_pool_bytes());
	if (pool->chunk)
		(void)munmap(pool->chunk, POOL_CHUNKS * sizeof(struct record_chunk));
	memset(pool, 0, sizeof(*pool));
}

void record_pool_retire(struct record_pool *pool)
{
	(void)atomic_fetch_add_explicit(&pool->epoch, 1, memory_order_relaxed);
}

static int chunk_try_open(struct record_pool *pool, uint32_t index)
{
	struct record_chunk *chunk = &pool->chunk[index];
	uint32_t expected = CHUNK_FREE;

	/* acquire: pairs with the release in chunk_free(), whose clean-up must be seen */
	if (!atomic_compare_exchange_strong_explicit(&pool->state[index], &expected, CHUNK_OPEN,
						     memory_order_acquire, memory_order_relaxed))
		return 0;
	chunk->state = &pool->state[index];
	chunk->epoch = atomic_load_explicit(&pool->epoch, memory_order_relaxed);
	chunk->record = &pool->memory[(size_t)index * CHUNK_RECORDS];
	chunk->device_base =
		pool->device_address + (uint64_t)index * CHUNK_RECORDS * sizeof(struct record);
	if (++chunk->generation == 0)
		chunk->generation = 1;
	return 1;
}

struct record_chunk *chunk_open(struct record_pool *pool)
{
	uint32_t start = atomic_load_explicit(&pool->hint, memory_order_relaxed);

	for (uint32_t i = 0; i < POOL_CHUNKS; i++) {
		uint32_t index = (start + i) % POOL_CHUNKS;
		if (!chunk_try_open(pool, index))
			continue;
		atomic_store_explicit(&pool->hint, (index + 1) % POOL_CHUNKS, memory_order_relaxed);
		return &pool->chunk[index];
	}
	return NULL;
}

void chunk_close(struct record_chunk *chunk)
{
	/* pairs with the acquire in chunk_collect(): the last nr_armed before the state */
	atomic_store_explicit(chunk->state, CHUNK_CLOSED, memory_order_release);
}

static void chunk_free(struct record_chunk *chunk, uint32_t nr_armed)
{
	for (uint32_t i = 0; i < nr_armed; i++)
		atomic_store_explicit(&chunk->record[i].timestamp_ns, 0, memory_order_relaxed);
	chunk->read_mask = 0;
	atomic_store_explicit(&chunk->nr_armed, 0, memory_order_relaxed);
	/* pairs with the acquire in chunk_try_open() */
	atomic_store_explicit(chunk->state, CHUNK_FREE, memory_order_release);
}

/* The GPU's end time of record i, or 0 while it is not written. */
static uint64_t record_end_ns(const struct record_chunk *chunk, uint32_t i)
{
	const struct record *record = &chunk->record[i];

	/* acquire: the timestamp is read after the payload that announces it */
	if (atomic_load_explicit(&record->payload, memory_order_acquire) != chunk->generation)
		return 0;
	return atomic_load_explicit(&record->timestamp_ns, memory_order_relaxed);
}

/* What was not written never will be. */
static void chunk_lose(struct record_pool *pool, struct record_chunk *chunk, uint32_t nr_armed,
		       record_read_fn read)
{
	for (uint32_t i = 0; i < nr_armed; i++) {
		if ((chunk->read_mask >> i) & 1)
			continue;
		chunk->read_mask |= 1ull << i;
		pool->nr_lost++;
		read(pool, &chunk->note[i], 0);
	}
}

static uint32_t chunk_collect(struct record_pool *pool, uint32_t index, record_read_fn read)
{
	struct record_chunk *chunk = &pool->chunk[index];
	/* The state first: after CLOSED the number of armed records is final. */
	uint32_t state = atomic_load_explicit(&pool->state[index], memory_order_acquire);
	uint32_t nr_armed, outstanding = 0;

	nr_armed = atomic_load_explicit(&chunk->nr_armed, memory_order_acquire);
	if (!nr_armed && state == CHUNK_OPEN)
		return 0; /* its owner may be setting it up */
	for (uint32_t i = 0; i < nr_armed; i++) {
		uint64_t end_ns;
		if ((chunk->read_mask >> i) & 1)
			continue;
		end_ns = record_end_ns(chunk, i);
		if (!end_ns) {
			outstanding++;
			continue;
		}
		chunk->read_mask |= 1ull << i;
		read(pool, &chunk->note[i], end_ns);
	}
	if (chunk->epoch != atomic_load_explicit(&pool->epoch, memory_order_relaxed)) {
		chunk_lose(pool, chunk, nr_armed, read);
		outstanding = 0;
	}
	if (!outstanding && state == CHUNK_CLOSED)
		chunk_free(chunk, nr_armed);
	return outstanding;
}

uint32_t record_pool_collect(struct record_pool *pool, record_read_fn read)
{
	uint32_t start = atomic_load_explicit(&pool->hint, memory_order_relaxed);
	uint32_t outstanding = 0;

	for (uint32_t i = 0; i < POOL_CHUNKS; i++) {
		uint32_t index = (start + i) % POOL_CHUNKS;
		if (atomic_load_explicit(&pool->state[index], memory_order_relaxed) != CHUNK_FREE)
			outstanding += chunk_collect(pool, index, read);
	}
	return outstanding;
}

int record_node_take(struct record_pool *pool, uint32_t *ret_index)
{
	uint32_t start = atomic_load_explicit(&pool->node_hint, memory_order_relaxed);

	for (uint32_t i = 0; i < POOL_NODES; i++) {
		uint32_t index = (start + i) % POOL_NODES;
		uint8_t expected = 0;
		if (!atomic_compare_exchange_strong_explicit(&pool->node_taken[index], &expected, 1,
							     memory_order_relaxed,
							     memory_order_relaxed))
			continue;
		atomic_store_explicit(&pool->node_hint, index + 1, memory_order_relaxed);
		*ret_index = index;
		return 0;
	}
	return -ENOSPC;
}

void record_node_give(struct record_pool *pool, uint32_t index)
{
	atomic_store_explicit(&pool->node_taken[index], 0, memory_order_relaxed);
}

static struct record *mark_record(const struct record_pool *pool, const struct record_mark *mark)
{
	size_t index = (size_t)(mark - pool->mark);

	return &pool->memory[(size_t)POOL_CHUNKS * CHUNK_RECORDS + POOL_NODES + index];
}

int record_mark_take(struct record_pool *pool, struct record_mark **ret_mark, uint64_t *ret_address)
{
	for (uint32_t i = 0; i < POOL_MARKS; i++) {
		struct record_mark *mark = &pool->mark[i];
		uint32_t expected = CHUNK_FREE;
		/* acquire: pairs with the release of who gave it back */
		if (!atomic_compare_exchange_strong_explicit(&mark->state, &expected, CHUNK_OPEN,
							     memory_order_acquire,
							     memory_order_relaxed))
			continue;
		(void)atomic_fetch_add_explicit(&pool->nr_marks, 1, memory_order_relaxed);
		if (++mark->payload == 0)
			mark->payload = 1;
		*ret_mark = mark;
		*ret_address =
			pool->device_address +
			(uint64_t)(mark_record(pool, mark) - pool->memory) * sizeof(struct record);
		return 0;
	}
	return -ENOSPC;
}

void record_mark_await(struct record_mark *mark, const struct launch_note *note)
{
	mark->note = *note;
	/* pairs with the acquire in record_marks_collect(): the note before the state */
	atomic_store_explicit(&mark->state, CHUNK_CLOSED, memory_order_release);
}

void record_mark_give(struct record_pool *pool, struct record_mark *mark)
{
	(void)atomic_fetch_sub_explicit(&pool->nr_marks, 1, memory_order_relaxed);
	/* pairs with the acquire in record_mark_take() */
	atomic_store_explicit(&mark->state, CHUNK_FREE, memory_order_release);
}

uint32_t record_marks_collect(struct record_pool *pool, mark_read_fn read)
{
	uint32_t left = atomic_load_explicit(&pool->nr_marks, memory_order_relaxed);
	uint32_t epoch = atomic_load_explicit(&pool->epoch, memory_order_relaxed);
	int is_lost = epoch != pool->marks_epoch;
	uint32_t outstanding = 0;

	pool->marks_epoch = epoch;
	for (uint32_t i = 0; left && i < POOL_MARKS; i++) {
		struct record_mark *mark = &pool->mark[i];
		uint32_t state = atomic_load_explicit(&mark->state, memory_order_acquire);
		if (state == CHUNK_FREE)
			continue;
		left--;
		if (state == CHUNK_CLOSED &&
		    (is_lost || atomic_load_explicit(&mark_record(pool, mark)->payload,
						     memory_order_acquire) == mark->payload)) {
			read(&mark->note, is_lost);
			record_mark_give(pool, mark);
			continue;
		}
		outstanding++;
	}
	return outstanding;
}
