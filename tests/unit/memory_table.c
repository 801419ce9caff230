/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of allocations against a model: random adding and removing, keys that collide, owners
 * dropped, and growth that fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "no_memory.h"
#include "shim/memory/table.h"

#define NR_KEYS   20000u
#define NR_STEPS  100000u
#define NR_OWNERS 7u

static struct memory_table table;
static struct memory_entry model[NR_KEYS]; /* kind 0: not there */
static uint64_t seed;

static uint64_t random_below(uint64_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % n;
}

static int setup(void **state)
{
	(void)state;
	memory_table_free(&table);
	memset(model, 0, sizeof(model));
	mmap_fails = 0;
	seed = 42;
	return 0;
}

/* Addresses as drivers give them: multiples of 2 MiB, and of 512 bytes in between. */
static struct memory_entry entry_of(uint32_t n)
{
	uint64_t key = n % 2 ? 0x7f0000000000u + ((uint64_t)n << 21) : 0x7e0000000000u + n * 512u;

	return (struct memory_entry){
		.key = key, .kind = n % 5 ? MEMORY_ADDRESS : MEMORY_MAPPING, .bytes = n + 1};
}

static void toggle(uint32_t n)
{
	struct memory_entry entry = entry_of(n);
	struct memory_entry *found = memory_table_find(&table, entry.kind, entry.key);

	assert_int_equal(found != NULL, model[n].kind != 0);
	if (found) {
		assert_memory_equal(found, &model[n], sizeof(*found));
		memory_table_remove(&table, found);
		model[n].kind = 0;
		return;
	}
	entry.owner = 1 + random_below(NR_OWNERS);
	assert_int_equal(memory_table_add(&table, &entry), 0);
	model[n] = entry;
}

static void assert_as_model(void)
{
	uint32_t nr = 0;

	for (uint32_t n = 0; n < NR_KEYS; n++) {
		struct memory_entry entry = entry_of(n);
		const struct memory_entry *found = memory_table_find(&table, entry.kind, entry.key);

		assert_int_equal(found != NULL, model[n].kind != 0);
		if (found)
			assert_memory_equal(found, &model[n], sizeof(*found));
		nr += found != NULL;
	}
	assert_int_equal(table.nr_used, nr);
}

static void test_random(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < NR_STEPS; i++) {
		/* Few keys at first, so that a small table sees many removals. */
		toggle((uint32_t)random_below(i < NR_STEPS / 2 ? 800 : NR_KEYS));
		if (i % (NR_STEPS / 10) == 0)
			assert_as_model();
	}
	assert_as_model();
	assert_true(table.nr_used > 1000);
	for (uint32_t n = 0; n < NR_KEYS; n++) {
		if (model[n].kind)
			toggle(n);
	}
	assert_int_equal(table.nr_used, 0);
}

/* The same key may be an address, an array and a handle. */
static void test_kinds(void **state)
{
	(void)state;
	for (uint32_t kind = MEMORY_ADDRESS; kind <= MEMORY_MAPPING; kind++)
		assert_int_equal(memory_table_add(&table, &(struct memory_entry){.key = 4096,
										 .bytes = kind,
										 .kind = kind}),
				 0);
	for (uint32_t kind = MEMORY_ADDRESS; kind <= MEMORY_MAPPING; kind++) {
		struct memory_entry *found = memory_table_find(&table, kind, 4096);

		assert_non_null(found);
		assert_int_equal(found->bytes, kind);
		memory_table_remove(&table, found);
		assert_null(memory_table_find(&table, kind, 4096));
	}
}

static void test_owners(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < NR_KEYS; n++)
		toggle(n);
	for (uint64_t owner = 1; owner <= NR_OWNERS; owner++) {
		uint64_t bytes = 0;

		for (uint32_t n = 0; n < NR_KEYS; n++) {
			/* Mappings stay: their owner is a handle that may look like a context. */
			if (model[n].owner != owner || model[n].kind != MEMORY_ADDRESS)
				continue;
			bytes += model[n].bytes;
			model[n].kind = 0;
		}
		assert_int_equal(memory_table_drop_owner(&table, owner), bytes);
		assert_as_model();
	}
	assert_int_equal(table.nr_used, NR_KEYS / 5);
}

