/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One measurement.
 *
 * Steps: services; all programs at once, since loading them takes longest; once all are loaded they
 * warm up one after the other, so that what a program tries out and times in its warm-up is not
 * disturbed; set the schedule's zero a moment ahead; the window begins when all have been at work
 * for a while and ends while all still are; wait until the requests of the window are answered, the
 * others still running; stop; read what they wrote (results.c). So they overlap by construction,
 * and a request that another program delayed past the window's end is not forgiven.
 *
 * A service that falls behind without bound would never answer them all. After a limit the rest
 * counts with the time it has waited until then, which is less than the truth, and is reported as
 * unfinished.
 *
 * Programs that are measured alone have a session each: one is warmed up and measured while those
 * after it are loaded, asleep, and have given the GPU nothing but their weights.
 *
 * Whoever dies, or is not warm in time, ends this measurement.
 *
 * What it does badly: processes are fresh for each measurement, so on a GPU loading the programs
 * takes longer than measuring them. Tested by tests/integration/bench.bats and bench_mixes.bats.
 */
#include "cli/bench/measure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/bench/children.h"
#include "cli/bench/results.h"
#include "cli/bench/services.h"
#include "cli/bench/session.h"
#include "cli/bench/systems.h"

#define START_AHEAD_NS 300000000u
#define EXIT_LIMIT_S   30
#define GRACE_S        3
#define LOOK_S         0.005
#define SEED_STEP      1000003u /* from one tenant's arrivals to the next one's */

