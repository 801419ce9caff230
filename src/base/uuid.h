/* SPDX-License-Identifier: Apache-2.0 */
/* UUIDs of GPUs as people read them. Pure; any thread. */
#ifndef LITHOS_BASE_UUID_H
#define LITHOS_BASE_UUID_H

#include <stdint.h>

#define UUID_TEXT_BYTES 41 /* GPU-8-4-4-4-12 and a NUL */

/* "GPU-" and 32 small hexadecimal digits in five groups, as nvidia-smi prints it. Returns
 * `text`. */
const char *uuid_text(const uint8_t uuid[16], char text[UUID_TEXT_BYTES]);

/* Value of a hexadecimal digit, -1 when it is none. */
static inline int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

#endif
