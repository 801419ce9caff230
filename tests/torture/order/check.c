/* SPDX-License-Identifier: Apache-2.0 */
/* Compares the driver's outcome with the interpreter's: memory, values read, answers of queries. */
#include "check.h"

#include <stdio.h>
#include <string.h>

static uint32_t compare_memory(const struct check *check, int loud)
{
	uint32_t nr_wrong = 0;

	for (uint32_t r = 0; r < NR_REGIONS; r++) {
		const struct outcome *e = &check->expected, *f = &check->found;

		if (e->is_live[r] == f->is_live[r] &&
		    (!e->is_live[r] || !memcmp(e->memory[r], f->memory[r], sizeof(e->memory[r]))))
			continue;
		nr_wrong++;
		if (loud)
			fprintf(stderr, "seed=%llu region=%u differs: expected %08x, found %08x\n",
				(unsigned long long)check->program.seed, r, e->memory[r][0],
				f->memory[r][0]);
	}
	return nr_wrong;
}

static uint32_t compare_reads(const struct check *check, int loud)
{
	uint32_t nr_wrong = 0;

	for (uint32_t i = 0; i < check->program.nr_steps; i++) {
		char text[256];

		if (check->expected.read[i] == check->found.read[i])
			continue;
		nr_wrong++;
		op_print(&check->program.op[i], i, text, sizeof(text));
		if (loud)
			fprintf(stderr, "seed=%llu another value read: %s\n",
				(unsigned long long)check->program.seed, text);
	}
	return nr_wrong;
}

uint32_t check_program(struct check *check, const struct machine *machine, uint64_t seed,
		       const struct program_size *size, int loud)
{
	uint32_t nr_wrong;

	program_generate(&check->program, seed, size);
	program_interpret(&check->program, &check->expected);
	nr_wrong = program_execute(machine, &check->program, &check->found, loud);
	return nr_wrong + compare_memory(check, loud) + compare_reads(check, loud);
}

void check_dump(const struct program *program)
{
	for (uint32_t i = 0; i < program->nr_steps; i++) {
		char text[256];

		op_print(&program->op[i], i, text, sizeof(text));
		fprintf(stderr, "%s\n", text);
	}
}
