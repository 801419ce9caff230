/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ELF note that says "a lithos library, not a driver" to whoever looks for the real one
 * (base/find/driver_find.h). An allocated note section, so that the linker makes a PT_NOTE segment
 * of it.
 */
#include <stdint.h>

struct lithos_note {
	uint32_t name_bytes;
	uint32_t desc_bytes;
	uint32_t type;
	char name[8];
	char desc[4];
};

__attribute__((section(".note.lithos"), used, aligned(4))) static const struct lithos_note note = {
	.name_bytes = sizeof("lithos"),
	.desc_bytes = 4,
	.type = 1,
	.name = "lithos",
	.desc = "sim",
};
