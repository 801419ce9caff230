/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's functions and ours, by symbol.
 *
 * Glossary
 *   entry_cuX  the slot the exported cuX jumps through
 *   real_cuX   the driver's function, for hooked symbols; NULL when the driver lacks it
 *   hook_cuX   ours
 *
 * Filled once by the loader before any other code of the process can call in; constant afterwards.
 */
#ifndef LITHOS_SHIM_SLOTS_H
#define LITHOS_SHIM_SLOTS_H

#include <stdint.h>

#include "shim/cuda_api.h"

struct call_row;

#define PASS(name)
#define HOOK(name)                                                                                 \
	extern __typeof__(name) *real_##name;                                                      \
	extern __typeof__(name) hook_##name;
#include "../../api/cuda.def"
#undef PASS
#undef HOOK

/* What entries without a driver function behind them answer; counted. */
int entry_missing(void);

/* Points every entry at the driver's function, found in the library `driver` (a dlopen handle). */
void slots_resolve(void *driver);

/*
 * Points the entries of both generations of cuGetProcAddress at ours, so that what it hands out and
 * what the dynamic linker finds are the same functions. Done in every mode.
 */
void slots_install_proc_address(void);

/* Points the entries of hooked rows at our functions, where the driver has the symbol. */
void slots_install_hooks(void);

/*
 * Puts the queue's functions in front of what the entries lead to now (queue/calls.h); rows of
 * symbols that the driver lacks are left alone. Other threads may be calling.
 */
void slots_install_calls(const struct call_row *rows, uint32_t nr_rows);

/* The driver's function of any symbol of the list, or of one outside it; NULL when it has none. */
void *slots_real(const char *symbol);

/* Our entry for a pointer that the driver gave for one of its functions; the pointer itself if
 * unknown. */
void *slots_entry_of(void *real);

#endif
