/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of the program that have the driver without lithos: they are said, told to the daemon,
 * and with --strict ended.
 */
#ifndef LITHOS_CLI_RUN_ESCAPE_H
#define LITHOS_CLI_RUN_ESCAPE_H

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "cli/run/child.h"

#define ESCAPE_MAX 64  /* that are remembered, and so said */
#define ESCAPE_OK  256 /* that were found to have the shim */

struct reservation;

struct escaped {
	pid_t pid;
	int is_told;     /* the daemon knows */
	int64_t kill_ms; /* --strict: when SIGTERM was not enough */
};

struct escape {
	struct child_watch watch;
	struct reservation *reservation;
	int is_strict;
	uint32_t nr_scans, nr_found, nr_ok;
	struct escaped found[ESCAPE_MAX];
	struct {
		pid_t pid;
		ino_t exe; /* another after an exec */
	} ok[ESCAPE_OK];
	struct stat self, lithosd; /* programs of ours, which look after themselves */
};

/* Looks from now on, as a watch of child_run(). */
void escape_begin(struct escape *escape, struct reservation *reservation, int is_strict);

/* A last look. How many escaped; says so when any did. */
uint32_t escape_end(struct escape *escape);

#endif
