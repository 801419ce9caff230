/* SPDX-License-Identifier: Apache-2.0 */
/* Which file a program's name is, in lists of folders with traps. */
#include "base_files.h"

#include <errno.h>
#include <limits.h>

#include "base/find/program_find.h"

static char scratch[] = "/tmp/program_find.XXXXXX";

static void make(const char *name, mode_t mode)
{
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", scratch, name);
	if (strchr(name, '/') == NULL) {
		assert_int_equal(mkdir(path, mode), 0);
		return;
	}
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	(void)close(fd);
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(scratch) || chdir(scratch) < 0)
		return -1;
	make("locked", 0755);
	make("locked/prog", 0644); /* may not be run */
	make("folder", 0755);
	assert_int_equal(mkdir("folder/prog", 0755), 0);
	make("first", 0755);
	make("first/prog", 0755);
	make("second", 0755);
	make("second/prog", 0755);
	make("second/other", 0755);
	return 0;
}

static int teardown(void **state)
{
	static const char *const files[] = {"locked/prog", "first/prog", "second/prog",
					    "second/other"};
	static const char *const folders[] = {"folder/prog", "folder", "locked", "first", "second"};
	int r = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		r |= unlink(files[i]);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		r |= rmdir(folders[i]);
	return r | chdir("/") | rmdir(scratch);
}

/* Each name of the list in the scratch folder, but for those with a dot, which stay relative. */
static void expect(const char *const *names, const char *program, const char *found)
{
	char list[PATH_MAX] = "";
	char wanted[PATH_MAX];
	char path[PATH_MAX] = "untouched";
	size_t n = 0;

	for (; *names; names++)
		n += (size_t)snprintf(list + n, sizeof(list) - n,
				      "%s%s%s:", **names == '.' || !**names ? "" : scratch,
				      **names == '.' || !**names ? "" : "/", *names);
	(void)snprintf(wanted, sizeof(wanted), "%s/%s", scratch, found ? found : "");
	assert_int_equal(program_find(list, program, path, sizeof(path)), found ? 0 : -ENOENT);
	assert_string_equal(path, found ? wanted : "untouched");
}

static void test_order(void **state)
{
	(void)state;
	expect((const char *const[]){"first", "second", NULL}, "prog", "first/prog");
	expect((const char *const[]){"second", "first", NULL}, "prog", "second/prog");
	expect((const char *const[]){"first", "second", NULL}, "other", "second/other");
	expect((const char *const[]){"first", "second", NULL}, "none", NULL);
}

static void test_traps(void **state)
{
	(void)state;
	expect((const char *const[]){"missing", "locked", "folder", "second", NULL}, "prog",
	       "second/prog");
	/* Relative and empty folders, although we stand where they lead to it. */
	expect((const char *const[]){"./first", "", "second", NULL}, "prog", "second/prog");
	expect((const char *const[]){"./first", NULL}, "prog", NULL);
}

static void test_no_list_no_room(void **state)
{
	char path[PATH_MAX];
	size_t exact = strlen(scratch) + strlen("/first/prog") + 1;
	char list[PATH_MAX];

	(void)state;
	assert_int_equal(program_find(NULL, "prog", path, sizeof(path)), -ENOENT);
	assert_int_equal(program_find("", "prog", path, sizeof(path)), -ENOENT);
	(void)snprintf(list, sizeof(list), "%s/first", scratch);
	assert_int_equal(program_find(list, "prog", path, exact - 1), -ENOENT);
	assert_int_equal(program_find(list, "prog", path, exact), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_traps),
		cmocka_unit_test(test_no_list_no_room),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
