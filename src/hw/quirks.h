/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Driver builds that were verified on hardware. Constant data; any thread.
 */
#ifndef LITHOS_HW_QUIRKS_H
#define LITHOS_HW_QUIRKS_H

#include <stdint.h>

struct quirk {
	uint32_t driver_version; /* as cuDriverGetVersion gives it */
	const char *build; /* as the kernel module names it; several builds share an API version */
	uint32_t qmd_version;      /* version byte of the descriptors, 0x40 = V04_00 */
	uint32_t hook_table_bytes; /* size of the tools hook's table */
	const char *sentence;
};

/* The row of a driver and descriptor version; NULL when it was never verified. */
const struct quirk *quirk_find(uint32_t driver_version, uint32_t qmd_version);

int quirk_is_verified(uint32_t driver_version, uint32_t qmd_version);

#endif
