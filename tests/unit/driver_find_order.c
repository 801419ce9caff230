/* SPDX-License-Identifier: Apache-2.0 */
/* The driver is looked for in the loader's order, and never found to be ourselves. */
#include "base_files.h"

#include <errno.h>

#include "base/find/driver_find.h"

static char paths[8][300];

static const char *in(void **state, int slot, const char *name)
{
	(void)snprintf(paths[slot], sizeof(paths[slot]), "%s/%s", (const char *)*state, name);
	return paths[slot];
}

/* A folder with a libcuda.so.1 in it. */
static void put_library(void **state, const char *folder, uint16_t machine, const char *owner)
{
	static struct image image;
	char path[600];

	(void)mkdir(in(state, 7, folder), 0700);
	(void)snprintf(path, sizeof(path), "%s/libcuda.so.1", paths[7]);
	image_elf(&image, machine, owner, 4);
	write_file(path, image.bytes, image.size);
}

static int setup(void **state)
{
	static struct image image;
	static char real[320];
	static char ours[320];

	assert_int_equal(scratch_setup(state), 0);
	put_library(state, "ours", TEST_MACHINE, "lithos");
	put_library(state, "real", TEST_MACHINE, NULL);
	put_library(state, "real2", TEST_MACHINE, NULL);
	put_library(state, "foreign", EM_S390, NULL);
	put_library(state, "stubs", TEST_MACHINE, NULL);
	assert_int_equal(symlink(in(state, 0, "real/libcuda.so.1"), in(state, 1, "self")), 0);
	(void)snprintf(real, sizeof(real), "%s/real2/libcuda.so.1", (const char *)*state);
	(void)snprintf(ours, sizeof(ours), "%s/ours/libcuda.so.1", (const char *)*state);
	image_cache(&image, (struct cache_line[]){{"libcuda.so.1", ours}, {"libcuda.so.1", real}},
		    2, 1);
	write_file(in(state, 0, "cache"), image.bytes, image.size);
	return 0;
}

static void test_configured_path(void **state)
{
	char path[300];
	struct driver_find find = {.configured = in(state, 0, "ours/libcuda.so.1")};

	/* Taken as it is, even one of ours: a test or a chain may want that. */
	assert_int_equal(driver_find(&find, path, sizeof(path)), 0);
	assert_string_equal(path, paths[0]);
	assert_int_equal(driver_find(&find, path, 5), -ENAMETOOLONG);
	find.configured = in(state, 0, "absent");
	assert_int_equal(driver_find(&find, path, sizeof(path)), -ENODEV);
	find.configured = *state;
	assert_int_equal(driver_find(&find, path, sizeof(path)), -ENODEV);
}

static void test_search_path_without_ours(void **state)
{
	char path[300];
	char folders[2400];
	struct driver_find find = {.search_path = folders, .cache_file = in(state, 0, "none")};

	(void)snprintf(folders, sizeof(folders), ":%s:%s;%s::%s:%s:%s", in(state, 1, "ours"),
		       in(state, 2, "absent"), in(state, 3, "foreign"), in(state, 4, "stubs"),
		       in(state, 5, "real"), in(state, 6, "real2"));
	assert_int_equal(driver_find(&find, path, sizeof(path)), 0);
	assert_string_equal(path, in(state, 0, "real/libcuda.so.1"));
	/* When real/ is ourselves, under whatever name, the next one is taken. */
	find.self = in(state, 1, "self");
	assert_int_equal(driver_find(&find, path, sizeof(path)), 0);
	assert_string_equal(path, in(state, 0, "real2/libcuda.so.1"));
	assert_int_equal(driver_find(&find, path, 5), -ENAMETOOLONG);
}

static void test_cache_without_ours(void **state)
{
	char path[300];
	struct driver_find find = {.configured = "", .cache_file = in(state, 0, "cache")};

	assert_int_equal(driver_find(&find, path, sizeof(path)), 0);
	assert_string_equal(path, in(state, 1, "real2/libcuda.so.1"));
	/* LD_LIBRARY_PATH goes first, as it does for the loader. */
	find.search_path = in(state, 2, "real");
	assert_int_equal(driver_find(&find, path, sizeof(path)), 0);
	assert_string_equal(path, in(state, 1, "real/libcuda.so.1"));
	find.search_path = NULL;
	assert_int_equal(driver_find(&find, path, 5), -ENAMETOOLONG);
}

static void test_nothing_there(void **state)
{
	char path[4096];
	struct driver_find find = {.search_path = in(state, 1, "ours"),
				   .cache_file = in(state, 0, "none")};
	int r = driver_find(&find, path, sizeof(path));

	/* A machine that builds this may have a driver in a usual folder; it must not be ours. */
	assert_true(r == -ENOENT || (r == 0 && elf_has_note(path, LITHOS_NOTE_OWNER) == 0));
}

static void test_overlong_folder(void **state)
{
	char path[4096];
	char *folders = malloc(20000);
	struct driver_find find = {.search_path = folders, .cache_file = in(state, 0, "none")};

	assert_non_null(folders);
	memset(folders, 'f', 19999);
	folders[19999] = '\0';
	/* One element too long to be a folder, one just too long with the file's name. */
	folders[5000] = ':';
	folders[5000 + 4090] = ':';
	(void)snprintf(folders + 9091, 500, "%s", in(state, 2, "real"));
	assert_int_equal(driver_find(&find, path, sizeof(path)), 0);
	assert_string_equal(path, in(state, 0, "real/libcuda.so.1"));
	free(folders);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_configured_path),
		cmocka_unit_test(test_search_path_without_ours),
		cmocka_unit_test(test_cache_without_ours),
		cmocka_unit_test(test_nothing_there),
		cmocka_unit_test(test_overlong_folder),
	};

	return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
