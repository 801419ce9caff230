/* SPDX-License-Identifier: Apache-2.0 */
/* How kernels are launched and why: packed, merged over processes, printed wide, narrow and as
 * JSON. */
#include "base_files.h"

#include "cli/run/summary.h"
#include "cli/run/summary_split.h"
#include "sched/split.h"

struct kernel {
	const char *name;
	uint32_t way_reason;
	uint32_t nr_split;
	uint32_t nr_cut;
	uint32_t block_us;
	uint64_t launches;
};

static void add_process(struct summary *summary, uint64_t at_ns, const struct kernel *kernels,
			size_t nr)
{
	struct stats_region *region = calloc(1, sizeof(*region));

	assert_non_null(region);
	region->header.updated_ns = at_ns;
	for (size_t i = 0; i < nr; i++) {
		struct stats_kernel *row = &region->kernel[region->header.nr_kernels++];

		row->nr_launches = row->nr_timed = kernels[i].launches;
		row->total_ns = kernels[i].launches * 1000;
		row->way_reason = kernels[i].way_reason;
		row->nr_split = kernels[i].nr_split;
		row->nr_cut = kernels[i].nr_cut;
		row->block_us = kernels[i].block_us;
		memcpy(row->name, kernels[i].name, strlen(kernels[i].name) + 1);
	}
	assert_int_equal(summary_add(summary, region), 0);
	free(region);
}

static const char *print(const struct summary *summary, enum format format, unsigned int width)
{
	static char text[65536];
	FILE *file = fmemopen(text, sizeof(text), "w");

	assert_non_null(file);
	assert_int_equal(summary_print(summary, format, width, file), 0);
	assert_int_equal(fclose(file), 0);
	return text;
}

/*
 * The file's numbers are those of sched/split.h: whoever changes what one of them means changes
 * STATS_VERSION. A new one at the end counts as nothing known to older readers.
 */
static void test_packing(void **state)
{
	uint32_t packed = stats_way_pack(SPLIT_ATOMS, SPLIT_LONG, 4);

	(void)state;
	assert_int_equal(SPLIT_WHOLE, 0);
	assert_int_equal(SPLIT_NR_WAYS, 3);
	assert_int_equal(SPLIT_NOT_ASKED, 0);
	assert_int_equal(SPLIT_LONG_BLOCKS, 11);
	assert_int_equal(SPLIT_NR_REASONS, 15);
	assert_int_equal(packed, 1 | 12 << 8 | 4 << 16);
	assert_int_equal(stats_way(packed), SPLIT_ATOMS);
	assert_int_equal(stats_reason(packed), SPLIT_LONG);
	assert_int_equal(stats_atoms(packed), 4);
	packed = stats_way_pack(SPLIT_ATOMS, SPLIT_FORCED, 1000);
	assert_int_equal(stats_atoms(packed), 255);
	assert_int_equal(stats_reason(packed), SPLIT_FORCED);
	assert_int_equal(packed >> 24, 0);
}

/* Sums, and the way of whoever was last at work, in whichever order files are read. */
static void test_merge(void **state)
{
	const struct kernel older = {
		"k", stats_way_pack(SPLIT_WHOLE, SPLIT_UNPREDICTED, 0), 1, 0, 7, 100};
	const struct kernel newer = {"k", stats_way_pack(SPLIT_CLAIMED, SPLIT_LONG, 0), 10, 3, 50,
				     10};
	const struct kernel unasked = {"k", 0, 0, 0, 0, 1000};
	const struct kernel *const processes[] = {&older, &newer, &unasked};
	static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
					{1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct summary summary = {0};
		const struct stats_kernel *row;

		for (int n = 0; n < 3; n++)
			add_process(&summary, 100 + 10 * (uint64_t)orders[i][n],
				    processes[orders[i][n]], 1);
		summary_finish(&summary);
		assert_int_equal(summary.nr_rows, 1);
		row = &summary.rows[0].kernel;
		assert_int_equal(row->nr_launches, 1110);
		assert_int_equal(row->nr_split, 11);
		assert_int_equal(row->nr_cut, 3);
		assert_int_equal(row->way_reason, newer.way_reason);
		assert_int_equal(row->block_us, 50);
		summary_free(&summary);
	}
}

