/* SPDX-License-Identifier: Apache-2.0 */
/* The statistics file: made private and reserved, read back, and refused when damaged. */
#include "base_files.h"

#include <errno.h>
#include <sys/resource.h>

#include "base/stats_file.h"

static char *path_in(const char *folder, const char *name)
{
	static char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void test_create_and_read(void **state)
{
	struct stats_region *mine = NULL;
	struct stats_region *copy = NULL;
	struct stat st;

	assert_int_equal(stats_region_create(*state, 42, &mine), 0);
	assert_int_equal(stat(path_in(*state, "stats.42"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, sizeof(struct stats_region));
	/* Reserved: no store into it may find the file system full. */
	assert_true((size_t)st.st_blocks * 512 >= sizeof(struct stats_region));
	assert_int_equal(mine->header.pid, 42);
	assert_int_equal(mine->header.nr_counters, STATS_NR_COUNTERS);
	assert_true(mine->header.started_ns > 0);
	assert_string_equal(mine->header.command, program_invocation_short_name);

	mine->kernel[0].nr_launches = 7;
	mine->kernel[0].way_reason = stats_way_pack(1, 12, 4);
	mine->header.nr_kernels = 1;
	assert_int_equal(stats_region_map(path_in(*state, "stats.42"), &copy), 0);
	assert_int_equal(copy->kernel[0].nr_launches, 7);
	assert_int_equal(stats_atoms(copy->kernel[0].way_reason), 4);
	mine->kernel[0].nr_launches = 8;
	assert_int_equal(copy->kernel[0].nr_launches, 7);
	stats_region_unmap(copy);
	stats_region_unmap(mine);
	stats_region_unmap(NULL);
}

/* A limit that the file would pass: no signal, no statistics, no file. */
static void test_file_limit(void **state)
{
	struct stats_region *mine = NULL;
	struct rlimit before, small;
	struct stat st;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = sizeof(*mine) - 1;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(stats_region_create(*state, 77, &mine), -EFBIG);
	assert_int_equal(stat(path_in(*state, "stats.77"), &st), -1);
	small.rlim_cur = sizeof(*mine);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(stats_region_create(*state, 77, &mine), 0);
	stats_region_unmap(mine);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

static void test_exec_gets_another_name(void **state)
{
	struct stats_region *first = NULL;
	struct stats_region *second = NULL;
	struct stat st;

	assert_int_equal(stats_region_create(*state, 43, &first), 0);
	assert_int_equal(stats_region_create(*state, 43, &second), 0);
	assert_int_equal(stat(path_in(*state, "stats.43.1"), &st), 0);
	stats_region_unmap(first);
	stats_region_unmap(second);
	for (int i = 2; i < 100; i++) {
		assert_int_equal(stats_region_create(*state, 43, &first), 0);
		stats_region_unmap(first);
	}
	assert_int_equal(stats_region_create(*state, 43, &first), -EEXIST);
}

static void test_create_fails_cleanly(void **state)
{
	struct stats_region *region = NULL;
	char longer[5000];

	assert_int_equal(stats_region_create(path_in(*state, "absent"), 1, &region), -ENOENT);
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(stats_region_create(longer, 1, &region), -ENAMETOOLONG);
	assert_null(region);
}

static void test_damaged_headers_are_refused(void **state)
{
	struct stats_region *mine = NULL;
	struct stats_region *copy = NULL;

	assert_int_equal(stats_region_create(*state, 44, &mine), 0);
	assert_int_equal(stats_region_valid(mine, sizeof(*mine) - 1), -EPROTO);
	/* The first six words and the row count: each damaged alone. */
	for (size_t word = 0; word < 10; word++) {
		uint32_t *at = (uint32_t *)&mine->header + word;
		uint32_t good = *at;

		if (word == 6 || word == 7 || word == 8)
			continue; /* pid and TPC counts may be anything */
		*at = 0x7fffffff;
		assert_int_equal(stats_region_valid(mine, sizeof(*mine)), -EPROTO);
		assert_int_equal(stats_region_map(path_in(*state, "stats.44"), &copy), -EPROTO);
		*at = good;
		assert_int_equal(stats_region_valid(mine, sizeof(*mine)), 0);
	}
	assert_null(copy);
	stats_region_unmap(mine);
}

static void test_short_and_strange_files(void **state)
{
	struct stats_region *copy = NULL;
	char path[4096];

	assert_int_equal(stats_region_map(path_in(*state, "none"), &copy), -ENOENT);
	write_file(path_in(*state, "short"), "LSTS", 4);
	assert_int_equal(stats_region_map(path_in(*state, "short"), &copy), -EPROTO);
	assert_int_equal(mkfifo(path_in(*state, "fifo"), 0600), 0);
	assert_int_equal(stats_region_map(path_in(*state, "fifo"), &copy), -EPROTO);
	(void)snprintf(path, sizeof(path), "%s/link", (const char *)*state);
	assert_int_equal(symlink(path_in(*state, "short"), path), 0);
	assert_int_equal(stats_region_map(path, &copy), -ELOOP);
	assert_null(copy);
}

static void test_counter_names(void **state)
{
	(void)state;
	assert_string_equal(stats_counter_rows[STATS_qmd_seen].name, "qmd_seen");
	assert_string_equal(stats_counter_rows[STATS_qmd_seen].group, "launch");
	assert_int_equal(STATS_qmd_seen, 0);
	/* Columns of the file: who reads an old file must find the same numbers. */
	assert_string_equal(stats_counter_rows[STATS_works_claimed].group, "split");
	assert_int_equal(STATS_works_claimed, 28);
	assert_int_equal(STATS_epochs_raised, 36);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create_and_read),
		cmocka_unit_test(test_file_limit),
		cmocka_unit_test(test_exec_gets_another_name),
		cmocka_unit_test(test_create_fails_cleanly),
		cmocka_unit_test(test_damaged_headers_are_refused),
		cmocka_unit_test(test_short_and_strange_files),
		cmocka_unit_test(test_counter_names),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
