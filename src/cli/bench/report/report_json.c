/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The result file.
 *
 * Each system has a row with the numbers of each tenant, and each repetition has the same with what
 * they were made of. A scenario of one service and one job has them under short names, too (fg_*,
 * bg_*). Latencies are whole microseconds in one text, since arrays of thousands of numbers, one a
 * line, are larger than everything else.
 *
 * A number that nobody has is null. The file is written under a temporary name first, so that an
 * old result is not lost to a full disk.
 * Tested by tests/unit/bench_report.c.
 */
#include "cli/bench/report/report.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "cli/bench/report/medians.h"
#include "cli/bench/systems.h"
#include "cli/table.h"

#ifndef LITHOS_VERSION
#error "LITHOS_VERSION comes from CMakeLists.txt"
#endif

#define LATENCY_CHARS 24 /* more than a 64-bit number and a space */

/* The short names of a pair's numbers. */
static const struct {
	const char *key;
	size_t tenant;
	int number;
} of_pairs[] = {
	{"fg_p50_ms", 0, NUMBER_P50_MS},
	{"fg_p95_ms", 0, NUMBER_P95_MS},
	{"fg_p99_ms", 0, NUMBER_P99_MS},
	{"fg_p50_ratio", 0, NUMBER_P50_RATIO},
	{"fg_p99_ratio", 0, NUMBER_P99_RATIO},
	{"fg_requests", 0, NUMBER_REQUESTS},
	{"bg_rate", 1, NUMBER_RATE},
	{"bg_rate_ratio", 1, NUMBER_RATE_RATIO},
	{"bg_leftover_ratio", 1, NUMBER_LEFTOVER},
};

static int is_count(int number)
{
	return number == NUMBER_REQUESTS || number == NUMBER_UNFINISHED;
}

static json_t *json_of(int number, double value)
{
	if (!isfinite(value))
		return json_null();
	return is_count(number) ? json_integer((json_int_t)value)
				: json_real(round(value * 1e6) / 1e6);
}

static void set_number(json_t *object, const char *key, int number, double value)
{
	(void)json_object_set_new(object, key, json_of(number, value));
}

static json_t *tenant_median_json(const struct bench *bench, const struct bench_system *system,
				  size_t tenant)
{
	const struct bench_tenant *row = &bench->options.scenario->tenant[tenant];
	json_t *object = json_pack("{s:s}", "name", row->name);
	json_t *worst = json_object();

	for (int n = 0; n < NR_NUMBERS; n++) {
		set_number(object, number_key(n), n, number_median(bench, system, tenant, n));
		set_number(worst, number_key(n), n, number_worst(bench, system, tenant, n));
	}
	(void)json_object_set_new(object, "worst", worst);
	return object;
}

static json_t *system_json(const struct bench *bench, const struct bench_system *system)
{
	const struct bench_scenario *scenario = bench->options.scenario;
	json_t *object = json_pack("{s:s}", "name", system->name);
	json_t *tenants = json_array();

	for (size_t i = 0; scenario_is_pair(scenario) && i < sizeof(of_pairs) / sizeof(of_pairs[0]);
	     i++)
		set_number(object, of_pairs[i].key, of_pairs[i].number,
			   number_median(bench, system, of_pairs[i].tenant, of_pairs[i].number));
	set_number(object, "rate_sum", NUMBER_RATE_SUM,
		   number_median(bench, system, 0, NUMBER_RATE_SUM));
	set_number(object, "rate_sum_worst", NUMBER_RATE_SUM,
		   number_worst(bench, system, 0, NUMBER_RATE_SUM));
	for (size_t i = 0; i < scenario_nr_tenants(scenario); i++)
		(void)json_array_append_new(tenants, tenant_median_json(bench, system, i));
	(void)json_object_set_new(object, "tenants", tenants);
	return object;
}

static json_t *latencies_json(const struct tenant_result *result)
{
	char *text = calloc(result->nr_requests + 1, LATENCY_CHARS);
	size_t used = 0;
	json_t *json;

	if (text == NULL)
		return json_null();
	for (size_t i = 0; i < result->nr_requests; i++)
		used += (size_t)snprintf(text + used, LATENCY_CHARS, "%s%" PRId64, i ? " " : "",
					 (int64_t)llround(result->latency_ms[i] * 1e3));
	json = json_string(text);
	free(text);
	return json;
}

static json_t *tenant_json(const struct bench *bench, const struct measurement *m, size_t tenant)
{
	json_t *object = json_pack("{s:s}", "name", bench->options.scenario->tenant[tenant].name);

	for (int n = 0; n < NR_NUMBERS; n++)
		set_number(object, number_key(n), n, number_of(m, tenant, n));
	if (m->tenant[tenant].latency_ms != NULL)
		(void)json_object_set_new(object, "latencies_us",
					  latencies_json(&m->tenant[tenant]));
	return object;
}

