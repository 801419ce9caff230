/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recorded launch descriptors and random ones, for the tests of hw/.
 */
#ifndef LITHOS_TESTS_QMD_DUMPS_H
#define LITHOS_TESTS_QMD_DUMPS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DUMP_WORDS 96
#define DUMPS_MAX  64

struct qmd_dump {
	char tag[64];
	uint32_t words[DUMP_WORDS];
};

/* Reads tests/data/qmd_v04_00_h200.txt; returns how many descriptors it has. */
static inline int dumps_read(struct qmd_dump *dumps)
{
	FILE *file = fopen(TEST_DATA_DIR "/qmd_v04_00_h200.txt", "r");
	char line[1024];
	char hex[800];
	int n = 0;

	while (file && n < DUMPS_MAX && fgets(line, sizeof(line), file)) {
		struct qmd_dump *dump = &dumps[n];

		if (sscanf(line, "%63s %799s", dump->tag, hex) != 2 ||
		    strlen(hex) != DUMP_WORDS * 8)
			continue;
		for (int i = 0; i < DUMP_WORDS; i++) {
			char word[9] = {0};

			memcpy(word, hex + (size_t)i * 8, 8);
			dump->words[i] = (uint32_t)strtoul(word, NULL, 16);
		}
		n++;
	}
	if (file)
		fclose(file);
	return n;
}

/* The first descriptor with this tag; NULL when there is none. */
static inline const struct qmd_dump *dump_of(const struct qmd_dump *dumps, int n, const char *tag)
{
	for (int i = 0; i < n; i++) {
		if (!strcmp(dumps[i].tag, tag))
			return &dumps[i];
	}
	return NULL;
}

/* xorshift64*: the same numbers in every run. */
static inline uint32_t random_u32(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)((*state * 0x2545f4914f6cdd1du) >> 32);
}

static inline void random_words(uint64_t *state, uint32_t *words)
{
	for (int i = 0; i < DUMP_WORDS; i++)
		words[i] = random_u32(state);
}

#endif
