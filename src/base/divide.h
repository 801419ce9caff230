/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LITHOS_BASE_DIVIDE_H
#define LITHOS_BASE_DIVIDE_H

#include <stdint.h>

/* a / b, rounded up; b is not 0. */
static inline uint64_t divide_up(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

#endif
