/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the machine code of kernels through the GPU, and judges it (hw/code/gang.h).
 *
 * Of one context, and by one thread, the dispatcher.
 */
#ifndef LITHOS_SHIM_SPLIT_CODE_READ_H
#define LITHOS_SHIM_SPLIT_CODE_READ_H

#include <stddef.h>
#include <stdint.h>

#include "hw/prelude/prelude.h"
#include "shim/split/code.h"

/* What reading needs. */
struct code_reader {
	const struct prelude *prelude;
	uint64_t *buffer;    /* pinned host memory; the reader's alone */
	uint64_t buffer_at;  /* its device address */
	size_t buffer_bytes; /* a multiple of 4096 */
	uint64_t wait_ns;    /* at most so long a call waits for copies */
	int cc_major, cc_minor;
};

/* What reading needs of the context, which is current and being made. */
void code_read_open(void);

/*
 * Reads and judges a function that is SEEN, by copies in `stream`, in which the caller is about to
 * launch it: so its module cannot be unloaded before they have ended. Waits for them for wait_ns in
 * all; then it returns SEEN, and the next launch of the function goes on from there. Takes up to 3
 * MiB until it is judged. Returns the state it has then; UNSURE also when a driver call failed, and
 * then for good.
 */
enum code_state code_read(const struct code_reader *reader, CUfunction func, CUstream stream);

#endif
