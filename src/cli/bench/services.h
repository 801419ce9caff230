/* SPDX-License-Identifier: Apache-2.0 */
/* What a system needs beside the two programs: MPS, or a private lithosd. */
#ifndef LITHOS_CLI_BENCH_SERVICES_H
#define LITHOS_CLI_BENCH_SERVICES_H

#include "cli/bench/bench.h"
#include "cli/bench/children.h"
#include "cli/bench/systems.h"

struct services {
	struct child daemon; /* lithosd; pid 0: none */
	int has_mps;
};

/* Starts what the system needs and waits until it is there; ret_why says in words what went
 * wrong. */
int services_start(const struct bench *bench, const struct bench_system *system,
		   const struct system_place *place, struct services *ret_services,
		   char ret_why[BENCH_TEXT_MAX]);

/* Ends it, politely first; the sweep takes what does not go. Also after a failed start. */
void services_stop(const struct bench *bench, const struct system_place *place,
		   struct services *services);

/* Whether there is an MPS to start. */
int services_has_mps(const struct bench *bench);

/* Whether the Python of the options has a PyTorch that sees a GPU. Takes seconds. */
int services_has_torch(const struct bench *bench);

/* The file that `name` on PATH is, or a path itself; -ENOENT. */
int services_find_program(const char *name, char ret_path[BENCH_PATH_MAX]);

#endif
