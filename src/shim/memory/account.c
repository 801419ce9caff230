/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device memory, counted as the program asks for it and gives it back.
 *
 * The driver tells the free memory of a GPU, not whose the rest is, and under MPS NVML sees one
 * process. So each process keeps the size of every allocation under its address, which is unique in
 * the process (unified addressing), and their sum in one word that the tracker copies to its line
 * on the board.
 *
 * What is freed is taken out before the driver's call and put back if that fails: afterwards the
 * address may already be another thread's. Memory that goes with its context (cuMemAlloc, arrays)
 * is dropped when the context has ended; pools and physical memory outlive contexts, as cuda.h
 * says. Physical memory lives until it has neither handles nor mappings: programs may release a
 * handle right after mapping it.
 *
 * What it does badly. The sum is what was asked for: not counted are the driver's rounding,
 * contexts, code, local memory, the reserve of memory pools (freed to the pool, not to the GPU),
 * sparse arrays, and memory of other processes that is mapped here. Managed memory counts in full
 * wherever its pages are. Calls that are captured into a graph count as if made. A context handle
 * that the driver gives out again before the end of its first owner was noted loses what was
 * allocated in between: the sum is too low until those are freed. An allocation that finds no room
 * in the table is not counted (STATS_memory_uncounted).
 *
 * Tested by tests/unit/memory_account.c, and through the driver's calls by
 * tests/unit/memory_hooks.c and tests/integration/memory.bats.
 */
#include "shim/memory/account.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "shim/thread.h"

static struct {
	pthread_mutex_t lock;
	struct memory_table table; /* under lock */
	_Atomic uint64_t bytes;    /* written under lock */
} account = {.lock = PTHREAD_MUTEX_INITIALIZER};

uint64_t memory_bytes(void)
{
	return atomic_load_explicit(&account.bytes, memory_order_relaxed);
}

static void lock(void)
{
	(void)pthread_mutex_lock(&account.lock);
}

static void unlock(void)
{
	(void)pthread_mutex_unlock(&account.lock);
}

static void sum_add_locked(uint64_t bytes)
{
	(void)atomic_fetch_add_explicit(&account.bytes, bytes, memory_order_relaxed);
}

static struct memory_entry *find_locked(enum memory_kind kind, uint64_t key)
{
	return memory_table_find(&account.table, kind, key);
}

/* Mappings are of memory that is counted already. */
static uint64_t counted_bytes(const struct memory_entry *entry)
{
	return entry->kind == MEMORY_MAPPING ? 0 : entry->bytes;
}

static void remove_locked(struct memory_entry *entry)
{
	sum_add_locked(-counted_bytes(entry));
	memory_table_remove(&account.table, entry);
}

/* What is known under the same key was freed in a way not seen here. */
static int add_locked(const struct memory_entry *entry)
{
	struct memory_entry *old = find_locked(entry->kind, entry->key);
	int err;

	if (old)
		remove_locked(old);
	err = memory_table_add(&account.table, entry);
	if (!err)
		sum_add_locked(counted_bytes(entry));
	return err;
}

static void add(const struct memory_entry *entry)
{
	int err;

	lock();
	err = add_locked(entry);
	unlock();
	if (err)
		thread_count(STATS_memory_uncounted);
}

void memory_allocated(enum memory_kind kind, uint64_t key, uint64_t bytes, CUcontext owner)
{
	add(&(struct memory_entry){
		.key = key, .bytes = bytes, .owner = (uintptr_t)owner, .kind = kind});
}

struct memory_entry memory_freeing(enum memory_kind kind, uint64_t key)
{
	struct memory_entry was = {.kind = MEMORY_NONE};
	struct memory_entry *found;

	lock();
	found = find_locked(kind, key);
	if (found) {
		was = *found;
		remove_locked(found);
	}
	unlock();
	return was;
}

void memory_not_freed(const struct memory_entry *was)
{
	if (was->kind)
		add(was);
}

/* --- physical memory --- */

void memory_handle_created(uint64_t handle, uint64_t bytes)
{
	add(&(struct memory_entry){
		.key = handle, .bytes = bytes, .kind = MEMORY_HANDLE, .nr_refs = 1});
}

void memory_handle_retained(uint64_t handle)
{
	struct memory_entry *found;

	lock();
	found = find_locked(MEMORY_HANDLE, handle);
	if (found)
		found->nr_refs++;
	unlock();
}

static void handle_look_locked(struct memory_entry *handle)
{
	if (!handle->nr_refs && !handle->nr_maps)
		remove_locked(handle);
}

struct memory_entry memory_handle_releasing(uint64_t handle)
{
	struct memory_entry was = {.kind = MEMORY_NONE};
	struct memory_entry *found;

	lock();
	found = find_locked(MEMORY_HANDLE, handle);
	if (found && found->nr_refs) {
		was = *found;
		found->nr_refs--;
		handle_look_locked(found);
	}
	unlock();
	return was;
}

void memory_handle_not_released(const struct memory_entry *was)
{
	struct memory_entry *found;

	if (!was->kind)
		return;
	lock();
	found = find_locked(MEMORY_HANDLE, was->key);
	if (found)
		found->nr_refs++;
	unlock();
	if (!found)
		add(was);
}

/* Also of memory that is not counted, so that memory_unmapped() finds its way past it. */
void memory_mapped(uint64_t address, uint64_t bytes, uint64_t handle)
{
	struct memory_entry mapping = {
		.key = address, .bytes = bytes, .owner = handle, .kind = MEMORY_MAPPING};
	struct memory_entry *found;
	int err;

	lock();
	err = add_locked(&mapping);
	found = err ? NULL : find_locked(MEMORY_HANDLE, handle);
	/* Without a mapping to find, the memory counts as gone with its last handle. */
	if (found)
		found->nr_maps++;
	unlock();
	if (err)
		thread_count(STATS_memory_uncounted);
}

static void unmap_locked(struct memory_entry *mapping)
{
	uint64_t handle = mapping->owner;
	struct memory_entry *found;

	remove_locked(mapping);
	found = find_locked(MEMORY_HANDLE, handle);
	if (found && found->nr_maps) {
		found->nr_maps--;
		handle_look_locked(found);
	}
}

/* The driver unmaps whole mappings only, but several at once where they lie side by side. */
void memory_unmapped(uint64_t address, uint64_t bytes)
{
	uint64_t done = 0;

	lock();
	while (done < bytes) {
		struct memory_entry *mapping = find_locked(MEMORY_MAPPING, address + done);

		if (!mapping || !mapping->bytes)
			break;
		done += mapping->bytes;
		unmap_locked(mapping);
	}
	unlock();
}

/* --- ends --- */

void memory_context_gone(CUcontext ctx)
{
	if (!ctx)
		return;
	lock();
	sum_add_locked(-memory_table_drop_owner(&account.table, (uintptr_t)ctx));
	unlock();
}

/* The child has no CUDA. What the table was doing is unknown, so its memory is left where it is. */
void memory_after_fork(void)
{
	(void)pthread_mutex_init(&account.lock, NULL);
	account.table = (struct memory_table){.place = NULL};
	atomic_store_explicit(&account.bytes, 0, memory_order_relaxed);
}
