/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the tenant's program and waiting for it. */
#ifndef LITHOS_CLI_RUN_CHILD_H
#define LITHOS_CLI_RUN_CHILD_H

#include <stddef.h>
#include <stdint.h>

/*
 * Something to look after while the program runs. `service` is called when the descriptor can be
 * read or the time has come; it sets both anew, and may not block.
 */
struct child_watch {
	int fd;              /* -1: none at the moment */
	int64_t deadline_ms; /* CLOCK_MONOTONIC; -1: never */
	void (*service)(struct child_watch *watch);
};

#define CHILD_MAX_WATCHES 2

/*
 * Runs argv[0] (searched on PATH) as a child and waits until it ends. Returns the exit code that
 * `lithos run` passes on: the child's own, 128+N after signal N, 127 when the program does not
 * exist, 126 when it cannot be executed, 125 when there is no child. Says on stderr what went wrong
 * in the last three cases. Processes of it whose parents end become ours. Single-threaded callers
 * only: it changes the signal mask and restores it.
 */
int child_run(char *const *argv, struct child_watch *const *watch, size_t nr);

#endif
