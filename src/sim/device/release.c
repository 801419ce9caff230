/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completion releases: what the GPU writes to memory when a grid has finished.
 *
 * A release of four words stores {payload, high payload or 0, 64-bit timestamp}. Readers poll the
 * payload, so it is stored last, with release order; they must load it with acquire order before
 * they read the timestamp. The simulated device shares the host's addresses, so the address is used
 * as it is. Reductions are not modelled: a release with RELEASE_REDUCTION_ENABLE stores.
 */
#include "sim/device/internal.h"

static uint64_t element(const struct sim_device *device, const struct sim_grid *grid,
			enum qmd_field name, unsigned int index)
{
	uint64_t value = 0;

	(void)qmd_get(device->layout, grid->qmd, name, index, &value);
	return value;
}

static void write_release(const struct sim_device *device, const struct sim_grid *grid,
			  unsigned int i)
{
	uint64_t address = element(device, grid, QMD_RELEASE_ADDRESS_LOWER, i) |
			   element(device, grid, QMD_RELEASE_ADDRESS_UPPER, i) << 32;
	uint32_t high = element(device, grid, QMD_RELEASE_PAYLOAD64B, i)
				? (uint32_t)element(device, grid, QMD_RELEASE_PAYLOAD_UPPER, i)
				: 0;
	uint32_t *word = (uint32_t *)address;

	if (!address || address % 16)
		return;
	if (element(device, grid, QMD_RELEASE_STRUCTURE_SIZE, i) == 0) {
		__atomic_store_n(&word[1], high, __ATOMIC_RELAXED);
		/* The record is aligned to 16 bytes, so its second half is aligned to 8. */
		__atomic_store_n((uint64_t *)(address + 8), grid->end_ns, __ATOMIC_RELAXED);
	}
	/* Pairs with the acquire load of whoever polls the payload: the timestamp is there by then.
	 */
	__atomic_store_n(&word[0], (uint32_t)element(device, grid, QMD_RELEASE_PAYLOAD_LOWER, i),
			 __ATOMIC_RELEASE);
}

void write_releases(const struct sim_device *device, const struct sim_grid *grid)
{
	if (device->config.ignores_records)
		return;
	for (unsigned int i = 0; i < 3; i++) {
		if (element(device, grid, QMD_RELEASE_ENABLE, i))
			write_release(device, grid, i);
	}
}
