/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much device memory the process holds. Any thread; nothing here fails or waits for the driver.
 *
 * Owners are contexts; 0 is memory that outlives them (pools, physical memory).
 */
#ifndef LITHOS_SHIM_MEMORY_ACCOUNT_H
#define LITHOS_SHIM_MEMORY_ACCOUNT_H

#include <stdint.h>

#include "shim/cuda_api.h"
#include "shim/memory/table.h"

/* Bytes held now. */
uint64_t memory_bytes(void);

/* The driver has allocated. */
void memory_allocated(enum memory_kind kind, uint64_t key, uint64_t bytes, CUcontext owner);

/*
 * The driver is about to free: the key may be another allocation's as soon as it has. Returns what
 * was counted (kind MEMORY_NONE: nothing), for memory_not_freed() if the driver refuses.
 */
struct memory_entry memory_freeing(enum memory_kind kind, uint64_t key);
void memory_not_freed(const struct memory_entry *was);

/*
 * Physical memory is held while a reference or a mapping is left. Releases as memory_freeing(); the
 * others after the driver's call.
 */
void memory_handle_created(uint64_t handle, uint64_t bytes);
void memory_handle_retained(uint64_t handle);
struct memory_entry memory_handle_releasing(uint64_t handle);
void memory_handle_not_released(const struct memory_entry *was);
void memory_mapped(uint64_t address, uint64_t bytes, uint64_t handle);
void memory_unmapped(uint64_t address, uint64_t bytes);

/* The driver has freed what went with a context. */
void memory_context_gone(CUcontext ctx);

void memory_after_fork(void);

#endif
