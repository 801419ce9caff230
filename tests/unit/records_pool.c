/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record pool, with a thread in the GPU's place: every armed record is read exactly once, with
 * its own launch and time, in whatever order it is written; nothing stale is ever taken for new;
 * a full pool and a gone context end in a count, not in a wait.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "shim/track/records.h"

#define DEVICE_BASE 0x7000000000u
#define NR_POOL     (POOL_CHUNKS * CHUNK_RECORDS)

void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);

static int nr_maps_left = -1; /* -1: all there are */

void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	if (nr_maps_left == 0)
		return MAP_FAILED;
	nr_maps_left -= nr_maps_left > 0;
	return __real_mmap(address, bytes, protection, flags, fd, offset);
}

static struct record_pool pool;

/* What was read, by the number in the note's submitted_ns. */
#define MAX_LAUNCHES (3 * NR_POOL)
static struct {
	uint8_t nr_read[MAX_LAUNCHES];
	uint32_t nr_all;
	uint32_t nr_lost;
	uint32_t nr_wrong; /* a note with another launch's end */
	uint64_t last;
	int in_order;
} reader;

/* The end time a launch gets: unlike any other's, never 0. */
static uint64_t end_of(uint64_t launch)
{
	return launch * 1000 + 7;
}

/* cppcheck-suppress constParameter ; a record_read_fn */
static void read_one(void *of, const struct launch_note *note, uint64_t end_ns)
{
	if (!end_ns) {
		reader.nr_lost++;
		return;
	}
	reader.nr_wrong += of != &pool || note->submitted_ns >= MAX_LAUNCHES ||
			   end_ns != end_of(note->submitted_ns) ||
			   note->kernel != (uint32_t)note->submitted_ns ||
			   note->stream_key != note->submitted_ns % 7;
	if (note->submitted_ns >= MAX_LAUNCHES)
		return;
	reader.in_order &= note->submitted_ns >= reader.last;
	reader.last = note->submitted_ns;
	reader.nr_read[note->submitted_ns]++;
	reader.nr_all++;
}

static int setup(void **state)
{
	(void)state;
	memset(&reader, 0, sizeof(reader));
	reader.in_order = 1;
	if (record_pool_init(&pool))
		return -1;
	pool.device_address = DEVICE_BASE;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	record_pool_free(&pool);
	return 0;
}

struct write {
	uint64_t address;
	uint32_t payload;
	uint32_t launch;
};

static struct write arm(struct record_chunk *chunk, uint32_t launch)
{
	struct launch_note note = {
		.submitted_ns = launch, .kernel = launch, .stream_key = launch % 7};
	struct write write = {.payload = chunk->generation, .launch = launch};

	write.address = chunk_arm(chunk, &note);
	return write;
}

static struct record *record_at(uint64_t address)
{
	assert_true(address >= DEVICE_BASE && address + 16 <= DEVICE_BASE + record_pool_bytes());
	assert_int_equal(address % 16, 0);
	return &pool.memory[(address - DEVICE_BASE) / sizeof(struct record)];
}

/* As the GPU does it: the timestamp is there when the payload is. */
static void gpu_write(const struct write *write)
{
	struct record *record = record_at(write->address);

	atomic_store_explicit(&record->timestamp_ns, end_of(write->launch), memory_order_relaxed);
	atomic_store_explicit(&record->payload, write->payload, memory_order_release);
}

static uint32_t collect(void)
{
	return record_pool_collect(&pool, read_one);
}

/* --- the thread in the GPU's place ---------------------------------------------------------------
 */

#define WINDOW 4096u

static struct {
	struct write slot[MAX_LAUNCHES];
	atomic_uint nr_submitted;
	atomic_int is_over;
} gpu;

/* Completes what was submitted, the last WINDOW launches in random order. */
static void *gpu_main(void *arg)
{
	unsigned int seed = 1;
	uint32_t done = 0;

	(void)arg;
	for (;;) {
		int is_over = atomic_load(&gpu.is_over);
		uint32_t end = atomic_load_explicit(&gpu.nr_submitted, memory_order_acquire);

		if (end - done > WINDOW)
			end = done + WINDOW;
		for (uint32_t i = done; i + 1 < end; i++) {
			uint32_t k = i + (uint32_t)rand_r(&seed) % (end - i);
			struct write held = gpu.slot[i];

			gpu.slot[i] = gpu.slot[k];
			gpu.slot[k] = held;
		}
		for (; done < end; done++)
			gpu_write(&gpu.slot[done]);
		if (is_over && done == atomic_load(&gpu.nr_submitted))
			return NULL;
	}
}

