/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Poisson process: gaps between requests are exponential and independent.
 *
 * The schedule is made once, here, and given to the programs as a file: whatever language they are
 * in, and whichever system they run under, requests arrive at the same moments. The generator is
 * splitmix64, because its whole state is one number that can be written into the results. It is
 * good enough for gaps and nothing else.
 *
 * Latency counts from these moments, not from when the service came to a request: a service that
 * falls behind does not thereby ask less of itself (no coordinated omission).
 * Tested by tests/unit/bench_arrivals.c.
 */
#include "cli/bench/arrivals.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* In (0, 1], so that its logarithm exists. */
static double next_unit(uint64_t *state)
{
	return ((double)(next_random(state) >> 11) + 1) / 9007199254740992.0;
}

static int append(struct arrivals *arrivals, size_t *room, int64_t at_ns)
{
	if (arrivals->nr == *room) {
		size_t more = *room ? 2 * *room : 1024;
		int64_t *at = realloc(arrivals->at_ns, more * sizeof(*at));

		if (at == NULL)
			return -ENOMEM;
		arrivals->at_ns = at;
		*room = more;
	}
	arrivals->at_ns[arrivals->nr++] = at_ns;
	return 0;
}

int arrivals_make(struct arrivals *ret_arrivals, double rate, double seconds, uint64_t seed)
{
	struct arrivals made = {0};
	size_t room = 0;
	double at = 0;

	for (;;) {
		at -= log(next_unit(&seed)) / rate;
		if (!(at < seconds))
			break;
		if (append(&made, &room, (int64_t)(at * 1e9)) < 0) {
			arrivals_free(&made);
			return -ENOMEM;
		}
	}
	*ret_arrivals = made;
	return 0;
}

void arrivals_free(struct arrivals *arrivals)
{
	free(arrivals->at_ns);
	*arrivals = (struct arrivals){0};
}
