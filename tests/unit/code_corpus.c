/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiled kernels with known answers, on seven architectures: those that wait for other blocks are
 * gangs, those that only look like it are free, and what lies behind a kernel in memory changes
 * nothing. Kernels and their names: tools/code/kernels.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "code_corpus.h"

#define LEAST_KERNELS 52

/* Architecture by architecture; `mismatch` gets the first kernel with another verdict. */
static int check_arch(int arch, char *mismatch, size_t size)
{
	struct corpus_kernel *kernel = malloc(sizeof(*kernel));
	FILE *file = corpus_open(arch);
	int count = 0;

	assert_non_null(kernel);
	assert_non_null(file);
	while (corpus_next(file, kernel)) {
		struct code_input input = corpus_input(kernel, arch);
		struct code_answer answer;

		assert_int_equal(code_find_gang(&input, &answer), 0);
		if (strcmp(code_verdict_name(answer.verdict), kernel->verdict) != 0)
			(void)snprintf(mismatch, size, "sm_%d %s: %s (%s at 0x%x)", arch,
				       kernel->name, code_verdict_name(answer.verdict),
				       code_reason_name(answer.reason), answer.offset);
		count++;
	}
	(void)fclose(file);
	free(kernel);
	return count;
}

static void test_verdicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < CORPUS_NR_ARCHS; i++) {
		char mismatch[256] = "";
		int count = check_arch(corpus_archs[i], mismatch, sizeof(mismatch));

		assert_string_equal(mismatch, "");
		assert_true(count >= LEAST_KERNELS);
	}
}

/* A kernel is followed by others in memory: its verdict must not depend on them. */
static void test_what_follows_is_not_read(void **state)
{
	static struct corpus_kernel kernel;
	FILE *file = corpus_open(90);
	int count = 0;

	(void)state;
	assert_non_null(file);
	while (corpus_next(file, &kernel)) {
		struct code_input input = corpus_input(&kernel, 90);
		struct code_answer alone, followed;

		assert_int_equal(code_find_gang(&input, &alone), 0);
		for (unsigned int i = kernel.nr_words; i < CORPUS_MAX_WORDS; i++)
			kernel.words[i] = i * 0x9e3779b97f4a7c15ull;
		input.nr_bytes = sizeof(kernel.words);
		assert_int_equal(code_find_gang(&input, &followed), 0);
		assert_int_equal(alone.verdict, followed.verdict);
		assert_int_equal(alone.reason, followed.reason);
		assert_int_equal(alone.offset, followed.offset);
		count++;
	}
	(void)fclose(file);
	assert_true(count >= LEAST_KERNELS);
}

static void find_kernel(int arch, const char *name, struct corpus_kernel *kernel)
{
	FILE *file = corpus_open(arch);
	int found = 0;

	assert_non_null(file);
	while (!found && corpus_next(file, kernel))
		found = strcmp(kernel->name, name) == 0;
	(void)fclose(file);
	assert_true(found);
}

static struct code_answer answer_of(const char *name, size_t nr_bytes)
{
	static struct corpus_kernel kernel;
	struct code_input input;
	struct code_answer answer;

	find_kernel(90, name, &kernel);
	input = corpus_input(&kernel, 90);
	if (nr_bytes < input.nr_bytes)
		input.nr_bytes = nr_bytes;
	assert_int_equal(code_find_gang(&input, &answer), 0);
	return answer;
}

static void test_reasons(void **state)
{
	(void)state;
	assert_int_equal(answer_of("gang_spin_volatile", SIZE_MAX).reason, CODE_STRONG_LOAD);
	assert_int_equal(answer_of("gang_poll_or", SIZE_MAX).reason, CODE_ATOMIC);
	assert_int_equal(answer_of("gang_lock_cas", SIZE_MAX).reason, CODE_LOCK);
	assert_int_equal(answer_of("gang_poll_in_function", SIZE_MAX).reason, CODE_CALL);
	assert_int_equal(answer_of("free_loop", SIZE_MAX).reason, CODE_NO_SHARED_READ);
	assert_int_equal(answer_of("free_tiles", SIZE_MAX).reason, CODE_NO_WAIT);
	assert_int_equal(answer_of("unsure_print", SIZE_MAX).reason, CODE_INDIRECT);
}

/* The instruction that decides is the load itself: the third of this kernel's opcodes 0x181. */
static void test_offset_is_the_load(void **state)
{
	static struct corpus_kernel kernel;
	struct code_answer answer = answer_of("gang_spin_volatile", SIZE_MAX);

	(void)state;
	find_kernel(90, "gang_spin_volatile", &kernel);
	assert_int_equal(answer.offset % 16, 0);
	assert_int_equal(kernel.words[answer.offset / 8] & 0x1ff, 0x181);
}

static void test_cut_short_is_unsure(void **state)
{
	(void)state;
	for (size_t bytes = 0; bytes <= 64; bytes++) {
		struct code_answer answer = answer_of("free_loop", bytes);

		assert_int_equal(answer.verdict, CODE_UNSURE);
		assert_int_equal(answer.reason, CODE_TRUNCATED);
	}
}

static void test_limits(void **state)
{
	static const uint64_t word[2] = {0};
	struct code_input input = {.bytes = word, .nr_bytes = CODE_MAX_BYTES + 16, .cc_major = 9};
	struct code_answer answer;

	(void)state;
	assert_int_equal(code_find_gang(&input, &answer), 0);
	assert_int_equal(answer.verdict, CODE_UNSURE);
	assert_int_equal(answer.reason, CODE_TOO_LARGE);
	input.cc_major = 6;
	assert_int_equal(code_find_gang(&input, &answer), -EINVAL);
	input.cc_major = 13;
	assert_int_equal(code_find_gang(&input, &answer), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_what_follows_is_not_read),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_offset_is_the_load),
		cmocka_unit_test(test_cut_short_is_unsure),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
