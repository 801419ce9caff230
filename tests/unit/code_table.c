/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of kernels' code, when there are more functions than places, and more generations
 * than stamps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/split/code.h"

#define FUNC(i) ((CUfunction)(uintptr_t)(0x7f0000000000 + (uint64_t)(i)*0x1a0))

/* More functions than places: known ones stay, the others are unseen. A flush makes room again. */
static void test_full(void **state)
{
	uint32_t nr_known = 0;

	(void)state;
	for (int round = 0; round < 300; round++) {
		code_flush();
		code_note_entry(FUNC(round), 16);
		assert_int_equal(code_state_of(FUNC(round)), CODE_STATE_SEEN);
	}
	code_flush();
	for (uint32_t i = 0; i < 20000; i++) {
		code_note_entry(FUNC(i), 16 * (uint64_t)(i + 1));
		if (i % 2)
			code_is_gang(FUNC(i));
	}
	for (uint32_t i = 0; i < 20000; i++) {
		enum code_state found = code_state_of(FUNC(i));

		nr_known += found != CODE_STATE_UNSEEN;
		assert_true(found == CODE_STATE_UNSEEN ||
			    found == (i % 2 ? CODE_STATE_GANG : CODE_STATE_SEEN));
		/* Its own entry: another one would make it unsure. */
		code_note_entry(FUNC(i), 16 * (uint64_t)(i + 1));
		assert_int_equal(code_state_of(FUNC(i)), found);
	}
	assert_in_range(nr_known, 3500, 4096);
	code_flush();
	nr_known = 0;
	for (uint32_t i = 0; i < 1000; i++) {
		code_note_entry(FUNC(i), 16 * (uint64_t)(i + 1));
		nr_known += code_state_of(FUNC(i)) == CODE_STATE_SEEN;
	}
	assert_in_range(nr_known, 990, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
