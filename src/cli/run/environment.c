/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment of a tenant's program.
 *
 * The program and its children know what they are by variables alone, so everything goes into the
 * environment of `lithos run` itself, which exec hands on. Options go by their row in options.def.
 *
 * CUDA_VISIBLE_DEVICES is a choice of the user, of which the daemon's is a part (run/choice.h).
 *
 * Tested by tests/integration/cli_run.bats and cli_tenant.bats.
 */
#include "cli/run/environment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "cli/cli.h"
#include "cli/paths.h"
#include "cli/run/reservation.h"
#include "sched/known.h"

#define TOKEN_VARIABLE      "LITHOS_TOKEN"
#define SIM_DEVICE_VARIABLE "LITHOS_SIM_DEVICE"

static const char *variable_of(const char *member)
{
	for (size_t i = 0; i < nr_option_rows; i++) {
		if (strcmp(option_rows[i].member, member) == 0)
			return option_rows[i].env;
	}
	return NULL;
}

static int set(const char *variable, const char *value, int replace)
{
	int r = setenv(variable, value, replace) == 0 ? 0 : -errno;

	if (r < 0)
		cli_error("cannot set %s: %s", variable, strerror(-r));
	return r;
}

int environment_set(const char *member, const char *value)
{
	const char *variable = variable_of(member);

	return variable == NULL || value == NULL ? 0 : set(variable, value, 1);
}

int environment_set_gpu(const char *value)
{
	return set("CUDA_VISIBLE_DEVICES", value, 1);
}

int environment_set_sim(void)
{
	char path[PATHS_MAX];
	int r = paths_sim_library(path, sizeof(path));

	if (r < 0) {
		cli_error("no simulated driver at %s", path);
		return r;
	}
	r = environment_set("sim", "1");
	return r < 0 ? r : environment_set("sim_libcuda", path);
}

int environment_set_library_path(const char *shim_folder)
{
	const char *before = options_environment("LD_LIBRARY_PATH");
	char *value = NULL;
	int r;

	if (asprintf(&value, "%s%s%s", shim_folder, before != NULL ? ":" : "",
		     before != NULL ? before : "") < 0)
		return -ENOMEM;
	r = set("LD_LIBRARY_PATH", value, 1);
	free(value);
	return r;
}

int environment_is_tenant(void)
{
	return options_environment(TOKEN_VARIABLE) != NULL;
}

int environment_is_confined(void)
{
	return environment_is_tenant() || options_environment(variable_of("tpc_quota")) != NULL;
}

void environment_leave_tenant(void)
{
	(void)unsetenv(TOKEN_VARIABLE);
	(void)unsetenv(variable_of("tenant"));
	(void)unsetenv(variable_of("tpc_quota"));
	(void)unsetenv(variable_of("tpcs"));
	(void)unsetenv("CUDA_MPS_CLIENT_PRIORITY");
}

/* Best effort has no quota: the variable would confine it. */
static int set_quota(const struct proto_admitted *admitted)
{
	char text[16];

	if (admitted->nr_own == 0)
		return unsetenv(variable_of("tpc_quota")) == 0 ? 0 : -errno;
	(void)snprintf(text, sizeof(text), "%u", admitted->nr_own);
	return environment_set("tpc_quota", text);
}

/* Which TPCs, for when no daemon answers: the shim checks that they exist. */
static int set_tpcs(const struct proto_admitted *admitted)
{
	char text[KNOWN_TEXT_BYTES];

	if (tpcset_is_empty(&admitted->tpcs))
		return unsetenv(variable_of("tpcs")) == 0 ? 0 : -errno;
	return environment_set("tpcs", known_text(&admitted->tpcs, text));
}

static int set_gpu(const struct reservation *reservation)
{
	const char *value = reservation->choice.value;

	return value[0] != '\0' ? environment_set_gpu(value) : 0;
}

/* A folder in which nobody can listen: without the variable CUDA looks in a usual place. */
#define NO_MPS "/dev/null/no-mps"

static int set_mps(const struct reservation *reservation)
{
	const struct proto_admitted *admitted = &reservation->admitted;
	char priority[16];
	int r;

	if (reservation->avoids_mps)
		return set("CUDA_MPS_PIPE_DIRECTORY", NO_MPS, 1);
	if (!admitted->mps_is_on)
		return 0;
	(void)snprintf(priority, sizeof(priority), "%u", admitted->mps_client_priority);
	r = set("CUDA_MPS_PIPE_DIRECTORY", admitted->mps_pipe_directory, 1);
	return r < 0 ? r : set("CUDA_MPS_CLIENT_PRIORITY", priority, 0);
}

/* Programs change their working directory. */
static int set_socket(const char *path)
{
	char *absolute = path[0] == '/' ? NULL : realpath(path, NULL);
	int r = environment_set("socket", absolute != NULL ? absolute : path);

	free(absolute);
	return r;
}

int environment_set_reservation(const struct reservation *reservation)
{
	const struct proto_admitted *admitted = &reservation->admitted;
	char token[2 * PROTO_TOKEN_BYTES + 1];
	int r;

	if (!reservation->is_held)
		return 0;
	reservation_token_text(reservation, token);
	r = set(TOKEN_VARIABLE, token, 1);
	if (r == 0)
		r = set_socket(reservation->link.socket);
	if (r == 0)
		r = environment_set("tenant", admitted->tenant);
	if (r == 0)
		r = set_quota(admitted);
	if (r == 0)
		r = set_tpcs(admitted);
	if (r == 0)
		r = set_gpu(reservation);
	if (r == 0)
		r = set_mps(reservation);
	if (r == 0 && reservation->link.sim_device[0] != '\0')
		r = set(SIM_DEVICE_VARIABLE, reservation->link.sim_device, 0);
	return r;
}
