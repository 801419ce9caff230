/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics of several processes: read, merged by name, scaled, sorted and printed. */
#include "base_files.h"

#include <errno.h>

#include "base/stats_file.h"
#include "cli/run/summary.h"

/* One kernel's row: `timed` launches of duration_ns each, of `launches` in all. */
struct row {
	const char *name;
	uint64_t launches;
	uint64_t timed;
	uint64_t duration_ns;
	uint32_t grid;
	uint32_t flags;
};

static void put_row(struct stats_region *region, const struct row *row)
{
	struct stats_kernel *kernel = &region->kernel[region->header.nr_kernels++];

	kernel->nr_launches = row->launches;
	kernel->nr_timed = row->timed;
	kernel->total_ns = row->timed * row->duration_ns;
	kernel->grid[0] = row->grid;
	kernel->grid[1] = kernel->grid[2] = 1;
	kernel->block[0] = 128;
	kernel->block[1] = kernel->block[2] = 1;
	kernel->tpcs = 33;
	kernel->flags = row->flags;
	kernel->hist[stats_bucket_of(row->duration_ns)] = (uint32_t)row->timed;
	memcpy(kernel->name, row->name, strlen(row->name) + 1);
}

static void put_process(const char *folder, uint32_t pid, const struct row *rows, size_t nr)
{
	struct stats_region *region = NULL;

	assert_int_equal(stats_region_create(folder, pid, &region), 0);
	region->header.quota_tpcs = 33;
	region->header.device_tpcs = 66;
	region->header.counter[STATS_qmd_seen] = 10;
	region->header.counter[STATS_records_dropped] = pid;
	for (size_t i = 0; i < nr; i++)
		put_row(region, &rows[i]);
	stats_region_unmap(region);
}

static char *print(const struct summary *summary, enum format format, unsigned int width)
{
	static char text[65536];
	FILE *file = fmemopen(text, sizeof(text), "w");

	assert_non_null(file);
	assert_int_equal(summary_print(summary, format, width, file), 0);
	assert_int_equal(fclose(file), 0);
	return text;
}

static int setup(void **state)
{
	static const struct row first[] = {
		{"_ZN2at4gemmEv", 100, 100, 10000, 64, 0},
		{"copy", 1000, 900, 10000, 8, STATS_KERNEL_GRAPH},
	};
	static const struct row second[] = {
		{"copy", 10, 10, 10000, 7, STATS_KERNEL_DRIVER},
		{"never_timed", 5, 0, 0, 1, STATS_KERNEL_WIDENED},
		{"bad\nname\xff", 1, 1, 50, 1, 0},
	};
	char path[300];

	assert_int_equal(scratch_setup(state), 0);
	put_process(*state, 1, first, 2);
	put_process(*state, 2, second, 3);
	put_process(*state, 3, NULL, 0);
	(void)snprintf(path, sizeof(path), "%s/stats.4", (const char *)*state);
	write_file(path, "garbage", 7);
	(void)snprintf(path, sizeof(path), "%s/other", (const char *)*state);
	write_file(path, "garbage", 7);
	return 0;
}

static void test_merge(void **state)
{
	struct summary summary;

	assert_int_equal(summary_read_folder(&summary, *state), 0);
	assert_int_equal(summary.nr_processes, 3);
	assert_int_equal(summary.nr_bad_files, 1);
	assert_int_equal(summary.counter[STATS_qmd_seen], 30);
	assert_int_equal(summary.counter[STATS_records_dropped], 6);
	assert_int_equal(summary.nr_rows, 4);
	/* 910 of 1,010 launches timed, 9.1 ms: scaled to 10.1 ms; the longest first. */
	assert_string_equal(summary.rows[0].kernel.name, "copy");
	assert_int_equal(summary.rows[0].kernel.nr_launches, 1010);
	assert_int_equal(summary.rows[0].kernel.nr_timed, 910);
	assert_int_equal(summary_total_ns(&summary.rows[0].kernel), 10100000);
	assert_int_equal(summary.rows[0].kernel.grid[0], 8);
	assert_int_equal(summary.rows[0].kernel.flags, STATS_KERNEL_GRAPH | STATS_KERNEL_DRIVER);
	assert_string_equal(summary.rows[1].kernel.name, "_ZN2at4gemmEv");
	assert_string_equal(summary.rows[2].kernel.name, "bad?name?");
	assert_string_equal(summary.rows[3].kernel.name, "never_timed");
	assert_int_equal(summary.total_ns, 10100000 + 1000000 + 50);
	summary_free(&summary);
}

static void test_table(void **state)
{
	struct summary summary;
	const char *text;

	assert_int_equal(summary_read_folder(&summary, *state), 0);
	text = print(&summary, FORMAT_TABLE, 0);
	assert_non_null(strstr(text,
			       "1116 launches of 4 kernels, 11.100 ms of GPU time, 3 processes, "
			       "quota 33 of 66 TPCs\n"));
	assert_non_null(strstr(text, "~10.100"));
	assert_non_null(strstr(text, "at::gemm"));
	assert_non_null(strstr(text, " 1.000 "));
	assert_non_null(strstr(text, "note: 1 statistics files could not be read\n"));
	assert_non_null(
		strstr(text, "note: 6 launches without a record because all slots were in use\n"));
	assert_null(strstr(text, "more"));
	assert_null(strstr(text, "descriptors seen"));
	summary_free(&summary);
}

