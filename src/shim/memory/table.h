/* SPDX-License-Identifier: Apache-2.0 */
/* A hash of what was allocated. Pure but for mmap; whoever has a table has a lock for it. */
#ifndef LITHOS_SHIM_MEMORY_TABLE_H
#define LITHOS_SHIM_MEMORY_TABLE_H

#include <stdint.h>

enum memory_kind {
	MEMORY_NONE, /* a free place */
	MEMORY_ADDRESS,
	MEMORY_ARRAY,
	MEMORY_MIPMAPPED,
	MEMORY_HANDLE,  /* physical memory: cuMemCreate */
	MEMORY_MAPPING, /* where physical memory was mapped */
};

/* Kind and key together are unique. */
struct memory_entry {
	uint64_t key; /* the address, or the driver's handle */
	uint64_t bytes;
	uint64_t
		owner; /* the context it goes with, 0 = none; of a mapping: the key of its handle */
	uint32_t kind; /* enum memory_kind */
	uint32_t nr_refs; /* of physical memory: releases that it needs */
	uint32_t nr_maps; /* of physical memory: mappings */
	uint32_t pad;
};

struct memory_table {
	struct memory_entry *place; /* NULL: none yet */
	uint32_t nr_places;         /* power of two */
	uint32_t nr_used;
};

/* Adds what is not there yet. 0, or -ENOMEM when the table is full and cannot grow. */
int memory_table_add(struct memory_table *table, const struct memory_entry *entry);

/* NULL when not there. Valid until the next change of the table. */
struct memory_entry *memory_table_find(const struct memory_table *table, enum memory_kind kind,
				       uint64_t key);

/* `entry` as memory_table_find() gave it. */
void memory_table_remove(struct memory_table *table, const struct memory_entry *entry);

/* Removes addresses and arrays of an owner; returns their bytes. */
uint64_t memory_table_drop_owner(struct memory_table *table, uint64_t owner);

void memory_table_free(struct memory_table *table);

#endif
