/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reader of tests/data/code/sm_XX.txt: `kernel NAME VERDICT WORDS`, then the words in hexadecimal.
 */
#ifndef LITHOS_TESTS_CODE_CORPUS_H
#define LITHOS_TESTS_CODE_CORPUS_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "hw/code/gang.h"

#define CORPUS_MAX_WORDS 16384

struct corpus_kernel {
	char name[128];
	char verdict[16];
	uint64_t words[CORPUS_MAX_WORDS];
	unsigned int nr_words;
};

static const int corpus_archs[] = {70, 75, 80, 89, 90, 100, 120};
#define CORPUS_NR_ARCHS (sizeof(corpus_archs) / sizeof(corpus_archs[0]))

static inline FILE *corpus_open(int arch)
{
	char path[512];

	(void)snprintf(path, sizeof(path), TEST_DATA_DIR "/code/sm_%d.txt", arch);
	return fopen(path, "r");
}

/* 1: a kernel was read; 0: no more, or the file is damaged (tests count the kernels). */
static inline int corpus_next(FILE *file, struct corpus_kernel *kernel)
{
	char line[512];

	do {
		if (!fgets(line, sizeof(line), file))
			return 0;
	} while (line[0] == '#');
	/* NOLINTNEXTLINE(cert-err34-c): generated file */
	if (sscanf(line, "kernel %127s %15s %u", kernel->name, kernel->verdict,
		   &kernel->nr_words) != 3 ||
	    kernel->nr_words > CORPUS_MAX_WORDS)
		return 0;
	for (unsigned int i = 0; i < kernel->nr_words; i++) {
		unsigned long long word;

		/* NOLINTNEXTLINE(cert-err34-c) */
		if (fscanf(file, "%llx", &word) != 1)
			return 0;
		kernel->words[i] = word;
	}
	/* The rest of the line. */
	return fgets(line, sizeof(line), file) != NULL;
}

static inline struct code_input corpus_input(const struct corpus_kernel *kernel, int arch)
{
	return (struct code_input){
		.bytes = kernel->words,
		.nr_bytes = kernel->nr_words * sizeof(uint64_t),
		.cc_major = arch / 10,
		.cc_minor = arch % 10,
	};
}

#endif
