/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the C model of the claim (src/sim/device/begin.c) decides in made-up cases, one a line, for
 * test_claims.py to compare with the instructions of prelude.ptx. One warp of one block decides;
 * numbers lie close together, so that words of every kind are met.
 */
#include <stdio.h>

#include "hw/prelude/prelude.h"
#include "sim/device/device.h"

#define NR_CASES 20000u

static uint64_t random_state = 1;

static uint32_t next_random(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 20) % n;
}

static uint32_t random_number(void)
{
	return PRELUDE_NUMBER_STEP * (25 + next_random(4));
}

static void case_print(void)
{
	_Alignas(8) uint32_t words[3] = {random_number(), next_random(2) ? 0 : random_number(),
					 random_number() + next_random(PRELUDE_NUMBER_STEP)};
	const uint32_t told = words[0], disarm = words[1], word = words[2];
	uint32_t epoch[2] = {next_random(3) - 1, next_random(3) - 1};
	uint32_t calm[2] = {next_random(3) - 1, next_random(3) - 1};
	uint32_t report = 0, lead = random_number(), run = lead + 4 * next_random(2);
	struct prelude_slot slot = {.state = (uintptr_t)&words[2],
				    .flag = {(uintptr_t)&epoch[0], (uintptr_t)&epoch[1]},
				    .calm = {calm[0], calm[1]},
				    .first = lead - PRELUDE_NUMBER_STEP * next_random(3),
				    .run = run,
				    .lead = lead,
				    .report = (uintptr_t)&report};
	int runs = prelude_runs(SIM_PROGRAM_CLAIM, &slot, 0);

	printf("first=%u run=%u lead=%u calm0=%u calm1=%u epoch0=%u epoch1=%u disarm=%u told=%u "
	       "word=%u runs=%d word_after=%u told_after=%u report=%u\n",
	       slot.first, run, lead, calm[0], calm[1], epoch[0], epoch[1], disarm, told, word,
	       runs, words[2], words[0], report);
}

int main(void)
{
	for (unsigned int i = 0; i < NR_CASES; i++)
		case_print();
	return 0;
}
