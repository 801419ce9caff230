/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One measurement.
 *
 * Steps: services; both programs at once; wait until both are warm; set the schedule's zero a
 * moment ahead; the window begins when both have been at work for a while and ends while both still
 * are; wait until the requests of the window are answered, the background still running; stop; read
 * what they wrote. So the two overlap by construction, and a request that the background delayed
 * past the window's end is not forgiven.
 *
 * A service that falls behind without bound would never answer them all. After a limit the rest
 * counts with the time it has waited until then, which is less than the truth, and is reported as
 * unfinished.
 *
 * Whoever dies, or is not warm in time, ends this measurement alone. "alone" is two measurements of
 * one program each.
 *
 * What it does badly: processes are fresh for each measurement, so on a GPU loading the programs
 * takes longer than measuring them. Tested by tests/integration/bench.bats.
 */
#include "cli/bench/measure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/bench/arrivals.h"
#include "cli/bench/children.h"
#include "cli/bench/numbers.h"
#include "cli/bench/services.h"
#include "cli/bench/session.h"
#include "cli/bench/systems.h"

#define START_AHEAD_NS 300000000u
#define EXIT_LIMIT_S   30
#define GRACE_S        3
#define LOOK_S         0.005
#define MAX_ROLES      2

/* What is under way. */
struct running {
	struct bench *bench;
	struct measurement *result;
	struct session session;
	struct system_place place;
	struct services services;
	struct child child[MAX_ROLES];
	const char *role[MAX_ROLES];
	size_t nr_roles;
	struct session_times times;
	uint64_t stopped_ns;
	const struct arrivals *arrivals;
};

