/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MPS and lithosd, for the time of one measurement.
 *
 * Each measurement has its own, in directories of its own below the session's folder, so that
 * nothing of one system is left for the next and nothing of the machine's own MPS or lithosd is
 * touched. MPS is asked to quit (a killed server takes a moment to give the GPU back) and then
 * swept; lithosd gets SIGTERM and ends its own.
 *
 * lithosd finds the MPS control program by its usual name on PATH. A link of that name, first on
 * its PATH, lets --mps-control name any other.
 * Tested by tests/integration/bench.bats.
 */
#include "cli/bench/services.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/find/program_find.h"
#include "base/options.h"
#include "cli/daemon/client.h"
#include "cli/status/status.h"

#define START_LIMIT_S 30
#define STOP_LIMIT_S  10
#define TORCH_LIMIT_S 120
#define LITHOSD       "lithosd"

int services_find_program(const char *name, char ret_path[BENCH_PATH_MAX])
{
	if (strchr(name, '/') == NULL)
		return program_find(options_environment("PATH"), name, ret_path, BENCH_PATH_MAX);
	if (strlen(name) >= BENCH_PATH_MAX || !program_is_at(name))
		return -ENOENT;
	(void)snprintf(ret_path, BENCH_PATH_MAX, "%s", name);
	return 0;
}

static const char *mps_name(const struct bench *bench)
{
	return bench->options.mps_control != NULL ? bench->options.mps_control : MPS_CONTROL_NAME;
}

static int find_mps(const struct bench *bench, char ret_path[BENCH_PATH_MAX])
{
	return services_find_program(mps_name(bench), ret_path);
}

/* Waits for a program that ends by itself; 0 when it did so with exit code 0. */
static int finish(struct child *child, double limit_s)
{
	uint64_t end = clock_now_ns() + (uint64_t)(limit_s * 1e9);

	while (!child_is_over(child) && time_before(clock_now_ns(), end))
		wait_a_little(0.01);
	if (!child->is_over) {
		child_end(child, 1);
		return -ETIMEDOUT;
	}
	return child->status == 0 ? 0 : -ECHILD;
}

int services_has_mps(const struct bench *bench)
{
	char path[BENCH_PATH_MAX];

	return find_mps(bench, path) == 0;
}

int services_has_torch(const struct bench *bench)
{
	struct command command = {0};
	struct child child;

	command_arg(&command, "%s", bench->options.python);
	command_arg(&command, "-c");
	command_arg(&command, "import sys, torch; sys.exit(not torch.cuda.is_available())");
	return child_start(&child, &command, "torch", "/dev/null") == 0 &&
	       finish(&child, TORCH_LIMIT_S) == 0;
}

static void mps_environment(const struct system_place *place, struct command *command)
{
	command_env(command, "CUDA_MPS_PIPE_DIRECTORY", "%s", place->mps);
	command_env(command, "CUDA_MPS_LOG_DIRECTORY", "%s", place->mps);
}

static int mps_start(const struct bench *bench, const struct system_place *place,
		     char ret_why[BENCH_TEXT_MAX])
{
	struct command command = {0};
	struct child child;
	char control[BENCH_PATH_MAX];
	char log[BENCH_PATH_MAX];
	int r = find_mps(bench, control);

	if (r < 0) {
		(void)snprintf(ret_why, BENCH_TEXT_MAX, "%.200s is not there; see --mps-control",
			       mps_name(bench));
		return r;
	}
	if (mkdir(place->mps, 0700) < 0)
		return -errno;
	(void)snprintf(log, sizeof(log), "%s/mps.log", place->folder);
	system_environment(bench, place, &command);
	mps_environment(place, &command);
	command_arg(&command, "%s", control);
	command_arg(&command, "-d");
	r = child_start(&child, &command, "mps", log);
	if (r == 0)
		r = finish(&child, START_LIMIT_S);
	if (r < 0)
		child_describe(&child, ret_why, BENCH_TEXT_MAX);
	return r;
}

