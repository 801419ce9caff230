/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `lithos` command: finds the verb and hands the rest of the line to it.
 *
 * Each verb parses its own options with argp, so `lithos run --help` speaks of run alone. Verbs of
 * the design that do not exist yet are named as such instead of being called unknown.
 *
 * Tested by tests/integration/cli_*.bats.
 */
#include "cli/cli.h"

#include <argp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/std_descriptors.h"
#include "cli/help.h"
#include "cli/verb_name.h"

#ifndef LITHOS_VERSION
#error "LITHOS_VERSION comes from CMakeLists.txt"
#endif

static int verb_version(int argc, char **argv)
{
	static const struct argp argp = {.doc = "Prints the version.", .children = help_children};

	if (argp_parse(&argp, argc, argv, 0, NULL, NULL) != 0)
		return EXIT_USAGE;
	(void)printf("lithos %s\n", LITHOS_VERSION);
	return 0;
}

static const struct verb verbs[] = {
	{"run", verb_run, "Run a program on a part of the GPU"},
	{"status", verb_status, "Show the GPUs and who is on them"},
	{"bench", verb_bench, "Compare ways of sharing a GPU"},
	{"doctor", verb_doctor, "Check that lithos can work on this machine"},
	{"options", verb_options, "List the environment variables lithos reads"},
	{"version", verb_version, "Print the version"},
};

#define NR_VERBS (sizeof(verbs) / sizeof(verbs[0]))

void cli_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)fputs("lithos: ", stderr);
	(void)vfprintf(stderr, format, args);
	(void)fputc('\n', stderr);
	va_end(args);
}

static void print_help(FILE *file)
{
	(void)fputs("Usage: lithos VERB [OPTION...] ...\n"
		    "Shares GPUs between programs.\n\n",
		    file);
	for (size_t i = 0; i < NR_VERBS; i++)
		(void)fprintf(file, "  %-10s %s\n", verbs[i].name, verbs[i].sentence);
	(void)fputs("\n`lithos VERB --help` tells a verb's options. Example:\n"
		    "  lithos run --quota 50% --stats -- python3 train.py\n",
		    file);
}

static int unknown_verb(const char *name)
{
	const char *names[NR_VERBS];
	const char *nearest;

	for (size_t i = 0; i < NR_VERBS; i++)
		names[i] = verbs[i].name;
	nearest = verb_nearest(name, names, NR_VERBS);
	if (nearest != NULL)
		cli_error("'%s' is not a verb. Did you mean 'lithos %s'? See 'lithos --help'.",
			  name, nearest);
	else
		cli_error("'%s' is not a verb. See 'lithos --help'.", name);
	return EXIT_USAGE;
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
	char name[64];

	/* argp prints argv[0] in its messages. */
	(void)snprintf(name, sizeof(name), "lithos %s", verb->name);
	argv[0] = name;
	argp_program_version = "lithos " LITHOS_VERSION;
	argp_err_exit_status = EXIT_USAGE;
	return verb->run(argc, argv);
}

/*
 * Messages for people must not land in what is opened next, and a file that grows beyond the limit
 * of the shell is an error like any other.
 */
static void prepare_process(void)
{
	if (std_descriptors_open() < 0)
		_exit(EXIT_USAGE);
	(void)signal(SIGXFSZ, SIG_IGN);
}

static int main_help(int argc, char **argv)
{
	static char help[] = "--help";

	for (size_t i = 0; argc > 2 && i < NR_VERBS; i++) {
		if (strcmp(argv[2], verbs[i].name) == 0)
			return run_verb(&verbs[i], 2, (char *[]){argv[2], help, NULL});
	}
	if (argc > 2)
		return unknown_verb(argv[2]);
	print_help(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	prepare_process();
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0)
		return main_help(strcmp(argv[1], "help") == 0 ? argc : 0, argv);
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		return verb_version(1, argv);
	for (size_t i = 0; i < NR_VERBS; i++) {
		if (strcmp(argv[1], verbs[i].name) == 0)
			return run_verb(&verbs[i], argc - 1, argv + 1);
	}
	return unknown_verb(argv[1]);
}
