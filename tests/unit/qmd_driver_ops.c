/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of driver calls is filled whole or not at all; verified builds are found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include <string.h>

#include "hw/driver.h"
#include "hw/quirks.h"

static const char *const symbols[] = {
#define DRIVER_OP(name, symbol, ...) symbol,
#include "hw/driver_ops.def"
#undef DRIVER_OP
};

#define NR_SYMBOLS (sizeof(symbols) / sizeof(symbols[0]))

/* Address of a symbol = the address of its name in the table; cookie = the one to miss. */
static void *lookup(void *cookie, const char *symbol)
{
	for (size_t i = 0; i < NR_SYMBOLS; i++) {
		if (!strcmp(symbols[i], symbol))
			return cookie && !strcmp(symbol, cookie) ? NULL
								 : (void *)(uintptr_t)&symbols[i];
	}
	return NULL;
}

static void test_all(void **state)
{
	struct driver_ops ops;
	const char *missing = "untouched";
	void *address[NR_SYMBOLS];

	(void)state;
	assert_int_equal(driver_ops_load(&ops, lookup, NULL, &missing), 0);
	assert_string_equal(missing, "untouched");
	assert_int_equal(sizeof(ops), sizeof(address));
	memcpy(address, &ops, sizeof(address));
	for (size_t i = 0; i < NR_SYMBOLS; i++)
		assert_ptr_equal(address[i], &symbols[i]);
}

static void test_each_missing(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SYMBOLS; i++) {
		struct driver_ops ops;
		struct driver_ops before;
		const char *missing = NULL;
		char name[64];

		(void)strncpy(name, symbols[i], sizeof(name) - 1);
		name[sizeof(name) - 1] = '\0';
		memset(&ops, 0x5a, sizeof(ops));
		before = ops;
		assert_int_equal(driver_ops_load(&ops, lookup, name, &missing), -ENOSYS);
		assert_string_equal(missing, symbols[i]);
		assert_memory_equal(&ops, &before, sizeof(ops));
	}
}

static void test_verified(void **state)
{
	(void)state;
	assert_true(quirk_is_verified(13000, 0x40));
	assert_false(quirk_is_verified(13000, 0x50));
	assert_false(quirk_is_verified(12040, 0x40));
	assert_null(quirk_find(0, 0));
	assert_string_equal(quirk_find(13000, 0x40)->build, "580.159.04");
	assert_int_equal(quirk_find(13000, 0x40)->hook_table_bytes, 96);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_each_missing),
		cmocka_unit_test(test_verified),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
