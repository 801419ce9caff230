/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From kernel handle to row: one row a name, the name asked for once a handle, handles forgotten
 * when modules go, a full table, cut names, many threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lithos/stats.h>

#include "shim/thread.h"
#include "shim/track/kernels.h"

static struct stats_region *region;

/* The driver's answers: handle n is kernel "k<n % modulo>", unless one name is set for all. */
static struct {
	uint32_t modulo;
	const char *name; /* for every handle, when not NULL */
	int has_none;
	atomic_uint nr_asked;
} driver;

static const char *name_of(CUfunction func)
{
	static _Thread_local char name[32];

	atomic_fetch_add(&driver.nr_asked, 1);
	if (driver.has_none)
		return NULL;
	if (driver.name)
		return driver.name;
	(void)snprintf(name, sizeof(name), "k%u",
		       (unsigned int)((uintptr_t)func / 16 % driver.modulo));
	return name;
}

static CUfunction handle(uintptr_t n)
{
	return (CUfunction)(n * 16);
}

static uint32_t row_of(uintptr_t n)
{
	return kernels_row(thread_self(), handle(n));
}

static uint32_t nr_rows(void)
{
	return region->header.nr_kernels;
}

/* The table is one a process; tests use names and handles of their own. */
static int setup(void **state)
{
	(void)state;
	kernels_flush();
	driver.modulo = UINT32_MAX;
	driver.name = NULL;
	driver.has_none = 0;
	atomic_store(&driver.nr_asked, 0);
	return 0;
}

static void test_same_handle_same_row(void **state)
{
	uint32_t row = row_of(1), before = nr_rows();

	(void)state;
	assert_string_equal(region->kernel[row].name, "k1");
	for (int i = 0; i < 1000; i++)
		assert_int_equal(row_of(1), row);
	assert_int_equal(atomic_load(&driver.nr_asked), 1);
	assert_int_equal(nr_rows(), before);
	assert_int_not_equal(row_of(2), row);
	assert_int_equal(nr_rows(), before + 1);
}

static void test_two_handles_one_name(void **state)
{
	uint32_t row;

	(void)state;
	driver.name = "shared";
	row = row_of(10);
	assert_int_equal(row_of(11), row);
	assert_int_equal(row_of(10), row);
	assert_string_equal(region->kernel[row].name, "shared");
	assert_int_equal(atomic_load(&driver.nr_asked), 2);
}

/* After a module was unloaded its handles may mean other kernels; rows stay. */
static void test_flush(void **state)
{
	uint32_t old, new;

	(void)state;
	driver.name = "old";
	old = row_of(20);
	driver.name = "new";
	assert_int_equal(row_of(20), old);
	kernels_flush();
	new = row_of(20);
	assert_int_not_equal(new, old);
	assert_string_equal(region->kernel[new].name, "new");
	kernels_flush();
	driver.name = "old";
	assert_int_equal(row_of(20), old);
}

static void test_nameless(void **state)
{
	uint32_t row;

	(void)state;
	driver.has_none = 1;
	row = row_of(30);
	assert_string_equal(region->kernel[row].name, "(unnamed)");
	driver.has_none = 0;
	driver.name = "";
	assert_int_equal(row_of(31), row);
	/* A launch without a handle is nobody else's either. */
	driver.has_none = 1;
	kernels_flush();
	assert_int_equal(row_of(0), row);
	assert_int_equal(row_of(256), row);
	assert_int_equal(row_of(0), row);
}

static void test_long_names_are_cut(void **state)
{
	char name[STATS_NAME_BYTES + 100];
	uint32_t row;

	(void)state;
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = 0;
	driver.name = name;
	row = row_of(40);
	assert_int_equal(strlen(region->kernel[row].name), STATS_NAME_BYTES - 1);
	assert_memory_equal(region->kernel[row].name, name, STATS_NAME_BYTES - 1);
	/* Different only behind the cut: the same row. Before it: another. */
	name[STATS_NAME_BYTES] = 'y';
	assert_int_equal(row_of(41), row);
	name[STATS_NAME_BYTES - 2] = 'y';
	assert_int_not_equal(row_of(42), row);
	/* A name that is another's beginning is a name of its own. */
	name[100] = 0;
	assert_int_not_equal(row_of(43), row);
}

#define NR_THREADS 8
#define NR_NAMES   300u

static void *thread_main(void *arg)
{
	uint32_t *rows = arg;

	for (uint32_t i = 0; i < 20 * NR_NAMES; i++) {
		uint32_t row = row_of(100000 + i);

		if (strcmp(region->kernel[row].name, name_of(handle(100000 + i))) != 0)
			return arg;
		rows[(100000 + i) % NR_NAMES] = row;
		if (i % 1000 == 999)
			kernels_flush();
	}
	return NULL;
}

static void test_threads_agree(void **state)
{
	static uint32_t rows[NR_THREADS][NR_NAMES];
	pthread_t threads[NR_THREADS];

	(void)state;
	driver.modulo = NR_NAMES;
	for (int i = 0; i < NR_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, thread_main, rows[i]), 0);
	for (int i = 0; i < NR_THREADS; i++) {
		void *failed = rows;

		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	for (int i = 1; i < NR_THREADS; i++)
		assert_memory_equal(rows[i], rows[0], sizeof(rows[0]));
}

/* More handles than the table of handles holds: it starts over, rows do not. */
static void test_many_handles(void **state)
{
	uint32_t before;

	(void)state;
	driver.modulo = 3;
	for (uintptr_t i = 3; i < 6; i++)
		(void)row_of(i);
	before = nr_rows();
	for (uintptr_t i = 3; i < 40000; i++)
		assert_int_equal(row_of(i), row_of(3 + i % 3));
	assert_int_equal(nr_rows(), before);
}

/* The last test: the table stays full. */
static void test_full_table(void **state)
{
	uint64_t dropped = thread_total(STATS_kernels_dropped);
	uint32_t known = row_of(1);
	uintptr_t n = 1000000;

	(void)state;
	while (nr_rows() < STATS_MAX_KERNELS)
		assert_int_not_equal(row_of(n++), KERNEL_NONE);
	assert_int_equal(thread_total(STATS_kernels_dropped), dropped);
	assert_int_equal(row_of(n), KERNEL_NONE);
	assert_int_equal(row_of(n), KERNEL_NONE);
	assert_int_equal(thread_total(STATS_kernels_dropped), dropped + 1);
	assert_int_equal(row_of(1), known);
	assert_int_equal(nr_rows(), STATS_MAX_KERNELS);
	kernels_after_fork();
	assert_int_equal(row_of(1), known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_same_handle_same_row, setup),
		cmocka_unit_test_setup(test_two_handles_one_name, setup),
		cmocka_unit_test_setup(test_flush, setup),
		cmocka_unit_test_setup(test_nameless, setup),
		cmocka_unit_test_setup(test_long_names_are_cut, setup),
		cmocka_unit_test_setup(test_threads_agree, setup),
		cmocka_unit_test_setup(test_many_handles, setup),
		cmocka_unit_test_setup(test_full_table, setup),
	};
	int nr_failed;

	region = calloc(1, sizeof(*region));
	if (!region)
		return 1;
	kernels_init(region, name_of);
	nr_failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(region);
	return nr_failed;
}
