/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A launch descriptor as text, one field a line, for people and for differences between two of
 * them.
 *
 * Walks the same rows as the encoder, so what can be written can be printed. Zero fields are left
 * out: most of a descriptor is zero. Fields lithos has no row for are not shown. Tested by
 * tests/unit/qmd_print.c, which reads the text back into a descriptor.
 */
#include "hw/qmd.h"

#include <inttypes.h>
#include <stdio.h>

struct text {
	char *buf;
	size_t size;
	size_t length; /* of the whole text, also of what did not fit */
};

static void text_field(struct text *text, const char *name, int index, uint64_t value)
{
	size_t at = text->length < text->size ? text->length : text->size;
	size_t room = text->size - at;
	char *out = room ? text->buf + at : NULL;
	int n = index < 0 ? snprintf(out, room, "%s 0x%" PRIx64 "\n", name, value)
			  : snprintf(out, room, "%s[%d] 0x%" PRIx64 "\n", name, index, value);

	if (n > 0)
		text->length += (size_t)n;
}

size_t qmd_print(const struct qmd_layout *layout, const void *qmd, char *buf, size_t size)
{
	struct text text = {.buf = buf, .size = size};

	if (size)
		buf[0] = '\0';
	for (unsigned int f = 0; f < QMD_NR_FIELDS; f++) {
		unsigned int count = layout->field[f].count;

		for (unsigned int i = 0; i < count; i++) {
			uint64_t value = 0;

			(void)qmd_get(layout, qmd, (enum qmd_field)f, i, &value);
			if (value)
				text_field(&text, qmd_field_name((enum qmd_field)f),
					   count > 1 ? (int)i : -1, value);
		}
	}
	return text.length;
}
