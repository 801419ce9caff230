/* SPDX-License-Identifier: Apache-2.0 */
/* Which systems a scenario has, and what a program is started with under each. */
#include "base_files.h"

#include <string.h>

#include "cli/bench/systems.h"

static struct bench bench_of(const char *scenario)
{
	struct bench bench = {.options = {.scenario = scenario,
					  .python = "python3",
					  .fg_quota = "80%",
					  .partition = {"30%", "70%"},
					  .scale = 10}};

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

static const char *command_of(const struct bench *bench, const char *system, const char *role,
			      struct command *ret_command)
{
	struct system_place place = {0};

	system_place("/f/0.x", &place);
	system_command(bench, system_named(system), &place, role, ret_command);
	assert_false(ret_command->is_too_long);
	return line_of(ret_command);
}

static void expect_default(const char *scenario, const char *expected)
{
	const struct bench_system *systems[BENCH_MAX_SYSTEMS];
	size_t nr = systems_of(scenario, systems);
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
	expect_default(BENCH_HYBRID, "alone,timeslice,mps,mps-priority,partition,lithos");
	expect_default(BENCH_LONG,
		       "alone,timeslice,mps,lithos,lithos-whole,lithos-atoms,lithos-claims");
	assert_null(system_find("lithos-", 7));
	assert_null(system_find("", 0));
}

/* Each way is forced on both programs; under any other system what the shell says is taken out. */
static void test_split_is_forced_or_cleared(void **state)
{
	static const char *const roles[] = {BENCH_FOREGROUND, BENCH_BACKGROUND};
	const struct bench bench = bench_of(BENCH_LONG);
	struct command command;

	(void)state;
	for (int i = 0; i < 2; i++) {
		(void)command_of(&bench, "lithos-whole", roles[i], &command);
		assert_string_equal(value_of(&command, "LITHOS_SPLIT"), "whole");
		(void)command_of(&bench, "lithos-atoms", roles[i], &command);
		assert_string_equal(value_of(&command, "LITHOS_SPLIT"), "atoms");
		(void)command_of(&bench, "lithos-claims", roles[i], &command);
		assert_string_equal(value_of(&command, "LITHOS_SPLIT"), "claims");
		for (size_t n = 0; n < nr_bench_systems; n++) {
			if (bench_systems[n].split != NULL)
				continue;
			(void)command_of(&bench, bench_systems[n].name, roles[i], &command);
			assert_null(value_of(&command, "LITHOS_SPLIT"));
		}
	}
}

static void test_quotas(void **state)
{
	const struct bench bench = bench_of(BENCH_HYBRID);
	struct command command;
	const char *line;

	(void)state;
	line = command_of(&bench, "partition", BENCH_FOREGROUND, &command);
	assert_memory_equal(line, "/bin/lithos run --tenant foreground --quota 30% -- python3", 58);
	assert_string_equal(value_of(&command, "LITHOS_SOCKET"), "/f/0.x/d.sock");
	line = command_of(&bench, "partition", BENCH_BACKGROUND, &command);
	assert_memory_equal(line, "/bin/lithos run --tenant background --quota 70% -- python3", 58);
	for (size_t i = 0; i < nr_bench_systems; i++) {
		if (!bench_systems[i].has_daemon || bench_systems[i].is_confined)
			continue;
		line = command_of(&bench, bench_systems[i].name, BENCH_FOREGROUND, &command);
		assert_non_null(strstr(line, " --quota 80% --priority 10 -- "));
		line = command_of(&bench, bench_systems[i].name, BENCH_BACKGROUND, &command);
		assert_null(strstr(line, "--quota"));
		assert_null(strstr(line, "--priority"));
		assert_non_null(strstr(line, " --tenant background -- "));
	}
	line = command_of(&bench, "mps", BENCH_BACKGROUND, &command);
	assert_memory_equal(line, "python3 -B /p/background.py --dir /f/0.x", 40);
	assert_null(value_of(&command, "LITHOS_SOCKET"));
}

/* One program on both targets; rounds are measured once for all measurements of a run. */
static void test_long_programs(void **state)
{
	struct bench bench = bench_of(BENCH_LONG);
	struct command command;
	const char *line;

	(void)state;
	line = command_of(&bench, "mps", BENCH_FOREGROUND, &command);
	assert_string_equal(line, "/p/long_tenant --calibration /f/calibration.foreground "
				  "--role foreground --dir /f/0.x --name foreground");
	bench.options.is_sim = 1;
	line = command_of(&bench, "lithos-claims", BENCH_BACKGROUND, &command);
	assert_non_null(strstr(line, " run --sim --tenant background -- /p/long_tenant --sms "));
	assert_non_null(strstr(line, " --scale 10.000000 --calibration /f/calibration.background"));
	assert_string_equal(value_of(&command, "LITHOS_SIM_KERNELS"), "/p/long_sim_kernels.so");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scenarios_have_systems),
		cmocka_unit_test(test_split_is_forced_or_cleared),
		cmocka_unit_test(test_quotas),
		cmocka_unit_test(test_long_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
