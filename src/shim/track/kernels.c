/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From kernel handle to row of the statistics, in a few nanoseconds.
 *
 * Every launch needs its row, and eager programs launch some hundred different kernels. Each thread
 * has a direct-mapped cache by handle; a miss takes the lock, looks the handle up in a table, and
 * on the first sight of a handle asks the driver for its name and looks for a row of that name.
 * Names longer than a row's field are cut, so kernels that differ only behind 255 characters share
 * a row.
 *
 * Unloading a module bumps a generation; threads see it at their next launch and clear their
 * caches. A launch in flight on another thread while its module is unloaded is the program's bug
 * with or without lithos; it may then count for the wrong row.
 *
 * Tested by tests/unit/kernels_table.c.
 */
#include "shim/track/kernels.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <lithos/stats.h>

#include "base/hash.h"
#include "shim/thread.h"
#include "shim/track/predict_table.h"

#define HANDLE_SLOTS 16384u /* power of two; twice what the table can name, and more */
#define NAME_SLOTS   8192u

static struct {
	pthread_mutex_t lock;
	struct stats_region *region;
	kernel_name_fn name_of;
	_Atomic uint32_t generation;
	/* under lock: */
	uint32_t nr_handles;
	struct {
		CUfunction func;
		uint32_t row;
	} handle[HANDLE_SLOTS];
	uint32_t row_by_name[NAME_SLOTS]; /* row + 1; 0 = free */
} table = {.lock = PTHREAD_MUTEX_INITIALIZER, .generation = 1};

static uint32_t hash_name(const char *name)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (uint32_t i = 0; i < STATS_NAME_BYTES - 1 && name[i]; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return h;
}

static uint32_t row_add_locked(const char *name)
{
	struct stats_header *header = &table.region->header;
	uint32_t row = header->nr_kernels;

	if (row == STATS_MAX_KERNELS) {
		thread_count(STATS_kernels_dropped);
		return KERNEL_NONE;
	}
	(void)strncpy(table.region->kernel[row].name, name, STATS_NAME_BYTES - 1);
	/* The reader may look at any time: the row is complete before it is counted. */
	__atomic_store_n(&header->nr_kernels, row + 1, __ATOMIC_RELEASE);
	return row;
}

static uint32_t row_of_name_locked(const char *name)
{
	uint32_t at = hash_name(name) % NAME_SLOTS;

	for (; table.row_by_name[at]; at = (at + 1) % NAME_SLOTS) {
		uint32_t row = table.row_by_name[at] - 1;
		if (!strncmp(table.region->kernel[row].name, name, STATS_NAME_BYTES - 1))
			return row;
	}
	uint32_t row = row_add_locked(name);
	if (row != KERNEL_NONE)
		table.row_by_name[at] = row + 1;
	return row;
}

/* Where a handle is, or the free place where it belongs. */
static uint32_t handle_place_locked(CUfunction func)
{
	uint32_t at = hash_pointer(func) % HANDLE_SLOTS;

	while (table.handle[at].func && table.handle[at].func != func)
		at = (at + 1) % HANDLE_SLOTS;
	return at;
}

static void handles_clear_locked(void)
{
	memset(table.handle, 0, sizeof(table.handle));
	table.nr_handles = 0;
}

static uint32_t row_of_new_handle(CUfunction func)
{
	const char *name = table.name_of(func);
	uint32_t row, at;

	(void)pthread_mutex_lock(&table.lock);
	if (table.nr_handles > HANDLE_SLOTS / 2)
		handles_clear_locked();
	row = row_of_name_locked(name && name[0] ? name : "(unnamed)");
	at = handle_place_locked(func);
	if (!table.handle[at].func)
		table.nr_handles++;
	table.handle[at].func = func;
	table.handle[at].row = row;
	(void)pthread_mutex_unlock(&table.lock);
	return row;
}

static uint32_t kernels_row_slow(CUfunction func)
{
	uint32_t at, row = 0;
	int known;

	(void)pthread_mutex_lock(&table.lock);
	at = handle_place_locked(func);
	known = func && table.handle[at].func == func;
	if (known)
		row = table.handle[at].row;
	(void)pthread_mutex_unlock(&table.lock);
	return known ? row : row_of_new_handle(func);
}

void kernels_init(struct stats_region *region, kernel_name_fn name_of)
{
	table.region = region;
	table.name_of = name_of;
}

uint32_t kernels_row(struct thread_state *t, CUfunction func)
{
	uint32_t generation = atomic_load_explicit(&table.generation, memory_order_relaxed);
	uint32_t slot = hash_pointer(func) % KERNEL_CACHE_SLOTS;

	if (__builtin_expect(t->kernel_generation != generation, 0)) {
		/* All ones: no launch has that handle, but one may have none. */
		memset(t->kernel_cache, 0xff, sizeof(t->kernel_cache));
		t->kernel_generation = generation;
	}
	if (__builtin_expect(t->kernel_cache[slot].func != func, 0)) {
		t->kernel_cache[slot].row = kernels_row_slow(func);
		t->kernel_cache[slot].func = func;
	}
	return t->kernel_cache[slot].row;
}

void kernels_flush(void)
{
	predict_flush();
	(void)pthread_mutex_lock(&table.lock);
	handles_clear_locked();
	(void)pthread_mutex_unlock(&table.lock);
	(void)atomic_fetch_add_explicit(&table.generation, 1, memory_order_relaxed);
}

void kernels_after_fork(void)
{
	(void)pthread_mutex_init(&table.lock, NULL);
}
