/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From measurements to results, and the table.
 *
 * A ratio compares a system with `alone` of the same repetition, because the two were measured
 * minutes apart and not hours; then the median over the repetitions is taken, of every number by
 * itself (medians.c). The sum of the rates says how much the GPU did: 1 is what time slices without
 * loss would give, and programs that do not fill the GPU allow more.
 * Tested by tests/unit/bench_report.c.
 */
#include "cli/bench/report/report.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "cli/bench/numbers.h"
#include "cli/bench/report/medians.h"
#include "cli/bench/systems.h"
#include "cli/table.h"

static const struct measurement *alone_of(const struct bench *bench, unsigned int repetition)
{
	for (size_t i = 0; i < bench->nr_measurements; i++) {
		const struct measurement *m = &bench->measurements[i];

		if (m->repetition == repetition && m->system == &bench_systems[0] && !m->has_failed)
			return m;
	}
	return NULL;
}

static double ratio(double value, double of)
{
	return of > 0 ? value / of : (double)NAN;
}

static void compare_tenant(struct tenant_result *result, const struct tenant_result *alone)
{
	result->p50_ratio = ratio(result->p50_ms, alone->p50_ms);
	result->p99_ratio = ratio(result->p99_ms, alone->p99_ms);
	result->rate_ratio = ratio(result->rate, alone->rate);
}

static void compare(const struct bench *bench, struct measurement *m,
		    const struct measurement *alone)
{
	const struct bench_scenario *scenario = bench->options.scenario;
	struct leftover leftover = {.alone_rate = alone->tenant[1].rate,
				    .request_rate = bench->options.rate[0],
				    .service_ms = alone->tenant[0].service_ms};

	m->rate_sum = 0;
	for (size_t i = 0; i < scenario_nr_tenants(scenario); i++) {
		compare_tenant(&m->tenant[i], &alone->tenant[i]);
		m->rate_sum += m->tenant[i].rate_ratio;
	}
	if (m->system->is_alone)
		m->rate_sum = NAN;
	if (scenario_is_pair(scenario))
		m->leftover_ratio = leftover_ratio(m->tenant[1].rate, &leftover);
}

void report_compare(struct bench *bench)
{
	for (size_t i = 0; i < bench->nr_measurements; i++) {
		struct measurement *m = &bench->measurements[i];
		const struct measurement *alone = alone_of(bench, m->repetition);

		m->rate_sum = NAN;
		m->leftover_ratio = NAN;
		for (size_t t = 0; t < BENCH_MAX_TENANTS; t++) {
			m->tenant[t].p50_ratio = NAN;
			m->tenant[t].p99_ratio = NAN;
			m->tenant[t].rate_ratio = NAN;
		}
		if (alone != NULL && !m->has_failed)
			compare(bench, m, alone);
	}
}

int report_is_short(const struct bench *bench)
{
	const struct bench_options *options = &bench->options;

	for (size_t i = 0; i < bench->nr_measurements; i++) {
		const struct measurement *m = &bench->measurements[i];

		for (size_t t = 0; t < BENCH_MAX_TENANTS && !m->has_failed; t++) {
			if (m->tenant[t].latency_ms != NULL &&
			    m->tenant[t].nr_requests < BENCH_MIN_REQUESTS)
				return 1;
		}
	}
	for (size_t t = 0; t < BENCH_MAX_TENANTS; t++) {
		if (options->rate[t] > 0 &&
		    options->seconds * options->rate[t] < BENCH_MIN_REQUESTS)
			return 1;
	}
	return 0;
}

#define CELL_SIZE 32

static const char *cell(char text[CELL_SIZE], double value, int digits)
{
	if (isfinite(value))
		(void)snprintf(text, CELL_SIZE, "%.*f", digits, value);
	else
		(void)snprintf(text, CELL_SIZE, "-");
	return text;
}

static const struct column {
	const char *name;
	int number;
	int digits;
	int is_worst;
	int of_last; /* of the whole measurement: in the row of the last tenant */
} columns[] = {
	{"IDLE_MS", NUMBER_SERVICE_MS, 2, 0, 0},    {"P50_MS", NUMBER_P50_MS, 2, 0, 0},
	{"P95_MS", NUMBER_P95_MS, 2, 0, 0},         {"P99_MS", NUMBER_P99_MS, 2, 0, 0},
	{"P50_X", NUMBER_P50_RATIO, 2, 0, 0},       {"P99_X", NUMBER_P99_RATIO, 2, 0, 0},
	{"WORST_X", NUMBER_P99_RATIO, 2, 1, 0},     {"PER_S", NUMBER_RATE, 2, 0, 0},
	{"RATE_X", NUMBER_RATE_RATIO, 3, 0, 0},     {"LEFTOVER", NUMBER_LEFTOVER, 3, 0, 1},
	{"SUM", NUMBER_RATE_SUM, 2, 0, 1},          {"REQUESTS", NUMBER_REQUESTS, 0, 0, 0},
	{"UNFINISHED", NUMBER_UNFINISHED, 0, 1, 0},
};

