/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a program is started under each system.
 *
 * The programs know nothing of the systems: all that differs is in front of their command line and
 * in their environment, so every system runs the same work. What the caller's shell has set for one
 * program (quota, token, MPS pipe, priority) is taken out first; where a system has no MPS, the
 * pipe directory names one in which nobody listens, so that an MPS that runs on the machine anyway
 * is not used by accident.
 *
 * `partition` gives both a quota under a daemon that lends nothing (services.c). `lithos-auto`
 * (what `lithos` is by default), `lithos-whole`, `lithos-atoms` and `lithos-claims` are `lithos`
 * with the option `split` set for both programs, to tell what each way to launch long kernels is
 * worth (docs/splitting.md).
 *
 * Tested by tests/unit/bench_systems.c, tests/integration/bench.bats and bench_long.bats.
 */
#include "cli/bench/systems.h"

#include <stdio.h>
#include <string.h>

#include "base/options.h"
#include "cli/paths.h"

#define FOREGROUND_PRIORITY "10"

/* clang-format off */
const struct bench_system bench_systems[] = {
	{.name = "alone",         .is_alone = 1, .in_hybrid = 1, .in_long = 1},
	{.name = "timeslice",     .in_hybrid = 1, .in_long = 1},
	{.name = "mps",           .has_mps = 1, .in_hybrid = 1, .in_long = 1},
	{.name = "mps-priority",  .has_mps = 1, .is_low_client = 1, .in_hybrid = 1},
	{.name = "partition",     .has_daemon = 1, .is_confined = 1, .in_hybrid = 1},
	{.name = "lithos",        .has_daemon = 1, .in_hybrid = 1, .in_long = 1},
	{.name = "lithos-auto",   .has_daemon = 1, .split = "auto"},
	{.name = "lithos-whole",  .has_daemon = 1, .split = "whole", .in_long = 1},
	{.name = "lithos-atoms",  .has_daemon = 1, .split = "atoms", .in_long = 1},
	{.name = "lithos-claims", .has_daemon = 1, .split = "claims", .in_long = 1},
};
/* clang-format on */
const size_t nr_bench_systems = sizeof(bench_systems) / sizeof(bench_systems[0]);
_Static_assert(sizeof(bench_systems) / sizeof(bench_systems[0]) <= BENCH_MAX_SYSTEMS, "room");

static const char *const of_one_program[] = {
	"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE",
	"CUDA_MPS_CLIENT_PRIORITY",
	"LITHOS_DISABLE",
	"LITHOS_LOG",
	"LITHOS_PRIORITY",
	"LITHOS_PROFILE",
	"LITHOS_REAL_LIBCUDA",
	"LITHOS_RUN_DIR",
	"LITHOS_SOCKET",
	"LITHOS_SPLIT",
	"LITHOS_STATS",
	"LITHOS_TENANT",
	"LITHOS_TOKEN",
	"LITHOS_TPC_QUOTA",
};

const struct bench_system *system_find(const char *name, size_t length)
{
	for (size_t i = 0; i < nr_bench_systems; i++) {
		if (strlen(bench_systems[i].name) == length &&
		    strncmp(bench_systems[i].name, name, length) == 0)
			return &bench_systems[i];
	}
	return NULL;
}

size_t systems_of(const char *scenario, const struct bench_system *ret_systems[BENCH_MAX_SYSTEMS])
{
	int is_long = strcmp(scenario, BENCH_LONG) == 0;
	size_t nr = 0;

	for (size_t i = 0; i < nr_bench_systems; i++) {
		if (is_long ? bench_systems[i].in_long : bench_systems[i].in_hybrid)
			ret_systems[nr++] = &bench_systems[i];
	}
	return nr;
}

void system_place(const char *folder, struct system_place *ret_place)
{
	(void)snprintf(ret_place->folder, sizeof(ret_place->folder), "%s", folder);
	(void)snprintf(ret_place->mps, sizeof(ret_place->mps), "%s/mps", folder);
	(void)snprintf(ret_place->socket, sizeof(ret_place->socket), "%s/d.sock", folder);
	(void)snprintf(ret_place->sim_device, sizeof(ret_place->sim_device), "%s/gpu", folder);
}

void system_environment(const struct bench *bench, const struct system_place *place,
			struct command *command)
{
	for (size_t i = 0; i < sizeof(of_one_program) / sizeof(of_one_program[0]); i++)
		command_unset(command, of_one_program[i]);
	if (bench->options.is_sim) {
		command_env(command, "LITHOS_SIM", "1");
		command_env(command, "LITHOS_SIM_DEVICE", "%s", place->sim_device);
		command_unset(command, "CUDA_VISIBLE_DEVICES");
	} else {
		command_unset(command, "LITHOS_SIM");
		command_unset(command, "LITHOS_SIM_DEVICE");
	}
}