static json_t *measurement_json(const struct bench *bench, const struct measurement *m)
{
	const struct bench_scenario *scenario = bench->options.scenario;
	json_t *object = json_pack("{s:s}", "name", m->system->name);
	json_t *tenants;

	if (m->has_failed) {
		(void)json_object_set_new(object, "error", json_string(m->why));
		return object;
	}
	for (size_t i = 0; scenario_is_pair(scenario) && i < sizeof(of_pairs) / sizeof(of_pairs[0]);
	     i++)
		set_number(object, of_pairs[i].key, of_pairs[i].number,
			   number_of(m, of_pairs[i].tenant, of_pairs[i].number));
	if (scenario_is_pair(scenario)) {
		set_number(object, "fg_unfinished", NUMBER_UNFINISHED,
			   number_of(m, 0, NUMBER_UNFINISHED));
		set_number(object, "fg_service_ms", NUMBER_SERVICE_MS,
			   number_of(m, 0, NUMBER_SERVICE_MS));
	}
	set_number(object, "rate_sum", NUMBER_RATE_SUM, m->rate_sum);
	tenants = json_array();
	for (size_t i = 0; i < scenario_nr_tenants(scenario); i++)
		(void)json_array_append_new(tenants, tenant_json(bench, m, i));
	(void)json_object_set_new(object, "tenants", tenants);
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
					systems, measurement_json(bench, &bench->measurements[i]));
		}
		(void)json_array_append_new(array, json_pack("{s:i,s:o}", "repetition", (int)r + 1,
							     "systems", systems));
	}
	return array;
}

/* What runs, and what each is worth. */
static json_t *plan_json(const struct bench *bench)
{
	const struct bench_options *options = &bench->options;
	json_t *array = json_array();

	for (size_t i = 0; i < scenario_nr_tenants(options->scenario); i++) {
		const struct bench_tenant *row = &options->scenario->tenant[i];
		const char *quota = i == 0 && options->fg_quota ? options->fg_quota : row->quota;
		const char *partition =
			options->partition[i][0] ? options->partition[i] : row->partition;

		(void)json_array_append_new(
			array, json_pack("{s:s,s:s,s:s,s:s?,s:s,s:f}", "name", row->name, "what",
					 row->what, "program",
					 options->is_sim ? row->sim : row->gpu, "quota", quota,
					 "partition", partition, "request_rate", options->rate[i]));
	}
	return array;
}

static json_t *parameters_json(const struct bench *bench)
{
	const struct bench_options *options = &bench->options;
	json_t *object =
		json_pack("{s:f,s:f,s:f,s:f,s:i,s:o,s:b}", "seconds", options->seconds,
			  "request_rate", options->rate[0], "lead_s", BENCH_LEAD_S, "drain_limit_s",
			  options->drain_s, "repetitions", (int)options->repetitions, "tenants",
			  plan_json(bench), "is_short", report_is_short(bench));

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
	const struct bench_options *options = &bench->options;
	json_t *systems = json_array();

	for (size_t i = 0; i < options->nr_systems; i++)
		(void)json_array_append_new(systems, system_json(bench, options->systems[i]));
	return json_pack("{s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:I,s:o}", "scenario",
			 options->scenario->name, "model", options->scenario->model, "target",
			 options->is_sim ? "sim" : "gpu", "device", bench->facts.device, "systems",
			 systems, "repetitions", repetitions_json(bench), "parameters",
			 parameters_json(bench), "seed", (json_int_t)options->seed, "versions",
			 versions_json(bench));
}

/* Where the results are written before they take the place of those before. */
static int new_name(const char *path, char ret_path[2 * BENCH_PATH_MAX])
{
	int length = snprintf(ret_path, (size_t)2 * BENCH_PATH_MAX, "%s.new", path);

	return length > 0 && length < 2 * BENCH_PATH_MAX ? 0 : -ENAMETOOLONG;
}

int report_check(const char *path)
{
	char new_path[2 * BENCH_PATH_MAX];
	int r = new_name(path, new_path);

	if (r == 0)
		r = output_check(path);
	return r == 0 ? output_check(new_path) : r;
}

int report_write(const struct bench *bench, const char *path)
{
	char new_path[2 * BENCH_PATH_MAX];
	json_t *report = report_json(bench);
	int r = -ENOMEM;

	(void)new_name(path, new_path);
	if (report != NULL)
		r = json_dump_file(report, new_path, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
	json_decref(report);
	if (r < 0)
		return r == -ENOMEM ? r : (errno != 0 ? -errno : -EIO);
	return rename(new_path, path) == 0 ? 0 : -errno;
}