static void test_sums_saturate_and_strange_numbers_are_dropped(void **state)
{
	struct summary summary = {0};
	const struct kernel much = {
		"much", stats_way_pack(SPLIT_CLAIMED, SPLIT_LONG, 0), UINT32_MAX - 1, UINT32_MAX, 1,
		5};
	const struct kernel strange[] = {
		{"way", stats_way_pack(SPLIT_NR_WAYS, SPLIT_LONG, 0), 0, 0, 1, 1},
		{"reason", stats_way_pack(SPLIT_CLAIMED, SPLIT_NR_REASONS, 0), 0, 0, 1, 1},
		{"all", UINT32_MAX, 0, 0, 1, 1}};

	(void)state;
	add_process(&summary, 1, &much, 1);
	add_process(&summary, 2, &much, 1);
	add_process(&summary, 3, strange, 3);
	summary_finish(&summary);
	assert_int_equal(summary.nr_rows, 4);
	assert_int_equal(summary.rows[0].kernel.nr_split, UINT32_MAX);
	assert_int_equal(summary.rows[0].kernel.nr_cut, UINT32_MAX);
	for (int i = 1; i < 4; i++)
		assert_int_equal(summary.rows[i].kernel.way_reason, 0);
	assert_non_null(strstr(print(&summary, FORMAT_TABLE, 0), "whole"));
	summary_free(&summary);
}

static void fill(struct summary *summary)
{
	const struct kernel kernels[] = {
		{"k_atoms", stats_way_pack(SPLIT_ATOMS, SPLIT_LONG, 4), 9, 0, 40, 6},
		{"k_claimed", stats_way_pack(SPLIT_CLAIMED, SPLIT_LONG_BLOCKS, 0), 8, 2, 900, 5},
		{"k_claimed_too", stats_way_pack(SPLIT_CLAIMED, SPLIT_LONG_BLOCKS, 0), 8, 2, 350,
		 4},
		{"k_one_wave", stats_way_pack(SPLIT_WHOLE, SPLIT_ONE_WAVE, 0), 0, 0, 30, 3},
		{"k_brief", stats_way_pack(SPLIT_WHOLE, SPLIT_SHORT, 0), 0, 0, 3, 2},
		{"k_unasked", 0, 0, 0, 0, 1},
	};

	*summary = (struct summary){0};
	add_process(summary, 1, kernels, sizeof(kernels) / sizeof(kernels[0]));
	summary_finish(summary);
}

