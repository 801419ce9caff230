/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs of a measurement write is read, and checked. */
#include "base_files.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/bench/folder.h"
#include "cli/bench/session.h"

static void put(const struct session *session, const char *name, const char *text)
{
	char path[BENCH_PATH_MAX];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", session->folder, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
	static struct session session;
	char folder[64];

	if (folder_make(folder, sizeof(folder)) < 0)
		return -1;
	(void)snprintf(session.folder, sizeof(session.folder), "%s", folder);
	*state = &session;
	return 0;
}

static int tear_down(void **state)
{
	const struct session *session = *state;

	folder_remove(session->folder);
	return access(session->folder, F_OK) == 0;
}

static void test_ready(void **state)
{
	const struct session *session = *state;
	struct bench_facts facts = {0};

	assert_false(session_has(session, "ready", "a"));
	assert_int_equal(session_read_ready(session, "a", &facts), -ENOENT);
	put(session, "ready.a",
	    "device Some GPU\nversion x 1\nversion y 2\nversion x 1\nservice_ns 3000000\n"
	    "service_ns 1000000\nservice_ns 2000000\nunknown line\n");
	assert_true(session_has(session, "ready", "a"));
	assert_int_equal(session_read_ready(session, "a", &facts), 0);
	assert_string_equal(facts.device, "Some GPU");
	assert_int_equal(facts.nr_versions, 2);
	assert_string_equal(facts.versions[1], "y 2");
	assert_true(facts.service_ms == 2);
	put(session, "ready.b", "device Some GPU\nversion x 1\n");
	assert_int_equal(session_read_ready(session, "b", &facts), 0);
	assert_int_equal(facts.nr_versions, 2);
	assert_true(facts.service_ms == 0);
}

static void test_result(void **state)
{
	const struct session *session = *state;
	struct span *pairs = NULL;
	size_t nr = 0;

	put(session, "result.a", "0 5\n-3 7\n12345678901234 12345678901235\n");
	assert_int_equal(session_read_result(session, "a", &pairs, &nr), 0);
	assert_int_equal(nr, 3);
	assert_true(pairs[1].begin_ns == -3 && pairs[2].end_ns == 12345678901235);
	free(pairs);
	put(session, "result.a", "0 5\n1 x\n");
	assert_int_equal(session_read_result(session, "a", &pairs, &nr), -EPROTO);
	put(session, "result.a", "0 5\n1\n");
	assert_int_equal(session_read_result(session, "a", &pairs, &nr), -EPROTO);
	assert_int_equal(session_read_result(session, "none", &pairs, &nr), -ENOENT);
}

static void test_told(void **state)
{
	const struct session *session = *state;
	int64_t at[] = {5, 70};
	struct arrivals arrivals = {at, 2};
	struct session_times times = {1, 2, 3};

	assert_int_equal(session_write_arrivals(session, "a", &arrivals), 0);
	assert_int_equal(session_turn(session, "a"), 0);
	assert_int_equal(session_go(session, &times), 0);
	assert_int_equal(session_stop(session), 0);
	assert_true(session_has(session, "arrivals", "a"));
	assert_true(session_has(session, "turn", "a"));
	assert_false(session_has(session, "turn", "b"));
	assert_true(session_has(session, "go", ""));
	assert_true(session_has(session, "stop", ""));
	assert_false(session_has(session, "go", "new"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ready, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_result, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_told, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
