/* SPDX-License-Identifier: Apache-2.0 */
/* CUDA_VISIBLE_DEVICES sorted into kinds, and UUIDs as text. */
#include <errno.h>

#include "base/uuid.h"
#include "base_files.h"

#include "cli/run/gpus.h"

static void expect(const char *text, enum gpus_named named, const char *list)
{
	char found[64] = "?";
	enum gpus_named kind;

	assert_int_equal(gpus_parse(text, found, sizeof(found), &kind), 0);
	assert_int_equal(kind, named);
	assert_string_equal(found, list);
}

static void test_kinds(void **state)
{
	(void)state;
	expect(NULL, GPUS_ANY, "");
	expect("", GPUS_ANY, "");
	expect("  ", GPUS_ANY, "");
	expect("0", GPUS_OTHER, "");
	expect("0,1", GPUS_OTHER, "");
	expect("-1", GPUS_OTHER, "");
	expect("NoDevFiles", GPUS_OTHER, "");
	expect("MIG-8932f937-d72c-4106-c12f-20bd9faed9f6", GPUS_OTHER, "");
	expect("GPU-", GPUS_OTHER, "");
	expect("GPU-xyz", GPUS_OTHER, "");
	expect("GPU-8932f9", GPUS_UUIDS, "GPU-8932f9");
	expect(" GPU-a , GPU-B\t", GPUS_UUIDS, "GPU-a,GPU-B");
	expect("GPU-a,", GPUS_UUIDS, "GPU-a");
	expect("GPU-a,1", GPUS_OTHER, "");
	expect("1,GPU-a", GPUS_OTHER, "");
	expect(",GPU-a", GPUS_OTHER, "");
}

static void test_a_list_that_does_not_fit(void **state)
{
	char found[8];
	enum gpus_named kind;

	(void)state;
	assert_int_equal(gpus_parse("GPU-abc", found, sizeof(found), &kind), 0);
	assert_int_equal(gpus_parse("GPU-abcd", found, sizeof(found), &kind), -E2BIG);
	assert_int_equal(gpus_parse("GPU-a,GPU-b", found, sizeof(found), &kind), -E2BIG);
}

static void test_text(void **state)
{
	static const uint8_t uuid[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
					 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10};
	char text[UUID_TEXT_BYTES];

	(void)state;
	(void)uuid_text(uuid, text);
	assert_string_equal(text, "GPU-01234567-89ab-cdef-fedc-ba9876543210");
	assert_int_equal(strlen(text), UUID_TEXT_BYTES - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_a_list_that_does_not_fit),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