static void mps_stop(const struct bench *bench, const struct system_place *place)
{
	struct command command = {0};
	struct child child;
	char control[BENCH_PATH_MAX];
	char log[BENCH_PATH_MAX];

	if (find_mps(bench, control) < 0)
		return;
	(void)snprintf(log, sizeof(log), "%s/mps.log", place->folder);
	mps_environment(place, &command);
	command_arg(&command, "sh");
	command_arg(&command, "-c");
	command_arg(&command, "echo quit | \"$0\"");
	command_arg(&command, "%s", control);
	if (child_start(&child, &command, "mps-quit", log) == 0)
		(void)finish(&child, STOP_LIMIT_S);
}

/* A folder in front of PATH in which the control program has its usual name. */
static void link_mps(const struct bench *bench, const struct system_place *place,
		     struct command *command)
{
	const char *path = options_environment("PATH");
	char control[BENCH_PATH_MAX];
	char name[BENCH_PATH_MAX];

	if (bench->options.mps_control == NULL || find_mps(bench, control) < 0)
		return;
	(void)snprintf(name, sizeof(name), "%s/bin", place->folder);
	(void)mkdir(name, 0700);
	(void)snprintf(name, sizeof(name), "%s/bin/" MPS_CONTROL_NAME, place->folder);
	if (symlink(control, name) == 0)
		command_env(command, "PATH", "%s/bin:%s", place->folder, path != NULL ? path : "");
}

/* Beside lithos itself, or where it is installed. */
static int find_daemon(const struct bench *bench, char ret_path[BENCH_PATH_MAX])
{
	static const char *const places[] = {"", "../sbin/", "../libexec/lithos/"};
	int folder = (int)(strrchr(bench->exe, '/') + 1 - bench->exe);

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		(void)snprintf(ret_path, BENCH_PATH_MAX, "%.*s%s" LITHOSD, folder, bench->exe,
			       places[i]);
		if (program_is_at(ret_path))
			return 0;
	}
	return services_find_program(LITHOSD, ret_path);
}

/* The word for the state of the daemon's MPS; 1 when programs that start now are served by it. */
static int mps_of_daemon(const char *socket, char ret_state[32])
{
	json_t *report = NULL;
	json_t *mps;
	int fd = -1;
	int r = client_connect(socket, &fd);

	if (r < 0)
		return r;
	r = status_ask(fd, &report);
	(void)close(fd);
	if (r < 0)
		return r;
	mps = json_object_get(report, "mps");
	(void)snprintf(ret_state, 32, "%.31s",
		       json_is_object(mps) ? json_string_value(json_object_get(mps, "state")) : "");
	r = json_is_true(json_object_get(mps, "serving"));
	json_decref(report);
	return r;
}

/* A program that starts before MPS would be time-sliced, for good. -errno of the last question. */
static int wait_for_daemon_mps(struct child *daemon, const char *socket)
{
	uint64_t end = clock_now_ns() + START_LIMIT_S * 1000000000ull;
	int r = 0;

	while (time_before(clock_now_ns(), end) && !child_is_over(daemon)) {
		char state[32] = "";

		r = mps_of_daemon(socket, state);
		if (r == 1 || strcmp(state, "off") == 0 || strcmp(state, "no-binaries") == 0)
			return 0;
		if (strcmp(state, "failed") == 0)
			return -ECHILD;
		wait_a_little(0.02);
	}
	return r < 0 ? r : -ETIMEDOUT;
}

