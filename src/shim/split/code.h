/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Do a kernel's blocks wait for one another? Its machine code is read once, through the GPU, and
 * searched (hw/code/gang.h). By function handle; answers are forgotten when modules are unloaded.
 */
#ifndef LITHOS_SHIM_SPLIT_CODE_H
#define LITHOS_SHIM_SPLIT_CODE_H

#include <stdint.h>

#include "hw/code/gang.h"
#include "hw/prelude/prelude.h"
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
 * The descriptor hook saw a launch of it with this entry point, in the context that code is read in: the
 * same address may be nothing in another. A second entry point for one handle makes it UNSURE. Any
 * thread; cheap when known.
 */
void code_note_entry(CUfunction func, uint64_t entry);

/* What reading needs; all of one context, which is current. */
struct code_reader {
	const struct prelude *prelude;
	CUstream stream;     /* of ours, not blocking */
	uint64_t *buffer;    /* pinned host memory */
	uint64_t buffer_at;  /* its device address */
	size_t buffer_bytes; /* a multiple of 4096 */
	int cc_major, cc_minor;
};

/*
 * Reads and judges a function that is SEEN; blocks for the copies, which wait for room on the GPU: one
 * wait for each step of control flow to pages not read yet. Takes up to 3 MiB while it runs. One thread at
 * a time. Returns the state it has then; UNSURE also when a driver call failed, and then for good.
 */
enum code_state code_read(const struct code_reader *reader, CUfunction func);

/* It was found waiting after all: GANG from now on. */
void code_is_gang(CUfunction func);

/* Function handles mean other functions from here on. */
void code_flush(void);

#endif
