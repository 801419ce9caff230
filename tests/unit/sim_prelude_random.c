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
	return (uint32_t *)(slot->state + (uint64_t)block * sizeof(uint32_t));
}

static uint32_t *told_of(const struct prelude_slot *slot)
{
	return (uint32_t *)(slot->state - 8);
}

static uint32_t *disarm_of(const struct prelude_slot *slot)
{
	return (uint32_t *)(slot->state - 4);
}

static uint32_t epoch_of(const struct prelude_slot *slot, int i)
{
	return *(const uint32_t *)slot->flag[i];
}

static int has_moved(const struct prelude_slot *slot)
{
	return (int32_t)(epoch_of(slot, 0) - slot->calm[0]) > 0 ||
	       (int32_t)(epoch_of(slot, 1) - slot->calm[1]) > 0;
}

/* The rule, when somebody else says whether the launch is to go. */
static int runs_when(enum sim_program program, const struct prelude_slot *slot, uint32_t block,
		     int is_to_go)
{
	static const uint32_t one = 1;
	struct prelude_slot copy = *slot;
	uint32_t disarm;
	int runs;

	if (!program_is_claim(program))
		return prelude_runs(program, slot, block);
	disarm = *disarm_of(slot);
	*disarm_of(slot) = 0;
	copy.flag[0] = copy.flag[1] = (uintptr_t)&one;
	copy.calm[0] = copy.calm[1] = !is_to_go;
	runs = prelude_runs(program, &copy, block);
	*disarm_of(slot) = disarm;
	return runs;
}

/* The rule, reporting elsewhere; whether it reported. */
static int reports(enum sim_program program, const struct prelude_slot *slot, uint32_t block,
		   int *ret_runs)
{
	uint32_t report = 0;
	struct prelude_slot copy = *slot;

	copy.report = (uintptr_t)&report;
	*ret_runs = prelude_runs(program, &copy, block);
	return report != 0;
}

/* --- rules that are wrong -------------------------------------------------------------------- */

/* The largest number wins instead of the first. */
static int max_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	uint32_t *word;
	uint32_t mine;

	if (!program_is_claim(program))
		return prelude_runs(program, slot, block);
	word = word_of(slot, block);
	mine = slot->run;
	if (has_moved(slot) && *disarm_of(slot) < slot->run)
		mine |= slot->run == slot->lead ? 3 : 1;
	if (mine > *word)
		*word = mine;
	if (*word != slot->run && (*word | 3) == (slot->run | 3))
		*(uint32_t *)slot->report = *told_of(slot) = slot->run;
	return *word == slot->run;
}

/* The epochs are read once a launch. */
static int once_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	static uint64_t words;
	static uint32_t run, epoch[2];
	struct prelude_slot copy = *slot;

	for (int i = 0; i < 2; i++) {
		if (words != slot->state || run != slot->run)
			epoch[i] = epoch_of(slot, i);
		copy.flag[i] = (uintptr_t)&epoch[i];
	}
	words = slot->state;
	run = slot->run;
	return prelude_runs(program, &copy, block);
}

/* Only the first epoch counts. */
static int first_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	struct prelude_slot copy = *slot;

	copy.flag[1] = slot->flag[0];
	copy.calm[1] = slot->calm[0];
	return prelude_runs(program, &copy, block);
}

/* Both must have moved. */
static int both_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	return runs_when(program, slot, block,
			 epoch_of(slot, 0) != slot->calm[0] && epoch_of(slot, 1) != slot->calm[1] &&
				 *disarm_of(slot) < slot->run);
}

/* Epochs are compared as numbers. */
static int unsigned_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	return runs_when(program, slot, block,
			 (epoch_of(slot, 0) > slot->calm[0] || epoch_of(slot, 1) > slot->calm[1]) &&
				 *disarm_of(slot) < slot->run);
}

/* A disarmed launch goes. */
static int armed_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	return runs_when(program, slot, block, has_moved(slot));
}

/* One disarming is for all launches to come. */
static int disarmed_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	return runs_when(program, slot, block, has_moved(slot) && !*disarm_of(slot));
}

/* The launch of the number in `disarm` is not among the disarmed. */
static int below_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	return runs_when(program, slot, block, has_moved(slot) && *disarm_of(slot) <= slot->run);
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

	if (!program_is_claim(program))
		return prelude_runs(program, slot, block);
	word = *word_of(slot, block);
	return !(word & 1 && word >= slot->first) && prelude_runs(program, slot, block);
}

/* What this launch has given up it takes back once it is disarmed. */
static int back_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	if (program_is_claim(program) && *disarm_of(slot) >= slot->run &&
	    (*word_of(slot, block) | 2) == (slot->run | 3))
		*word_of(slot, block) = slot->run;
	return prelude_runs(program, slot, block);
}

