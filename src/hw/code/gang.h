/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does a kernel wait for other blocks? Reads machine code (Volta to Blackwell, 16-byte
 * instructions); no driver, no global state, any thread. Method and limits: docs/gang-detector.md.
 *
 * block loop   a loop that may be left only after another block changed memory
 * CODE_FREE    no such loop: the kernel may be cut into atoms and gated block by block
 * CODE_GANG    such a loop: its blocks must be resident together
 * CODE_UNSURE  the code could not be followed; the caller treats it as a gang
 */
#ifndef LITHOS_HW_CODE_GANG_H
#define LITHOS_HW_CODE_GANG_H

#include <stddef.h>
#include <stdint.h>

/* Longer code is not read: CODE_UNSURE. Bounds time and memory. */
#define CODE_MAX_BYTES ((size_t)2 << 20)

enum code_verdict {
	CODE_FREE,
	CODE_GANG,
	CODE_UNSURE
};

enum code_reason {
	CODE_NO_SHARED_READ, /* free: nothing is read that another block could be waited for by */
	CODE_NO_WAIT,        /* free: such reads, but no loop's end hangs on one that waits */
	CODE_STRONG_LOAD,    /* gang: a volatile, relaxed or acquire load ends a loop */
	CODE_ATOMIC,         /* gang: the result of an atomic ends a loop */
	CODE_LOCK,           /* gang: a compare-and-swap ends a loop, and is no retry */
	CODE_CALL,           /* gang: a called function reads what ends a loop */
	CODE_INDIRECT,       /* unsure: a jump or call through a register */
	CODE_TRUNCATED,      /* unsure: control flow leaves the bytes given */
	CODE_UNKNOWN,        /* unsure: an instruction that is not known decides */
	CODE_TOO_LARGE, /* unsure: too long, too many functions, loops too deep, or no memory */
	CODE_NR_REASONS
};

struct code_input {
	const void *bytes; /* from the kernel's entry; may run beyond its end */
	size_t nr_bytes;
	int cc_major, cc_minor;
};

struct code_answer {
	enum code_verdict verdict;
	enum code_reason reason;
	uint32_t offset; /* bytes from the entry to the instruction that decided; 0 if none */
};

/* Allocates at most some 170 bytes an instruction and frees them. -EINVAL: architecture not
 * known (compute capability below 7.0 or from 13.0), nothing set. */
int code_find_gang(const struct code_input *input, struct code_answer *ret_answer);

const char *code_verdict_name(enum code_verdict verdict);
const char *code_reason_name(enum code_reason reason);

#endif
