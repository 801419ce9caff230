/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the process holds: addresses that come back, frees that fail, physical memory with handles
 * and mappings, contexts that end, threads, and a table that cannot grow. Each begins as the child
 * of a fork does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "no_memory.h"
#include "shim/memory/account.h"
#include "shim/thread.h"

#define CTX(n)     ((CUcontext)(uintptr_t)(0x1000 * (n)))
#define HANDLE     0x77u
#define NR_THREADS 4u
#define NR_ROUNDS  30000u

static int setup(void **state)
{
	(void)state;
	mmap_fails = 0;
	memory_after_fork();
	assert_int_equal(memory_bytes(), 0);
	return 0;
}

static void test_addresses(void **state)
{
	struct memory_entry was;

	(void)state;
	memory_allocated(MEMORY_ADDRESS, 512, 100, CTX(1));
	memory_allocated(MEMORY_ARRAY, 512, 30, CTX(1));
	assert_int_equal(memory_bytes(), 130);
	was = memory_freeing(MEMORY_ADDRESS, 512);
	assert_int_equal(memory_bytes(), 30);
	/* Twice, or never allocated: nothing happens. */
	assert_int_equal(memory_freeing(MEMORY_ADDRESS, 512).kind, MEMORY_NONE);
	assert_int_equal(memory_freeing(MEMORY_ADDRESS, 1024).kind, MEMORY_NONE);
	memory_not_freed(&(struct memory_entry){.kind = MEMORY_NONE});
	assert_int_equal(memory_bytes(), 30);
	memory_not_freed(&was);
	assert_int_equal(memory_bytes(), 130);
	/* An address that comes back without having been freed counts once. */
	memory_allocated(MEMORY_ADDRESS, 512, 7, CTX(2));
	assert_int_equal(memory_bytes(), 37);
	memory_context_gone(CTX(1));
	assert_int_equal(memory_bytes(), 7);
}

static void test_contexts(void **state)
{
	(void)state;
	for (uint64_t n = 0; n < 3000; n++)
		memory_allocated(MEMORY_ADDRESS, 512 * n, 1, n % 3 ? CTX(n % 3) : NULL);
	memory_context_gone(NULL); /* pools' memory belongs to nobody */
	memory_context_gone(CTX(9));
	assert_int_equal(memory_bytes(), 3000);
	memory_context_gone(CTX(1));
	assert_int_equal(memory_bytes(), 2000);
	memory_context_gone(CTX(1));
	assert_int_equal(memory_bytes(), 2000);
	memory_allocated(MEMORY_ADDRESS, 512, 5, CTX(1));
	memory_context_gone(CTX(2));
	assert_int_equal(memory_bytes(), 1005);
}

static void test_handles(void **state)
{
	struct memory_entry was;

	(void)state;
	memory_handle_created(HANDLE, 100);
	memory_mapped(0x200000, 60, HANDLE);
	memory_mapped(0x200000 + 60, 40, HANDLE);
	memory_handle_retained(HANDLE);
	(void)memory_handle_releasing(HANDLE);
	(void)memory_handle_releasing(HANDLE);
	/* One release too many. */
	assert_int_equal(memory_handle_releasing(HANDLE).kind, MEMORY_NONE);
	assert_int_equal(memory_bytes(), 100);
	memory_context_gone((CUcontext)(uintptr_t)HANDLE);
	memory_unmapped(0x200000, 60);
	assert_int_equal(memory_bytes(), 100);
	memory_unmapped(0x200000 + 60, 40);
	assert_int_equal(memory_bytes(), 0);
	/* The other order, and a release that the driver refuses, also the last one. */
	memory_handle_created(HANDLE, 100);
	memory_mapped(0x200000, 100, HANDLE);
	was = memory_handle_releasing(HANDLE);
	memory_handle_not_released(&was);
	memory_unmapped(0x200000, 100);
	assert_int_equal(memory_bytes(), 100);
	was = memory_handle_releasing(HANDLE);
	assert_int_equal(memory_bytes(), 0);
	memory_handle_not_released(&was);
	assert_int_equal(memory_bytes(), 100);
	(void)memory_handle_releasing(HANDLE);
	assert_int_equal(memory_bytes(), 0);
}

