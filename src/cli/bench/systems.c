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
 * `alone-mps` is `alone` under MPS, and `lithos-alone` the services alone under lithos, so that
 * what MPS costs, what lithos costs and what the others cost can be told apart. `partition` gives
 * all a quota under a daemon that lends nothing (services.c). `lithos-auto` (what `lithos` is by
 * default), `lithos-whole`, `lithos-atoms` and `lithos-claims` are `lithos` with the option `split`
 * set for all programs, to tell what each way to launch long kernels is worth (docs/splitting.md).
 *
 * Tested by tests/unit/bench_systems.c, tests/integration/bench.bats and bench_long.bats.
 */
#include "cli/bench/systems.h"

#include <stdio.h>
#include <string.h>

#include "base/options.h"
#include "cli/paths.h"

#define OWNER_PRIORITY "10"

/* clang-format off */
const struct bench_system bench_systems[] = {
	{.name = "alone",         .is_alone = 1,
	 .defaults = DEFAULTS_PAIR | DEFAULTS_LONG | DEFAULTS_MIX},
	{.name = "alone-mps",     .is_alone = 1, .is_of_services = 1, .has_mps = 1},
	{.name = "timeslice",     .defaults = DEFAULTS_PAIR | DEFAULTS_LONG},
	{.name = "mps",           .has_mps = 1,
	 .defaults = DEFAULTS_PAIR | DEFAULTS_LONG | DEFAULTS_MIX},
	{.name = "mps-priority",  .has_mps = 1, .is_low_client = 1,
	 .defaults = DEFAULTS_PAIR | DEFAULTS_MIX},
	{.name = "partition",     .has_daemon = 1, .is_confined = 1,
	 .defaults = DEFAULTS_PAIR | DEFAULTS_MIX},
	{.name = "lithos",        .has_daemon = 1,
	 .defaults = DEFAULTS_PAIR | DEFAULTS_LONG | DEFAULTS_MIX},
	{.name = "lithos-alone",  .is_alone = 1, .is_of_services = 1, .has_daemon = 1},
	{.name = "lithos-auto",   .has_daemon = 1, .split = "auto"},
	{.name = "lithos-whole",  .has_daemon = 1, .split = "whole", .defaults = DEFAULTS_LONG},
	{.name = "lithos-atoms",  .has_daemon = 1, .split = "atoms", .defaults = DEFAULTS_LONG},
	{.name = "lithos-claims", .has_daemon = 1, .split = "claims", .defaults = DEFAULTS_LONG},
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

void system_names(char *ret_text, size_t size)
{
	size_t used = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < nr_bench_systems && used < size; i++)
		used += (size_t)snprintf(ret_text + used, size - used, "%s%s", i > 0 ? ", " : "",
					 bench_systems[i].name);
}

size_t systems_of(const struct bench_scenario *scenario,
		  const struct bench_system *ret_systems[BENCH_MAX_SYSTEMS])
{
	size_t nr = 0;

	for (size_t i = 0; i < nr_bench_systems; i++) {
		if (bench_systems[i].defaults & scenario->defaults)
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
		    const struct bench_tenant *tenant, struct command *command)
{
	if (system->has_daemon) { /* `lithos run` sets it */
		command_unset(command, "CUDA_MPS_PIPE_DIRECTORY");
		return;
	}
	command_env(command, "CUDA_MPS_PIPE_DIRECTORY", "%s%s", place->mps,
		    system->has_mps ? "" : ".off");
	if (system->is_low_client && tenant->quota == NULL)
		command_env(command, "CUDA_MPS_CLIENT_PRIORITY", "1");
}

static void add_quota(const char *quota, struct command *command)
{
	command_arg(command, "--quota");
	command_arg(command, "%s", quota);
}

static const char *quota_of(const struct bench *bench, const struct bench_system *system, size_t i)
{
	const struct bench_options *options = &bench->options;
	const struct bench_tenant *tenant = &options->scenario->tenant[i];

	if (system->is_confined)
		return options->partition[i][0] != '\0' ? options->partition[i] : tenant->partition;
	return i == 0 && options->fg_quota != NULL ? options->fg_quota : tenant->quota;
}

/* `lithos run` up to the program. */
static void add_lithos(const struct bench *bench, const struct bench_system *system,
		       const struct system_place *place, size_t i, struct command *command)
{
	const char *quota = quota_of(bench, system, i);

	command_env(command, "LITHOS_SOCKET", "%s", place->socket);
	if (system->split != NULL)
		command_env(command, "LITHOS_SPLIT", "%s", system->split);
	command_arg(command, "%s", bench->exe);
	command_arg(command, "run");
	if (bench->options.is_sim)
		command_arg(command, "--sim");
	command_arg(command, "--tenant");
	command_arg(command, "%s", bench->options.scenario->tenant[i].name);
	if (quota != NULL)
		add_quota(quota, command);
	if (quota != NULL && !system->is_confined) {
		command_arg(command, "--priority");
		command_arg(command, OWNER_PRIORITY);
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

/* The program's own words: the first is a file beside bench's other programs. */
static void add_words(const struct bench *bench, const char *words, struct command *command)
{
	size_t length = strcspn(words, " ");

	if (length > 3 && strncmp(words + length - 3, ".py", 3) == 0) {
		command_arg(command, "%s", bench->options.python);
		command_arg(command, "-B");
	}
	command_arg(command, "%s/%.*s", bench->programs, (int)length, words);
	for (words += length; *words != '\0'; words += length) {
		words += strspn(words, " ");
		length = strcspn(words, " ");
		command_arg(command, "%.*s", (int)length, words);
	}
}

/*
 * The simulated GPU's number of SMs is its chip's. What is made for a GPU has the sizes of one of
 * 132 SMs, whichever GPU it is.
 */
static void add_program(const struct bench *bench, const struct bench_tenant *tenant,
			struct command *command)
{
	int is_sim = bench->options.is_sim;
	const char *role = tenant_is_service(tenant) ? "foreground" : "background";

	add_words(bench, is_sim ? tenant->sim : tenant->gpu, command);
	if (is_sim) {
		command_arg(command, "--sms");
		command_arg(command, "%u", sim_sms());
		command_arg(command, "--scale");
		command_arg(command, "%.6f", bench->options.scale);
	}
	if (is_sim && tenant->is_calibrated)
		command_env(command, "LITHOS_SIM_KERNELS", "%s/long_sim_kernels.so",
			    bench->programs);
	if (tenant->is_calibrated) {
		command_arg(command, "--calibration");
		command_arg(command, "%s/calibration.%s", bench->folder, role);
	}
	command_arg(command, "--role");
	command_arg(command, "%s", role);
	command_arg(command, "--name");
	command_arg(command, "%s", tenant->name);
}

void system_command(const struct bench *bench, const struct bench_system *system,
		    const struct system_place *place, size_t tenant, const char *session,
		    struct command *ret_command)
{
	const struct bench_tenant *row = &bench->options.scenario->tenant[tenant];

	*ret_command = (struct command){0};
	system_environment(bench, place, ret_command);
	use_mps(system, place, row, ret_command);
	if (system->has_daemon)
		add_lithos(bench, system, place, tenant, ret_command);
	else if (bench->options.is_sim)
		use_sim_library(ret_command);
	add_program(bench, row, ret_command);
	command_arg(ret_command, "--dir");
	command_arg(ret_command, "%s", session);
}
