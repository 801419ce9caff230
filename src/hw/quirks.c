/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verified driver builds, from quirks.def.
 *
 * The hook and the descriptor are not a documented interface, so a driver that is not in the list
 * is used as it is: the self-test decides, and the user is told that the build is not verified. The
 * API version is coarser than the build (several builds answer 13000); the build is kept for the
 * report. Tested by tests/unit/qmd_driver_ops.c.
 */
#include "hw/quirks.h"

#include <stddef.h>

/* clang-format off */
static const struct quirk quirks[] = {
#define QUIRK(version, build, qmd, bytes, sentence)                                                \
	{(version), (build), (qmd), (bytes), (sentence)},
#include "hw/quirks.def"
#undef QUIRK
};
/* clang-format on */

const struct quirk *quirk_find(uint32_t driver_version, uint32_t qmd_version)
{
	for (size_t i = 0; i < sizeof(quirks) / sizeof(quirks[0]); i++) {
		if (quirks[i].driver_version == driver_version &&
		    quirks[i].qmd_version == qmd_version)
			return &quirks[i];
	}
	return NULL;
}

int quirk_is_verified(uint32_t driver_version, uint32_t qmd_version)
{
	return quirk_find(driver_version, qmd_version) != NULL;
}
