/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does the order checker find what it is for? A right driver that chooses its order at random
 * passes every program; a driver that is wrong in one rule fails within NR_PROGRAMS, or, where that
 * also takes two threads that meet, within MAX_PROGRAMS.
 *
 *   checker_test [right]
 *
 * right: only the right driver, as for ThreadSanitizer, which sees races where rules are broken.
 */
#include "check.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "double.h"

enum {
	NR_PROGRAMS = 400,
	MAX_PROGRAMS = 20 * NR_PROGRAMS
};

static struct check check;

/* Of NR_PROGRAMS; of more while none was found. */
static uint32_t nr_found(enum double_defect defect, uint32_t *ret_nr_programs)
{
	const uint32_t max = defect == DEFECT_NONE ? NR_PROGRAMS : MAX_PROGRAMS;
	struct machine machine;
	uint32_t i, found = 0;

	double_install(defect, 1);
	if (machine_open(&machine))
		return 0;
	for (i = 0; i < NR_PROGRAMS || (i < max && !found); i++) {
		struct program_size size = {
			.nr_threads = i % 4 ? 1 : 3, .nr_streams = 5, .nr_draws = 60};

		found += check_program(&check, &machine, i + 1, &size, defect == DEFECT_NONE) != 0;
	}
	machine_close(&machine);
	*ret_nr_programs = i;
	return found;
}

int main(int argc, char **argv)
{
	static const char *const sentences[] = {
#define DEFECT(name, sentence) #name ": " sentence,
#include "defects.def"
#undef DEFECT
	};
	int nr_defects = argc == 2 && !strcmp(argv[1], "right") ? 1 : NR_DEFECTS;
	int failed = 0;

	(void)alarm(300);
	for (int d = 0; d < nr_defects; d++) {
		uint32_t nr_programs = 0, found = nr_found((enum double_defect)d, &nr_programs);
		int good = d == DEFECT_NONE ? !found : found > 0;

		printf("%s: found in %u of %u programs%s\n", sentences[d], found, nr_programs,
		       good ? "" : "  WRONG");
		failed += !good;
	}
	return failed ? 1 : 0;
}
