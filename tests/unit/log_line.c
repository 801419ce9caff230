/* SPDX-License-Identifier: Apache-2.0 */
/* A log line is one line, quoted, limited per call site, and changes nothing else. */
#include "base_files.h"

#include <errno.h>

#include "base/log.h"

static int saved_stderr;
static int captured;

static int capture(void **state)
{
	FILE *file = tmpfile();

	(void)state;
	assert_non_null(file);
	captured = dup(fileno(file));
	(void)fclose(file);
	saved_stderr = dup(STDERR_FILENO);
	assert_true(dup2(captured, STDERR_FILENO) >= 0);
	log_set_level(LOG_WARN);
	return 0;
}

static int release(void **state)
{
	(void)state;
	assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
	(void)close(saved_stderr);
	(void)close(captured);
	return 0;
}

static const char *written(void)
{
	static char text[8192];
	ssize_t n = pread(captured, text, sizeof(text) - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

static void test_sentence_is_quoted(void **state)
{
	(void)state;
	log_line(NULL, LOG_ERROR, "cannot open '%s'\n\"x\\y\"", "a b");
	assert_string_equal(written(), "lithos: level=error msg=\"cannot open 'a b' 'x'y'\"\n");
}

static void test_own_keys_are_kept(void **state)
{
	(void)state;
	log_line(NULL, LOG_WARN, "msg=\"no driver\" path=\"%s\"\t", "/x");
	assert_string_equal(written(), "lithos: level=warn msg=\"no driver\" path=\"/x\" \n");
}

static void test_levels(void **state)
{
	(void)state;
	log_line(NULL, LOG_INFO, "hidden");
	log_line(NULL, LOG_OFF, "never");
	assert_string_equal(written(), "");
	assert_false(log_enabled(LOG_INFO));
	log_set_level(LOG_DEBUG);
	log_line(NULL, LOG_DEBUG, "shown");
	assert_string_equal(written(), "lithos: level=debug msg=\"shown\"\n");
	log_set_level(LOG_OFF);
	assert_false(log_enabled(LOG_ERROR));
	assert_false(log_enabled(LOG_OFF));
}

static void test_names(void **state)
{
	(void)state;
	assert_int_equal(log_level_from("off"), LOG_OFF);
	assert_int_equal(log_level_from("error"), LOG_ERROR);
	assert_int_equal(log_level_from("debug"), LOG_DEBUG);
	assert_int_equal(log_level_from("loud"), LOG_WARN);
	assert_int_equal(log_level_from(NULL), LOG_WARN);
}

static void test_site_limit(void **state)
{
	static struct log_site site;
	const char *text;
	int nr_lines = 0;

	(void)state;
	for (int i = 0; i < 10; i++)
		log_line(&site, LOG_WARN, "again %d", i);
	text = written();
	assert_non_null(strstr(text, "again 2\" repeats=hidden\n"));
	for (; *text != '\0'; text++)
		nr_lines += *text == '\n';
	assert_int_equal(nr_lines, LOG_LIMIT);
	assert_int_equal(site.nr_seen, LOG_LIMIT);
}

static void test_long_text_and_errno(void **state)
{
	char longer[4000];
	const char *text;

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	errno = EXDEV;
	log_line(NULL, LOG_WARN, "%s", longer);
	assert_int_equal(errno, EXDEV);
	text = written();
	assert_true(strlen(text) < 1024);
	assert_string_equal(text + strlen(text) - 3, "x\"\n");
	(void)close(STDERR_FILENO);
	log_line(NULL, LOG_WARN, "into nothing");
	assert_int_equal(errno, EXDEV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sentence_is_quoted, capture, release),
		cmocka_unit_test_setup_teardown(test_own_keys_are_kept, capture, release),
		cmocka_unit_test_setup_teardown(test_levels, capture, release),
		cmocka_unit_test_setup_teardown(test_names, capture, release),
		cmocka_unit_test_setup_teardown(test_site_limit, capture, release),
		cmocka_unit_test_setup_teardown(test_long_text_and_errno, capture, release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
