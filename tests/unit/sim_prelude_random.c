/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every block exactly once, whatever is cut, claimed, given up, resumed and joined: random works on
 * the simulated device (sim_prelude_world.h), and the same cases with rules that are wrong in one
 * place, each of which must be found.
 *
 *   unit_sim_prelude_random [SEED [CASES]]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim_prelude_world.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NR_CASES 20000u /* in about the same time */
#else
#define NR_CASES 100000u
#endif
#define NR_MUTANT_CASES 3000u

static uint64_t first_seed = 1;
static uint64_t nr_cases = NR_CASES;

static uint32_t *word_of(const struct prelude_slot *slot, uint32_t block)
{
	return (uint32_t *)(slot->state + (uint64_t)block * slot->stride);
}

static uint32_t flag_of(const struct prelude_slot *slot)
{
	return *(const uint32_t *)slot->flag;
}

/* --- rules that are wrong -------------------------------------------------------------------- */

/* The largest number wins instead of the first. */
static int max_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	uint32_t *word;
	uint32_t mine;

	if (program != SIM_PROGRAM_CLAIM)
		return prelude_runs(program, slot, block);
	word = word_of(slot, block);
	mine = slot->run + (flag_of(slot) != 0);
	if (mine > *word)
		*word = mine;
	return *word == slot->run;
}

/* The flag is read once a launch. */
static int once_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	static uint64_t words;
	static uint32_t run, flag;
	struct prelude_slot copy = *slot;

	if (words != slot->state || run != slot->run)
		flag = flag_of(slot);
	words = slot->state;
	run = slot->run;
	copy.flag = (uintptr_t)&flag;
	return prelude_runs(program, &copy, block);
}

/* What earlier works left in the words counts. */
static int old_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	struct prelude_slot copy = *slot;

	copy.first = 1;
	return prelude_runs(program, &copy, block);
}

/* What was given up is lost. */
static int lost_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	uint32_t word;

	if (program != SIM_PROGRAM_CLAIM)
		return prelude_runs(program, slot, block);
	word = *word_of(slot, block);
	return !(word & 1 && word >= slot->first) && prelude_runs(program, slot, block);
}

/* A word a block where there is one for the grid. */
static int stride_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	struct prelude_slot copy = *slot;

	copy.stride = 4;
	return prelude_runs(program, &copy, block);
}

/* One block too many. */
static int range_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	struct prelude_slot copy = *slot;

	copy.count++;
	return prelude_runs(program, &copy, block);
}

/* The decision is taken and the word is not written. */
static int load_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	uint32_t before;
	int runs;

	if (program != SIM_PROGRAM_CLAIM)
		return prelude_runs(program, slot, block);
	before = *word_of(slot, block);
	runs = prelude_runs(program, slot, block);
	*word_of(slot, block) = before;
	return runs;
}

static const struct mutant {
	const char *name;
	struct prelude_rule rule;
} mutants[] = {
	{"max", {max_runs, prelude_would_leave}},
	{"flag once", {once_runs, prelude_would_leave}},
	{"old words", {old_runs, prelude_would_leave}},
	{"given up", {lost_runs, prelude_would_leave}},
	{"stride", {stride_runs, prelude_would_leave}},
	{"range", {range_runs, prelude_would_leave}},
	{"load", {load_runs, prelude_would_leave}},
};

static void exactly_once(void **state)
{
	static const struct prelude_rule rule = {prelude_runs, prelude_would_leave};
	struct case_counts counts = {0};

	(void)state;
	for (uint64_t i = 0; i < nr_cases; i++) {
		const char *wrong = case_run(first_seed + i, &rule, &counts);

		if (wrong)
			fail_msg("seed %llu: %s", (unsigned long long)(first_seed + i), wrong);
	}
	print_message("cases=%llu works=%llu launches=%llu left=%llu given_up=%llu joined=%llu\n",
		      (unsigned long long)nr_cases, (unsigned long long)counts.nr_works,
		      (unsigned long long)counts.nr_launches, (unsigned long long)counts.nr_left,
		      (unsigned long long)counts.nr_given_up, (unsigned long long)counts.nr_joined);
	assert_true(counts.nr_given_up > nr_cases);
	assert_true(counts.nr_joined > nr_cases / 2);
}

static void wrong_rules_are_found(void **state)
{
	(void)state;
	for (size_t m = 0; m < sizeof(mutants) / sizeof(mutants[0]); m++) {
		struct case_counts counts = {0};
		const char *wrong = NULL;
		uint64_t i = 0;

		for (; !wrong && i < NR_MUTANT_CASES; i++)
			wrong = case_run(first_seed + i, &mutants[m].rule, &counts);
		print_message("mutant=\"%s\" cases=%llu found=\"%s\"\n", mutants[m].name,
			      (unsigned long long)i, wrong ? wrong : "no");
		assert_non_null(wrong);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exactly_once),
		cmocka_unit_test(wrong_rules_are_found),
	};

	if (argc > 1)
		first_seed = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		nr_cases = strtoull(argv[2], NULL, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
