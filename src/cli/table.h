/* SPDX-License-Identifier: Apache-2.0 */
/* Output: tables for people, JSON for programs. */
#ifndef LITHOS_CLI_TABLE_H
#define LITHOS_CLI_TABLE_H

#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

enum format {
	FORMAT_TABLE,
	FORMAT_JSON
};

/* -EINVAL for anything but "table" and "json". */
int format_from(const char *text, enum format *ret_format);

struct argp_state;

/* For an argp parser to end with, in a verb that only reports: -f is --format, and no argument is
 * taken. */
int format_parse(int key, const char *arg, struct argp_state *state, enum format *ret_format);

struct table_column {
	const char *title;
	int is_number; /* aligned to the right */
};

struct table;

/* Columns are borrowed and must outlive the table. NULL when memory is short. */
struct table *table_new(const struct table_column *columns, size_t nr_columns);

/* Copies one text a column. A failed allocation is remembered and reported by table_print. */
void table_add(struct table *table, const char *const *cells);

/* Prints titles and rows in columns, two spaces apart, no trailing spaces. 0, -ENOMEM or -EIO. */
int table_print(const struct table *table, FILE *file);

void table_free(struct table *table);

/*
 * 0, or -errno: why a file at the path could not be written, for a command that will write it only
 * after long work. What is there stays as it is.
 */
int output_check(const char *path);

/* Prints and consumes a value; -ENOMEM for NULL, so a chain of jansson calls needs one check. */
int json_print(json_t *value, FILE *file);

#endif