/* One unmapping of several mappings, one of which is of another process' memory. */
static void test_unmapping_of_many(void **state)
{
	(void)state;
	for (uint64_t n = 1; n <= 3; n++) {
		if (n != 2)
			memory_handle_created(n, 10);
		memory_mapped(1000 + 10 * n, 10, n);
		(void)memory_handle_releasing(n);
	}
	assert_int_equal(memory_bytes(), 20);
	memory_unmapped(1010, 30);
	assert_int_equal(memory_bytes(), 0);
	/* Mappings that were never seen end the walk. */
	memory_unmapped(1010, 1ull << 60);
}

static pthread_barrier_t together;

static void *use(void *argument)
{
	uint64_t base = 0x100000000u * (uint64_t)(uintptr_t)argument;

	(void)pthread_barrier_wait(&together);
	for (uint64_t n = 0; n < NR_ROUNDS; n++) {
		struct memory_entry was;

		memory_allocated(MEMORY_ADDRESS, base + n, 3, CTX((uintptr_t)argument));
		memory_handle_created(base + n, 5);
		was = memory_freeing(MEMORY_ADDRESS, base + n);
		if (n % 7 == 0)
			memory_not_freed(&was);
		(void)memory_handle_releasing(base + n);
		(void)memory_bytes();
	}
	memory_context_gone(CTX((uintptr_t)argument));
	memory_allocated(MEMORY_ADDRESS, base, 11, NULL);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t thread[NR_THREADS];

	(void)state;
	assert_int_equal(pthread_barrier_init(&together, NULL, NR_THREADS), 0);
	for (uintptr_t i = 0; i < NR_THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, use, (void *)(i + 1)), 0);
	for (uint32_t i = 0; i < NR_THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	(void)pthread_barrier_destroy(&together);
	assert_int_equal(memory_bytes(), 11 * NR_THREADS);
}

static void test_no_room(void **state)
{
	uint64_t nr_before = thread_total(STATS_memory_uncounted);
	uint64_t nr_not;

	(void)state;
	thread_count(STATS_memory_uncounted); /* the thread's state takes memory, too */
	nr_before++;
	memory_allocated(MEMORY_ADDRESS, 0, 1, CTX(1));
	mmap_fails = 1;
	for (uint64_t n = 1; n < 2000; n++)
		memory_allocated(MEMORY_ADDRESS, n * 512, 1, CTX(1));
	mmap_fails = 0;
	nr_not = thread_total(STATS_memory_uncounted) - nr_before;
	assert_true(nr_not > 0 && nr_not < 2000);
	assert_int_equal(memory_bytes(), 2000 - nr_not);
	/* Frees of what was not counted change nothing. */
	for (uint64_t n = 0; n < 2000; n++)
		(void)memory_freeing(MEMORY_ADDRESS, n * 512);
	assert_int_equal(memory_bytes(), 0);
	/* Physical memory whose mapping found no room is gone with its handle. */
	mmap_fails = 1;
	memory_handle_created(HANDLE, 100);
	for (uint64_t n = 0; n < 2000; n++)
		memory_mapped(n * 512, 512, HANDLE + 1);
	memory_mapped(2000 * 512, 100, HANDLE);
	assert_int_equal(memory_bytes(), 100);
	(void)memory_handle_releasing(HANDLE);
	assert_int_equal(memory_bytes(), 0);
	memory_unmapped(0, 2001 * 512);
	assert_int_equal(memory_bytes(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_addresses, setup),
		cmocka_unit_test_setup(test_contexts, setup),
		cmocka_unit_test_setup(test_handles, setup),
		cmocka_unit_test_setup(test_unmapping_of_many, setup),
		cmocka_unit_test_setup(test_threads, setup),
		cmocka_unit_test_setup(test_no_room, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
