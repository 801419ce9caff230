/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UUIDs as text, the same for lithosd, the command and the simulated driver, which compare them.
 *
 * What it does badly: one snprintf a byte; nobody prints them often. Tested by
 * tests/unit/cli_gpus.c.
 */
#include "base/uuid.h"

#include <stdio.h>

static int group_begins(int byte)
{
	return byte == 0 || byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

const char *uuid_text(const uint8_t uuid[16], char text[UUID_TEXT_BYTES])
{
	char *out = text;

	out += snprintf(out, UUID_TEXT_BYTES, "GPU");
	for (int i = 0; i < 16; i++)
		out += snprintf(out, 4, "%s%02x", group_begins(i) ? "-" : "", uuid[i]);
	return text;
}
