/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `lithos run --stats` prints: a table of the kernels that took most GPU time, or everything
 * as JSON.
 *
 * The table marks with '~' a total that was scaled because some launches had no record, and ends
 * with a line for each counter that says something went otherwise than it should. Quantiles are not
 * printed for rows without any timed launch. Why a kernel is launched as it is takes a column of
 * sentences; where the terminal has no room for it, lines below the table count them instead.
 *
 * Tested by tests/unit/cli_summary.c and tests/integration/cli_stats.bats.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cli/run/kernel_name.h"
#include "cli/run/summary.h"
#include "cli/run/summary_split.h"
#include "sched/split.h"

#define TABLE_ROWS 30
/* What the columns other than the name usually take. */
#define OTHER_COLUMNS      95
#define NAME_WIDTH_MIN     24
#define NAME_WIDTH_MAX     160
#define NAME_WIDTH_DEFAULT 60

static const struct table_column columns[] = {
	{"KERNEL", 0}, {"LAUNCHES", 1}, {"TOTAL_MS", 1}, {"P50_US", 1}, {"P99_US", 1}, {"SHARE", 1},
	{"GRID", 1},   {"BLOCK", 1},    {"TPCS", 1},     {"FLAGS", 0},  {"HOW", 0},    {"WHY", 0},
};

/* Counters of the ordinary course of things; any other one is worth a line when it is not zero. */
static int is_ordinary(enum stats_counter counter)
{
	switch (counter) {
	case STATS_qmd_seen:
	case STATS_qmd_masked:
	case STATS_mask_widened:
	case STATS_graph_launches:
	case STATS_records_armed:
	case STATS_records_read:
	case STATS_works_claimed:
	case STATS_works_cut:
	case STATS_works_committed:
	case STATS_works_resumed:
	case STATS_works_grown:
	case STATS_atoms_launched:
	case STATS_code_read:
	case STATS_epochs_raised:
		return 1;
	default:
		return 0;
	}
}

static size_t name_width(unsigned int terminal)
{
	if (terminal == 0)
		return NAME_WIDTH_DEFAULT;
	if (terminal < OTHER_COLUMNS + NAME_WIDTH_MIN)
		return NAME_WIDTH_MIN;
	if (terminal > OTHER_COLUMNS + NAME_WIDTH_MAX)
		return NAME_WIDTH_MAX;
	return terminal - OTHER_COLUMNS;
}

/* How the table is laid out. */
struct layout {
	size_t name_width;
	size_t nr_columns; /* without the last, WHY, where that does not fit */
};

static struct layout layout_for(const struct summary *summary, unsigned int terminal)
{
	size_t nr_columns = sizeof(columns) / sizeof(columns[0]);
	size_t why = strlen(columns[nr_columns - 1].title);

	for (size_t i = 0; i < summary->nr_rows && i < TABLE_ROWS; i++) {
		size_t length = strlen(summary_why(&summary->rows[i].kernel));

		why = length > why ? length : why;
	}
	why += 2;
	if (terminal == 0)
		return (struct layout){name_width(0), nr_columns};
	if (terminal < OTHER_COLUMNS + NAME_WIDTH_MIN + why)
		return (struct layout){name_width(terminal), nr_columns - 1};
	return (struct layout){name_width(terminal - (unsigned int)why), nr_columns};
}

static double share_of(const struct summary *summary, const struct stats_kernel *row)
{
	if (summary->total_ns == 0)
		return 0;
	return (double)summary_total_ns(row) / (double)summary->total_ns;
}

static void dims_text(char *text, size_t size, const uint32_t *dims)
{
	if (dims[1] <= 1 && dims[2] <= 1)
		(void)snprintf(text, size, "%" PRIu32, dims[0]);
	else if (dims[2] <= 1)
		(void)snprintf(text, size, "%" PRIu32 "x%" PRIu32, dims[0], dims[1]);
	else
		(void)snprintf(text, size, "%" PRIu32 "x%" PRIu32 "x%" PRIu32, dims[0], dims[1],
			       dims[2]);
}

static void quantile_text(char *text, size_t size, const struct stats_kernel *row, double q)
{
	if (row->nr_timed == 0)
		(void)snprintf(text, size, "-");
	else
		(void)snprintf(text, size, "%.1f", (double)stats_quantile_ns(row, q) / 1e3);
}

static void flags_text(char *text, uint32_t flags)
{
	if (flags & STATS_KERNEL_GRAPH)
		*text++ = 'g';
	if (flags & STATS_KERNEL_WIDENED)
		*text++ = 'w';
	if (flags & STATS_KERNEL_DRIVER)
		*text++ = 'd';
	*text = '\0';
}

static void add_row(struct table *table, const struct summary *summary,
		    const struct stats_kernel *row, size_t width)
{
	char name[NAME_WIDTH_MAX + 1];
	char launches[24];
	char total[32];
	char p50[24];
	char p99[24];
	char share[16];
	char grid[40];
	char block[40];
	char tpcs[16];
	char flags[8];
	char how[SUMMARY_HOW_BYTES];

	kernel_name_short(row->name, name, width);
	(void)snprintf(launches, sizeof(launches), "%" PRIu64, row->nr_launches);
	(void)snprintf(total, sizeof(total), "%s%.3f", row->nr_timed < row->nr_launches ? "~" : "",
		       (double)summary_total_ns(row) / 1e6);
	quantile_text(p50, sizeof(p50), row, 0.50);
	quantile_text(p99, sizeof(p99), row, 0.99);
	(void)snprintf(share, sizeof(share), "%.1f%%", 100 * share_of(summary, row));
	dims_text(grid, sizeof(grid), row->grid);
	dims_text(block, sizeof(block), row->block);
	(void)snprintf(tpcs, sizeof(tpcs), "%" PRIu32, row->tpcs);
	flags_text(flags, row->flags);
	summary_how(row, how);
	table_add(table, (const char *const[]){name, launches, total, p50, p99, share, grid, block,
					       tpcs, flags, how, summary_why(row)});
}

