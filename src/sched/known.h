/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a process may run while no daemon answers it: what it was told when it was started. Pure.
 */
#ifndef LITHOS_SCHED_KNOWN_H
#define LITHOS_SCHED_KNOWN_H

#include <stdint.h>

#include <lithos/tpcset.h>

struct topology;

#define KNOWN_TEXT_BYTES 33 /* 32 hexadecimal digits, the highest TPC first, and a NUL */

/* The set as text, for LITHOS_TPCS. Returns `text`. */
const char *known_text(const struct tpcset *set, char text[KNOWN_TEXT_BYTES]);

/* 1 to 32 hexadecimal digits; -EINVAL for anything else, and for the empty set. */
int known_parse(const char *text, struct tpcset *ret_set);

struct known {
	struct tpcset own; /* to use whatever others do */
	struct tpcset
		borrow; /* best effort: to use while owners may come; never empty with no own */
};

/*
 * `told` is what LITHOS_TPCS says, NULL when it says nothing: an owner's TPCs, or for best effort
 * those of nobody. nr_own is the quota, 0 for best effort. -errno: no such set can be had.
 */
int known_choose(const struct topology *topo, const struct tpcset *told, uint32_t nr_own,
		 struct known *ret_known);

#endif
