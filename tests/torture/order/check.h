/* SPDX-License-Identifier: Apache-2.0 */
/* One program, executed and compared with what it must compute. */
#ifndef LITHOS_TESTS_ORDER_CHECK_H
#define LITHOS_TESTS_ORDER_CHECK_H

#include "execute.h"

struct check {
	struct program program;
	struct outcome expected;
	struct outcome found;
};

/* Generates, interprets, executes and compares; the number of differences. `loud`: says which. */
uint32_t check_program(struct check *check, const struct machine *machine, uint64_t seed,
		       const struct program_size *size, int loud);

/* All steps of the program, one a line, to stderr. */
void check_dump(const struct program *program);

#endif
