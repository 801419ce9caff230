/* SPDX-License-Identifier: Apache-2.0 */
/* Which systems a scenario has, and what a program is started with under each. */
#include "base_files.h"

#include <string.h>

#include "cli/bench/systems.h"

#define FIRST  0
#define SECOND 1

static struct bench bench_of(const char *scenario)
{
	struct bench bench = {.options = {.scenario = scenario_find(scenario, NULL),
					  .python = "python3",
					  .fg_quota = "80%",
					  .partition = {"30%", "70%"},
					  .scale = 10}};

	assert_non_null(bench.options.scenario);
	(void)snprintf(bench.folder, sizeof(bench.folder), "/f");
	(void)snprintf(bench.programs, sizeof(bench.programs), "/p");
	(void)snprintf(bench.exe, sizeof(bench.exe), "/bin/lithos");
	return bench;
}

static const struct bench_system *system_named(const char *name)
{
	const struct bench_system *system = system_find(name, strlen(name));

	assert_non_null(system);
	return system;
}

/* The command line as one text. */
static const char *line_of(const struct command *command)
{
	static char line[2048];
	size_t used = 0;

	line[0] = '\0';
	for (size_t i = 0; i < command->nr_args; i++)
		used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%s", i ? " " : "",
					 command->argv[i]);
	return line;
}

/* The value that a variable ends up with; NULL when it is taken out. It must be mentioned. */
static const char *value_of(const struct command *command, const char *name)
{
	const char *value = NULL;
	int is_there = 0;

	for (size_t i = 0; i < command->nr_env; i++) {
		if (strcmp(command->env_name[i], name) != 0)
			continue;
		value = command->env_value[i];
		is_there = 1;
	}
	assert_true(is_there);
	return value;
}

static const char *command_of(const struct bench *bench, const char *system, size_t tenant,
			      struct command *ret_command)
{
	struct system_place place = {0};

	system_place("/f/0.x", &place);
	system_command(bench, system_named(system), &place, tenant, place.folder, ret_command);
	assert_false(ret_command->is_too_long);
	return line_of(ret_command);
}

static void expect_default(const char *scenario, const char *expected)
{
	const struct bench_system *systems[BENCH_MAX_SYSTEMS];
	size_t nr = systems_of(scenario_find(scenario, NULL), systems);
	char names[512] = "";
	size_t used = 0;

	for (size_t i = 0; i < nr; i++)
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? "," : "",
					 systems[i]->name);
	assert_string_equal(names, expected);
}

static void test_scenarios_have_systems(void **state)
{
	(void)state;
	expect_default("hybrid", "alone,timeslice,mps,mps-priority,partition,lithos");
	expect_default("long",
		       "alone,timeslice,mps,lithos,lithos-whole,lithos-atoms,lithos-claims");
	expect_default("stacking", "alone,mps,mps-priority,partition,lithos");
	assert_null(system_find("lithos-", 7));
	assert_null(system_find("", 0));
}

/* Every row can be run: names that do not collide, and a quota for each under `partition`. */
static void test_rows_are_complete(void **state)
{
	(void)state;
	for (size_t i = 0; i < nr_bench_scenarios; i++) {
		const struct bench_scenario *row = &bench_scenarios[i];
		size_t nr = scenario_nr_tenants(row);

		assert_ptr_equal(scenario_find(row->name, row->model), row);
		assert_true(nr >= 2 && row->defaults != 0);
		assert_true(tenant_is_service(&row->tenant[0]));
		for (size_t t = 0; t < nr; t++) {
			const struct bench_tenant *tenant = &row->tenant[t];

			assert_true(tenant->gpu && tenant->sim && tenant->partition &&
				    tenant->what);
			assert_true(t + 1 == nr || tenant->quota != NULL);
			for (size_t other = 0; other < t; other++)
				assert_string_not_equal(tenant->name, row->tenant[other].name);
		}
	}
	assert_null(scenario_find("hybrid", "bert-large"));
	assert_null(scenario_find("none", NULL));
	assert_true(scenario_is_pair(scenario_find("long", NULL)));
	assert_false(scenario_is_pair(scenario_find("two-services", NULL)));
}

static void test_names(void **state)
{
	char text[256];

	(void)state;
	scenario_names(NULL, ", ", text, sizeof(text));
	assert_string_equal(text, "hybrid, long, besteffort-graph, stacking, two-services");
	scenario_names("stacking", "|", text, sizeof(text));
	assert_string_equal(text, "bert-large|vit-b");
	scenario_names("stacking", "|", text, 5);
	assert_string_equal(text, "bert");
}