static void test_json(void **state)
{
	struct summary summary;
	json_t *root;
	json_t *copy;
	json_t *gemm;

	assert_int_equal(summary_read_folder(&summary, *state), 0);
	root = json_loads(print(&summary, FORMAT_JSON, 0), 0, NULL);
	assert_non_null(root);
	copy = json_array_get(json_object_get(root, "kernels"), 0);
	assert_string_equal(json_string_value(json_object_get(copy, "name")), "copy");
	assert_int_equal(json_integer_value(json_object_get(copy, "launches")), 1010);
	assert_int_equal(json_integer_value(json_object_get(copy, "timed")), 910);
	assert_int_equal(json_integer_value(json_object_get(copy, "total_ns")), 10100000);
	assert_in_range(json_integer_value(json_object_get(copy, "p50_ns")), 9216, 10240);
	assert_string_equal(json_string_value(json_object_get(copy, "flags")), "gd");
	assert_true(json_real_value(json_object_get(copy, "share")) > 0.90);
	gemm = json_array_get(json_object_get(root, "kernels"), 1);
	assert_string_equal(json_string_value(json_object_get(gemm, "name")), "_ZN2at4gemmEv");
	assert_int_equal(json_array_size(json_object_get(gemm, "grid")), 3);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "counters"),
							    "records_dropped")),
			 6);
	json_decref(root);
	summary_free(&summary);
}

static void test_long_lists_are_cut(void **state)
{
	struct summary summary = {0};
	struct stats_region *region = calloc(1, sizeof(*region));
	const char *text;

	(void)state;
	assert_non_null(region);
	for (unsigned int i = 0; i < 40; i++) {
		char name[200];
		const struct row row = {name, 1, 1, 1000 + i, 1, 0};

		(void)snprintf(name, sizeof(name), "kernel_%02u_%0150u", i, i);
		put_row(region, &row);
	}
	region->kernel[39].grid[1] = 5;
	region->kernel[38].grid[2] = 3;
	/* A row that claims more timed launches than launches, and has no name. */
	region->kernel[0].nr_launches = 0;
	memset(region->kernel[0].name, 0, STATS_NAME_BYTES);
	assert_int_equal(summary_add(&summary, region), 0);
	summary_finish(&summary);
	assert_int_equal(summary.nr_rows, 40);
	text = print(&summary, FORMAT_TABLE, 120);
	assert_non_null(strstr(text, "and 10 more\n"));
	assert_non_null(strstr(text, " 1x5 "));
	assert_non_null(strstr(text, " 1x1x3 "));
	for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
		assert_true((size_t)(strchr(line, '\n') - line) <= 120);
	/* A terminal too narrow, and one wider than any name. */
	assert_non_null(strstr(print(&summary, FORMAT_TABLE, 20), "kernel_39_"));
	assert_non_null(strstr(print(&summary, FORMAT_TABLE, 1000), "000039 "));
	assert_int_equal(summary.rows[39].kernel.nr_launches, 1);
	assert_string_equal(summary.rows[39].kernel.name, "(unnamed)");
	summary_free(&summary);
	free(region);
}

static void expect_max(const json_t *object, const char *key)
{
	assert_int_equal(json_integer_value(json_object_get(object, key)), INT64_MAX);
}

/* Numbers that no program could reach are cut to the greatest, not wrapped or made negative. */
static void test_absurd_numbers(void **state)
{
	struct summary summary = {0};
	struct stats_region *region = calloc(1, sizeof(*region));
	const struct row absurd = {"absurd", UINT64_MAX - 1, 1, 1000, 1, 0};
	const struct row timed = {"timed", UINT64_MAX, UINT64_MAX, 1, 1, 0};
	json_t *root, *kernels;

	(void)state;
	assert_non_null(region);
	put_row(region, &absurd);
	put_row(region, &timed);
	memset(region->kernel[1].hist, 0xff, sizeof(region->kernel[1].hist));
	memset(region->kernel[1].grid, 0xff, sizeof(region->kernel[1].grid));
	region->header.nr_counters = STATS_NR_COUNTERS;
	region->header.counter[STATS_qmd_seen] = UINT64_MAX - 3;
	assert_int_equal(summary_add(&summary, region), 0);
	assert_int_equal(summary_add(&summary, region), 0);
	summary_finish(&summary);
	assert_non_null(strstr(print(&summary, FORMAT_TABLE, 0), "9223372036854775807 launches"));
	root = json_loads(print(&summary, FORMAT_JSON, 0), 0, NULL);
	assert_non_null(root);
	expect_max(root, "total_ns");
	expect_max(json_object_get(root, "counters"), "qmd_seen");
	kernels = json_object_get(root, "kernels");
	for (size_t i = 0; i < 2; i++) {
		expect_max(json_array_get(kernels, i), "launches");
		expect_max(json_array_get(kernels, i), "total_ns");
		assert_true(json_integer_value(
				    json_object_get(json_array_get(kernels, i), "p99_ns")) >= 0);
	}
	json_decref(root);
	summary_free(&summary);
	free(region);
}

static void test_nothing(void **state)
{
	struct summary summary;
	char path[300];

	(void)snprintf(path, sizeof(path), "%s/none", (const char *)*state);
	assert_int_equal(summary_read_folder(&summary, path), -ENOENT);
	assert_string_equal(print(&summary, FORMAT_TABLE, 0),
			    "lithos: 0 launches of 0 kernels, 0.000 ms of GPU time, 0 processes\n");
	summary_free(&summary);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merge),   cmocka_unit_test(test_table),
		cmocka_unit_test(test_json),    cmocka_unit_test(test_long_lists_are_cut),
		cmocka_unit_test(test_nothing), cmocka_unit_test(test_absurd_numbers),
	};

	return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
