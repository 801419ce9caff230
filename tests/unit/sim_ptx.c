/* SPDX-License-Identifier: Apache-2.0 */
/* What is read from PTX text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sim/kernel/ptx.h"

static const char text[] =
	"// comment .entry no(\n.version 7.0\n.target sm_90\n"
	".global .align 4 .b8 table[64];\n.extern .shared .align 16 .b8 dyn[];\n"
	".visible .entry one(.param .u64 .ptr .global .align 4 p, .param .u8 c,\n"
	" .param .align 8 .b8 s[24])\n.maxntid 256, 1, 1\n{\n.shared .align 4 .b8 x[1024];\n"
	"ld.param.u64 %rd1, [p];\n{ ret; }\n}\n.entry two()\n{ ret; }\n";

static void test_declarations(void **state)
{
	struct ptx_module module;

	(void)state;
	assert_int_equal(ptx_parse(text, &module), 0);
	assert_int_equal(module.nr_entries, 2);
	assert_string_equal(module.entry[0].name, "one");
	assert_int_equal(module.entry[0].nr_params, 3);
	assert_int_equal(module.entry[0].param[1].offset, 8);
	assert_int_equal(module.entry[0].param[2].offset, 16);
	assert_int_equal(module.entry[0].param_bytes, 40);
	assert_int_equal(module.entry[0].shared_bytes, 1024);
	assert_int_equal(module.entry[0].max_threads, 256);
	assert_int_equal(module.entry[1].nr_params, 0);
	assert_int_equal(module.nr_globals, 1);
	assert_string_equal(module.global[0].name, "table");
	assert_int_equal(module.global[0].size, 64);
	ptx_free(&module);
}

static void test_what_is_no_ptx(void **state)
{
	struct ptx_module module;

	(void)state;
	assert_true(ptx_parse("hello", &module) < 0);
	assert_true(ptx_parse("", &module) < 0);
	assert_true(ptx_parse(".version 7.0\n.entry cut(.param .u32 a", &module) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_declarations),
		cmocka_unit_test(test_what_is_no_ptx),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