/* Of two kinds each, with an owner in three. */
static struct memory_entry pair_of(uint64_t n)
{
	return (struct memory_entry){.key = n / 2 * 512,
				     .kind = n % 2 ? MEMORY_ADDRESS : MEMORY_ARRAY,
				     .bytes = n,
				     .owner = n % 3};
}

/* Nearly full, with probes that are long and wrap around the end: dropping must still find all. */
static void test_owners_of_a_full_table(void **state)
{
	uint64_t nr = 0, bytes = 0;

	(void)state;
	for (;; nr++) {
		struct memory_entry entry = pair_of(nr);

		if (memory_table_add(&table, &entry))
			break;
		mmap_fails = 1;
		bytes += entry.owner == 1 ? entry.bytes : 0;
	}
	assert_int_equal(nr, table.nr_places / 8 * 7);
	assert_int_equal(memory_table_drop_owner(&table, 1), bytes);
	for (uint64_t n = 0; n < nr; n++) {
		struct memory_entry entry = pair_of(n);
		const struct memory_entry *found = memory_table_find(&table, entry.kind, entry.key);

		assert_int_equal(found != NULL, entry.owner != 1);
		if (found)
			assert_memory_equal(found, &entry, sizeof(entry));
	}
}

/*
 * In a table of the smallest size, bits from the 42nd on do not change where a search starts: one
 * run of all, through the place of another kind with the same key.
 */
static void test_collisions(void **state)
{
	struct memory_entry other = {.key = 512, .bytes = 9, .kind = MEMORY_ARRAY};
	const uint64_t nr = 800;

	(void)state;
	assert_int_equal(memory_table_add(&table, &other), 0);
	mmap_fails = 1;
	for (uint64_t n = 1; n <= nr; n++)
		assert_int_equal(
			memory_table_add(&table, &(struct memory_entry){.key = 512 + (n << 42),
									.bytes = n,
									.kind = MEMORY_ADDRESS}),
			0);
	assert_null(memory_table_find(&table, MEMORY_ADDRESS, 512));
	for (uint64_t n = 1; n <= nr; n += 2)
		memory_table_remove(&table,
				    memory_table_find(&table, MEMORY_ADDRESS, 512 + (n << 42)));
	for (uint64_t n = 1; n <= nr; n++) {
		struct memory_entry *found =
			memory_table_find(&table, MEMORY_ADDRESS, 512 + (n << 42));

		assert_int_equal(found != NULL, n % 2 == 0);
		assert_true(!found || found->bytes == n);
	}
	assert_int_equal(memory_table_find(&table, MEMORY_ARRAY, 512)->bytes, 9);
}

static void test_growth_fails(void **state)
{
	struct memory_entry entry = {.kind = MEMORY_ADDRESS, .bytes = 1};
	uint32_t nr = 0;

	(void)state;
	mmap_fails = 1;
	assert_int_equal(memory_table_add(&table, &entry), -ENOMEM);
	assert_null(memory_table_find(&table, MEMORY_ADDRESS, 0));
	assert_int_equal(memory_table_drop_owner(&table, 1), 0);
	mmap_fails = 0;
	assert_int_equal(memory_table_add(&table, &entry), 0);
	mmap_fails = 1;
	for (entry.key = 512; memory_table_add(&table, &entry) == 0; entry.key += 512)
		nr++;
	assert_int_equal(nr + 1, table.nr_places / 8 * 7);
	for (uint64_t key = 0; key <= (uint64_t)nr * 512; key += 512)
		assert_non_null(memory_table_find(&table, MEMORY_ADDRESS, key));
	assert_null(memory_table_find(&table, MEMORY_ADDRESS, entry.key));
	/* Room again: by a removal, or by memory. */
	memory_table_remove(&table, memory_table_find(&table, MEMORY_ADDRESS, 512));
	assert_int_equal(memory_table_add(&table, &entry), 0);
	entry.key += 512;
	assert_int_equal(memory_table_add(&table, &entry), -ENOMEM);
	mmap_fails = 0;
	assert_int_equal(memory_table_add(&table, &entry), 0);
	assert_int_equal(table.nr_used, nr + 2);
}

static int teardown(void **state)
{
	(void)state;
	mmap_fails = 0;
	memory_table_free(&table);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_owners, setup, teardown),
		cmocka_unit_test_setup_teardown(test_owners_of_a_full_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_collisions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_growth_fails, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
