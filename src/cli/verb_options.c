/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lithos options`: prints the rows of src/base/options.def, the only list there is, as the
 * compiled command knows them. What a running program reads is decided by the shim beside the
 * command, which is built from the same list. Tested by tests/integration/cli_options.bats.
 */
#include <argp.h>
#include <errno.h>

#include "base/options.h"
#include "cli/cli.h"
#include "cli/help.h"
#include "cli/table.h"

static int print_as_table(void)
{
	static const struct table_column columns[] = {
		{"VARIABLE", 0}, {"TYPE", 0}, {"DEFAULT", 0},
		{"RANGE", 0},    {"WHEN", 0}, {"MEANING", 0},
	};
	struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	int r;

	if (table == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < nr_option_rows; i++) {
		const struct option_row *row = &option_rows[i];

		table_add(table, (const char *const[]){row->env, row->type,
						       *row->dflt != '\0' ? row->dflt : "-",
						       row->range, row->when, row->sentence});
	}
	r = table_print(table, stdout);
	table_free(table);
	return r;
}

static int print_as_json(void)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < nr_option_rows; i++) {
		const struct option_row *row = &option_rows[i];

		(void)json_array_append_new(
			rows, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "variable", row->env,
					"type", row->type, "default", row->dflt, "range",
					row->range, "when", row->when, "meaning", row->sentence));
	}
	return json_print(rows, stdout);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	return format_parse(key, arg, state, state->input);
}

int verb_options(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"format", 'f', "table|json", 0, "For people or for programs", 0}, {0}};
	static const struct argp argp = {
		options,       parse, "",  "Lists the environment variables lithos reads.",
		help_children, NULL,  NULL};
	enum format format = FORMAT_TABLE;
	int r;

	if (argp_parse(&argp, argc, argv, 0, NULL, &format) != 0)
		return EXIT_USAGE;
	r = format == FORMAT_JSON ? print_as_json() : print_as_table();
	return r < 0 ? 1 : 0;
}