#define NR_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static void add_row(struct table *table, const struct bench *bench,
		    const struct bench_system *system, size_t tenant)
{
	const struct bench_scenario *scenario = bench->options.scenario;
	int is_last = tenant + 1 == scenario_nr_tenants(scenario);
	const char *cells[NR_COLUMNS + 2] = {system->name, scenario->tenant[tenant].name};
	char text[NR_COLUMNS][CELL_SIZE];

	for (size_t i = 0; i < NR_COLUMNS; i++) {
		const struct column *column = &columns[i];
		double value = NAN;

		if (!column->of_last || is_last)
			value = (column->is_worst ? number_worst : number_median)(
				bench, system, tenant, column->number);
		cells[i + 2] = cell(text[i], value, column->digits);
	}
	table_add(table, cells);
}

static void print_unfinished(const struct bench *bench, const struct measurement *m, FILE *file)
{
	for (size_t t = 0; t < scenario_nr_tenants(bench->options.scenario); t++) {
		const struct tenant_result *result = &m->tenant[t];

		if (result->nr_unfinished)
			(void)fprintf(file,
				      "%s, repetition %u: %zu of %zu requests of %s were not "
				      "answered within %.0f s; latencies are too low\n",
				      m->system->name, m->repetition + 1, result->nr_unfinished,
				      result->nr_requests, bench->options.scenario->tenant[t].name,
				      bench->options.drain_s);
	}
}

static void print_notes(const struct bench *bench, FILE *file)
{
	const struct bench_options *options = &bench->options;

	(void)fprintf(file, "%s, %s with %s, %u x %.1f s\n",
		      bench->facts.device[0] != '\0' ? bench->facts.device : "no device",
		      options->scenario->name, options->scenario->model, options->repetitions,
		      options->seconds);
	for (size_t t = 0; t < scenario_nr_tenants(options->scenario); t++) {
		const struct bench_tenant *tenant = &options->scenario->tenant[t];

		(void)fprintf(file, "%s: %s", tenant->name, tenant->what);
		if (tenant_is_service(tenant))
			(void)fprintf(file, ", %.0f requests/s", options->rate[t]);
		(void)fputc('\n', file);
	}
	if (report_is_short(bench))
		(void)fprintf(file, "fewer than %d requests a measurement: P99 means little\n",
			      BENCH_MIN_REQUESTS);
	for (size_t i = 0; i < bench->nr_measurements; i++)
		print_unfinished(bench, &bench->measurements[i], file);
}

int report_print(const struct bench *bench, FILE *file)
{
	struct table_column titles[NR_COLUMNS + 2] = {{"SYSTEM", 0}, {"TENANT", 0}};
	struct table *table;
	int r;

	for (size_t i = 0; i < NR_COLUMNS; i++)
		titles[i + 2] = (struct table_column){columns[i].name, 1};
	table = table_new(titles, NR_COLUMNS + 2);
	if (table == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < bench->options.nr_systems; i++) {
		for (size_t t = 0; t < scenario_nr_tenants(bench->options.scenario); t++)
			add_row(table, bench, bench->options.systems[i], t);
	}
	r = table_print(table, file);
	table_free(table);
	print_notes(bench, file);
	return r;
}

void report_print_one(const struct bench *bench, const struct measurement *m, FILE *file)
{
	(void)fprintf(file, "%s %s repetition %u:", bench->options.scenario->name, m->system->name,
		      m->repetition + 1);
	for (size_t t = 0; t < scenario_nr_tenants(bench->options.scenario) && !m->has_failed;
	     t++) {
		const struct tenant_result *result = &m->tenant[t];
		char text[5][CELL_SIZE];

		(void)fprintf(file, " [%s", bench->options.scenario->tenant[t].name);
		if (result->latency_ms != NULL)
			(void)fprintf(file, " p50 %s (%sx) p99 %s ms (%sx)",
				      cell(text[0], result->p50_ms, 2),
				      cell(text[1], result->p50_ratio, 2),
				      cell(text[2], result->p99_ms, 2),
				      cell(text[3], result->p99_ratio, 2));
		(void)fprintf(file, " %s/s", cell(text[0], result->rate, 2));
		(void)fprintf(file, " (%sx)]", cell(text[4], result->rate_ratio, 3));
	}
	(void)fprintf(file, "%s\n", m->has_failed ? " failed" : "");
	(void)fflush(file);
}
