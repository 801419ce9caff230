/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The switch that keeps unverified descriptor versions off.
 *
 * An edit that is wrong by one bit can hang a GPU, so a layout that was only read in a header is
 * not used unless somebody asks for it by name, on a machine where that is acceptable. Tested by
 * tests/unit/qmd_allow.c.
 */
#include "hw/qmd_allow.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "hw/qmd.h"

#define NAME_MAX_BYTES 16

static uint32_t allowed; /* bit i: qmd_layouts[i] */

static uint32_t layout_bit(const struct qmd_layout *layout)
{
	for (uint32_t i = 0; qmd_layouts[i]; i++) {
		if (qmd_layouts[i] == layout)
			return 1u << i;
	}
	return 0;
}

int qmd_allow_versions(const char *list)
{
	while (*list) {
		size_t n = strcspn(list, ",");
		char name[NAME_MAX_BYTES] = "";
		const struct qmd_layout *layout;
		if (n < sizeof(name))
			memcpy(name, list, n);
		layout = qmd_layout_by_name(name);
		if (!layout)
			return -ENOENT;
		allowed |= layout_bit(layout);
		list += n;
		list += *list == ',';
	}
	return 0;
}

int qmd_may_use(const struct qmd_layout *layout)
{
	return layout->verified || (allowed & layout_bit(layout));
}
