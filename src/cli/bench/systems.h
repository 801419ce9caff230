/* SPDX-License-Identifier: Apache-2.0 */
/* The ways of sharing that bench compares, and how a program is started under each. */
#ifndef LITHOS_CLI_BENCH_SYSTEMS_H
#define LITHOS_CLI_BENCH_SYSTEMS_H

#include <stddef.h>
#include <stdint.h>

#include "cli/bench/bench.h"
#include "cli/bench/children.h"

struct bench_system {
	const char *name;
	const char *split;     /* LITHOS_SPLIT of all programs; NULL: the default */
	int is_alone;          /* one program after the other */
	int is_of_services;    /* jobs do not run */
	int has_mps;           /* bench starts it */
	int has_daemon;        /* bench starts a private lithosd, which starts MPS */
	int is_low_client;     /* best effort has the lower MPS client priority */
	int is_confined;       /* each has a quota, and the daemon lends nothing */
	unsigned int defaults; /* scenarios that measure it when no systems are named */
};

extern const struct bench_system bench_systems[];
extern const size_t nr_bench_systems;

/* NULL: no such system. */
const struct bench_system *system_find(const char *name, size_t length);

/* The names of all, with commas between. */
void system_names(char *ret_text, size_t size);

/* All that the scenario has when none is named. */
size_t systems_of(const struct bench_scenario *scenario,
		  const struct bench_system *ret_systems[BENCH_MAX_SYSTEMS]);

/* Where the services of a measurement are, all below its folder. */
struct system_place {
	char folder[BENCH_PATH_MAX / 2]; /* of the services */
	char mps[BENCH_PATH_MAX];        /* pipe directory */
	char socket[BENCH_PATH_MAX];     /* of lithosd */
	char sim_device[BENCH_PATH_MAX]; /* of the shared simulated GPU */
};
void system_place(const char *folder, struct system_place *ret_place);

/* The environment without what this shell says to one program alone; the simulated GPU's, if so. */
void system_environment(const struct bench *bench, const struct system_place *place,
			struct command *command);

/* The command of one tenant of the scenario, whose session is in that folder. */
void system_command(const struct bench *bench, const struct bench_system *system,
		    const struct system_place *place, size_t tenant, const char *session,
		    struct command *ret_command);

#endif