/* What the lead of this launch has given up is forgotten by a helper that gives it up too. */
static int forgotten_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	int runs = prelude_runs(program, slot, block);

	if (program_is_claim(program) && slot->run != slot->lead &&
	    *word_of(slot, block) == (slot->run | 3))
		*word_of(slot, block) = slot->run | 1;
	return runs;
}

/* What a helper of this launch has given up is forgotten by the lead that gives it up too. */
static int helper_forgotten_runs(enum sim_program program, const struct prelude_slot *slot,
				 uint32_t block)
{
	int runs = prelude_runs(program, slot, block);

	if (program_is_claim(program) && slot->run == slot->lead &&
	    *word_of(slot, block) > (slot->run | 3) && (*word_of(slot, block) & 3) == 3)
		*word_of(slot, block) = slot->run | 3;
	return runs;
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

	if (!program_is_claim(program))
		return prelude_runs(program, slot, block);
	before = *word_of(slot, block);
	runs = prelude_runs(program, slot, block);
	*word_of(slot, block) = before;
	return runs;
}

/* Nothing is reported. */
static int silent_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	int runs;

	(void)reports(program, slot, block, &runs);
	return runs;
}

/* A block that another launch runs is reported too. */
static int talking_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	int runs = prelude_runs(program, slot, block);

	if (program_is_claim(program) && !runs)
		*(uint32_t *)slot->report = slot->run;
	return runs;
}

/* One report a work. */
static int told_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block)
{
	uint32_t before;
	int runs;

	if (!program_is_claim(program))
		return prelude_runs(program, slot, block);
	before = *told_of(slot);
	if (reports(program, slot, block, &runs) && before < slot->first)
		*(uint32_t *)slot->report = slot->run;
	return runs;
}

static const struct mutant {
	const char *name;
	struct prelude_rule rule;
} mutants[] = {
	{"max", {max_runs, prelude_would_leave, 0}},
	{"epochs once", {once_runs, prelude_would_leave, 0}},
	{"first epoch", {first_runs, prelude_would_leave, 0}},
	{"both epochs", {both_runs, prelude_would_leave, 0}},
	{"unsigned epochs", {unsigned_runs, prelude_would_leave, 0}},
	{"armed", {armed_runs, prelude_would_leave, 0}},
	{"disarmed for ever", {disarmed_runs, prelude_would_leave, 0}},
	{"disarmed below", {below_runs, prelude_would_leave, 0}},
	{"old words", {old_runs, prelude_would_leave, 0}},
	{"given up", {lost_runs, prelude_would_leave, 0}},
	{"taken back", {back_runs, prelude_would_leave, 0}},
	{"lead's mark", {forgotten_runs, prelude_would_leave, 0}},
	{"helper's mark", {helper_forgotten_runs, prelude_would_leave, 0}},
	{"range", {range_runs, prelude_would_leave, 0}},
	{"load", {load_runs, prelude_would_leave, 0}},
	{"silent", {silent_runs, prelude_would_leave, 0}},
	{"talking", {talking_runs, prelude_would_leave, 0}},
	{"one report", {told_runs, prelude_would_leave, 0}},
	{"clusters by block", {prelude_runs, prelude_would_leave, 1}},
};

static void exactly_once(void **state)
{
	static const struct prelude_rule rule = {prelude_runs, prelude_would_leave, 0};
	struct case_counts counts = {0};

	(void)state;
	for (uint64_t i = 0; i < nr_cases; i++) {
		const char *wrong = case_run(first_seed + i, &rule, &counts);

		if (wrong)
			fail_msg("seed %llu: %s", (unsigned long long)(first_seed + i), wrong);
	}
	print_message(
		"cases=%llu works=%llu clusters=%llu launches=%llu joined=%llu reports=%llu\n",
		(unsigned long long)nr_cases, (unsigned long long)counts.nr_works,
		(unsigned long long)counts.nr_clusters, (unsigned long long)counts.nr_launches,
		(unsigned long long)counts.nr_joined, (unsigned long long)counts.nr_reports);
	print_message("left=%llu given_up=%llu disarmed=%llu held_back=%llu warps=%llu\n",
		      (unsigned long long)counts.nr_left, (unsigned long long)counts.nr_given_up,
		      (unsigned long long)counts.nr_disarmed,
		      (unsigned long long)counts.nr_held_back, (unsigned long long)counts.nr_warps);
	print_message("grown=%llu rescued=%llu\n", (unsigned long long)counts.nr_grown,
		      (unsigned long long)counts.nr_rescued);
	assert_true(counts.nr_given_up > nr_cases);
	assert_true(counts.nr_grown > nr_cases / 4);
	assert_true(counts.nr_rescued > nr_cases / 4);
	assert_true(counts.nr_joined > nr_cases / 2);
	assert_true(counts.nr_reports > nr_cases / 2);
	assert_true(counts.nr_held_back > nr_cases / 4);
	assert_true(counts.nr_warps > nr_cases);
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