/* What is under way. */
struct running {
	struct bench *bench;
	struct measurement *result;
	struct system_place place;
	struct services services;
	struct party party[BENCH_MAX_TENANTS];
	size_t nr_parties;
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

static int fail_writing(struct running *run, const struct party *party, int error)
{
	return fail(run, "cannot write into %s: %s", party->session.folder, strerror(-error));
}

/* -ECANCELED when the measurement cannot go on. */
static int look_after(struct running *run)
{
	char why[BENCH_TEXT_MAX];

	if (children_interrupted())
		return fail(run, "interrupted");
	for (size_t i = 0; i < run->nr_parties; i++) {
		struct party *party = &run->party[i];

		if (party->is_stopped || !child_is_over(&party->child))
			continue;
		child_describe(&party->child, why, sizeof(why));
		return fail(run, "%s", why);
	}
	return 0;
}

/* Which tenants the system lets run, in sessions of their own or in one. */
static int make_parties(struct running *run)
{
	const struct bench_options *options = &run->bench->options;
	const struct bench_system *system = run->result->system;
	size_t nr_tenants = scenario_nr_tenants(options->scenario);
	int r = 0;

	for (size_t i = 0; i < nr_tenants && r == 0; i++) {
		struct party *party = &run->party[run->nr_parties];
		char name[64];

		if (system->is_of_services && !tenant_is_service(&options->scenario->tenant[i]))
			continue;
		party->index = i;
		party->tenant = &options->scenario->tenant[i];
		(void)snprintf(name, sizeof(name), "%u.%s.%s", run->result->repetition,
			       system->name, party->tenant->name);
		if (system->is_alone)
			r = session_make(&party->session, run->bench->folder, name);
		else
			(void)snprintf(party->session.folder, sizeof(party->session.folder), "%s",
				       run->place.folder);
		run->nr_parties++;
	}
	return r;
}

static int make_folders(struct running *run)
{
	struct session session = {.folder = ""};
	char name[64];
	int r;

	(void)snprintf(name, sizeof(name), "%u.%s", run->result->repetition,
		       run->result->system->name);
	r = session_make(&session, run->bench->folder, name);
	if (r == 0) {
		system_place(session.folder, &run->place);
		r = make_parties(run);
	}
	return r < 0 ? fail(run, "cannot make a folder in %s: %s", run->bench->folder, strerror(-r))
		     : 0;
}

static int write_arrivals(struct running *run, struct party *party)
{
	const struct bench_options *options = &run->bench->options;
	int r;

	if (!tenant_is_service(party->tenant))
		return 0;
	r = arrivals_make(&party->arrivals, options->rate[party->index],
			  BENCH_LEAD_S + options->seconds,
			  options->seed + run->result->repetition + SEED_STEP * party->index);
	if (r < 0)
		return fail(run, "out of memory");
	r = session_write_arrivals(&party->session, party->tenant->name, &party->arrivals);
	return r < 0 ? fail_writing(run, party, r) : 0;
}

static int start_program(struct running *run, struct party *party)
{
	const struct bench_system *system = run->result->system;
	struct system_place place = run->place;
	const char *name = party->tenant->name;
	struct command command;
	char log[BENCH_PATH_MAX];
	int r;

	/* Natively alone means also on a simulated GPU of its own. */
	if (system->is_alone && !system->has_mps && !system->has_daemon)
		system_place(party->session.folder, &place);
	system_command(run->bench, system, &place, party->index, party->session.folder, &command);
	(void)snprintf(log, sizeof(log), "%s/%s.log", party->session.folder, name);
	r = child_start(&party->child, &command, name, log);
	return r < 0 ? fail(run, "cannot start the %s: %s", name, strerror(-r)) : 0;
}

static int start_programs(struct running *run)
{
	int r = 0;

	for (size_t i = 0; i < run->nr_parties && r == 0; i++) {
		r = write_arrivals(run, &run->party[i]);
		if (r == 0)
			r = start_program(run, &run->party[i]);
	}
	return r;
}

/* Waits until the program has said so, or that it is ready. */
static int wait_for_word(struct running *run, const struct party *party, const char *word,
			 uint64_t end)
{
	const char *name = party->tenant->name;
	char why[BENCH_TEXT_MAX];

	while (!session_has(&party->session, word, name) &&
	       !session_has(&party->session, "ready", name)) {
		if (look_after(run) < 0)
			return -ECANCELED;
		if (!time_before(clock_now_ns(), end)) {
			child_describe(&party->child, why, sizeof(why));
			return fail(run, "not %s after %.0f s: %s", word,
				    run->bench->options.ready_limit_s, why);
		}
		wait_a_little(LOOK_S);
	}
	return 0;
}

static uint64_t ready_limit(const struct running *run)
{
	return clock_now_ns() + (uint64_t)(run->bench->options.ready_limit_s * 1e9);
}

static int wait_until_loaded(struct running *run)
{
	uint64_t end = ready_limit(run);
	int r = 0;

	for (size_t i = 0; i < run->nr_parties && r == 0; i++)
		r = wait_for_word(run, &run->party[i], "loaded", end);
	return r;
}

static int warm_up(struct running *run, size_t first, size_t nr)
{
	uint64_t end = ready_limit(run);
	int r = 0;

	for (size_t i = first; i < first + nr && r == 0; i++) {
		struct party *party = &run->party[i];

		r = session_turn(&party->session, party->tenant->name);
		r = r < 0 ? fail_writing(run, party, r) : wait_for_word(run, party, "ready", end);
	}
	return r;
}

static int go(struct running *run, size_t first, size_t nr)
{
	struct session_times times = {.start_ns = clock_now_ns() + START_AHEAD_NS};
	int r;

	times.begin_ns = times.start_ns + (uint64_t)(BENCH_LEAD_S * 1e9);
	times.end_ns = times.begin_ns + (uint64_t)(run->bench->options.seconds * 1e9);
	for (size_t i = first; i < first + nr; i++)
		run->party[i].times = times;
	r = session_go(&run->party[first].session, &times);
	return r < 0 ? fail_writing(run, &run->party[first], r) : 0;
}

static int are_done(const struct running *run, size_t first, size_t nr)
{
	for (size_t i = first; i < first + nr; i++) {
		const struct party *party = &run->party[i];

		if (tenant_is_service(party->tenant) &&
		    !session_has(&party->session, "done", party->tenant->name))
			return 0;
	}
	return 1;
}

static int wait_for_window(struct running *run, size_t first, size_t nr)
{
	uint64_t end = run->party[first].times.end_ns;
	uint64_t last = end + (uint64_t)(run->bench->options.drain_s * 1e9);

	while (time_before(clock_now_ns(), last)) {
		if (look_after(run) < 0)
			return -ECANCELED;
		if (!time_before(clock_now_ns(), end) && are_done(run, first, nr))
			break;
		wait_a_little(4 * LOOK_S);
	}
	return 0;
}

static int wait_for_exit(struct running *run, struct party *party, uint64_t end)
{
	char why[BENCH_TEXT_MAX];

	while (!child_is_over(&party->child) && time_before(clock_now_ns(), end))
		wait_a_little(LOOK_S);
	if (party->child.is_over && party->child.status == 0)
		return 0;
	child_describe(&party->child, why, sizeof(why));
	return fail(run, "at the end: %s", why);
}

/* They write their results and end. */
static int stop(struct running *run, size_t first, size_t nr)
{
	uint64_t now = clock_now_ns();
	int r = session_stop(&run->party[first].session);

	if (r < 0)
		return fail_writing(run, &run->party[first], r);
	for (size_t i = first; i < first + nr && r == 0; i++) {
		run->party[i].stopped_ns = now;
		run->party[i].is_stopped = 1;
		r = wait_for_exit(run, &run->party[i], now + EXIT_LIMIT_S * 1000000000ull);
	}
	return r;
}

/* Those of one session, together. */
static int measure_group(struct running *run, size_t first, size_t nr)
{
	int r = warm_up(run, first, nr);

	if (r == 0)
		r = go(run, first, nr);
	if (r == 0)
		r = wait_for_window(run, first, nr);
	return r == 0 ? stop(run, first, nr) : r;
}

/* What lithos had to leave alone ran, but not under the system whose name it would get. */
static int check_confined(struct running *run)
{
	char line[BENCH_TEXT_MAX];

	if (!run->result->system->has_daemon)
		return 0;
	for (size_t i = 0; i < run->nr_parties; i++) {
		if (child_complaint(&run->party[i].child, line, sizeof(line)))
			return fail(run, "the %s ran, but: %s", run->party[i].tenant->name, line);
	}
	return 0;
}

static int run_programs(struct running *run)
{
	size_t nr_together = run->result->system->is_alone ? 1 : run->nr_parties;
	char why[BENCH_TEXT_MAX] = "";
	int r;

	if (services_start(run->bench, run->result->system, &run->place, &run->services, why) < 0)
		return fail(run, "%s", why);
	r = start_programs(run);
	if (r == 0)
		r = wait_until_loaded(run);
	for (size_t i = 0; i < run->nr_parties && r == 0; i += nr_together)
		r = measure_group(run, i, nr_together);
	return r == 0 ? check_confined(run) : r;
}

static void read_results(struct running *run)
{
	char why[BENCH_TEXT_MAX];

	for (size_t i = 0; i < run->nr_parties; i++) {
		struct party *party = &run->party[i];

		if (results_read(run->bench, party, &run->result->tenant[party->index], why) < 0) {
			(void)fail(run, "%s", why);
			return;
		}
	}
}

void measure(struct bench *bench, const struct bench_system *system, unsigned int repetition,
	     struct measurement *ret_measurement)
{
	struct running run = {.bench = bench, .result = ret_measurement};
	int r;

	*ret_measurement = (struct measurement){.system = system, .repetition = repetition};
	for (size_t i = 0; i < BENCH_MAX_TENANTS; i++)
		results_clear(&ret_measurement->tenant[i]);
	r = make_folders(&run);
	if (r == 0)
		r = run_programs(&run);
	for (size_t i = 0; i < run.nr_parties; i++)
		child_end(&run.party[i].child, GRACE_S);
	services_stop(bench, &run.place, &run.services);
	children_sweep();
	if (r == 0)
		read_results(&run);
	for (size_t i = 0; i < run.nr_parties; i++)
		arrivals_free(&run.party[i].arrivals);
}
