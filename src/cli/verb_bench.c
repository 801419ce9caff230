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

#include "base/find/driver_find.h"
#include "base/find/program_find.h"
#include "base/options.h"
#include "cli/bench/bench.h"
#include "cli/bench/children.h"
#include "cli/bench/folder.h"
#include "cli/bench/measure.h"
#include "cli/bench/report/report.h"
#include "cli/bench/services.h"
#include "cli/bench/systems.h"
#include "cli/cli.h"
#include "cli/help.h"
#include "cli/paths.h"
#include "sched/quota.h"

enum {
	KEY_SCENARIO = 256,
	KEY_MODEL,
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
	KEY_DRAIN,
	KEY_PROGRESS,
	KEY_KEEP,
};

static const struct argp_option argp_options[] = {
	{"scenario", KEY_SCENARIO, "NAME", 0,
	 "What runs: hybrid (a service and a training job), besteffort-graph (a job of long "
	 "graphs), "
	 "stacking (a service, a job with a quota, best effort), two-services, or long (a short "
	 "kernel and one of 30 ms)",
	 0},
	{"model", KEY_MODEL, "NAME", 0, "Of the first program, where a scenario has several", 0},
	{"target", KEY_TARGET, "gpu|sim", 0, "The real GPU, or the simulated one", 0},
	{"system", KEY_SYSTEM, "NAME,...", 0, "Ways of sharing", 0}, /* and their names: help() */
	{"out", 'o', "FILE", 0, "The results, as JSON", 0},
	{"repetitions", KEY_REPETITIONS, "N", 0, "How often each system is measured (3)", 0},
	{"seconds", KEY_SECONDS, "S", 0, "Length of a measurement (8)", 0},
	{"drain", KEY_DRAIN, "S", 0, "How long requests may take after it (20)", 0},
	{"rate", KEY_RATE, "R,...", 0, "Requests a second, of one service after the other", 0},
	{"scale", KEY_SCALE, "K", 0, "On sim: kernels K times longer, and K times fewer (10)", 0},
	{"seed", KEY_SEED, "N", 0, "Of the requests' arrivals (1)", 0},
	{"partition", KEY_PARTITION, "QUOTA,...", 0, "Quotas of partition, one a program", 0},
	{"fg-quota", KEY_FG_QUOTA, "QUOTA", 0, "Quota of the first program under lithos", 0},
	{"mps-control", KEY_MPS_CONTROL, "PATH", 0, "MPS' control program", 0},
	{"python", KEY_PYTHON, "PATH", 0, "Python with PyTorch, for the GPU (python3)", 0},
	{"ready-limit", KEY_READY_LIMIT, "S", 0, "How long programs may take to warm up (240)", 0},
	{"allow-short", KEY_ALLOW_SHORT, NULL, 0, "Measure fewer than 800 requests", 0},
	{"progress", KEY_PROGRESS, NULL, 0,
	 "A line a measurement on standard error, also on a pipe", 0},
	{"keep", KEY_KEEP, NULL, 0, "Keep the folder with the programs' logs and raw results", 0},
	{0},
};

/* The options, and what is looked up when all of the line is known. */
struct bench_line {
	struct bench_options options;
	const char *scenario;
	const char *model;
};

