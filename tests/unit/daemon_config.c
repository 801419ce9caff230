/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lithosd.yaml: what is taken, and for what is wrong the place and the sentence.
 */
#include "base_files.h"

#include <errno.h>

#include "daemon/config.h"

static struct config config;
static char error[512];

static int read_yaml(void **state, const char *text)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/c.yaml", (const char *)*state);
	write_file(path, text, strlen(text));
	config_defaults(&config);
	error[0] = '\0';
	return config_read(&config, path, error, sizeof(error));
}

/* The error is "<path>:<place>: <text...>". */
static void expect_error(void **state, const char *text, const char *place, const char *sentence)
{
	const char *at;
	struct config before;

	config_defaults(&before);
	assert_int_equal(read_yaml(state, text), -EINVAL);
	at = strstr(error, "/c.yaml:");
	assert_non_null(at);
	at += strlen("/c.yaml:");
	if (strncmp(at, place, strlen(place)) != 0 || !strstr(at, sentence))
		print_error("for\n%s\nexpected %s ... %s\nfound %s\n", text, place, sentence,
			    error);
	assert_int_equal(strncmp(at, place, strlen(place)), 0);
	assert_non_null(strstr(at, sentence));
	assert_memory_equal(&before, &config, sizeof(config));
}

static void test_everything(void **state)
{
	assert_int_equal(read_yaml(state, "version: v1\n"
					  "log: debug\n"
					  "socket: /tmp/s\n"
					  "socket_mode: \"0660\"\n"
					  "state: \"\"\n"
					  "gpus:\n"
					  "  - GPU-00112233-4455-6677-8899-aabbccddeeff\n"
					  "  - ffffffffffffffffffffffffffffffff\n"
					  "mps:\n"
					  "  mode: required\n"
					  "  pipe_directory: /p\n"
					  "  log_directory: /l\n"
					  "  multiuser: no\n"
					  "sharing: {bound_us: 2000, grace_us: 300}\n"
					  "limits:\n"
					  "  tenants_per_user: 3\n"
					  "  connections_per_user: 4\n"),
			 0);
	assert_int_equal(config.log_level, LOG_DEBUG);
	assert_string_equal(config.socket, "/tmp/s");
	assert_int_equal(config.socket_mode, 0660);
	assert_string_equal(config.state, "");
	assert_int_equal(config.nr_gpus, 2);
	assert_int_equal(config.gpus[0][1], 0x11);
	assert_int_equal(config.gpus[1][15], 0xff);
	assert_int_equal(config.mps_mode, MPS_MODE_REQUIRED);
	assert_string_equal(config.mps_pipe_directory, "/p");
	assert_string_equal(config.mps_log_directory, "/l");
	assert_int_equal(config.mps_is_multiuser, 0);
	assert_int_equal(config.bound_ns, 2000000);
	assert_int_equal(config.grace_ns, 300000);
	assert_int_equal(config.max_tenants, 3);
	assert_int_equal(config.max_connections, 4);
}

static void test_defaults_stay(void **state)
{
	struct config before;

	config_defaults(&before);
	assert_int_equal(read_yaml(state, "version: v1\n"), 0);
	assert_memory_equal(&before, &config, sizeof(config));
}

/* The file that is installed says the defaults, and nothing else. */
static void test_installed_file(void **state)
{
	struct config before;

	(void)state;
	config_defaults(&before);
	config_defaults(&config);
	assert_int_equal(
		config_read(&config, TEST_DATA_DIR "/../../etc/lithosd.yaml", error, sizeof(error)),
		0);
	assert_memory_equal(&before, &config, sizeof(config));
}

static void test_keys(void **state)
{
	expect_error(state, "version: v1\nfoo: 3\n", "2:1:", "Unexpected key: foo");
	expect_error(state, "foo: 3\nversion: v1\n", "1:1:", "Unexpected key: foo");
	expect_error(state, "version: v1\nmps:\n  mode: off\n  moed: off\n",
		     "4:3:", "Unexpected key: moed");
	expect_error(state, "version: v1\nlimits: {tenants: 3}\n",
		     "2:10:", "Unexpected key: tenants");
	expect_error(state, "version: v1\nlog: info\nlog: warn\n", "3:1:", "already seen: log");
	expect_error(state, "version: v1\nmode: off\nmps:\n  mode: off\n",
		     "2:1:", "Unexpected key: mode");
}

