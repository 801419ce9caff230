/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table row a symbol, and the way back from the driver's pointers to our entries.
 *
 * Programs get driver functions in two ways: by the dynamic linker, which finds our exports, and
 * from cuGetProcAddress, which the driver answers. Its answers for (name, version, flags) are
 * always pointers that it also exports under one unique symbol (checked for all 460 names cudart 13
 * asks for, three versions each, driver 580.159.04), so a map from pointer to row makes legacy, _v2
 * and _ptsz spellings right without knowing the driver's rules. A pointer outside the map is a
 * function newer than our list: it is handed on as it is.
 *
 * Tested by tests/programs/procaddr.c on the simulated and the real driver.
 */
#include "shim/slots.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "shim/queue/calls.h"
#include "shim/queue/mode.h"
#include "shim/queue/queue.h"
#include "shim/thread.h"

/* The jump slots of entries.S, and the driver's functions behind hooked rows. */
#define PASS(name) extern void *entry_##name;
#define HOOK(name)                                                                                 \
	extern void *entry_##name;                                                                 \
	__typeof__(name) *real_##name;
#include "../../api/cuda.def"
#undef PASS
#undef HOOK

struct slot_row {
	const char *name;
	void **entry;     /* what the export jumps through */
	void *exported;   /* the export itself */
	void **real_hook; /* &real_cuX of a hooked row, or NULL */
	void *hook;
};

/* The exports, as data addresses; their types do not matter here. */
#define PASS(name) extern const char export_##name[] __asm__(#name);
#define HOOK(name) PASS(name)
#include "../../api/cuda.def"
#undef PASS
#undef HOOK

#define EXPORTED(name) (void *)(uintptr_t)export_##name

static const struct slot_row slot_rows[] = {
#define PASS(name) {#name, &entry_##name, EXPORTED(name), NULL, NULL},
#define HOOK(name)                                                                                 \
	{#name, &entry_##name, EXPORTED(name), (void **)&real_##name, (void *)hook_##name},
#include "../../api/cuda.def"
#undef PASS
#undef HOOK
};

#define NR_ROWS   (sizeof(slot_rows) / sizeof(slot_rows[0]))
#define MAP_SLOTS 2048u /* power of two, at most a third full */

_Static_assert(NR_ROWS * 2 < MAP_SLOTS, "the pointer map needs room");

/* The driver's pointers and their rows, open addressing; written once by slots_resolve. */
static struct {
	void *real[NR_ROWS];     /* NULL: this driver lacks it */
	uint16_t map[MAP_SLOTS]; /* row + 1; 0 = free */
	void *driver;
} slots;

static uint32_t map_start(const void *pointer)
{
	return hash_pointer(pointer) & (MAP_SLOTS - 1);
}

static void map_add(uint32_t row)
{
	uint32_t at = map_start(slots.real[row]);

	while (slots.map[at])
		at = (at + 1) & (MAP_SLOTS - 1);
	slots.map[at] = (uint16_t)(row + 1);
}

int entry_missing(void)
{
	thread_count(STATS_symbols_missing);
	return CUDA_ERROR_NOT_SUPPORTED;
}

void slots_resolve(void *driver)
{
	slots.driver = driver;
	for (uint32_t i = 0; i < NR_ROWS; i++) {
		void *real = dlsym(driver, slot_rows[i].name);
		if (!real)
			continue;
		slots.real[i] = real;
		*slot_rows[i].entry = real;
		if (slot_rows[i].real_hook)
			*slot_rows[i].real_hook = real;
		map_add(i);
	}
}

void slots_install_proc_address(void)
{
	if (real_cuGetProcAddress)
		entry_cuGetProcAddress = (void *)hook_cuGetProcAddress;
	if (real_cuGetProcAddress_v2)
		entry_cuGetProcAddress_v2 = (void *)hook_cuGetProcAddress_v2;
}

void slots_install_hooks(void)
{
	for (uint32_t i = 0; i < NR_ROWS; i++) {
		if (slot_rows[i].hook && slots.real[i])
			*slot_rows[i].entry = slot_rows[i].hook;
	}
	/* Under a daemon the queue is put in front at the first context; for tests, at once. */
	if (queue_is_forced())
		(void)queue_start();
}

static int by_name(const void *name, const void *row)
{
	return strcmp(name, ((const struct slot_row *)row)->name);
}

static void install_call(const struct call_row *call)
{
	const struct slot_row *row =
		bsearch(call->name, slot_rows, NR_ROWS, sizeof(slot_rows[0]), by_name);

	if (!row || !slots.real[row - slot_rows])
		return;
	if (call->next)
		*call->next = *row->entry;
	/* The stub's way on is there before the stub is; a thread that reads the old entry once
	 * more calls as before the process had anything to hold. */
	__atomic_store_n(row->entry, call->stub, __ATOMIC_RELEASE);
}

void slots_install_calls(const struct call_row *rows, uint32_t nr_rows)
{
	for (uint32_t i = 0; i < nr_rows; i++)
		install_call(&rows[i]);
}

void *slots_real(const char *symbol)
{
	return slots.driver ? dlsym(slots.driver, symbol) : NULL;
}

void *slots_entry_of(void *real)
{
	for (uint32_t at = map_start(real); slots.map[at]; at = (at + 1) & (MAP_SLOTS - 1)) {
		uint32_t row = slots.map[at] - 1u;
		if (slots.real[row] == real)
			return slot_rows[row].exported;
	}
	return real;
}
