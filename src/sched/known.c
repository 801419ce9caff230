/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to go by without a daemon.
 *
 * A process that cannot attach (the daemon is stopped, gone, being restarted, or has no line for
 * one more process) must not run on all TPCs, an active owner's among them, until it can. `lithos
 * run` knew what the daemon had granted, and put it into the environment: for an owner its own
 * TPCs, for best effort those that nobody owned. That is a hint, so it is checked against the GPU:
 * what is not there, or is not as much as the quota, is not believed.
 *
 *   quota   hint                            where
 *   n       n TPCs that exist               exactly those: the daemon keeps them for the tenant
 *   n       none, or a wrong one            n TPCs of this GPU, as quota_pick() chooses
 *   none    TPCs that exist                 those, which were nobody's when the program started
 *   none    none, or all TPCs have owners   one TPC
 *
 * Example, 8 TPCs, a hint of 0-3: with a quota of 4 it is 0-3; with a quota of 3, or on a GPU
 * without TPC 2, it is whatever three or four quota_pick() takes; without a quota it is 0-3.
 *
 * One TPC is what is left when everything was granted: a launch must run somewhere, since an empty
 * mask hangs the GPU's queue, and its owner loses no more than that. The one with the highest
 * number is taken: on the known chips it belongs to no GPC, holds no clusters, and so is worth
 * least to its owner.
 *
 * What it does badly: TPCs that were nobody's may have been granted since, and nobody can tell.
 * Tested by tests/unit/known_choose.c.
 */
#include "sched/known.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/uuid.h"
#include "hw/topology.h"
#include "sched/quota.h"

#define DIGITS ((size_t)KNOWN_TEXT_BYTES - 1)

const char *known_text(const struct tpcset *set, char text[KNOWN_TEXT_BYTES])
{
	for (size_t i = 0; i < DIGITS; i++) {
		size_t nibble = DIGITS - 1 - i;

		text[i] = "0123456789abcdef"[set->w[nibble / 8] >> nibble % 8 * 4 & 15];
	}
	text[DIGITS] = '\0';
	return text;
}

int known_parse(const char *text, struct tpcset *ret_set)
{
	size_t length = strlen(text);
	struct tpcset set = {{0}};

	if (length > DIGITS)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		size_t nibble = length - 1 - i;
		int digit = hex_digit(text[i]);

		if (digit < 0)
			return -EINVAL;
		set.w[nibble / 8] |= (uint32_t)digit << nibble % 8 * 4;
	}
	if (tpcset_is_empty(&set))
		return -EINVAL;
	*ret_set = set;
	return 0;
}

static int is_of(const struct topology *topo, const struct tpcset *told)
{
	struct tpcset missing = tpcset_andnot(*told, topo->present);

	return tpcset_is_empty(&missing);
}

static struct tpcset highest_of(const struct topology *topo)
{
	struct tpcset set = {{0}};

	for (unsigned int bit = TPCSET_BITS; bit-- > 0;) {
		if (tpcset_has(&topo->present, bit)) {
			tpcset_add(&set, bit);
			break;
		}
	}
	return set;
}

int known_choose(const struct topology *topo, const struct tpcset *told, uint32_t nr_own,
		 struct known *ret_known)
{
	int is_believed = told && is_of(topo, told) && !tpcset_is_empty(told);
	struct known known = {.own = {{0}}};
	int err = 0;

	if (!nr_own)
		known.borrow = is_believed ? *told : highest_of(topo);
	else if (is_believed && tpcset_count(told) == nr_own)
		known.own = *told;
	else
		err = quota_pick(topo, &topo->present, nr_own, &known.own);
	if (!err)
		*ret_known = known;
	return err;
}