/* The line of the table that begins with the kernel's name. */
static const char *line_of(const char *text, const char *kernel)
{
	static char line[512];
	size_t length = strlen(kernel);

	while (strncmp(text, kernel, length) != 0 || text[length] != ' ') {
		text += strcspn(text, "\n");
		assert_int_equal(*text, '\n');
		text++;
	}
	(void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\n"), text);
	return line;
}

static const char *reason(enum split_reason which)
{
	return split_reason_text(which);
}

static void test_wide_table(void **state)
{
	struct summary summary;
	const char *text;

	(void)state;
	fill(&summary);
	text = print(&summary, FORMAT_TABLE, 0);
	assert_non_null(strstr(text, "HOW"));
	assert_non_null(strstr(text, "WHY"));
	assert_non_null(strstr(line_of(text, "k_atoms"), "  atoms x4  "));
	assert_non_null(strstr(line_of(text, "k_atoms"), reason(SPLIT_LONG)));
	assert_non_null(strstr(line_of(text, "k_claimed"), "  claimed  "));
	assert_non_null(strstr(line_of(text, "k_claimed"), reason(SPLIT_LONG_BLOCKS)));
	assert_non_null(strstr(line_of(text, "k_one_wave"), reason(SPLIT_ONE_WAVE)));
	assert_non_null(strstr(line_of(text, "k_brief"), "  whole"));
	assert_null(strstr(line_of(text, "k_brief"), reason(SPLIT_SHORT)));
	assert_null(strstr(line_of(text, "k_unasked"), reason(SPLIT_NOT_ASKED)));
	assert_non_null(strstr(text, "2 kernels have blocks of more than 300 us: they cannot be "
				     "preempted sooner\n"));
	assert_null(strstr(text, "why: "));
	summary_free(&summary);
}

/* Sentences have no room: they are counted below, and no line is wider than the terminal. */
static void test_narrow_table(void **state)
{
	struct summary summary;
	char expected[300];
	const char *text;

	(void)state;
	fill(&summary);
	text = print(&summary, FORMAT_TABLE, 120);
	assert_non_null(strstr(text, "HOW\n"));
	assert_non_null(strstr(line_of(text, "k_atoms"), "  atoms x4"));
	(void)snprintf(expected, sizeof(expected), "\nwhy: 2 kernels: %s\n",
		       reason(SPLIT_LONG_BLOCKS));
	assert_non_null(strstr(text, expected));
	(void)snprintf(expected, sizeof(expected), "\nwhy: 1 kernels: %s\n",
		       reason(SPLIT_ONE_WAVE));
	assert_non_null(strstr(text, expected));
	assert_null(strstr(text, reason(SPLIT_SHORT)));
	assert_non_null(strstr(text, "2 kernels have blocks of more than 300 us"));
	summary_free(&summary);
}

static void test_long_blocks_only_where_there_are_some(void **state)
{
	static const struct {
		uint32_t block_us;
		const char *text;
	} expected[] = {{1, "more than 0 us"},
			{2, "more than 1 us"},
			{10, "more than 9 us"},
			{101, "more than 100 us"},
			{1000, "more than 900 us"}};
	const struct kernel plain = {"k", stats_way_pack(SPLIT_CLAIMED, SPLIT_LONG, 0), 1, 1, 900,
				     1};
	struct summary summary = {0};

	(void)state;
	add_process(&summary, 1, &plain, 1);
	assert_null(strstr(print(&summary, FORMAT_TABLE, 0), "preempted sooner"));
	summary_free(&summary);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		const struct kernel kernel = {"k",
					      stats_way_pack(SPLIT_ATOMS, SPLIT_LONG_BLOCKS, 2),
					      1,
					      1,
					      expected[i].block_us,
					      1};

		summary = (struct summary){0};
		add_process(&summary, 1, &kernel, 1);
		assert_non_null(strstr(print(&summary, FORMAT_TABLE, 0), expected[i].text));
		summary_free(&summary);
	}
}

static json_int_t number(const json_t *kernel, const char *key)
{
	assert_true(json_is_integer(json_object_get(kernel, key)));
	return json_integer_value(json_object_get(kernel, key));
}

static void test_json(void **state)
{
	struct summary summary;
	json_t *root;
	const json_t *kernel;

	(void)state;
	fill(&summary);
	root = json_loads(print(&summary, FORMAT_JSON, 0), 0, NULL);
	assert_non_null(root);
	kernel = json_array_get(json_object_get(root, "kernels"), 0);
	assert_string_equal(json_string_value(json_object_get(kernel, "way")), "atoms");
	assert_string_equal(json_string_value(json_object_get(kernel, "reason")),
			    reason(SPLIT_LONG));
	assert_int_equal(number(kernel, "atoms"), 4);
	assert_int_equal(number(kernel, "split"), 9);
	kernel = json_array_get(json_object_get(root, "kernels"), 1);
	assert_string_equal(json_string_value(json_object_get(kernel, "way")), "claimed");
	assert_int_equal(number(kernel, "atoms"), 0);
	assert_int_equal(number(kernel, "cut"), 2);
	assert_int_equal(number(kernel, "block_us"), 900);
	kernel = json_array_get(json_object_get(root, "kernels"), 5);
	assert_string_equal(json_string_value(json_object_get(kernel, "way")), "whole");
	assert_string_equal(json_string_value(json_object_get(kernel, "reason")),
			    reason(SPLIT_NOT_ASKED));
	json_decref(root);
	summary_free(&summary);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packing),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_sums_saturate_and_strange_numbers_are_dropped),
		cmocka_unit_test(test_wide_table),
		cmocka_unit_test(test_narrow_table),
		cmocka_unit_test(test_long_blocks_only_where_there_are_some),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
