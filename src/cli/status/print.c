/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A report for people.
 *
 * One block a GPU: a line about the GPU, then a table of the tenants on it. Below, a line for each
 * process that runs without being attached, because that is what an owner has to know. The keys are
 * those of src/daemon/status.c. A key that is not there is shown as "-" and a value of another kind
 * as it is, so an older command still shows most of what a newer daemon says. Names come from
 * programs: control characters are replaced before they reach the terminal.
 *
 * Tested by tests/unit/cli_status.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/status/status.h"
#include "cli/table.h"

#define CELL_BYTES     72
#define REASON_BYTES   256
#define MAX_UNATTACHED 16 /* lines of processes that are not attached */
#define UUID_SHORT     12 /* GPU-01234567: as much as tells GPUs apart */
#define BYTES_PER_MIB  (1024.0 * 1024.0)
#define NR_TENANT_CELL (sizeof(tenant_cells) / sizeof(tenant_cells[0]))

/* How a value becomes a cell. */
enum cell_kind {
	CELL_PLAIN,   /* as it is */
	CELL_QUOTA,   /* of the tenant: TPCs, a share, or best effort */
	CELL_COUNT,   /* of an array */
	CELL_SECONDS, /* two decimals */
	CELL_MIB,
	CELL_ERROR, /* 0 is "-" */
};

static const struct {
	const char *title;
	const char *key;
	enum cell_kind kind;
} tenant_cells[] = {
	{"TENANT", "name", CELL_PLAIN},
	{"PIDS", "pids", CELL_COUNT},
	{"QUOTA", NULL, CELL_QUOTA},
	{"PRIO", "priority", CELL_PLAIN},
	{"OWN", "own", CELL_PLAIN},
	{"LENT", "lent", CELL_PLAIN},
	{"BORROWED", "borrowed", CELL_PLAIN},
	{"STATE", "state", CELL_PLAIN},
	{"LAUNCHES", "launches", CELL_PLAIN},
	{"OWN_S", "own_gpu_s", CELL_SECONDS},
	{"BORROWED_S", "borrowed_gpu_s", CELL_SECONDS},
	{"MIB", "memory_bytes", CELL_MIB},
	{"ERROR", "last_error", CELL_ERROR},
};

static void tame(char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
	}
}

/* Longer than a cell. */
static void print_reason(const json_t *value, FILE *file)
{
	char text[REASON_BYTES];

	(void)snprintf(text, sizeof(text), "%s",
		       json_is_string(value) ? json_string_value(value) : "-");
	tame(text);
	(void)fprintf(file, "(%s)\n", text);
}

/* Any value, as it is. */
static void print_plain(const json_t *value, char *ret_text)
{
	if (json_is_string(value))
		(void)snprintf(ret_text, CELL_BYTES, "%s", json_string_value(value));
	else if (json_is_integer(value))
		(void)snprintf(ret_text, CELL_BYTES, "%lld", (long long)json_integer_value(value));
	else if (json_is_real(value))
		(void)snprintf(ret_text, CELL_BYTES, "%.2f", json_real_value(value));
	else if (json_is_boolean(value))
		(void)snprintf(ret_text, CELL_BYTES, "%s", json_is_true(value) ? "yes" : "no");
	else
		(void)snprintf(ret_text, CELL_BYTES, "-");
	tame(ret_text);
}

static void print_quota(const json_t *tenant, char *ret_text)
{
	json_int_t percent = json_integer_value(json_object_get(tenant, "quota_percent"));
	const json_t *tpcs = json_object_get(tenant, "quota");

	if (percent != 0)
		(void)snprintf(ret_text, CELL_BYTES, "%lld%%", (long long)percent);
	else if (json_is_integer(tpcs) && json_integer_value(tpcs) == 0)
		(void)snprintf(ret_text, CELL_BYTES, "best");
	else
		print_plain(tpcs, ret_text);
}

static void print_value(const json_t *value, enum cell_kind kind, char *ret_text)
{
	int is_zero = json_is_integer(value) && json_integer_value(value) == 0;

	if (kind == CELL_COUNT && json_is_array(value))
		(void)snprintf(ret_text, CELL_BYTES, "%zu", json_array_size(value));
	else if (kind == CELL_SECONDS && json_is_number(value))
		(void)snprintf(ret_text, CELL_BYTES, "%.2f", json_number_value(value));
	else if (kind == CELL_MIB && json_is_number(value))
		(void)snprintf(ret_text, CELL_BYTES, "%.0f",
			       json_number_value(value) / BYTES_PER_MIB);
	else if (kind == CELL_ERROR && is_zero)
		(void)snprintf(ret_text, CELL_BYTES, "-");
	else
		print_plain(value, ret_text);
}

