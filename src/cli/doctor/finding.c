/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Findings and how they are printed: one line a check for people, all fields as JSON for programs,
 * both in the order of enum check, whatever order the checks were made in.
 *
 * Tested by tests/unit/cli_doctor.c and tests/integration/cli_doctor.bats.
 */
#include "cli/doctor/finding.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static const char *const status_names[] = {"OK", "WARNING", "CRITICAL", "SKIPPED"};

/* For programs, and for people. */
static const struct {
	const char *id;
	const char *title;
} check_names[NR_CHECKS] = {
	[CHECK_DRIVER] = {"driver", "Driver"},
	[CHECK_SHIM] = {"shim", "Shim"},
	[CHECK_DEVICE] = {"device", "GPU"},
	[CHECK_HOOK] = {"hook", "Launch hook"},
	[CHECK_QMD] = {"qmd", "Launch descriptor"},
	[CHECK_TOPOLOGY] = {"topology", "Topology"},
	[CHECK_MASK] = {"mask", "TPC mask"},
	[CHECK_RECORD] = {"record", "Completion record"},
	[CHECK_MPS] = {"mps", "MPS programs"},
	[CHECK_DEVICES] = {"devices", "Device files"},
	[CHECK_CACHE] = {"cache", "Cache folder"},
	[CHECK_RUN_DIR] = {"run-dir", "Run folder"},
};

void finding_vset(struct finding *finding, enum check check, enum status status, const char *advice,
		  const char *format, va_list args)
{
	memset(finding, 0, sizeof(*finding));
	finding->check = check;
	finding->status = status;
	(void)snprintf(finding->advice, sizeof(finding->advice), "%s", advice);
	(void)vsnprintf(finding->text, sizeof(finding->text), format, args);
}

void finding_set(struct finding *finding, enum check check, enum status status, const char *advice,
		 const char *format, ...)
{
	va_list args;

	va_start(args, format);
	finding_vset(finding, check, status, advice, format, args);
	va_end(args);
}

struct finding *doctor_next(struct doctor *doctor)
{
	if (doctor->nr_items < MAX_FINDINGS)
		doctor->nr_items++;
	return &doctor->item[doctor->nr_items - 1];
}

const struct finding *doctor_find(const struct doctor *doctor, enum check check)
{
	for (size_t i = 0; i < doctor->nr_items; i++) {
		if (doctor->item[i].check == (uint32_t)check)
			return &doctor->item[i];
	}
	return NULL;
}

enum status doctor_worst(const struct doctor *doctor)
{
	enum status worst = STATUS_OK;

	for (size_t i = 0; i < doctor->nr_items; i++) {
		uint32_t status = doctor->item[i].status;

		if (status != STATUS_SKIPPED && status > worst)
			worst = (enum status)status;
	}
	return worst;
}

static int print_as_table(const struct doctor *doctor, FILE *file)
{
	static const struct table_column columns[] = {{"CHECK", 0}, {"STATUS", 0}, {"FINDING", 0}};
	struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	int r;

	if (table == NULL)
		return -ENOMEM;
	for (int check = 0; check < NR_CHECKS; check++) {
		const struct finding *item = doctor_find(doctor, (enum check)check);
		char text[sizeof(item->text) + sizeof(item->advice) + 8];

		if (item == NULL)
			continue;
		(void)snprintf(text, sizeof(text), "%s%s%s", item->text,
			       item->advice[0] != '\0' ? " -> " : "", item->advice);
		table_add(table, (const char *const[]){check_names[item->check].title,
						       status_names[item->status], text});
	}
	r = table_print(table, file);
	table_free(table);
	return r;
}

static int print_as_json(const struct doctor *doctor, FILE *file)
{
	json_t *checks = json_array();

	for (int check = 0; check < NR_CHECKS; check++) {
		const struct finding *item = doctor_find(doctor, (enum check)check);

		if (item == NULL)
			continue;
		(void)json_array_append_new(checks,
					    json_pack("{s:s, s:s, s:s, s:s, s:s}", "id",
						      check_names[item->check].id, "title",
						      check_names[item->check].title, "status",
						      status_names[item->status], "finding",
						      item->text, "advice", item->advice));
	}
	return json_print(json_pack("{s:i, s:s, s:o}", "version", 1, "worst",
				    status_names[doctor_worst(doctor)], "checks", checks),
			  file);
}

int doctor_print(const struct doctor *doctor, enum format format, FILE *file)
{
	return format == FORMAT_JSON ? print_as_json(doctor, file) : print_as_table(doctor, file);
}
