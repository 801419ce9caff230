/* SPDX-License-Identifier: Apache-2.0 */
/* Time. Nanoseconds of CLOCK_MONOTONIC unless a name says otherwise; about 20 ns a call (vDSO). */
#ifndef LITHOS_BASE_CLOCK_H
#define LITHOS_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* a is before b, also across a wrap of the counter. */
static inline int time_before(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

#endif