static int fail(struct running *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int fail(struct running *run, const char *format, ...)
{
	va_list args;

	run->result->has_failed = 1;
	va_start(args, format);
	(void)vsnprintf(run->result->why, sizeof(run->result->why), format, args);
	va_end(args);
	return -ECANCELED;
}

/* -ECANCELED when the measurement cannot go on. */
static int look_after(struct running *run)
{
	char why[BENCH_TEXT_MAX];

	if (children_interrupted())
		return fail(run, "interrupted");
	for (size_t i = 0; i < run->nr_roles; i++) {
		if (!child_is_over(&run->child[i]))
			continue;
		child_describe(&run->child[i], why, sizeof(why));
		return fail(run, "%s", why);
	}
	return 0;
}

static int all_have(const struct running *run, const char *kind)
{
	for (size_t i = 0; i < run->nr_roles; i++) {
		if (!session_has(&run->session, kind, run->role[i]))
			return 0;
	}
	return 1;
}

static int start_programs(struct running *run)
{
	for (size_t i = 0; i < run->nr_roles; i++) {
		struct command command;
		char log[BENCH_PATH_MAX];
		int r;

		system_command(run->bench, run->result->system, &run->place, run->role[i],
			       &command);
		(void)snprintf(log, sizeof(log), "%s/%s.log", run->session.folder, run->role[i]);
		r = child_start(&run->child[i], &command, run->role[i], log);
		if (r < 0)
			return fail(run, "cannot start the %s: %s", run->role[i], strerror(-r));
	}
	return 0;
}

static int wait_until_ready(struct running *run)
{
	double limit_s = run->bench->options.ready_limit_s;
	uint64_t end = clock_now_ns() + (uint64_t)(limit_s * 1e9);
	char why[BENCH_TEXT_MAX];

	while (!all_have(run, "ready")) {
		if (look_after(run) < 0)
			return -ECANCELED;
		if (!time_before(clock_now_ns(), end)) {
			size_t i = session_has(&run->session, "ready", run->role[0]);

			child_describe(&run->child[i], why, sizeof(why));
			return fail(run, "not ready after %.0f s: %s", limit_s, why);
		}
		wait_a_little(LOOK_S);
	}
	return 0;
}

static int go(struct running *run)
{
	uint64_t start = clock_now_ns() + START_AHEAD_NS;
	int r;

	run->times.start_ns = start;
	run->times.begin_ns = start + (uint64_t)(BENCH_LEAD_S * 1e9);
	run->times.end_ns = run->times.begin_ns + (uint64_t)(run->bench->options.seconds * 1e9);
	r = session_go(&run->session, &run->times);
	return r < 0 ? fail(run, "cannot write into %s: %s", run->session.folder, strerror(-r)) : 0;
}

static int wait_for_window(struct running *run)
{
	uint64_t last = run->times.end_ns + (uint64_t)(BENCH_DRAIN_S * 1e9);
	int has_foreground = strcmp(run->role[0], BENCH_FOREGROUND) == 0;

	while (time_before(clock_now_ns(), last)) {
		if (look_after(run) < 0)
			return -ECANCELED;
		if (!time_before(clock_now_ns(), run->times.end_ns) &&
		    (!has_foreground || session_has(&run->session, "done", BENCH_FOREGROUND)))
			break;
		wait_a_little(4 * LOOK_S);
	}
	return 0;
}

/* They write their results and end. */
static int stop(struct running *run)
{
	uint64_t end = clock_now_ns() + EXIT_LIMIT_S * 1000000000ull;
	char why[BENCH_TEXT_MAX];
	int r = session_stop(&run->session);

	run->stopped_ns = clock_now_ns();
	if (r < 0)
		return fail(run, "cannot write into %s: %s", run->session.folder, strerror(-r));
	for (size_t i = 0; i < run->nr_roles; i++) {
		while (!child_is_over(&run->child[i]) && time_before(clock_now_ns(), end))
			wait_a_little(LOOK_S);
		if (run->child[i].is_over && run->child[i].status == 0)
			continue;
		child_describe(&run->child[i], why, sizeof(why));
		return fail(run, "at the end: %s", why);
	}
	return 0;
}

void measure_percentiles(struct measurement *m)
{
	double *sorted = calloc(m->nr_requests ? m->nr_requests : 1, sizeof(*sorted));

	if (sorted == NULL)
		return;
	if (m->nr_requests)
		memcpy(sorted, m->latency_ms, m->nr_requests * sizeof(*sorted));
	sort_values(sorted, m->nr_requests);
	m->fg_p50_ms = percentile_sorted(sorted, m->nr_requests, 0.50);
	m->fg_p95_ms = percentile_sorted(sorted, m->nr_requests, 0.95);
	m->fg_p99_ms = percentile_sorted(sorted, m->nr_requests, 0.99);
	free(sorted);
}

/* Completion times by index of the arrival; 0 where there is none. */
static int completions(struct running *run, int64_t *completed_ns)
{
	struct span *pairs = NULL;
	size_t nr = 0;
	int r = session_read_result(&run->session, BENCH_FOREGROUND, &pairs, &nr);

	if (r < 0)
		return r;
	for (size_t i = 0; i < nr; i++) {
		if (pairs[i].begin_ns < 0 || (size_t)pairs[i].begin_ns >= run->arrivals->nr ||
		    pairs[i].end_ns < run->arrivals->at_ns[pairs[i].begin_ns]) {
			free(pairs);
			return -EPROTO;
		}
		completed_ns[pairs[i].begin_ns] = pairs[i].end_ns;
	}
	free(pairs);
	return 0;
}

static void add_latency(struct running *run, size_t index, int64_t completed_ns)
{
	struct measurement *m = run->result;
	int64_t at_ns = run->arrivals->at_ns[index];
	int64_t stopped_ns = (int64_t)(run->stopped_ns - run->times.start_ns);

	if (at_ns < (int64_t)(run->times.begin_ns - run->times.start_ns))
		return;
	if (!completed_ns) {
		m->nr_unfinished++;
		completed_ns = stopped_ns;
	}
	m->latency_ms[m->nr_requests++] = (double)(completed_ns - at_ns) / 1e6;
}

static int read_foreground(struct running *run)
{
	struct measurement *m = run->result;
	int64_t *completed_ns = calloc(run->arrivals->nr + 1, sizeof(*completed_ns));
	struct bench_facts *facts = &run->bench->facts;
	int r = -ENOMEM;

	m->latency_ms = calloc(run->arrivals->nr + 1, sizeof(*m->latency_ms));
	if (completed_ns != NULL && m->latency_ms != NULL)
		r = completions(run, completed_ns);
	for (size_t i = 0; r == 0 && i < run->arrivals->nr; i++)
		add_latency(run, i, completed_ns[i]);
	free(completed_ns);
	if (r == 0)
		r = session_read_ready(&run->session, BENCH_FOREGROUND, facts);
	if (r < 0)
		return fail(run, "the foreground's results: %s", strerror(-r));
	m->service_ms = facts->service_ms;
	measure_percentiles(m);
	return 0;
}

static int read_background(struct running *run)
{
	struct span window = {(int64_t)(run->times.begin_ns - run->times.start_ns),
			      (int64_t)(run->times.end_ns - run->times.start_ns)};
	struct span *iterations = NULL;
	size_t nr = 0;
	int r = session_read_result(&run->session, BENCH_BACKGROUND, &iterations, &nr);

	if (r < 0)
		return fail(run, "the background's results: %s", strerror(-r));
	run->result->bg_rate = rate_in_window(iterations, nr, window);
	free(iterations);
	r = session_read_ready(&run->session, BENCH_BACKGROUND, &run->bench->facts);
	return r < 0 ? fail(run, "the background's facts: %s", strerror(-r)) : 0;
}

static int read_results(struct running *run)
{
	int r = 0;

	for (size_t i = 0; i < run->nr_roles && r == 0; i++)
		r = strcmp(run->role[i], BENCH_FOREGROUND) == 0 ? read_foreground(run)
								: read_background(run);
	return r;
}

/* A program that lithos had to leave alone ran, but not under the system whose name it would
 * get. */
static int check_confined(struct running *run)
{
	const struct bench_system *system = run->result->system;
	char line[BENCH_TEXT_MAX];

	if (!system->has_daemon)
		return 0;
	for (size_t i = 0; i < run->nr_roles; i++) {
		if (child_complaint(&run->child[i], line, sizeof(line)))
			return fail(run, "the %s ran, but: %s", run->role[i], line);
	}
	return 0;
}

static int run_session(struct running *run)
{
	char why[BENCH_TEXT_MAX] = "";
	int r = session_write_arrivals(&run->session, run->arrivals);

	if (r < 0)
		return fail(run, "cannot write into %s: %s", run->session.folder, strerror(-r));
	if (services_start(run->bench, run->result->system, &run->place, &run->services, why) < 0)
		return fail(run, "%s", why);
	r = start_programs(run);
	if (r == 0)
		r = wait_until_ready(run);
	if (r == 0)
		r = go(run);
	if (r == 0)
		r = wait_for_window(run);
	if (r == 0)
		r = stop(run);
	return r == 0 ? check_confined(run) : r;
}

/* The roles named in one session of their own. */
static void measure_roles(struct running *run, const char *first, const char *second)
{
	char name[64];
	int r;

	run->role[0] = first;
	run->role[1] = second;
	run->nr_roles = second != NULL ? 2 : 1;
	memset(run->child, 0, sizeof(run->child));
	run->services = (struct services){0};
	(void)snprintf(name, sizeof(name), "%u.%s%s%s", run->result->repetition,
		       run->result->system->name, second == NULL ? "." : "",
		       second == NULL ? first : "");
	r = session_make(&run->session, run->bench->folder, name);
	if (r < 0) {
		(void)fail(run, "cannot make a folder in %s: %s", run->bench->folder, strerror(-r));
		return;
	}
	system_place(run->session.folder, &run->place);
	r = run_session(run);
	for (size_t i = 0; i < run->nr_roles; i++)
		child_end(&run->child[i], GRACE_S);
	services_stop(run->bench, &run->place, &run->services);
	children_sweep();
	if (r == 0)
		(void)read_results(run);
}

void measure(struct bench *bench, const struct bench_system *system, unsigned int repetition,
	     struct measurement *ret_measurement)
{
	const struct bench_options *options = &bench->options;
	struct arrivals arrivals = {0};
	struct running run = {.bench = bench, .result = ret_measurement, .arrivals = &arrivals};

	*ret_measurement = (struct measurement){.system = system, .repetition = repetition};
	if (arrivals_make(&arrivals, options->rate, BENCH_LEAD_S + options->seconds,
			  options->seed + repetition) < 0) {
		(void)fail(&run, "out of memory");
		return;
	}
	if (!system->is_alone) {
		measure_roles(&run, BENCH_FOREGROUND, BENCH_BACKGROUND);
	} else {
		measure_roles(&run, BENCH_FOREGROUND, NULL);
		if (!ret_measurement->has_failed)
			measure_roles(&run, BENCH_BACKGROUND, NULL);
	}
	arrivals_free(&arrivals);
}
