/* SPDX-License-Identifier: Apache-2.0 */
/* The cache folder: the configured one alone, else the first of three that can be written. */
#include "base_files.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cache_dir.h"

#define MACHINE_FOLDER "/var/cache/lithos"

/* What the linker puts in place of the real ones: whoever runs the test, root or not, sees the
 * same. */
int __wrap_access(const char *path, int mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __real_access(const char *path, int mode);
int __real_mkdir(const char *path, mode_t mode);

static int machine_folder_is_usable;
static char chosen[512];
static char expected[512];

int __wrap_access(const char *path, int mode)
{
	if (!strcmp(path, MACHINE_FOLDER))
		return machine_folder_is_usable ? 0 : -1;
	return __real_access(path, mode);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
	return strcmp(path, MACHINE_FOLDER) ? __real_mkdir(path, mode) : -1;
}

static const char *below(void **state, const char *name)
{
	(void)snprintf(expected, sizeof(expected), "%s/%s", (const char *)*state, name);
	return expected;
}

static int choose(const char *configured)
{
	return cache_dir_choose(configured, chosen, sizeof(chosen));
}

static int is_folder(const char *path)
{
	struct stat info;

	return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static void test_configured(void **state)
{
	assert_int_equal(choose(below(state, "here")), 0);
	assert_string_equal(chosen, expected);
	assert_true(is_folder(chosen));
	assert_int_equal(choose(expected), 0);
}

/* Only the last component is made, and nothing else is tried. */
static void test_configured_and_unusable(void **state)
{
	assert_int_equal(choose(below(state, "no/such/folder")), -ENOENT);
	assert_false(is_folder(below(state, "no")));
	write_file(below(state, "file"), "x", 1);
	assert_int_equal(choose(below(state, "file/below")), -ENOENT);
}

static void test_too_long(void **state)
{
	char small[8];

	assert_int_equal(cache_dir_choose(below(state, "here"), small, sizeof(small)),
			 -ENAMETOOLONG);
}

static void test_order(void **state)
{
	(void)setenv("HOME", *state, 1);
	(void)setenv("XDG_CACHE_HOME", *state, 1);
	machine_folder_is_usable = 1;
	assert_int_equal(choose(NULL), 0);
	assert_string_equal(chosen, MACHINE_FOLDER);
	machine_folder_is_usable = 0;
	assert_int_equal(choose(""), 0);
	assert_string_equal(chosen, below(state, "lithos"));
	(void)unsetenv("XDG_CACHE_HOME");
	assert_int_equal(choose(NULL), 0);
	assert_string_equal(chosen, below(state, ".cache/lithos"));
	assert_true(is_folder(chosen));
	(void)unsetenv("HOME");
	assert_int_equal(choose(NULL), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_configured, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(test_configured_and_unusable, scratch_setup,
						scratch_teardown),
		cmocka_unit_test_setup_teardown(test_too_long, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(test_order, scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