static void *launcher_main(void *arg)
{
	uint32_t *nr_dropped = arg;
	struct record_chunk *chunk = NULL;

	for (uint32_t launch = 0; launch < MAX_LAUNCHES; launch++) {
		if (!chunk || !chunk_is_usable(chunk, &pool)) {
			if (chunk)
				chunk_close(chunk);
			chunk = chunk_open(&pool);
		}
		if (!chunk) {
			(*nr_dropped)++;
			continue;
		}
		uint32_t n = atomic_load_explicit(&gpu.nr_submitted, memory_order_relaxed);
		gpu.slot[n] = arm(chunk, launch);
		atomic_store_explicit(&gpu.nr_submitted, n + 1, memory_order_release);
	}
	if (chunk)
		chunk_close(chunk);
	return NULL;
}

static void test_three_threads(void **state)
{
	pthread_t gpu_thread, launcher;
	uint32_t nr_dropped = 0, nr_submitted;

	(void)state;
	memset(&gpu, 0, sizeof(gpu));
	assert_int_equal(pthread_create(&gpu_thread, NULL, gpu_main, NULL), 0);
	assert_int_equal(pthread_create(&launcher, NULL, launcher_main, &nr_dropped), 0);
	while (pthread_tryjoin_np(launcher, NULL))
		(void)collect();
	atomic_store(&gpu.is_over, 1);
	assert_int_equal(pthread_join(gpu_thread, NULL), 0);
	assert_int_equal(collect(), 0);
	nr_submitted = atomic_load(&gpu.nr_submitted);
	assert_int_equal(nr_submitted + nr_dropped, MAX_LAUNCHES);
	assert_int_equal(reader.nr_wrong, 0);
	assert_int_equal(reader.nr_all, nr_submitted);
	for (uint32_t i = 0; i < MAX_LAUNCHES; i++)
		assert_true(reader.nr_read[i] <= 1);
	for (uint32_t i = 0; i < POOL_CHUNKS; i++)
		assert_int_equal(atomic_load(&pool.state[i]), CHUNK_FREE);
}

/* --- step by step
 * --------------------------------------------------------------------------------- */

static void test_half_written(void **state)
{
	struct record_chunk *chunk = chunk_open(&pool);
	struct write write = arm(chunk, 5);
	struct record *record = record_at(write.address);

	(void)state;
	assert_int_equal(collect(), 1);
	/* The payload alone is not the record: nothing promises which word comes first. */
	atomic_store(&record->payload, write.payload);
	assert_int_equal(collect(), 1);
	assert_int_equal(reader.nr_all, 0);
	atomic_store(&record->timestamp_ns, end_of(5));
	assert_int_equal(collect(), 0);
	assert_int_equal(reader.nr_all, 1);
	/* Read once, also while its chunk stays open. */
	assert_int_equal(collect(), 0);
	assert_int_equal(reader.nr_all, 1);
	assert_int_equal(reader.nr_wrong, 0);
	assert_int_equal(atomic_load(chunk->state), CHUNK_OPEN);
	chunk_close(chunk);
	assert_int_equal(collect(), 0);
	assert_int_equal(atomic_load(chunk->state), CHUNK_FREE);
}

static void test_full_pool(void **state)
{
	static struct write writes[NR_POOL];
	struct record_chunk *chunk;
	uint32_t n = 0;

	(void)state;
	while ((chunk = chunk_open(&pool)) != NULL) {
		while (chunk_is_usable(chunk, &pool)) {
			assert_true(n < NR_POOL);
			writes[n] = arm(chunk, n);
			n++;
		}
		chunk_close(chunk);
	}
	assert_int_equal(n, NR_POOL);
	assert_int_equal(collect(), NR_POOL);
	assert_null(chunk_open(&pool));
	/* One whole chunk is done: one can be opened. */
	for (uint32_t i = 0; i < CHUNK_RECORDS; i++)
		gpu_write(&writes[i]);
	assert_int_equal(collect(), NR_POOL - CHUNK_RECORDS);
	chunk = chunk_open(&pool);
	assert_non_null(chunk);
	assert_null(chunk_open(&pool));
	chunk_close(chunk);
	for (uint32_t i = CHUNK_RECORDS; i < NR_POOL; i++)
		gpu_write(&writes[i]);
	assert_int_equal(collect(), 0);
	assert_int_equal(reader.nr_all, NR_POOL);
	assert_int_equal(reader.nr_wrong, 0);
	assert_true(reader.in_order);
}

/* Opens chunks until the wanted one comes round again. */
static struct record_chunk *reopen(const struct record_chunk *wanted)
{
	for (uint32_t i = 0; i < POOL_CHUNKS; i++) {
		struct record_chunk *chunk = chunk_open(&pool);

		if (chunk == wanted)
			return chunk;
		chunk_close(chunk);
		(void)collect();
	}
	return NULL;
}

