/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the descriptor hook does to a launch that is split: thread_self()->split points to one of
 * these while the dispatcher makes the driver's launch call, and is NULL otherwise.
 */
#ifndef LITHOS_SHIM_SPLIT_EDIT_H
#define LITHOS_SHIM_SPLIT_EDIT_H

#include <stdint.h>

#include <lithos/tpcset.h>

#include "hw/prelude/prelude.h"

struct qmd_layout;

enum edit_result {
	/* The hook was not called: what was launched, if anything, was launched whole */
	EDIT_UNSEEN,
	EDIT_APPLIED, /* the launch goes through the prelude, and its run ends with its record */
	EDIT_REFUSED, /* left as it was: launched whole */
	EDIT_EMPTIED, /* it could not be applied and must not run whole: none of its blocks run */
};

struct split_edit {
	enum prelude_kind kind; /* of ordinary grids; clusters have their own */
	uint32_t run;           /* of the arena */
	uint8_t is_part; /* blocks of the kernel have run already: never whole, not counted again */
	uint8_t is_all;  /* runs the whole grid if nobody tells it to go: its time counts */
	uint8_t is_helper;     /* joins a launch that is there: only `within`, or not at all */
	uint8_t is_everywhere; /* on all TPCs, whoever has them */
	uint8_t overlaps;      /* may begin before the part in front of it has ended */
	uint8_t lets_next;     /* the part behind it may begin once its own last block has */
	const struct tpcset *within; /* where it may run at most, or NULL */
	uint64_t charge_ns;          /* predicted time of this part */
	/* An atom's: its kernel takes so many 64ths of its time; 0 = teaches nothing. */
	uint32_t whole_64ths;
	struct prelude_slot slot; /* but for the entry */
	enum edit_result result;  /* out */
	struct tpcset tpcs;       /* out, once applied: where it runs */
};

/*
 * Redirects the launch. 1 applied; 0 refused, the descriptor is untouched. A record for it must be
 * certain before.
 */
int edit_apply(struct split_edit *edit, const struct qmd_layout *layout, uint32_t *qmd);

/* When it was not applied and must not run whole: makes all its blocks leave. */
void edit_empty(struct split_edit *edit, const struct qmd_layout *layout, uint32_t *qmd);

#endif