/* argp frees what is not the text that it gave. */
static char *help(int key, const char *text, void *input)
{
	char names[BENCH_TEXT_MAX];
	char *more = NULL;

	(void)input;
	system_names(names, sizeof(names));
	if (key != KEY_SYSTEM || asprintf(&more, "%s: %s", text, names) < 0)
		return (char *)(uintptr_t)text;
	return more;
}

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
	char names[BENCH_TEXT_MAX];

	options->nr_systems = 0;
	for (const char *at = arg;; at++) {
		size_t n = strcspn(at, ",");
		const struct bench_system *system = system_find(at, n);

		if (system == NULL) {
			system_names(names, sizeof(names));
			argp_error(state, "'%.*s' is not one of: %s", (int)n, at, names);
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

/* The next of several words between commas; 0 after the last. */
static int next_word(const char **at, char ret_word[16], const char *option,
		     struct argp_state *state)
{
	size_t n = strcspn(*at, ",");

	if (n == 0 || n >= 16)
		argp_error(state, "--%s '%s' has an empty or a long word", option, *at);
	(void)snprintf(ret_word, 16, "%.*s", (int)n, *at);
	*at += n;
	if (**at == '\0')
		return 0;
	(*at)++;
	return 1;
}

static void take_partition(struct bench_options *options, const char *arg, struct argp_state *state)
{
	struct quota quota;
	size_t nr = 0;
	int has_more;

	memset(options->partition, 0, sizeof(options->partition));
	do {
		if (nr == BENCH_MAX_TENANTS) {
			argp_error(state, "--partition has more than %d quotas", BENCH_MAX_TENANTS);
			return;
		}
		has_more = next_word(&arg, options->partition[nr], "partition", state);
		if (quota_parse(options->partition[nr], &quota) < 0)
			argp_error(state, "--partition: '%s' is not a quota",
				   options->partition[nr]);
		nr++;
	} while (has_more);
}

/* In the order of the services; check_options() gives each its own. */
static void take_rates(struct bench_options *options, const char *arg, struct argp_state *state)
{
	size_t nr = 0;
	char word[16];
	int has_more;

	memset(options->rate, 0, sizeof(options->rate));
	do {
		if (nr == BENCH_MAX_TENANTS) {
			argp_error(state, "--rate has more than %d numbers", BENCH_MAX_TENANTS);
			return;
		}
		has_more = next_word(&arg, word, "rate", state);
		options->rate[nr++] = positive(word, state);
	} while (has_more);
}

static void take_quota(struct bench_options *options, const char *arg, struct argp_state *state)
{
	struct quota quota;

	if (quota_parse(arg, &quota) < 0)
		argp_error(state, "--fg-quota '%s' is not a quota", arg);
	options->fg_quota = arg;
}

static void take_target(struct bench_options *options, const char *arg, struct argp_state *state)
{
	options->is_sim = strcmp(arg, "sim") == 0;
	if (!options->is_sim && strcmp(arg, "gpu") != 0)
		argp_error(state, "--target '%s' is not known: gpu or sim", arg);
}

static void take_scenario(struct bench_line *line, const char *arg, struct argp_state *state)
{
	char names[BENCH_TEXT_MAX];

	scenario_names(NULL, ", ", names, sizeof(names));
	line->scenario = arg;
	if (scenario_find(arg, NULL) == NULL)
		argp_error(state, "--scenario '%s' is not known: %s", arg, names);
}

static error_t parse_number(int key, const char *arg, struct argp_state *state)
{
	struct bench_options *options = &((struct bench_line *)state->input)->options;

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
	case KEY_DRAIN:
		options->drain_s = positive(arg, state);
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
	struct bench_line *line = state->input;
	struct bench_options *options = &line->options;

	switch (key) {
	case KEY_SCENARIO:
		take_scenario(line, arg, state);
		return 0;
	case KEY_MODEL:
		line->model = arg;
		return 0;
	case KEY_TARGET:
		take_target(options, arg, state);
		return 0;
	case KEY_RATE:
		take_rates(options, arg, state);
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
	case KEY_PROGRESS:
		options->tells_progress = 1;
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

static int find_scenario(struct bench_line *line)
{
	char names[BENCH_TEXT_MAX];

	line->options.scenario = scenario_find(line->scenario, line->model);
	if (line->options.scenario != NULL)
		return 0;
	scenario_names(line->scenario, ", ", names, sizeof(names));
	cli_error("--model '%s' is not one of %s: %s", line->model, line->scenario, names);
	return -EINVAL;
}

/* The rates of the line belong to the services in turn; a tenant without one keeps its row's. */
static int spread_rates(struct bench_options *options)
{
	double given[BENCH_MAX_TENANTS];
	size_t used = 0;

	memcpy(given, options->rate, sizeof(given));
	memset(options->rate, 0, sizeof(options->rate));
	for (size_t i = 0; i < scenario_nr_tenants(options->scenario); i++) {
		const struct bench_tenant *tenant = &options->scenario->tenant[i];

		if (!tenant_is_service(tenant))
			continue;
		options->rate[i] =
			used < BENCH_MAX_TENANTS && given[used] > 0 ? given[used] : tenant->rate;
		used++;
	}
	if (used < BENCH_MAX_TENANTS && given[used] > 0) {
		cli_error("--rate has more than the %zu numbers that %s needs", used,
			  options->scenario->name);
		return -EINVAL;
	}
	return 0;
}

static int check_partition(const struct bench_options *options)
{
	size_t nr = scenario_nr_tenants(options->scenario);
	size_t given = 0;

	while (given < BENCH_MAX_TENANTS && options->partition[given][0] != '\0')
		given++;
	if (given == 0 || given == nr)
		return 0;
	cli_error("--partition needs %zu quotas for %s, like %s%s, not %zu", nr,
		  options->scenario->name, nr == 2 ? "75%,25%" : "50%,25%,25%",
		  nr > 3 ? ",..." : "", given);
	return -EINVAL;
}

static int check_requests(const struct bench_options *options)
{
	for (size_t i = 0; i < BENCH_MAX_TENANTS && !options->allows_short; i++) {
		double nr = options->seconds * options->rate[i];

		if (options->rate[i] > 0 && nr < BENCH_MIN_REQUESTS) {
			cli_error("%.0f requests a measurement are too few for a p99, which needs "
				  "%d: raise --seconds, or say --allow-short",
				  nr, BENCH_MIN_REQUESTS);
			return -EINVAL;
		}
	}
	return 0;
}

/* What cannot be seen from one option alone. */
static int check_options(struct bench_line *line)
{
	struct bench_options *options = &line->options;
	int r;

	if (find_scenario(line) < 0)
		return -EINVAL;
	if (options->out == NULL) {
		cli_error("bench needs --out FILE for its results");
		return -EINVAL;
	}
	r = report_check(options->out);
	if (r < 0) {
		cli_error("--out '%s' cannot be written: %s", options->out, strerror(-r));
		return r;
	}
	if (spread_rates(options) < 0 || check_partition(options) < 0 ||
	    check_requests(options) < 0)
		return -EINVAL;
	return 0;
}

static int needs_python(const struct bench_options *options)
{
	for (size_t i = 0; i < scenario_nr_tenants(options->scenario) && !options->is_sim; i++) {
		if (strstr(options->scenario->tenant[i].gpu, ".py") != NULL)
			return 1;
	}
	return 0;
}

/* One line instead of a failure of each measurement. */
static int check_machine(const struct bench *bench)
{
	struct driver_find find = {.configured = options_environment("LITHOS_REAL_LIBCUDA"),
				   .search_path = options_environment("LD_LIBRARY_PATH")};
	char path[PATHS_MAX];

	if (!bench->options.is_sim && driver_find(&find, path, sizeof(path)) < 0) {
		cli_error("bench: there is no CUDA driver: 'lithos doctor' says what is missing; "
			  "--target sim needs no GPU");
		return -ENODEV;
	}
	if (needs_python(&bench->options) && !services_has_torch(bench)) {
		cli_error(
			"bench: '%s' is no Python with PyTorch that sees the GPU, which %s needs: "
			"name one with --python; --scenario long and --target sim need none",
			bench->options.python, bench->options.scenario->name);
		return -ENOENT;
	}
	return 0;
}

/* Those that nobody named are those that can run here. */
static void choose_systems(struct bench *bench)
{
	struct bench_options *options = &bench->options;
	size_t nr;

	if (options->nr_systems > 0)
		return;
	nr = systems_of(options->scenario, options->systems);
	if (!services_has_mps(bench))
		cli_error("bench: no %s: systems that need MPS are left out (--mps-control)",
			  options->mps_control != NULL ? options->mps_control : MPS_CONTROL_NAME);
	for (size_t i = 0; i < nr; i++) {
		if (!options->systems[i]->has_mps || services_has_mps(bench))
			options->systems[options->nr_systems++] = options->systems[i];
	}
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
		if (options->tells_progress)
			report_print_one(bench, m, stderr);
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
	for (size_t i = 0; bench->measurements != NULL && i < bench->nr_measurements; i++) {
		for (size_t t = 0; t < BENCH_MAX_TENANTS; t++)
			free(bench->measurements[i].tenant[t].latency_ms);
	}
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
	static const struct argp argp = {argp_options,
					 parse,
					 NULL,
					 "Runs services and jobs together under several ways of "
					 "sharing a GPU and compares the "
					 "services' latencies and the jobs' rates. Exit code: 0; 1 "
					 "when a measurement failed; "
					 "2 for mistakes on the line.",
					 help_children,
					 help,
					 NULL};
	static struct bench bench;
	struct bench_line line = {.scenario = "hybrid",
				  .options = {.python = "python3",
					      .repetitions = 3,
					      .seconds = 8,
					      .drain_s = 20,
					      .scale = 10,
					      .ready_limit_s = 240,
					      .seed = 1}};

	if (argp_parse(&argp, argc, argv, 0, NULL, &line) != 0 || check_options(&line) < 0)
		return EXIT_USAGE;
	bench.options = line.options;
	if (find_everything(&bench) < 0 || check_machine(&bench) < 0)
		return 1;
	choose_systems(&bench);
	return bench_run(&bench);
}
