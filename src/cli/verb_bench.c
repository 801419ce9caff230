/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lithos bench`: ways of sharing a GPU, side by side.
 *
 * The systems take turns inside each repetition, and the order turns by one from repetition to
 * repetition, so that a machine that gets warmer or busier does not favour one of them. The result
 * file is written after every measurement: hours of work are not lost to the last one. A
 * measurement that fails is said and left out; the exit code is then 1.
 *
 * Tested by tests/integration/bench.bats; its parts by tests/unit/bench_*.c. docs/bench.md says
 * what the numbers mean.
 */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/bench/bench.h"
#include "cli/bench/children.h"
#include "cli/bench/folder.h"
#include "cli/bench/measure.h"
#include "cli/bench/report.h"
#include "cli/bench/services.h"
#include "cli/bench/systems.h"
#include "cli/cli.h"
#include "cli/paths.h"
#include "sched/quota.h"

/* Requests a second, when nothing else is said. */
#define HYBRID_RATE 200
#define LONG_RATE   500

enum {
	KEY_SCENARIO = 256,
	KEY_TARGET,
	KEY_SYSTEM,
	KEY_REPETITIONS,
	KEY_SECONDS,
	KEY_RATE,
	KEY_SCALE,
	KEY_SEED,
	KEY_PARTITION,
	KEY_FG_QUOTA,
	KEY_MPS_CONTROL,
	KEY_PYTHON,
	KEY_READY_LIMIT,
	KEY_ALLOW_SHORT,
	KEY_KEEP,
};

static const struct argp_option argp_options[] = {
	{"scenario", KEY_SCENARIO, "hybrid|long", 0,
	 "What runs: a service and a training job, or a short kernel and one of 30 ms", 0},
	{"target", KEY_TARGET, "gpu|sim", 0, "The real GPU, or the simulated one", 0},
	{"system", KEY_SYSTEM, "NAME,...", 0,
	 "Ways of sharing: alone, timeslice, mps, mps-priority, partition, lithos, lithos-auto, "
	 "lithos-whole, lithos-atoms, lithos-claims (hybrid: up to lithos; long: the first three, "
	 "lithos, lithos-whole, "
	 "lithos-atoms and lithos-claims)",
	 0},
	{"out", 'o', "FILE", 0, "The results, as JSON", 0},
	{"repetitions", KEY_REPETITIONS, "N", 0, "How often each system is measured (3)", 0},
	{"seconds", KEY_SECONDS, "S", 0, "Length of a measurement (8)", 0},
	{"rate", KEY_RATE, "R", 0, "Requests a second (hybrid 200, long 500)", 0},
	{"scale", KEY_SCALE, "K", 0, "On sim: kernels K times longer, and K times fewer (10)", 0},
	{"seed", KEY_SEED, "N", 0, "Of the requests' arrivals (1)", 0},
	{"partition", KEY_PARTITION, "FG,BG", 0, "Quotas of partition (50%,50%)", 0},
	{"fg-quota", KEY_FG_QUOTA, "QUOTA", 0, "Quota of the service under lithos (100%)", 0},
	{"mps-control", KEY_MPS_CONTROL, "PATH", 0, "MPS' control program", 0},
	{"python", KEY_PYTHON, "PATH", 0, "Python with PyTorch, for the GPU (python3)", 0},
	{"ready-limit", KEY_READY_LIMIT, "S", 0, "How long programs may take to warm up (240)", 0},
	{"allow-short", KEY_ALLOW_SHORT, NULL, 0, "Measure fewer than 800 requests", 0},
	{"keep", KEY_KEEP, NULL, 0, "Keep the folder with the programs' logs and raw results", 0},
	{0},
};

static double positive(const char *arg, struct argp_state *state)
{
	char *end;
	double value = strtod(arg, &end);

	if (*arg == '\0' || *end != '\0' || !(value > 0) || !isfinite(value))
		argp_error(state, "'%s' is not a number above 0", arg);
	return value;
}

static unsigned long whole(const char *arg, unsigned long least, unsigned long most,
			   struct argp_state *state)
{
	char *end;
	unsigned long value = strtoul(arg, &end, 10);

	if (*arg < '0' || *arg > '9' || *end != '\0' || value < least || value > most)
		argp_error(state, "'%s' is not a whole number from %lu to %lu", arg, least, most);
	return value;
}

static void take_systems(struct bench_options *options, const char *arg, struct argp_state *state)
{
	options->nr_systems = 0;
	for (const char *at = arg;; at++) {
		size_t n = strcspn(at, ",");
		const struct bench_system *system = system_find(at, n);

		if (system == NULL) {
			argp_error(state, "'%.*s' is not a system", (int)n, at);
			return;
		}
		for (size_t i = 0; i < options->nr_systems; i++) {
			if (options->systems[i] == system)
				argp_error(state, "'%s' is there twice", system->name);
		}
		options->systems[options->nr_systems++] = system;
		at += n;
		if (*at == '\0')
			return;
	}
}

static void take_partition(struct bench_options *options, const char *arg, struct argp_state *state)
{
	struct quota quota;
	int used = 0;

	if (sscanf(arg, "%15[^,],%15[^,]%n", options->partition[0], options->partition[1], &used) !=
		    2 ||
	    arg[used] != '\0' || quota_parse(options->partition[0], &quota) < 0 ||
	    quota_parse(options->partition[1], &quota) < 0)
		argp_error(state, "--partition is two quotas, like 33,33 or 75%%,25%%, not '%s'",
			   arg);
}

static void take_quota(struct bench_options *options, const char *arg, struct argp_state *state)
{
	struct quota quota;

	if (quota_parse(arg, &quota) < 0)
		argp_error(state, "--fg-quota '%s' is not a quota", arg);
	options->fg_quota = arg;
}

static void take_name(const char *arg, const char *const names[2], const char *option,
		      struct argp_state *state)
{
	if (strcmp(arg, names[0]) != 0 && strcmp(arg, names[1]) != 0)
		argp_error(state, "--%s '%s' is not known", option, arg);
}

static error_t parse_number(int key, const char *arg, struct argp_state *state)
{
	struct bench_options *options = state->input;

	switch (key) {
	case KEY_REPETITIONS:
		options->repetitions = (unsigned int)whole(arg, 1, 1000, state);
		return 0;
	case KEY_SEED:
		options->seed = whole(arg, 0, INT32_MAX, state);
		return 0;
	case KEY_SECONDS:
		options->seconds = positive(arg, state);
		return 0;
	case KEY_RATE:
		options->rate = positive(arg, state);
		return 0;
	case KEY_SCALE:
		options->scale = positive(arg, state);
		return 0;
	case KEY_READY_LIMIT:
		options->ready_limit_s = positive(arg, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	static const char *const scenarios[] = {BENCH_HYBRID, BENCH_LONG};
	static const char *const targets[] = {"gpu", "sim"};
	struct bench_options *options = state->input;

	switch (key) {
	case KEY_SCENARIO:
		take_name(arg, scenarios, "scenario", state);
		options->scenario = arg;
		return 0;
	case KEY_TARGET:
		take_name(arg, targets, "target", state);
		options->is_sim = strcmp(arg, "sim") == 0;
		return 0;
	case KEY_SYSTEM:
		take_systems(options, arg, state);
		return 0;
	case KEY_PARTITION:
		take_partition(options, arg, state);
		return 0;
	case KEY_FG_QUOTA:
		take_quota(options, arg, state);
		return 0;
	case 'o':
		options->out = arg;
		return 0;
	case KEY_MPS_CONTROL:
		options->mps_control = arg;
		return 0;
	case KEY_PYTHON:
		options->python = arg;
		return 0;
	case KEY_ALLOW_SHORT:
		options->allows_short = 1;
		return 0;
	case KEY_KEEP:
		options->keeps_folder = 1;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is no option", arg);
		return EINVAL;
	default:
		return parse_number(key, arg, state);
	}
}

/* What cannot be seen from one option alone. */
static int check_options(struct bench_options *options)
{
	int is_long = strcmp(options->scenario, BENCH_LONG) == 0;

	if (options->rate == 0)
		options->rate = is_long ? LONG_RATE : HYBRID_RATE;
	if (options->out == NULL) {
		cli_error("bench needs --out FILE for its results");
		return -EINVAL;
	}
	if (!options->allows_short && options->seconds * options->rate < BENCH_MIN_REQUESTS) {
		cli_error("%.0f requests a measurement are too few for a p99, which needs %d: "
			  "raise --seconds, or say --allow-short",
			  options->seconds * options->rate, BENCH_MIN_REQUESTS);
		return -EINVAL;
	}
	if (options->nr_systems == 0)
		options->nr_systems = systems_of(options->scenario, options->systems);
	return 0;
}

static int find_everything(struct bench *bench)
{
	char path[PATHS_MAX];

	if (folder_find_programs(bench) < 0) {
		cli_error("no %s: lithos is not completely built or installed", bench->programs);
		return -ENOENT;
	}
	if (bench->options.is_sim && paths_sim_library(path, sizeof(path)) < 0) {
		cli_error("no simulated driver at %s", path);
		return -ENOENT;
	}
	return 0;
}

static void progress(const struct bench *bench, const struct bench_system *system,
		     unsigned int repetition)
{
	if (isatty(STDERR_FILENO))
		(void)fprintf(stderr, "\rrepetition %u of %u: %-14s", repetition + 1,
			      bench->options.repetitions, system->name);
}

static void progress_end(void)
{
	if (isatty(STDERR_FILENO))
		(void)fprintf(stderr, "\r%-60s\r", "");
}

/* Number of failed measurements, or -errno when the result file cannot be written. */
static int run_all(struct bench *bench)
{
	const struct bench_options *options = &bench->options;
	int nr_failed = 0;

	for (unsigned int i = 0; i < options->repetitions * options->nr_systems; i++) {
		unsigned int repetition = i / (unsigned int)options->nr_systems;
		const struct bench_system *system =
			options->systems[(i + repetition) % options->nr_systems];
		struct measurement *m = &bench->measurements[bench->nr_measurements];
		int r;

		progress(bench, system, repetition);
		measure(bench, system, repetition, m);
		bench->nr_measurements++;
		progress_end();
		report_compare(bench);
		r = report_write(bench, options->out);
		if (r < 0) {
			cli_error("cannot write %s: %s", options->out, strerror(-r));
			return r;
		}
		nr_failed += m->has_failed;
		if (m->has_failed)
			cli_error("%s, repetition %u: %s", system->name, repetition + 1, m->why);
		if (children_interrupted())
			return nr_failed + 1;
	}
	return nr_failed;
}

static void free_measurements(struct bench *bench)
{
	for (size_t i = 0; bench->measurements != NULL && i < bench->nr_measurements; i++)
		free(bench->measurements[i].latency_ms);
	free(bench->measurements);
	bench->measurements = NULL;
}

static int bench_run(struct bench *bench)
{
	const struct bench_options *options = &bench->options;
	int r = folder_make(bench->folder, sizeof(bench->folder));

	if (r < 0) {
		cli_error("cannot make a folder: %s", strerror(-r));
		return 1;
	}
	bench->measurements =
		calloc(options->repetitions * options->nr_systems, sizeof(*bench->measurements));
	r = children_init();
	if (r == 0)
		r = bench->measurements != NULL ? run_all(bench) : -ENOMEM;
	if (bench->nr_measurements > 0 && report_print(bench, stdout) < 0)
		r = -EIO;
	free_measurements(bench);
	if (options->keeps_folder)
		(void)fprintf(stderr, "kept: %s\n", bench->folder);
	else
		folder_remove(bench->folder);
	return r == 0 ? 0 : 1;
}

int verb_bench(int argc, char **argv)
{
	static const struct argp argp = {
		argp_options,
		parse,
		NULL,
		"Runs a service and a background job together under several ways of sharing a GPU "
		"and compares the service's latency and the job's rate. Exit code: 0; 1 when a "
		"measurement failed; 2 for mistakes on the line.",
		NULL,
		NULL,
		NULL};
	static struct bench bench;

	bench.options = (struct bench_options){.scenario = BENCH_HYBRID,
					       .python = "python3",
					       .fg_quota = "100%",
					       .partition = {"50%", "50%"},
					       .repetitions = 3,
					       .seconds = 8,
					       .scale = 10,
					       .ready_limit_s = 240,
					       .seed = 1};
	if (argp_parse(&argp, argc, argv, 0, NULL, &bench.options) != 0 ||
	    check_options(&bench.options) < 0)
		return EXIT_USAGE;
	return find_everything(&bench) < 0 ? 1 : bench_run(&bench);
}
