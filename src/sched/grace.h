/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long an owner still counts as active after its last work has ended.
 *
 * Glossary
 *   gap    from the end of all work of a process to its next launch
 *   grace  so long a gap is waited for before the TPCs are lent
 *
 * Pure: one struct a process, no lock; times in ns.
 */
#ifndef LITHOS_SCHED_GRACE_H
#define LITHOS_SCHED_GRACE_H

#include <stdint.h>

#define GRACE_STEPS 8u

/* Shares of gaps by length, in 1/65536 of all; all zero at first. */
struct grace {
	uint32_t share[GRACE_STEPS +
		       1]; /* of steps of most/GRACE_STEPS; the last: longer than most */
	uint32_t is_known;
};

/* A gap was seen; `most_ns` as in grace_ns(). */
void grace_add(struct grace *grace, uint64_t gap_ns, uint64_t most_ns);

/* How long to wait now: from two steps of most_ns / GRACE_STEPS to most_ns, which it is until gaps
 * were seen. */
uint64_t grace_ns(const struct grace *grace, uint64_t most_ns);

#endif