static void test_reuse_takes_nothing_stale(void **state)
{
	struct record_chunk *chunk = chunk_open(&pool);
	struct write old[CHUNK_RECORDS], new[CHUNK_RECORDS];
	uint32_t generation = chunk->generation;

	(void)state;
	for (uint32_t i = 0; i < CHUNK_RECORDS; i++) {
		old[i] = arm(chunk, i);
		gpu_write(&old[i]);
	}
	chunk_close(chunk);
	assert_int_equal(collect(), 0);
	assert_int_equal(reader.nr_all, CHUNK_RECORDS);

	assert_ptr_equal(reopen(chunk), chunk);
	assert_int_not_equal(chunk->generation, generation);
	for (uint32_t i = 0; i < CHUNK_RECORDS; i++) {
		new[i] = arm(chunk, CHUNK_RECORDS + i);
		assert_int_equal(new[i].address, old[i].address);
	}
	/* Last life's words, complete and half, are not this life's. */
	assert_int_equal(collect(), CHUNK_RECORDS);
	for (uint32_t i = 0; i < CHUNK_RECORDS; i += 2)
		gpu_write(&old[i]);
	for (uint32_t i = 1; i < CHUNK_RECORDS; i += 2)
		atomic_store(&record_at(new[i].address)->payload, new[i].payload);
	assert_int_equal(collect(), CHUNK_RECORDS);
	assert_int_equal(reader.nr_all, CHUNK_RECORDS);
	for (uint32_t i = 0; i < CHUNK_RECORDS; i++)
		gpu_write(&new[i]);
	assert_int_equal(collect(), 0);
	assert_int_equal(reader.nr_all, 2 * CHUNK_RECORDS);
	assert_int_equal(reader.nr_wrong, 0);
}

/* 0 would match memory that was never written. */
static void test_generation_is_never_zero(void **state)
{
	struct record_chunk *chunk = chunk_open(&pool);

	(void)state;
	chunk_close(chunk);
	(void)collect();
	chunk->generation = UINT32_MAX;
	assert_ptr_equal(reopen(chunk), chunk);
	assert_int_equal(chunk->generation, 1);
}

static void test_retire(void **state)
{
	struct record_chunk *open = chunk_open(&pool), *closed = chunk_open(&pool);
	struct write written = arm(closed, 1);

	(void)state;
	(void)arm(closed, 2);
	(void)arm(open, 3);
	chunk_close(closed);
	gpu_write(&written);
	assert_true(chunk_is_usable(open, &pool));
	record_pool_retire(&pool);
	assert_false(chunk_is_usable(open, &pool));
	/* What was written counts; what never will be is given up, and the closed chunk is free. */
	assert_int_equal(collect(), 0);
	assert_int_equal(reader.nr_all, 1);
	assert_int_equal(pool.nr_lost, 2);
	assert_int_equal(reader.nr_lost, 2);
	assert_int_equal(atomic_load(closed->state), CHUNK_FREE);
	assert_int_equal(atomic_load(open->state), CHUNK_OPEN);
	/* The owner comes back, sees that the chunk is of no use, and closes it. */
	chunk_close(open);
	assert_int_equal(collect(), 0);
	assert_int_equal(pool.nr_lost, 2);
	assert_int_equal(reader.nr_lost, 2);
	assert_int_equal(atomic_load(open->state), CHUNK_FREE);
	assert_true(chunk_is_usable(chunk_open(&pool), &pool));
}

static void test_nodes(void **state)
{
	static uint8_t taken[POOL_NODES];
	uint32_t index;

	(void)state;
	memset(taken, 0, sizeof(taken));
	for (uint32_t i = 0; i < POOL_NODES; i++) {
		assert_int_equal(record_node_take(&pool, &index), 0);
		assert_true(index < POOL_NODES);
		assert_int_equal(taken[index]++, 0);
	}
	assert_int_equal(record_node_take(&pool, &index), -ENOSPC);
	record_node_give(&pool, 1234);
	assert_int_equal(record_node_take(&pool, &index), 0);
	assert_int_equal(index, 1234);
	assert_int_equal(record_node_take(&pool, &index), -ENOSPC);
	record_node_give(&pool, POOL_NODES - 1);
	assert_int_equal(record_node_take(&pool, &index), 0);
	assert_int_equal(index, POOL_NODES - 1);
}

static void test_no_memory(void **state)
{
	struct record_pool other;

	(void)state;
	for (int nr = 0; nr < 2; nr++) {
		nr_maps_left = nr;
		assert_int_equal(record_pool_init(&other), -ENOMEM);
		nr_maps_left = -1;
		assert_null(other.memory);
		assert_null(other.chunk);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_half_written, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_pool, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reuse_takes_nothing_stale, setup, teardown),
		cmocka_unit_test_setup_teardown(test_generation_is_never_zero, setup, teardown),
		cmocka_unit_test_setup_teardown(test_retire, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nodes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_three_threads, setup, teardown),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
