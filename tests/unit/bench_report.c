/* SPDX-License-Identifier: Apache-2.0 */
/* The results: medians of ratios within a repetition, exactly the promised keys, null for
 * unknown. */
#include "base_files.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/bench/report/report.h"
#include "cli/bench/results.h"
#include "cli/bench/systems.h"

static const char *const keys[] = {
	"name",         "fg_p50_ms",      "fg_p95_ms", "fg_p99_ms",     "fg_requests",
	"fg_p50_ratio", "fg_p99_ratio",   "bg_rate",   "bg_rate_ratio", "bg_leftover_ratio",
	"rate_sum",     "rate_sum_worst", "tenants"};
static const char *const tenant_keys[] = {"name",      "p50_ms",     "p95_ms",     "p99_ms",
					  "p50_ratio", "p99_ratio",  "rate",       "rate_ratio",
					  "requests",  "unfinished", "service_ms", "worst"};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Two systems, three repetitions; p99 of 100 requests is the 99th. */
static void fill(struct bench *bench, struct measurement *measurements)
{
	static double latencies[600] = {0};
	static const double slower[] = {1, 2, 1.5};

	for (unsigned int i = 0; i < 6; i++) {
		struct measurement *m = &measurements[i];
		struct tenant_result *service = &m->tenant[0], *job = &m->tenant[1];
		unsigned int turn = i / 2;

		*m = (struct measurement){.system = bench->options.systems[i % 2],
					  .repetition = turn};
		for (int t = 0; t < BENCH_MAX_TENANTS; t++)
			results_clear(&m->tenant[t]);
		service->latency_ms = latencies + (size_t)100 * i;
		service->nr_requests = 100;
		service->service_ms = 1;
		service->rate = 50;
		job->rate = i % 2 ? 4 + turn : 10;
		for (int n = 0; n < 100; n++)
			service->latency_ms[n] =
				(100 - n) * (i % 2 ? slower[turn] : 1) * (turn + 1);
		results_percentiles(service);
	}
	bench->measurements = measurements;
	bench->nr_measurements = 6;
	report_compare(bench);
}

static void make(struct bench *bench)
{
	static struct measurement measurements[6];

	*bench = (struct bench){.options = {.scenario = scenario_find("hybrid", NULL),
					    .nr_systems = 2,
					    .repetitions = 3,
					    .rate = {200},
					    .seconds = 8,
					    .seed = 5}};
	bench->options.systems[0] = system_find("alone", 5);
	bench->options.systems[1] = system_find("mps", 3);
	(void)snprintf(bench->facts.device, sizeof(bench->facts.device), "GPU");
	fill(bench, measurements);
}

static json_t *written(const struct bench *bench)
{
	char path[] = "/tmp/lithos-test-report-XXXXXX";
	int fd = mkstemp(path);
	json_t *report;

	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(report_write(bench, path), 0);
	report = json_load_file(path, 0, NULL);
	assert_non_null(report);
	(void)unlink(path);
	return report;
}

static double number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static int is_near(double a, double b)
{
	return fabs(a - b) < 1e-5;
}

static const json_t *tenant_of(const json_t *system, size_t i)
{
	return json_array_get(json_object_get(system, "tenants"), i);
}

static void test_medians_and_ratios(void **state)
{
	struct bench bench;
	json_t *report;
	const json_t *systems, *mps, *service, *job;

	(void)state;
	make(&bench);
	report = written(&bench);
	systems = json_object_get(report, "systems");
	assert_int_equal(json_array_size(systems), 2);
	mps = json_array_get(systems, 1);
	assert_string_equal(json_string_value(json_object_get(mps, "name")), "mps");
	/* p99 alone 99, 198, 297; under MPS 99, 396, 445.5: ratios 1, 2, 1.5. */
	assert_true(is_near(number(mps, "fg_p99_ms"), 396));
	assert_true(is_near(number(mps, "fg_p99_ratio"), 1.5));
	assert_true(is_near(number(mps, "fg_p50_ratio"), 1.5));
	/* The job's rates are 4, 5 and 6 of 10, of which the service leaves 8. */
	assert_true(is_near(number(mps, "bg_leftover_ratio"), 0.625));
	assert_true(is_near(number(mps, "bg_rate_ratio"), 0.5));
	assert_true(is_near(number(mps, "rate_sum"), 1.5));
	assert_true(is_near(number(mps, "rate_sum_worst"), 1.4));
	assert_true(number(mps, "fg_requests") == 100);
	service = tenant_of(mps, 0);
	job = tenant_of(mps, 1);
	assert_true(is_near(number(service, "p99_ratio"), 1.5));
	assert_true(is_near(number(json_object_get(service, "worst"), "p99_ratio"), 2));
	assert_true(is_near(number(json_object_get(service, "worst"), "p99_ms"), 445.5));
	assert_true(is_near(number(json_object_get(job, "worst"), "rate_ratio"), 0.4));
	assert_true(json_is_null(json_object_get(job, "p99_ms")));
	json_decref(report);
}