/* Native programs find the simulated driver where others find the real one. */
static void use_sim_library(struct command *command)
{
	char library[PATHS_MAX];
	const char *before = options_environment("LD_LIBRARY_PATH");

	if (paths_sim_library(library, sizeof(library)) < 0)
		return; /* verb_bench looked for it before anything was started */
	*strrchr(library, '/') = '\0';
	command_env(command, "LD_LIBRARY_PATH", "%s%s%s", library, before != NULL ? ":" : "",
		    before != NULL ? before : "");
}

static void use_mps(const struct bench_system *system, const struct system_place *place,
		    const char *role, struct command *command)
{
	if (system->has_daemon) { /* `lithos run` sets it */
		command_unset(command, "CUDA_MPS_PIPE_DIRECTORY");
		return;
	}
	command_env(command, "CUDA_MPS_PIPE_DIRECTORY", "%s%s", place->mps,
		    system->has_mps ? "" : ".off");
	if (system->is_low_client && strcmp(role, BENCH_BACKGROUND) == 0)
		command_env(command, "CUDA_MPS_CLIENT_PRIORITY", "1");
}

static void add_quota(const char *quota, struct command *command)
{
	command_arg(command, "--quota");
	command_arg(command, "%s", quota);
}

/* `lithos run` up to the program. */
static void add_lithos(const struct bench *bench, const struct bench_system *system,
		       const struct system_place *place, const char *role, struct command *command)
{
	int is_background = strcmp(role, BENCH_BACKGROUND) == 0;

	command_env(command, "LITHOS_SOCKET", "%s", place->socket);
	if (system->split != NULL)
		command_env(command, "LITHOS_SPLIT", "%s", system->split);
	command_arg(command, "%s", bench->exe);
	command_arg(command, "run");
	if (bench->options.is_sim)
		command_arg(command, "--sim");
	command_arg(command, "--tenant");
	command_arg(command, "%s", role);
	if (system->is_confined) {
		add_quota(bench->options.partition[is_background], command);
	} else if (!is_background) {
		add_quota(bench->options.fg_quota, command);
		command_arg(command, "--priority");
		command_arg(command, FOREGROUND_PRIORITY);
	}
	command_arg(command, "--");
}

static unsigned int sim_sms(void)
{
	struct options options;
	char wrong[8];

	(void)options_read(&options, wrong, sizeof(wrong));
	return strcmp(options.sim_gpu, "small") == 0 ? 16 : 132;
}

/* On the simulated GPU, whose number of SMs is its chip's. */
static void add_sim_options(const struct bench *bench, struct command *command)
{
	command_arg(command, "--sms");
	command_arg(command, "%u", sim_sms());
	command_arg(command, "--scale");
	command_arg(command, "%.6f", bench->options.scale);
}

/* The same program on a GPU, where its grids are those for 132 SMs, whichever GPU it is. */
static void add_long(const struct bench *bench, const char *role, struct command *command)
{
	command_arg(command, "%s/long_tenant", bench->programs);
	if (bench->options.is_sim) {
		command_env(command, "LITHOS_SIM_KERNELS", "%s/long_sim_kernels.so",
			    bench->programs);
		add_sim_options(bench, command);
	}
	command_arg(command, "--calibration");
	command_arg(command, "%s/calibration.%s", bench->folder, role);
	command_arg(command, "--role");
	command_arg(command, "%s", role);
}

static void add_hybrid(const struct bench *bench, const char *role, struct command *command)
{
	if (bench->options.is_sim) {
		command_arg(command, "%s/sim_tenant", bench->programs);
		add_sim_options(bench, command);
		command_arg(command, "--role");
		command_arg(command, "%s", role);
	} else {
		command_arg(command, "%s", bench->options.python);
		command_arg(command, "-B");
		command_arg(command, "%s/%s.py", bench->programs, role);
	}
}

static void add_program(const struct bench *bench, const struct system_place *place,
			const char *role, struct command *command)
{
	if (strcmp(bench->options.scenario, BENCH_LONG) == 0)
		add_long(bench, role, command);
	else
		add_hybrid(bench, role, command);
	command_arg(command, "--dir");
	command_arg(command, "%s", place->folder);
	command_arg(command, "--name");
	command_arg(command, "%s", role);
}

void system_command(const struct bench *bench, const struct bench_system *system,
		    const struct system_place *place, const char *role, struct command *ret_command)
{
	*ret_command = (struct command){0};
	system_environment(bench, place, ret_command);
	use_mps(system, place, role, ret_command);
	if (system->has_daemon)
		add_lithos(bench, system, place, role, ret_command);
	else if (bench->options.is_sim)
		use_sim_library(ret_command);
	add_program(bench, place, role, ret_command);
}
