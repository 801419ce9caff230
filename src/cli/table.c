/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables for people and JSON for programs, so that no verb formats columns by hand.
 *
 * Idea: cells are kept as texts until the table is printed, when the width of each column is known.
 * The last column is not padded. Widths are bytes: names of kernels and options are ASCII.
 *
 * Tested by tests/unit/cli_table.c.
 */
#include "cli/table.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct table {
	const struct table_column *columns;
	size_t nr_columns;
	char **cells; /* nr_rows * nr_columns, owned */
	size_t nr_rows;
	int failed; /* an allocation did not succeed: the table is not complete */
};

int format_from(const char *text, enum format *ret_format)
{
	if (strcmp(text, "table") == 0)
		*ret_format = FORMAT_TABLE;
	else if (strcmp(text, "json") == 0)
		*ret_format = FORMAT_JSON;
	else
		return -EINVAL;
	return 0;
}

int format_parse(int key, const char *arg, struct argp_state *state, enum format *ret_format)
{
	switch (key) {
	case 'f':
		if (format_from(arg, ret_format) < 0)
			argp_error(state, "--format is 'table' or 'json', not '%s'", arg);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "takes no argument '%s'", arg);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

struct table *table_new(const struct table_column *columns, size_t nr_columns)
{
	struct table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return NULL;
	table->columns = columns;
	table->nr_columns = nr_columns;
	return table;
}

void table_add(struct table *table, const char *const *cells)
{
	size_t first = table->nr_rows * table->nr_columns;
	char **grown = realloc(table->cells, (first + table->nr_columns) * sizeof(*grown));

	if (grown == NULL) {
		table->failed = 1;
		return;
	}
	table->cells = grown;
	table->nr_rows++;
	for (size_t i = 0; i < table->nr_columns; i++) {
		grown[first + i] = strdup(cells[i]);
		if (grown[first + i] == NULL)
			table->failed = 1;
	}
}

static const char *cell(const struct table *table, size_t row, size_t column)
{
	return table->cells[row * table->nr_columns + column];
}

static size_t width_of(const struct table *table, size_t column)
{
	size_t width = strlen(table->columns[column].title);

	for (size_t row = 0; row < table->nr_rows; row++) {
		size_t length = strlen(cell(table, row, column));

		width = length > width ? length : width;
	}
	return width;
}

static void print_cell(const struct table *table, size_t column, const char *text, FILE *file)
{
	int width = (int)width_of(table, column);
	int is_last = column + 1 == table->nr_columns;

	if (table->columns[column].is_number)
		(void)fprintf(file, "%*s", width, text);
	else if (is_last)
		(void)fputs(text, file);
	else
		(void)fprintf(file, "%-*s", width, text);
	(void)fputs(is_last ? "\n" : "  ", file);
}

int table_print(const struct table *table, FILE *file)
{
	if (table == NULL || table->failed)
		return -ENOMEM;
	for (size_t column = 0; column < table->nr_columns; column++)
		print_cell(table, column, table->columns[column].title, file);
	for (size_t row = 0; row < table->nr_rows; row++) {
		for (size_t column = 0; column < table->nr_columns; column++)
			print_cell(table, column, cell(table, row, column), file);
	}
	return ferror(file) ? -EIO : 0;
}

void table_free(struct table *table)
{
	if (table == NULL)
		return;
	for (size_t i = 0; i < table->nr_rows * table->nr_columns; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
}

/* Nothing is there: one is made, and taken away again. */
static int try_new(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	if (fd < 0)
		return errno == EEXIST ? 0 : -errno;
	(void)close(fd);
	(void)unlink(path);
	return 0;
}

int output_check(const char *path)
{
	struct stat info;

	if (stat(path, &info) < 0)
		return errno == ENOENT ? try_new(path) : -errno;
	if (S_ISDIR(info.st_mode))
		return -EISDIR;
	return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0 ? -errno : 0;
}

int json_print(json_t *value, FILE *file)
{
	int r;

	if (value == NULL)
		return -ENOMEM;
	r = json_dumpf(value, file, JSON_INDENT(2)) < 0 || fputc('\n', file) == EOF ? -EIO : 0;
	json_decref(value);
	return r;
}
