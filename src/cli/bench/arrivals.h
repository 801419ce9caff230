/* SPDX-License-Identifier: Apache-2.0 */
/* When requests arrive: a seeded Poisson process. Pure. */
#ifndef LITHOS_CLI_BENCH_ARRIVALS_H
#define LITHOS_CLI_BENCH_ARRIVALS_H

#include <stddef.h>
#include <stdint.h>

/* Offsets in ns, rising. Owned; arrivals_free(). */
struct arrivals {
	int64_t *at_ns;
	size_t nr;
};

/* All arrivals within `seconds` at `rate` a second; the same for the same three numbers.
 * -ENOMEM. */
int arrivals_make(struct arrivals *ret_arrivals, double rate, double seconds, uint64_t seed);
void arrivals_free(struct arrivals *arrivals);

#endif