static void print_head(const struct summary *summary, FILE *file)
{
	uint64_t launches = 0;

	for (size_t i = 0; i < summary->nr_rows; i++)
		launches = summary_add_up(launches, summary->rows[i].kernel.nr_launches);
	(void)fprintf(file,
		      "lithos: %" PRIu64 " launches of %zu kernels, %.3f ms of GPU time, %" PRIu32
		      " processes",
		      launches, summary->nr_rows, (double)summary->total_ns / 1e6,
		      summary->nr_processes);
	if (summary->quota_tpcs > 0)
		(void)fprintf(file, ", quota %" PRIu32 " of %" PRIu32 " TPCs", summary->quota_tpcs,
			      summary->device_tpcs);
	(void)fputc('\n', file);
}

static void print_foot(const struct summary *summary, FILE *file)
{
	if (summary->nr_rows > TABLE_ROWS)
		(void)fprintf(file, "and %zu more\n", summary->nr_rows - TABLE_ROWS);
	if (summary->nr_bad_files > 0)
		(void)fprintf(file, "note: %" PRIu32 " statistics files could not be read\n",
			      summary->nr_bad_files);
	for (int i = 0; i < STATS_NR_COUNTERS; i++) {
		if (summary->counter[i] > 0 && !is_ordinary((enum stats_counter)i))
			(void)fprintf(file, "note: %" PRIu64 " %s\n", summary->counter[i],
				      stats_counter_rows[i].sentence);
	}
}

static int print_as_table(const struct summary *summary, unsigned int width, FILE *file)
{
	struct layout layout = layout_for(summary, width);
	struct table *table = table_new(columns, layout.nr_columns);
	int r = 0;

	if (table == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < summary->nr_rows && i < TABLE_ROWS; i++)
		add_row(table, summary, &summary->rows[i].kernel, layout.name_width);
	print_head(summary, file);
	if (summary->nr_rows > 0)
		r = table_print(table, file);
	if (layout.nr_columns < sizeof(columns) / sizeof(columns[0]))
		summary_print_reasons(summary, file);
	summary_print_long_blocks(summary, file);
	print_foot(summary, file);
	table_free(table);
	return r;
}

static json_t *split_json(const struct stats_kernel *row)
{
	uint32_t way = stats_way(row->way_reason);
	uint32_t reason = stats_reason(row->way_reason);

	return json_pack(
		"{s:s, s:s, s:I, s:I, s:I, s:I}", "way", split_way_name((enum split_way)way),
		"reason", split_reason_text((enum split_reason)reason), "atoms",
		(json_int_t)stats_atoms(row->way_reason), "split", (json_int_t)row->nr_split, "cut",
		(json_int_t)row->nr_cut, "block_us", (json_int_t)row->block_us);
}

static json_t *kernel_json(const struct summary *summary, const struct stats_kernel *row)
{
	char flags[8];
	json_t *kernel;

	flags_text(flags, row->flags);
	kernel = json_pack(
		"{s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:[I,I,I], s:[I,I,I], s:I, s:I, s:s}", "name",
		row->name, "launches", (json_int_t)row->nr_launches, "timed",
		(json_int_t)row->nr_timed, "total_ns", (json_int_t)summary_total_ns(row), "p50_ns",
		(json_int_t)stats_quantile_ns(row, 0.50), "p99_ns",
		(json_int_t)stats_quantile_ns(row, 0.99), "share", share_of(summary, row), "grid",
		(json_int_t)row->grid[0], (json_int_t)row->grid[1], (json_int_t)row->grid[2],
		"block", (json_int_t)row->block[0], (json_int_t)row->block[1],
		(json_int_t)row->block[2], "type", (json_int_t)row->grid_type, "tpcs",
		(json_int_t)row->tpcs, "flags", flags);
	(void)json_object_update_new(kernel, split_json(row));
	return kernel;
}

static int print_as_json(const struct summary *summary, FILE *file)
{
	json_t *kernels = json_array();
	json_t *counters = json_object();

	for (size_t i = 0; i < summary->nr_rows; i++)
		(void)json_array_append_new(kernels,
					    kernel_json(summary, &summary->rows[i].kernel));
	for (int i = 0; i < STATS_NR_COUNTERS; i++)
		(void)json_object_set_new(counters, stats_counter_rows[i].name,
					  json_integer((json_int_t)summary->counter[i]));
	/* The object takes over both values, also when packing fails. */
	return json_print(json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "version", 1,
				    "processes", (json_int_t)summary->nr_processes,
				    "unreadable_files", (json_int_t)summary->nr_bad_files,
				    "quota_tpcs", (json_int_t)summary->quota_tpcs, "device_tpcs",
				    (json_int_t)summary->device_tpcs, "total_ns",
				    (json_int_t)summary->total_ns, "kernels", kernels, "counters",
				    counters),
			  file);
}

int summary_print(const struct summary *summary, enum format format, unsigned int width, FILE *file)
{
	return format == FORMAT_JSON ? print_as_json(summary, file)
				     : print_as_table(summary, width, file);
}
