/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open addressing with linear probing, at most half full while memory can be had.
 *
 * Programs free most of what they allocate, so removal leaves no tombstones: the entries behind a
 * hole move back into it as far as their own start allows (Knuth, TAOCP 3, 6.4, algorithm R).
 * Searches end at the first free place, of which there is always one.
 *
 * The table doubles by a new mapping. If there is none to be had it fills up to seven eighths,
 * slower, and then refuses. It never shrinks: a program that held many allocations will again.
 *
 * What it does badly: dropping an owner looks at every place. Contexts end rarely.
 *
 * Tested by tests/unit/memory_table.c against a model.
 */
#include "shim/memory/table.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#include "base/hash.h"

#define PLACES_MIN 1024u
#define PLACES_MAX (1u << 28)

static uint32_t start_of(const struct memory_table *table, uint32_t kind, uint64_t key)
{
	return (uint32_t)(hash_u64(key + kind) >> 32) & (table->nr_places - 1);
}

static uint32_t after(const struct memory_table *table, uint32_t at)
{
	return (at + 1) & (table->nr_places - 1);
}

static struct memory_entry *places_new(uint32_t nr)
{
	void *memory = mmap(NULL, nr * sizeof(struct memory_entry), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void place(struct memory_table *table, const struct memory_entry *entry)
{
	uint32_t at = start_of(table, entry->kind, entry->key);

	while (table->place[at].kind)
		at = after(table, at);
	table->place[at] = *entry;
	table->nr_used++;
}

static void grow(struct memory_table *table)
{
	struct memory_table larger = {.nr_places =
					      table->place ? table->nr_places * 2 : PLACES_MIN};

	if (table->nr_places >= PLACES_MAX)
		return;
	larger.place = places_new(larger.nr_places);
	if (!larger.place)
		return;
	for (uint32_t i = 0; table->place && i < table->nr_places; i++) {
		if (table->place[i].kind)
			place(&larger, &table->place[i]);
	}
	memory_table_free(table);
	*table = larger;
}

int memory_table_add(struct memory_table *table, const struct memory_entry *entry)
{
	if (table->nr_used >= table->nr_places / 2)
		grow(table);
	if (table->nr_used >= table->nr_places / 8 * 7)
		return -ENOMEM;
	place(table, entry);
	return 0;
}

struct memory_entry *memory_table_find(const struct memory_table *table, enum memory_kind kind,
				       uint64_t key)
{
	if (!table->place)
		return NULL;
	for (uint32_t at = start_of(table, kind, key); table->place[at].kind;
	     at = after(table, at)) {
		if (table->place[at].key == key && table->place[at].kind == kind)
			return &table->place[at];
	}
	return NULL;
}

/* 1 when the entry at `from` is found also from `hole`, which lies before it. */
static int may_move(const struct memory_table *table, uint32_t hole, uint32_t from)
{
	const struct memory_entry *entry = &table->place[from];
	uint32_t start = start_of(table, entry->kind, entry->key);
	uint32_t mask = table->nr_places - 1;

	return ((from - start) & mask) >= ((from - hole) & mask);
}

void memory_table_remove(struct memory_table *table, const struct memory_entry *entry)
{
	uint32_t hole = (uint32_t)(entry - table->place);

	for (uint32_t at = after(table, hole); table->place[at].kind; at = after(table, at)) {
		if (!may_move(table, hole, at))
			continue;
		table->place[hole] = table->place[at];
		hole = at;
	}
	table->place[hole] = (struct memory_entry){.kind = MEMORY_NONE};
	table->nr_used--;
}

static int goes_with(const struct memory_entry *entry, uint64_t owner)
{
	return entry->owner == owner &&
	       (entry->kind == MEMORY_ADDRESS || entry->kind == MEMORY_ARRAY ||
		entry->kind == MEMORY_MIPMAPPED);
}

uint64_t memory_table_drop_owner(struct memory_table *table, uint64_t owner)
{
	uint64_t bytes = 0;

	/* A removal moves others only to the place looked at, or among those on the same side of
	 * it. */
	for (uint32_t at = 0; at < table->nr_places; at++) {
		while (goes_with(&table->place[at], owner)) {
			bytes += table->place[at].bytes;
			memory_table_remove(table, &table->place[at]);
		}
	}
	return bytes;
}

void memory_table_free(struct memory_table *table)
{
	if (table->place)
		(void)munmap(table->place, table->nr_places * sizeof(*table->place));
	*table = (struct memory_table){.place = NULL};
}
