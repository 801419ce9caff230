/* SPDX-License-Identifier: Apache-2.0 */
/* Names for people: kernels spelled out and cut, verbs guessed. */
#include "base_files.h"

#include "cli/run/kernel_name.h"
#include "cli/verb_name.h"

static void expect(const char *name, size_t width, const char *shown)
{
	char text[512];

	memset(text, 'x', sizeof(text));
	kernel_name_short(name, text, width);
	assert_string_equal(text, shown);
	assert_true(strlen(text) <= width);
}

static void test_kernel_names(void **state)
{
	(void)state;
	expect("_ZN2at6native6fill_kIfEEvT_", 80, "at::native::fill_k<fEEvT_");
	expect("_ZN2at6native6fill_kEv", 80, "at::native::fill_k");
	expect("_Z3addPfS_", 80, "add");
	expect("_ZN12_GLOBAL__N_13foo3barEv", 80, "(anonymous)::foo::bar");
	expect("sm90_xmma_gemm_f16", 80, "sm90_xmma_gemm_f16");
	expect("triton_poi_fused_0", 10, "triton_p..");
	expect("exact_fit!", 10, "exact_fit!");
}

static void test_names_that_lie(void **state)
{
	char longer[2000];

	(void)state;
	expect("_Z", 80, "_Z");
	expect("_ZN", 80, "_ZN");
	expect("_Z99short", 80, "_Z99short");
	expect("_Z99999999999999999999999999999x", 80, "_Z99999999999999999999999999999x");
	expect("_Z0", 80, "_Z0");
	expect("", 80, "");
	expect("_ZN3foo99barE", 80, "foo");
	memset(longer, '1', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	expect(longer, 5, "111..");
}

static void test_verbs(void **state)
{
	static const char *const names[] = {"run", "doctor", "options", "version"};

	(void)state;
	assert_string_equal(verb_nearest("rum", names, 4), "run");
	assert_string_equal(verb_nearest("optoins", names, 4), "options");
	assert_string_equal(verb_nearest("docter", names, 4), "doctor");
	assert_string_equal(verb_nearest("versions", names, 4), "version");
	assert_null(verb_nearest("top", names, 4));
	assert_null(verb_nearest("", names, 4));
	assert_null(verb_nearest("a-very-long-word-that-is-nobodys-verb", names, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel_names),
		cmocka_unit_test(test_names_that_lie),
		cmocka_unit_test(test_verbs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
