/* SPDX-License-Identifier: Apache-2.0 */
/* The ways of sharing that bench compares, and how a program is started under each. */
#ifndef LITHOS_CLI_BENCH_SYSTEMS_H
#define LITHOS_CLI_BENCH_SYSTEMS_H

#include <stddef.h>
#include <stdint.h>

#include "cli/bench/bench.h"
#include "cli/bench/children.h"

#define BENCH_FOREGROUND "foreground"
#define BENCH_BACKGROUND "background"

struct bench_system {
	const char *name;
	const char *split; /* LITHOS_SPLIT of both programs; NULL: the default */
	int is_alone;      /* foreground and background one after the other, natively */
	int has_mps;       /* bench starts it */
	int has_daemon;    /* bench starts a private lithosd, which starts MPS */
	int is_low_client; /* the background has the lower MPS client priority */
	int is_confined;   /* each has a quota, and the daemon lends nothing */
	int in_hybrid;     /* measured in that scenario when no systems are named, as the next */
	int in_long;
};

extern const struct bench_system bench_systems[];
extern const size_t nr_bench_systems;

/* NULL: no such system. */
const struct bench_system *system_find(const char *name, size_t length);

/* All that the scenario has when none is named. */
size_t systems_of(const char *scenario, const struct bench_system *ret_systems[BENCH_MAX_SYSTEMS]);

/* Where the services of a measurement are, all below its folder. */
struct system_place {
	char folder[BENCH_PATH_MAX / 2]; /* the session's */
	char mps[BENCH_PATH_MAX];        /* pipe directory */
	char socket[BENCH_PATH_MAX];     /* of lithosd */
	char sim_device[BENCH_PATH_MAX]; /* of the shared simulated GPU */
};
void system_place(const char *folder, struct system_place *ret_place);

/* The environment without what this shell says to one program alone; the simulated GPU's, if so. */
void system_environment(const struct bench *bench, const struct system_place *place,
			struct command *command);

/* The command of the foreground or background under a system. */
void system_command(const struct bench *bench, const struct bench_system *system,
		    const struct system_place *place, const char *role,
		    struct command *ret_command);

#endif
