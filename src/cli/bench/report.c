/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From measurements to results.
 *
 * A ratio compares a system with `alone` of the same repetition, because the two were measured
 * minutes apart and not hours; then the median over the repetitions is taken, of every number by
 * itself. A failed measurement contributes nothing, and a number that nobody has is null.
 *
 * Everything that the medians were made of is in the file: each repetition's numbers and each
 * request's latency, the parameters, the seed. The file is written under a temporary name first, so
 * that an old result is not lost to a full disk.
 * Tested by tests/unit/bench_report.c.
 */
#include "cli/bench/report.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench/numbers.h"
#include "cli/bench/systems.h"
#include "cli/table.h"

#ifndef LITHOS_VERSION
#error "LITHOS_VERSION comes from CMakeLists.txt"
#endif

/* The numbers of a measurement that have a median. */
static const struct {
	const char *key;
	size_t offset;
} numbers[] = {
	{"fg_p50_ms", offsetof(struct measurement, fg_p50_ms)},
	{"fg_p95_ms", offsetof(struct measurement, fg_p95_ms)},
	{"fg_p99_ms", offsetof(struct measurement, fg_p99_ms)},
	{"bg_rate", offsetof(struct measurement, bg_rate)},
	{"bg_leftover_ratio", offsetof(struct measurement, bg_leftover_ratio)},
	{"fg_p99_ratio", offsetof(struct measurement, fg_p99_ratio)},
};

#define NR_NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static double number_of(const struct measurement *m, size_t i)
{
	double value;

	memcpy(&value, (const char *)m + numbers[i].offset, sizeof(value));
	return value;
}

static const struct measurement *alone_of(const struct bench *bench, unsigned int repetition)
{
	for (size_t i = 0; i < bench->nr_measurements; i++) {
		const struct measurement *m = &bench->measurements[i];

		if (m->repetition == repetition && m->system->is_alone && !m->has_failed)
			return m;
	}
	return NULL;
}

void report_compare(struct bench *bench)
{
	for (size_t i = 0; i < bench->nr_measurements; i++) {
		struct measurement *m = &bench->measurements[i];
		const struct measurement *alone = alone_of(bench, m->repetition);
		struct leftover leftover = {.request_rate = bench->options.rate};

		m->bg_leftover_ratio = NAN;
		m->fg_p99_ratio = NAN;
		if (alone == NULL || m->has_failed)
			continue;
		leftover.alone_rate = alone->bg_rate;
		leftover.service_ms = alone->service_ms;
		m->bg_leftover_ratio = leftover_ratio(m->bg_rate, &leftover);
		m->fg_p99_ratio = m->fg_p99_ms / alone->fg_p99_ms;
	}
}

/* Median of one number over the repetitions of a system; NAN for none. */
static double median_of(const struct bench *bench, const struct bench_system *system, size_t which)
{
	double *values = calloc(bench->nr_measurements + 1, sizeof(*values));
	size_t nr = 0;
	double result;

	if (values == NULL)
		return NAN;
	for (size_t i = 0; i < bench->nr_measurements; i++) {
		const struct measurement *m = &bench->measurements[i];

		if (m->system == system && !m->has_failed)
			values[nr++] = number_of(m, which);
	}
	result = median(values, nr);
	free(values);
	return result;
}

static double median_requests(const struct bench *bench, const struct bench_system *system)
{
	double *values = calloc(bench->nr_measurements + 1, sizeof(*values));
	size_t nr = 0;
	double result;

	if (values == NULL)
		return NAN;
	for (size_t i = 0; i < bench->nr_measurements; i++) {
		const struct measurement *m = &bench->measurements[i];

		if (m->system == system && !m->has_failed)
			values[nr++] = (double)m->nr_requests;
	}
	result = median(values, nr);
	free(values);
	return result;
}

static json_t *json_number(double value, double unit)
{
	return isfinite(value) ? json_real(round(value / unit) * unit) : json_null();
}

static json_t *system_json(const struct bench *bench, const struct bench_system *system)
{
	json_t *object = json_pack("{s:s}", "name", system->name);
	double nr_requests = median_requests(bench, system);

	for (size_t i = 0; i < NR_NUMBERS; i++)
		(void)json_object_set_new(object, numbers[i].key,
					  json_number(median_of(bench, system, i), 1e-6));
	(void)json_object_set_new(object, "fg_requests",
				  isfinite(nr_requests) ? json_integer((json_int_t)nr_requests)
							: json_null());
	return object;
}

static json_t *latencies_json(const struct measurement *m)
{
	json_t *array = json_array();

	for (size_t i = 0; i < m->nr_requests; i++)
		(void)json_array_append_new(array, json_number(m->latency_ms[i], 1e-3));
	return array;
}

static json_t *measurement_json(const struct measurement *m)
{
	json_t *object = json_pack("{s:s}", "name", m->system->name);

	if (m->has_failed) {
		(void)json_object_set_new(object, "error", json_string(m->why));
		return object;
	}
	for (size_t i = 0; i < NR_NUMBERS; i++)
		(void)json_object_set_new(object, numbers[i].key,
					  json_number(number_of(m, i), 1e-6));
	(void)json_object_set_new(object, "fg_requests", json_integer((json_int_t)m->nr_requests));
	(void)json_object_set_new(object, "fg_unfinished",
				  json_integer((json_int_t)m->nr_unfinished));
	(void)json_object_set_new(object, "fg_service_ms", json_number(m->service_ms, 1e-6));
	(void)json_object_set_new(object, "latencies_ms", latencies_json(m));
	return object;
}

