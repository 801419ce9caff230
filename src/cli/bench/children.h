/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs that bench starts, each in a process group of its own, and the promise that none of
 * them outlives it.
 */
#ifndef LITHOS_CLI_BENCH_CHILDREN_H
#define LITHOS_CLI_BENCH_CHILDREN_H

#include <stddef.h>
#include <sys/types.h>

#include "cli/bench/bench.h"

#define CHILD_MAX_ARGS 48
#define CHILD_MAX_ENV  32

/* What to start. Texts are copied into `text`; all zero is empty. */
struct command {
	char *argv[CHILD_MAX_ARGS + 1];
	size_t nr_args;
	const char *env_name[CHILD_MAX_ENV]; /* literals */
	char *env_value[CHILD_MAX_ENV];      /* NULL: unset */
	size_t nr_env;
	char text[8192];
	size_t text_used;
	int is_too_long; /* something did not fit; command_start says -E2BIG */
};

void command_arg(struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void command_env(struct command *command, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void command_unset(struct command *command, const char *name);

struct child {
	pid_t pid; /* also its process group; 0: never started, or swept */
	char name[16];
	char log[BENCH_PATH_MAX]; /* its stdout and stderr */
	int is_over;
	int status; /* as waitpid gives it, once over */
};

/* Once, before the first child. */
int children_init(void);

/* 1 after SIGINT, SIGTERM or SIGHUP. */
int children_interrupted(void);

/* Standard input from /dev/null, output into the log. */
int child_start(struct child *child, const struct command *command, const char *name,
		const char *log);

/* 1 once it has ended. */
int child_is_over(struct child *child);

/* Ends its process group: SIGTERM, after grace_s SIGKILL. */
void child_end(struct child *child, double grace_s);

/* "exit code 3" or "signal 9", and the last lines of its log. */
void child_describe(const struct child *child, char *ret_text, size_t size);

/* The first line of its log in which lithos warns of something; 0 when there is none. */
int child_complaint(const struct child *child, char *ret_line, size_t size);

/* Kills and reaps whatever any child has left behind, daemons included. */
void children_sweep(void);

/* Sleeps so long, or less when a signal comes. */
void wait_a_little(double seconds);

#endif
