/* SPDX-License-Identifier: Apache-2.0 */
/* Options: defaults, values, and bad values, which keep the default and are named. */
#include "base_files.h"

#include "base/options.h"

static int clear(void **state)
{
	(void)state;
	for (size_t i = 0; i < nr_option_rows; i++)
		assert_int_equal(unsetenv(option_rows[i].env), 0);
	return 0;
}

static int read_with(const char *env, const char *value, struct options *ret_options, char *errbuf)
{
	assert_int_equal(setenv(env, value, 1), 0);
	return options_read(ret_options, errbuf, 256);
}

static void test_defaults(void **state)
{
	struct options options;
	char errbuf[64] = "x";

	(void)state;
	assert_int_equal(options_read(&options, errbuf, sizeof(errbuf)), 0);
	assert_string_equal(errbuf, "");
	assert_string_equal(options.log, "warn");
	assert_string_equal(options.sim_gpu, "h100");
	assert_string_equal(options.tpc_quota, "");
	assert_string_equal(options.split, "auto");
	assert_int_equal(options.disable, 0);
	assert_int_equal(options.priority, 0);
}

static void test_values_are_copies(void **state)
{
	struct options options;
	char errbuf[256];

	(void)state;
	assert_int_equal(setenv("LITHOS_TENANT", "web", 1), 0);
	assert_int_equal(setenv("LITHOS_DISABLE", "1", 1), 0);
	assert_int_equal(setenv("LITHOS_LOG", "off", 1), 0);
	assert_int_equal(setenv("LITHOS_SPLIT", "preempt:200", 1), 0);
	assert_int_equal(read_with("LITHOS_PRIORITY", "1000", &options, errbuf), 0);
	assert_int_equal(setenv("LITHOS_TENANT", "other", 1), 0);
	assert_string_equal(options.tenant, "web");
	assert_string_equal(options.log, "off");
	assert_string_equal(options.split, "preempt:200");
	assert_int_equal(options.disable, 1);
	assert_int_equal(options.priority, 1000);
}

static void test_empty_is_unset(void **state)
{
	struct options options;
	char errbuf[256];

	(void)state;
	assert_int_equal(read_with("LITHOS_LOG", "", &options, errbuf), 0);
	assert_string_equal(options.log, "warn");
	assert_null(options_environment("LITHOS_LOG"));
	assert_null(options_environment("LITHOS_NO_SUCH_VARIABLE"));
	assert_int_equal(setenv("LITHOS_LOG", "info", 1), 0);
	assert_string_equal(options_environment("LITHOS_LOG"), "info");
}

static void test_bad_values_keep_defaults(void **state)
{
	static const struct {
		const char *env;
		const char *value;
		const char *expect;
	} bad[] = {
		{"LITHOS_PRIORITY", "x", "LITHOS_PRIORITY: 'x' is not a number (0-1000)"},
		{"LITHOS_PRIORITY", "-1", "LITHOS_PRIORITY: '-1' is not a number (0-1000)"},
		{"LITHOS_PRIORITY", "1001", "LITHOS_PRIORITY: '1001' is out of range (0-1000)"},
		{"LITHOS_PRIORITY", "99999999999999999999",
		 "LITHOS_PRIORITY: '99999999999999999999' is out of range (0-1000)"},
		{"LITHOS_DISABLE", "yes", "LITHOS_DISABLE: 'yes' is not 0 or 1 (0 or 1)"},
		{"LITHOS_SIM_GPU", "h1",
		 "LITHOS_SIM_GPU: 'h1' is not one of the choices (h100|h200|small)"},
		{"LITHOS_SIM_GPU", "200",
		 "LITHOS_SIM_GPU: '200' is not one of the choices (h100|h200|small)"},
		{"LITHOS_SIM_GPU", "h100|h200",
		 "LITHOS_SIM_GPU: 'h100|h200' is not one of the choices (h100|h200|small)"},
		{"LITHOS_HOLD", "always:1x",
		 "LITHOS_HOLD: 'always:1x' is not one of the choices (auto|off|always|always:N)"},
		{"LITHOS_HOLD", "always:0",
		 "LITHOS_HOLD: 'always:0' is not one of the choices (auto|off|always|always:N)"},
		{"LITHOS_HOLD", "always:4294967296",
		 "LITHOS_HOLD: 'always:4294967296' is not one of the choices "
		 "(auto|off|always|always:N)"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct options options;
		char errbuf[256];

		(void)clear(state);
		assert_int_equal(read_with(bad[i].env, bad[i].value, &options, errbuf), 1);
		assert_string_equal(errbuf, bad[i].expect);
		assert_int_equal(options.priority, 0);
		assert_int_equal(options.disable, 0);
		assert_string_equal(options.sim_gpu, "h100");
	}
}

static void test_long_string_and_first_error_wins(void **state)
{
	struct options options;
	char longer[OPTION_STR_MAX + 1];
	char errbuf[512];

	(void)state;
	memset(longer, 'p', OPTION_STR_MAX);
	longer[OPTION_STR_MAX] = '\0';
	assert_int_equal(setenv("LITHOS_PRIORITY", "x", 1), 0);
	assert_int_equal(setenv("LITHOS_REAL_LIBCUDA", longer, 1), 0);
	assert_int_equal(options_read(&options, errbuf, sizeof(errbuf)), 2);
	assert_memory_equal(errbuf, "LITHOS_REAL_LIBCUDA: ", 21);
	assert_string_equal(options.real_libcuda, "");
	longer[OPTION_STR_MAX - 1] = '\0';
	assert_int_equal(setenv("LITHOS_REAL_LIBCUDA", longer, 1), 0);
	assert_int_equal(options_read(&options, NULL, 0), 1);
	assert_string_equal(options.real_libcuda, longer);
}

static void test_table_is_printable(void **state)
{
	(void)state;
	for (size_t i = 0; i < nr_option_rows; i++) {
		assert_memory_equal(option_rows[i].env, "LITHOS_", 7);
		assert_true(strlen(option_rows[i].sentence) > 10);
		assert_true(strcmp(option_rows[i].when, "startup") == 0 ||
			    strcmp(option_rows[i].when, "live") == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_defaults, clear, clear),
		cmocka_unit_test_setup_teardown(test_values_are_copies, clear, clear),
		cmocka_unit_test_setup_teardown(test_empty_is_unset, clear, clear),
		cmocka_unit_test_setup_teardown(test_bad_values_keep_defaults, clear, clear),
		cmocka_unit_test_setup_teardown(test_long_string_and_first_error_wins, clear,
						clear),
		cmocka_unit_test(test_table_is_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