static json_t *repetitions_json(const struct bench *bench)
{
	json_t *array = json_array();

	for (unsigned int r = 0; r < bench->options.repetitions; r++) {
		json_t *systems = json_array();

		for (size_t i = 0; i < bench->nr_measurements; i++) {
			if (bench->measurements[i].repetition == r)
				(void)json_array_append_new(
					systems, measurement_json(&bench->measurements[i]));
		}
		(void)json_array_append_new(array, json_pack("{s:i,s:o}", "repetition", (int)r + 1,
							     "systems", systems));
	}
	return array;
}

/* Whether a p99 rests on too few requests: by the plan, or because fewer came. */
static int is_short(const struct bench *bench)
{
	for (size_t i = 0; i < bench->nr_measurements; i++) {
		const struct measurement *m = &bench->measurements[i];

		if (!m->has_failed && m->nr_requests < BENCH_MIN_REQUESTS)
			return 1;
	}
	return bench->options.seconds * bench->options.rate < BENCH_MIN_REQUESTS;
}

static json_t *parameters_json(const struct bench *bench)
{
	const struct bench_options *options = &bench->options;
	json_t *object =
		json_pack("{s:f,s:f,s:f,s:f,s:i,s:s,s:[s,s],s:b}", "seconds", options->seconds,
			  "request_rate", options->rate, "lead_s", BENCH_LEAD_S, "drain_limit_s",
			  BENCH_DRAIN_S, "repetitions", (int)options->repetitions, "fg_quota",
			  options->fg_quota, "partition", options->partition[0],
			  options->partition[1], "is_short", is_short(bench));

	if (options->is_sim)
		(void)json_object_set_new(object, "sim_scale", json_real(options->scale));
	return object;
}

static json_t *versions_json(const struct bench *bench)
{
	json_t *array = json_array();

	(void)json_array_append_new(array, json_string("lithos " LITHOS_VERSION));
	for (size_t i = 0; i < bench->facts.nr_versions; i++)
		(void)json_array_append_new(array, json_string(bench->facts.versions[i]));
	return array;
}

static json_t *report_json(const struct bench *bench)
{
	json_t *systems = json_array();

	for (size_t i = 0; i < bench->options.nr_systems; i++)
		(void)json_array_append_new(systems, system_json(bench, bench->options.systems[i]));
	return json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:I,s:o}", "scenario", bench->options.scenario,
			 "target", bench->options.is_sim ? "sim" : "gpu", "device",
			 bench->facts.device, "systems", systems, "repetitions",
			 repetitions_json(bench), "parameters", parameters_json(bench), "seed",
			 (json_int_t)bench->options.seed, "versions", versions_json(bench));
}

int report_write(const struct bench *bench, const char *path)
{
	char new_path[2 * BENCH_PATH_MAX];
	json_t *report = report_json(bench);
	int r = -ENOMEM;

	(void)snprintf(new_path, sizeof(new_path), "%s.new", path);
	if (report != NULL)
		r = json_dump_file(report, new_path, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
	json_decref(report);
	if (r < 0)
		return r == -ENOMEM ? r : (errno != 0 ? -errno : -EIO);
	return rename(new_path, path) == 0 ? 0 : -errno;
}

static void cell(char *text, size_t size, double value, int digits)
{
	if (isfinite(value))
		(void)snprintf(text, size, "%.*f", digits, value);
	else
		(void)snprintf(text, size, "-");
}

static void add_row(struct table *table, const struct bench *bench,
		    const struct bench_system *system)
{
	static const int digits[NR_NUMBERS] = {2, 2, 2, 2, 3, 2};
	char text[NR_NUMBERS + 1][32];
	const char *cells[NR_NUMBERS + 2] = {system->name};

	for (size_t i = 0; i < NR_NUMBERS; i++) {
		cell(text[i], sizeof(text[i]), median_of(bench, system, i), digits[i]);
		cells[i + 1] = text[i];
	}
	cell(text[NR_NUMBERS], sizeof(text[0]), median_requests(bench, system), 0);
	cells[NR_NUMBERS + 1] = text[NR_NUMBERS];
	table_add(table, cells);
}

static void print_notes(const struct bench *bench, FILE *file)
{
	const struct bench_options *options = &bench->options;

	(void)fprintf(file, "%s, %s, %u x %.1f s, %.0f requests/s\n",
		      bench->facts.device[0] != '\0' ? bench->facts.device : "no device",
		      options->scenario, options->repetitions, options->seconds, options->rate);
	if (is_short(bench))
		(void)fprintf(file, "fewer than %d requests a measurement: P99 means little\n",
			      BENCH_MIN_REQUESTS);
	for (size_t i = 0; i < bench->nr_measurements; i++) {
		const struct measurement *m = &bench->measurements[i];

		if (m->nr_unfinished)
			(void)fprintf(file,
				      "%s, repetition %u: %zu of %zu requests were not answered "
				      "within %.0f s; latencies are too low\n",
				      m->system->name, m->repetition + 1, m->nr_unfinished,
				      m->nr_requests, BENCH_DRAIN_S);
	}
}

int report_print(const struct bench *bench, FILE *file)
{
	static const struct table_column columns[] = {
		{"SYSTEM", 0},   {"FG_P50_MS", 1}, {"FG_P95_MS", 1}, {"FG_P99_MS", 1},
		{"BG_PER_S", 1}, {"LEFTOVER", 1},  {"P99_RATIO", 1}, {"REQUESTS", 1},
	};
	struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	int r;

	if (table == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < bench->options.nr_systems; i++)
		add_row(table, bench, bench->options.systems[i]);
	r = table_print(table, file);
	table_free(table);
	print_notes(bench, file);
	return r;
}