static void test_version(void **state)
{
	expect_error(state, "", "1:1:", "version is missing");
	expect_error(state, "# nothing\n", "1:1:", "version is missing");
	expect_error(state, "log: info\n", "1:", "Missing required mapping field: version");
	expect_error(state, "log: info\nversion: v2\n", "2:10:", "unknown version");
	expect_error(state, "version: 1\n", "1:10:", "unknown version");
	expect_error(state, "version:\n", "1:", "unknown version");
}

static void test_values(void **state)
{
	expect_error(state, "version: v1\nlog: loud\n",
		     "2:6:", "log is 'loud', not off, error, warn, info or debug");
	expect_error(state, "version: v1\nlog:\n", "2:", "log is ''");
	expect_error(state, "version: v1\nmps:\n  mode: maybe\n",
		     "3:9:", "mps.mode is 'maybe', not auto, off or required");
	expect_error(state, "version: v1\nmps:\n  multiuser: 2\n",
		     "3:14:", "mps.multiuser is '2', not yes, no, true or false");
	expect_error(state, "version: v1\nsharing: {lend: Yes}\n",
		     "2:17:", "sharing.lend is 'Yes'");
	expect_error(state, "version: v1\nlimits:\n  tenants_per_user: x\n", "3:21:", "'x'");
	expect_error(state, "version: v1\nlimits:\n  tenants_per_user: -1\n", "3:21:", "-1");
	expect_error(state, "version: v1\nlimits:\n  tenants_per_user: 0\n",
		     "3:21:", "is '0', not a whole number from 1 to 1024");
	expect_error(state, "version: v1\nlimits:\n  tenants_per_user: 1025\n",
		     "3:21:", "is '1025', not a whole number from 1 to 1024");
	expect_error(state, "version: v1\nlimits:\n  connections_per_user: 99999999999\n",
		     "3:25:", "99999999999");
	expect_error(state, "version: v1\nlimits:\n  connections_per_user: 18446744073709551626\n",
		     "3:25:", "18446744073709551626");
	expect_error(state, "version: v1\nlimits: {connections_per_user: 0}\n", "2:32:", "is '0'");
	expect_error(state, "version: v1\nsharing:\n  bound_us: 49\n",
		     "3:13:", "sharing.bound_us is '49', not a whole number from 50 to 100000");
	expect_error(state, "version: v1\nsharing:\n  grace_us: 100001\n", "3:13:", "100001");
	expect_error(state, "version: v1\nsharing:\n  grace_us:\n", "3:", "''");
	expect_error(state, "version: v1\nsocket: relative\n", "2:9:", "not an absolute path");
	expect_error(state, "version: v1\nstate: x\n", "2:8:", "not an absolute path");
	expect_error(state, "version: v1\nmps: {pipe_directory: a}\n", "2:23:", "absolute");
	expect_error(state, "version: v1\nmps: {log_directory: a}\n", "2:22:", "absolute");
	expect_error(state, "version: v1\nsocket_mode: rw\n", "2:14:", "octal");
	expect_error(state, "version: v1\nsocket_mode: \"0999\"\n", "2:14:", "octal");
	expect_error(state, "version: v1\nsocket_mode: \"7777\"\n", "2:14:", "octal");
	expect_error(state, "version: v1\nsocket_mode: \"0066\"\n", "2:14:", "octal");
	expect_error(state, "version: v1\nsocket_mode: \"123456789\"\n", "2:14:", "octal");
}