static void test_keys(void **state)
{
	struct bench bench;
	json_t *report;
	const json_t *system, *turn, *tenant;
	const char *text;

	(void)state;
	make(&bench);
	report = written(&bench);
	system = json_array_get(json_object_get(report, "systems"), 0);
	assert_int_equal(json_object_size(system), LENGTH(keys));
	for (size_t i = 0; i < LENGTH(keys); i++)
		assert_non_null(json_object_get(system, keys[i]));
	tenant = tenant_of(system, 1);
	assert_int_equal(json_object_size(tenant), LENGTH(tenant_keys));
	for (size_t i = 0; i < LENGTH(tenant_keys); i++)
		assert_non_null(json_object_get(tenant, tenant_keys[i]));
	assert_string_equal(json_string_value(json_object_get(report, "scenario")), "hybrid");
	assert_string_equal(json_string_value(json_object_get(report, "model")), "resnet50");
	assert_string_equal(json_string_value(json_object_get(report, "target")), "gpu");
	assert_string_equal(json_string_value(json_object_get(report, "device")), "GPU");
	assert_int_equal(json_integer_value(json_object_get(report, "seed")), 5);
	turn = json_array_get(json_object_get(report, "repetitions"), 2);
	system = json_array_get(json_object_get(turn, "systems"), 1);
	text = json_string_value(json_object_get(tenant_of(system, 0), "latencies_us"));
	assert_non_null(text);
	assert_memory_equal(text, "450000 445500 441000 ", 21);
	assert_null(json_object_get(tenant_of(system, 1), "latencies_us"));
	json_decref(report);
}

/* A scenario of three has no foreground and no background. */
static void test_three_tenants(void **state)
{
	struct bench bench;
	json_t *report;
	const json_t *system;

	(void)state;
	make(&bench);
	bench.options.scenario = scenario_find("stacking", NULL);
	report_compare(&bench);
	report = written(&bench);
	system = json_array_get(json_object_get(report, "systems"), 1);
	assert_int_equal(json_array_size(json_object_get(system, "tenants")), 3);
	assert_null(json_object_get(system, "fg_p99_ms"));
	assert_true(is_near(number(tenant_of(system, 0), "p99_ratio"), 1.5));
	/* The third was not measured, so there is no sum. */
	assert_true(json_is_null(json_object_get(system, "rate_sum")));
	json_decref(report);
}

static void test_failure_is_null(void **state)
{
	struct bench bench;
	json_t *report, *systems;
	const json_t *turn;

	(void)state;
	make(&bench);
	for (int i = 0; i < 6; i += 2)
		bench.measurements[i].has_failed = 1;
	(void)snprintf(bench.measurements[0].why, sizeof(bench.measurements[0].why), "no GPU");
	report_compare(&bench);
	report = written(&bench);
	systems = json_object_get(report, "systems");
	assert_true(json_is_null(json_object_get(json_array_get(systems, 0), "fg_p99_ms")));
	assert_true(json_is_null(json_object_get(json_array_get(systems, 1), "fg_p99_ratio")));
	assert_true(json_is_null(json_object_get(json_array_get(systems, 1), "bg_leftover_ratio")));
	assert_true(number(json_array_get(systems, 1), "fg_p50_ms") > 0);
	turn = json_array_get(json_object_get(report, "repetitions"), 0);
	turn = json_array_get(json_object_get(turn, "systems"), 0);
	assert_string_equal(json_string_value(json_object_get(turn, "error")), "no GPU");
	json_decref(report);
}

static void test_table(void **state)
{
	struct bench bench;
	char text[4096] = "";
	FILE *file = fmemopen(text, sizeof(text), "w");

	(void)state;
	make(&bench);
	bench.measurements[1].tenant[0].nr_unfinished = 3;
	assert_non_null(file);
	assert_int_equal(report_print(&bench, file), 0);
	assert_int_equal(fclose(file), 0);
	assert_non_null(strstr(text, "P99_MS"));
	assert_non_null(strstr(text, "mps"));
	assert_non_null(strstr(text, "3 of 100 requests of foreground were not answered"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_medians_and_ratios),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_three_tenants),
		cmocka_unit_test(test_failure_is_null),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