/* Simulated GPUs are served by MPS only when the daemon is told so. */
static int write_config(const struct bench *bench, const struct bench_system *system,
			const struct system_place *place, char ret_path[BENCH_PATH_MAX])
{
	char control[BENCH_PATH_MAX];
	FILE *file;
	int has_mps = !bench->options.is_sim || find_mps(bench, control) == 0;

	(void)snprintf(ret_path, BENCH_PATH_MAX, "%s/" LITHOSD ".yaml", place->folder);
	file = fopen(ret_path, "we");
	if (file == NULL)
		return -errno;
	(void)fprintf(file, "version: v1\nmps:\n  mode: %s\nsharing:\n  lend: %s\n",
		      has_mps ? "auto" : "off", system->is_confined ? "no" : "yes");
	return fclose(file) == 0 ? 0 : -errno;
}

static int wait_for_socket(struct child *daemon, const char *socket)
{
	uint64_t end = clock_now_ns() + START_LIMIT_S * 1000000000ull;

	while (access(socket, F_OK) < 0) {
		if (child_is_over(daemon))
			return -ECHILD;
		if (!time_before(clock_now_ns(), end))
			return -ETIMEDOUT;
		wait_a_little(0.01);
	}
	return 0;
}

/* What it answered, too: a daemon that runs and is not understood says nothing of that in its
 * log. */
static void describe_daemon(const struct child *daemon, int error, char ret_why[BENCH_TEXT_MAX])
{
	char words[BENCH_TEXT_MAX];

	child_describe(daemon, words, sizeof(words));
	if (error == -ECHILD)
		(void)snprintf(ret_why, BENCH_TEXT_MAX, "%s", words);
	else
		(void)snprintf(ret_why, BENCH_TEXT_MAX, LITHOSD " does not answer: %s (%.400s)",
			       strerror(-error), words);
}

static int daemon_start(const struct bench *bench, const struct bench_system *system,
			const struct system_place *place, struct child *ret_child,
			char ret_why[BENCH_TEXT_MAX])
{
	struct command command = {0};
	char program[BENCH_PATH_MAX];
	char config[BENCH_PATH_MAX];
	char log[BENCH_PATH_MAX];
	int r = find_daemon(bench, program);

	if (r < 0) {
		(void)snprintf(ret_why, BENCH_TEXT_MAX, "no " LITHOSD " beside lithos or on PATH");
		return r;
	}
	r = write_config(bench, system, place, config);
	if (r < 0)
		return r;
	(void)snprintf(log, sizeof(log), "%s/" LITHOSD ".log", place->folder);
	system_environment(bench, place, &command);
	command_unset(&command, "CUDA_MPS_PIPE_DIRECTORY");
	link_mps(bench, place, &command);
	command_arg(&command, "%s", program);
	command_arg(&command, "--private");
	command_arg(&command, "--config");
	command_arg(&command, "%s", config);
	command_arg(&command, "--socket");
	command_arg(&command, "%s", place->socket);
	if (bench->options.is_sim)
		command_arg(&command, "--sim");
	r = child_start(ret_child, &command, LITHOSD, log);
	if (r == 0)
		r = wait_for_socket(ret_child, place->socket);
	if (r == 0)
		r = wait_for_daemon_mps(ret_child, place->socket);
	if (r < 0)
		describe_daemon(ret_child, r, ret_why);
	return r;
}

int services_start(const struct bench *bench, const struct bench_system *system,
		   const struct system_place *place, struct services *ret_services,
		   char ret_why[BENCH_TEXT_MAX])
{
	int r = 0;

	*ret_services = (struct services){0};
	if (system->has_mps) {
		ret_services->has_mps = 1;
		r = mps_start(bench, place, ret_why);
	}
	if (r == 0 && system->has_daemon)
		r = daemon_start(bench, system, place, &ret_services->daemon, ret_why);
	if (r < 0 && ret_why[0] == '\0')
		(void)snprintf(ret_why, BENCH_TEXT_MAX, "%s", strerror(-r));
	return r;
}

void services_stop(const struct bench *bench, const struct system_place *place,
		   struct services *services)
{
	child_end(&services->daemon, STOP_LIMIT_S);
	if (services->has_mps)
		mps_stop(bench, place);
}
