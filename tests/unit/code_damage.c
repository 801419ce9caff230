/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damaged code: random bytes, flipped bits, cut kernels. Nothing is expected of the verdict but
 * that there is one; the sanitizers see the rest, and ctest's time limit an endless loop. Bits are
 * flipped in real kernels, so the damage is among instructions that are understood: branches go
 * astray, loops grow into one another, calls go anywhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "code_corpus.h"

#define NR_FLIPS 40
#define NR_NOISE 400

static uint64_t random_state = 88172645463325252ull;

static uint64_t random_word(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void ask(const void *bytes, size_t nr_bytes, int arch)
{
	/* Behind its end lies nothing that may be read: an allocation of its own. */
	void *copy = malloc(nr_bytes ? nr_bytes : 1);
	struct code_input input = {
		.bytes = copy, .nr_bytes = nr_bytes, .cc_major = arch / 10, .cc_minor = arch % 10};
	struct code_answer answer;

	assert_non_null(copy);
	memcpy(copy, bytes, nr_bytes);
	assert_int_equal(code_find_gang(&input, &answer), 0);
	assert_in_range(answer.verdict, CODE_FREE, CODE_UNSURE);
	assert_in_range(answer.reason, 0, CODE_NR_REASONS - 1);
	assert_true(answer.offset == 0 || answer.offset < nr_bytes);
	free(copy);
}

static void damage(struct corpus_kernel *kernel, int arch)
{
	size_t bytes = kernel->nr_words * sizeof(uint64_t);

	assert_true(kernel->nr_words > 0);
	if (bytes == 0)
		return;
	ask(kernel->words, (size_t)(random_word() % bytes), arch);
	for (int i = 0; i < NR_FLIPS; i++) {
		kernel->words[random_word() % kernel->nr_words] ^= 1ull << (random_word() % 64);
		ask(kernel->words, bytes, arch);
	}
}

static void test_flipped_bits_and_cuts(void **state)
{
	static struct corpus_kernel kernel;
	int count = 0;

	(void)state;
	for (size_t i = 0; i < CORPUS_NR_ARCHS; i++) {
		FILE *file = corpus_open(corpus_archs[i]);

		assert_non_null(file);
		while (corpus_next(file, &kernel)) {
			damage(&kernel, corpus_archs[i]);
			count++;
		}
		(void)fclose(file);
	}
	assert_true(count > 300);
}

/* An instruction with an opcode that is known, so that jumps, calls and loads abound. */
static void make_insn(uint64_t words[2])
{
	static const unsigned int opcodes[] = {0x947, 0x944, 0x94d, 0x981, 0x3a9, 0x9a8, 0x20c,
					       0x202, 0x950, 0x949, 0x984, 0x388, 0x210, 0x816};
	uint64_t lo = random_word();
	uint64_t opcode = opcodes[random_word() % (sizeof(opcodes) / sizeof(opcodes[0]))];

	words[0] = (lo & ~0xfffull) | opcode;
	words[1] = random_word();
	if (opcode != 0x947 && opcode != 0x944)
		return;
	/* Targets nearby, both ways, in the encodings of Hopper and of those before. */
	words[0] = (lo & 0xf000) | opcode | (lo & 0xfc0000) | (lo & 0x1f000000000000) >> 10;
	words[1] = 0x3800000;
	if (lo & 64) {
		words[0] |= 0xffffe00000000000ull;
		words[1] = 0x383ffff;
	}
}

static void test_noise(void **state)
{
	static uint64_t words[1024];

	(void)state;
	for (size_t round = 0; round < NR_NOISE; round++) {
		for (size_t i = 0; i < 1024; i += 2) {
			words[i] = random_word();
			words[i + 1] = random_word();
			if (round % 4)
				make_insn(&words[i]);
		}
		ask(words, sizeof(words), corpus_archs[round % CORPUS_NR_ARCHS]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flipped_bits_and_cuts),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