/* What would make another number of it. */
static void test_numbers_end_where_they_end(void **state)
{
	static const char *const wrong[] = {"100ms", "1e3",  "100 us", "0x64", "100.0",
					    "+100",  "1_00", "10%",    "~"};
	char text[128], sentence[64];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		(void)snprintf(text, sizeof(text), "version: v1\nsharing:\n  bound_us: %s\n",
			       wrong[i]);
		(void)snprintf(sentence, sizeof(sentence), "sharing.bound_us is '%s'", wrong[i]);
		expect_error(state, text, "3:13:", sentence);
	}
	assert_int_equal(read_yaml(state, "version: v1\nsharing: {bound_us: \"0100\"}\n"), 0);
	assert_int_equal(config.bound_ns, 100000);
}

/* Whatever follows would be ignored. */
static void test_one_document(void **state)
{
	expect_error(state, "version: v1\n---\nlog: debug\n", "2:1:", "second document");
	expect_error(state, "version: v1\n---\n", "2:1:", "second document");
	expect_error(state, "version: v1\n...\n---\n%\n", "3:1:", "second document");
	assert_int_equal(read_yaml(state, "---\nversion: v1\nlog: warn\n...\n"), 0);
	assert_int_equal(config.log_level, LOG_WARN);
}

static void test_kinds(void **state)
{
	expect_error(state, "version: v1\ngpus: 3\n", "2:7:", "Expecting SEQUENCE");
	expect_error(state, "version: v1\ngpus:\n  - GPU-0\n", "3:5:", "not a UUID");
	expect_error(state, "version: v1\ngpus:\n  - 00112233445566778899aabbccddeeff\n  - zz\n",
		     "4:5:", "not a UUID");
	expect_error(state, "version: v1\ngpus: [00112233445566778899aabbccddeeff0]\n",
		     "2:8:", "not a UUID");
	expect_error(state, "version: v1\nmps: auto\n", "2:6:", "Expecting MAPPING");
	expect_error(state, "version: v1\nlog: [info]\n", "2:", "Expecting STRING");
	expect_error(state, "[1, 2]\n", "1:1:", "Expecting MAPPING");
	expect_error(state, "v1\n", "1:1:", "Expecting MAPPING");
	expect_error(state, "version: &v v1\nlog: *v\n", "2:", "alias");
}

static void test_syntax(void **state)
{
	expect_error(state, "version: v1\n log: info\n", "2:5:", "not allowed");
	expect_error(state, "version: \"v1\n", "2:1:", "end of stream");
	expect_error(state, "version: v1\nmps: {mode: off\n", "3:1:", "");
	expect_error(state, "version: v1\n\tlog: info\n", "2:", "");
	expect_error(state, "version: v1\n\x01\n", "2:", "");
	expect_error(state, "version: \xff\xfe\n", "1:", "");
}

static void test_files(void **state)
{
	char path[256];
	static char big[70000];

	config_defaults(&config);
	(void)snprintf(path, sizeof(path), "%s/none.yaml", (const char *)*state);
	assert_int_equal(config_read(&config, path, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "No such file"));
	assert_int_equal(config_read(&config, *state, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "directory"));
	memset(big, '#', sizeof(big));
	(void)snprintf(path, sizeof(path), "%s/big.yaml", (const char *)*state);
	write_file(path, big, sizeof(big));
	assert_int_equal(config_read(&config, path, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "too long"));
}

/* Any bytes give an answer. */
static void test_random(void **state)
{
	static const char *const parts[] = {"version", ": ",  "v1", "\n",   "mps",  "  ",
					    "mode",    "off", "-",  "[",    "]",    "{",
					    "}",       "\"",  "#",  "gpus", "1000", "sharing",
					    "&a",      "*a",  "!x", "|",    ",",    "bound_us"};
	uint64_t seed = 7;
	char text[512];

	for (int i = 0; i < 3000; i++) {
		size_t used = 0;

		while (used < 200) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			used += (size_t)snprintf(
				text + used, sizeof(text) - used, "%s",
				parts[(seed >> 33) % (sizeof(parts) / sizeof(parts[0]))]);
			if ((seed >> 20) % 16 == 0)
				break;
		}
		if (read_yaml(state, text) < 0)
			assert_true(error[0] != '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_defaults_stay),
		cmocka_unit_test(test_installed_file),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_numbers_end_where_they_end),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_one_document),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