/* Each way is forced on both programs; under any other system what the shell says is taken out. */
static void test_split_is_forced_or_cleared(void **state)
{
	const struct bench bench = bench_of("long");
	struct command command;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		(void)command_of(&bench, "lithos-whole", i, &command);
		assert_string_equal(value_of(&command, "LITHOS_SPLIT"), "whole");
		(void)command_of(&bench, "lithos-atoms", i, &command);
		assert_string_equal(value_of(&command, "LITHOS_SPLIT"), "atoms");
		(void)command_of(&bench, "lithos-claims", i, &command);
		assert_string_equal(value_of(&command, "LITHOS_SPLIT"), "claims");
		for (size_t n = 0; n < nr_bench_systems; n++) {
			if (bench_systems[n].split != NULL)
				continue;
			(void)command_of(&bench, bench_systems[n].name, i, &command);
			assert_null(value_of(&command, "LITHOS_SPLIT"));
		}
	}
}

static void expect_begin(const char *line, const char *expected)
{
	char begin[2048];

	(void)snprintf(begin, sizeof(begin), "%.*s", (int)strlen(expected), line);
	assert_string_equal(begin, expected);
}

static void test_quotas(void **state)
{
	const struct bench bench = bench_of("hybrid");
	struct command command;
	const char *line;

	(void)state;
	line = command_of(&bench, "partition", FIRST, &command);
	expect_begin(line, "/bin/lithos run --tenant foreground --quota 30% -- python3");
	assert_string_equal(value_of(&command, "LITHOS_SOCKET"), "/f/0.x/d.sock");
	line = command_of(&bench, "partition", SECOND, &command);
	expect_begin(line, "/bin/lithos run --tenant background --quota 70% -- python3");
	for (size_t i = 0; i < nr_bench_systems; i++) {
		if (!bench_systems[i].has_daemon || bench_systems[i].is_confined)
			continue;
		line = command_of(&bench, bench_systems[i].name, FIRST, &command);
		assert_non_null(strstr(line, " --quota 80% --priority 10 -- "));
		line = command_of(&bench, bench_systems[i].name, SECOND, &command);
		assert_null(strstr(line, "--quota"));
		assert_null(strstr(line, "--priority"));
		assert_non_null(strstr(line, " --tenant background -- "));
	}
	line = command_of(&bench, "mps", SECOND, &command);
	assert_string_equal(line, "python3 -B /p/model_tenant.py --model llama-train --batch 2 "
				  "--role background --name background --dir /f/0.x");
	assert_null(value_of(&command, "LITHOS_SOCKET"));
}

/* Several owners; who has no quota is best effort, and alone has the lower priority under MPS. */
static void test_three_tenants(void **state)
{
	struct bench bench = bench_of("stacking");
	struct command command;
	const char *line;

	(void)state;
	bench.options.fg_quota = NULL;
	memset(bench.options.partition, 0, sizeof(bench.options.partition));
	line = command_of(&bench, "lithos", 0, &command);
	expect_begin(line, "/bin/lithos run --tenant a --quota 75% --priority 10 -- python3");
	line = command_of(&bench, "lithos", 1, &command);
	expect_begin(line, "/bin/lithos run --tenant b --quota 24% --priority 10 -- python3");
	line = command_of(&bench, "lithos", 2, &command);
	expect_begin(line, "/bin/lithos run --tenant c -- python3");
	assert_non_null(strstr(line, " --role background --name c "));
	line = command_of(&bench, "partition", 2, &command);
	expect_begin(line, "/bin/lithos run --tenant c --quota 19% -- python3");
	(void)command_of(&bench, "mps-priority", 2, &command);
	assert_string_equal(value_of(&command, "CUDA_MPS_CLIENT_PRIORITY"), "1");
	(void)command_of(&bench, "mps-priority", 1, &command);
	assert_null(value_of(&command, "CUDA_MPS_CLIENT_PRIORITY"));
	bench.options.is_sim = 1;
	line = command_of(&bench, "mps", 0, &command);
	expect_begin(line, "/p/sim_tenant --graph --work bert-large --sms ");
	assert_non_null(strstr(line, " --role foreground --name a "));
}

/* One program on both targets; rounds are measured once for all measurements of a run. */
static void test_long_programs(void **state)
{
	struct bench bench = bench_of("long");
	struct command command;
	const char *line;

	(void)state;
	line = command_of(&bench, "mps", FIRST, &command);
	assert_string_equal(line, "/p/long_tenant --calibration /f/calibration.foreground "
				  "--role foreground --name foreground --dir /f/0.x");
	bench.options.is_sim = 1;
	line = command_of(&bench, "lithos-claims", SECOND, &command);
	assert_non_null(strstr(line, " run --sim --tenant background -- /p/long_tenant --sms "));
	assert_non_null(strstr(line, " --scale 10.000000 --calibration /f/calibration.background"));
	assert_string_equal(value_of(&command, "LITHOS_SIM_KERNELS"), "/p/long_sim_kernels.so");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scenarios_have_systems),
		cmocka_unit_test(test_split_is_forced_or_cleared),
		cmocka_unit_test(test_rows_are_complete),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_quotas),
		cmocka_unit_test(test_three_tenants),
		cmocka_unit_test(test_long_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
