/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of the `lithos` command, one file each, and what they share. */
#ifndef LITHOS_CLI_CLI_H
#define LITHOS_CLI_CLI_H

#include <stddef.h>

/* Exit codes. `run` uses its own because 0-124 belong to the program it started. */
enum {
	EXIT_USAGE = 2,
	EXIT_RUN_LITHOS = 125, /* lithos itself failed, usage included */
	EXIT_RUN_NOT_EXECUTABLE = 126,
	EXIT_RUN_NOT_FOUND = 127,
	EXIT_RUN_SIGNAL = 128, /* + signal number */
};

struct verb {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is "lithos VERB"; returns the exit code */
	const char *sentence;
};

int verb_bench(int argc, char **argv);
int verb_doctor(int argc, char **argv);
int verb_options(int argc, char **argv);
int verb_run(int argc, char **argv);
int verb_status(int argc, char **argv);

/* "lithos: ..." and a newline on stderr. */
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
