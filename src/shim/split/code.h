/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Do a kernel's blocks wait for one another? Its machine code is read once (split/code_read.h) and
 * searched (hw/code/gang.h). By function handle; answers are forgotten when modules are unloaded.
 */
#ifndef LITHOS_SHIM_SPLIT_CODE_H
#define LITHOS_SHIM_SPLIT_CODE_H

#include <stdint.h>

#include "shim/cuda_api.h"

enum code_state {
	CODE_STATE_UNSEEN, /* its entry point is not known yet: launch it whole once */
	CODE_STATE_SEEN,   /* the entry point is known, the code is not read */
	CODE_STATE_FREE,   /* may be split */
	CODE_STATE_GANG,   /* must be launched whole */
	CODE_STATE_UNSURE, /* treated as a gang */
};

/* Any thread, no lock; about 10 ns when known. */
enum code_state code_state_of(CUfunction func);

/*
 * The descriptor hook saw a launch of it with this entry point, in the context that code is read
 * in: the same address may be nothing in another. A second entry point for one handle makes it
 * UNSURE. Any thread; cheap when known.
 */
void code_note_entry(CUfunction func, uint64_t entry);

/* It was found waiting after all: GANG from now on. */
void code_is_gang(CUfunction func);

/* Function handles mean other functions from here on. */
void code_flush(void);

/* --- for who reads the code: any thread, no lock ---------------------------------------------- */

/* A function that was SEEN, as it was known then. */
struct code_place {
	uint64_t generation;
	uint64_t word;
	uint64_t entry; /* address of its first instruction */
	uint32_t at;
};

/* 1 when the function is SEEN. */
int code_is_seen(CUfunction func, struct code_place *ret_place);

/* 0 when more became known of the function since, or its handle may mean another one. */
int code_is_current(const struct code_place *place);

/* What was found, unless it is not current. */
void code_judged(const struct code_place *place, enum code_state state);

#endif