static void add_tenant(struct table *table, const json_t *tenant)
{
	char text[NR_TENANT_CELL][CELL_BYTES];
	const char *cells[NR_TENANT_CELL];

	for (size_t i = 0; i < NR_TENANT_CELL; i++) {
		if (tenant_cells[i].kind == CELL_QUOTA)
			print_quota(tenant, text[i]);
		else
			print_value(json_object_get(tenant, tenant_cells[i].key),
				    tenant_cells[i].kind, text[i]);
		cells[i] = text[i];
	}
	table_add(table, cells);
}

static int is_on(const json_t *tenant, const char *uuid)
{
	const char *gpu = json_string_value(json_object_get(tenant, "gpu"));

	return gpu != NULL && uuid != NULL && strcmp(gpu, uuid) == 0;
}

static int print_tenants(const json_t *tenants, const char *uuid, FILE *file)
{
	struct table_column columns[NR_TENANT_CELL];
	struct table *table;
	int nr = 0;
	int r;

	for (size_t i = 0; i < NR_TENANT_CELL; i++)
		columns[i] = (struct table_column){
			tenant_cells[i].title, strcmp(tenant_cells[i].title, "TENANT") != 0 &&
						       strcmp(tenant_cells[i].title, "STATE") != 0};
	table = table_new(columns, NR_TENANT_CELL);
	for (size_t i = 0; table != NULL && i < json_array_size(tenants); i++) {
		const json_t *tenant = json_array_get(tenants, i);

		if (!is_on(tenant, uuid))
			continue;
		add_tenant(table, tenant);
		nr++;
	}
	r = nr > 0 || table == NULL ? table_print(table, file) : 0;
	if (table != NULL && nr == 0)
		(void)fputs("no tenants\n", file);
	table_free(table);
	return r;
}

/* A process that is not attached: "pid 17 of NAME is not confined: REASON". */
static void print_unattached(const json_t *list, FILE *file)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *u = json_array_get(list, i);
		const char *name = json_string_value(json_object_get(u, "name"));
		int is_confined = json_is_true(json_object_get(u, "confined"));
		char pid[CELL_BYTES];
		char tenant[CELL_BYTES];

		if (i == MAX_UNATTACHED) {
			(void)fprintf(file, "and %zu more\n", json_array_size(list) - i);
			return;
		}
		print_plain(json_object_get(u, "pid"), pid);
		print_plain(json_object_get(u, "name"), tenant);
		(void)fprintf(file, "%s: pid %s of %s ",
			      is_confined ? "confined without lithosd" : "unconfined", pid,
			      name != NULL && name[0] != '\0' ? tenant : "no tenant");
		print_reason(json_object_get(u, "reason"), file);
	}
}

/* A tenant that has work and no TPC: "NAME waits: WHY". */
static void print_waiting(const json_t *tenants, FILE *file)
{
	for (size_t i = 0; i < json_array_size(tenants); i++) {
		const json_t *why = json_object_get(json_array_get(tenants, i), "waiting_for");
		char name[CELL_BYTES];

		if (!json_is_string(why))
			continue;
		print_plain(json_object_get(json_array_get(tenants, i), "name"), name);
		(void)fprintf(file, "%s waits ", name);
		print_reason(why, file);
	}
}

static void print_gpu(const json_t *gpu, FILE *file)
{
	static const char *const keys[] = {"name", "nr_tpcs", "own", "lent", "free", "mps"};
	char text[sizeof(keys) / sizeof(keys[0])][CELL_BYTES];
	char uuid[CELL_BYTES];

	print_plain(json_object_get(gpu, "uuid"), uuid);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		print_plain(json_object_get(gpu, keys[i]), text[i]);
	(void)fprintf(file, "%.*s  %s: %s TPCs, %s own, %s lent, %s free; MPS %s\n", UUID_SHORT,
		      uuid, text[0], text[1], text[2], text[3], text[4], text[5]);
}

int status_print(const json_t *report, FILE *file)
{
	const json_t *gpus = json_object_get(report, "gpus");
	const json_t *tenants = json_object_get(report, "tenants");
	int r = 0;

	if (!json_is_array(gpus))
		return -EPROTO;
	if (json_array_size(gpus) == 0)
		(void)fputs("no GPU\n", file);
	for (size_t i = 0; r == 0 && i < json_array_size(gpus); i++) {
		const json_t *gpu = json_array_get(gpus, i);

		if (i > 0)
			(void)fputc('\n', file);
		print_gpu(gpu, file);
		r = print_tenants(tenants, json_string_value(json_object_get(gpu, "uuid")), file);
	}
	print_waiting(tenants, file);
	print_unattached(json_object_get(report, "unattached"), file);
	return r;
}
