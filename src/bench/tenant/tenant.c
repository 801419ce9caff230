/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What foregrounds and backgrounds have in common.
 *
 * A foreground serves the requests of the schedule one after the other, as a service with one
 * worker does. A request that comes while another is served waits, and its latency counts from its
 * arrival. A background launches step after step, two of them in the stream at most, as a training
 * loop does that reads its loss one step late.
 *
 * Before they are ready, both have launched everything they will launch; the foreground has also
 * timed requests on the GPU that was its own if nobody else ran.
 * Tested by tests/integration/bench.bats and bench_long.bats.
 */
#include "bench/tenant/tenant.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define NR_WARM_REQUESTS 5
#define NR_WARM_STEPS    1
#define IN_FLIGHT        2

/* NOLINTNEXTLINE(readability-non-const-parameter): argp's signature */
static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct tenant *t = state->input;

	switch (key) {
	case 'r':
		t->role = arg;
		return 0;
	case 'd':
		t->session.folder = arg;
		return 0;
	case 'n':
		t->session.name = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"role", 'r', "foreground|background", 0, "Which of the two", 0},
	{"dir", 'd', "FOLDER", 0, "The measurement's folder", 0},
	{"name", 'n', "NAME", 0, "Its name in there", 0},
	{0},
};

const struct argp tenant_argp = {options, parse, NULL, NULL, NULL, NULL, NULL};

int tenant_is_foreground(const struct tenant *tenant)
{
	return strcmp(tenant->role, "foreground") == 0;
}

static int say_ready(struct tenant *t, const uint64_t *service_ns, size_t nr)
{
	FILE *file = session_create(&t->session, "ready");

	if (file == NULL)
		return -errno;
	(void)fprintf(file, "device %s\n", t->gpu.device);
	(void)fprintf(file, "version driver %d.%d\n", t->gpu.driver_version / 1000,
		      t->gpu.driver_version % 1000 / 10);
	if (t->version[0] != '\0')
		(void)fprintf(file, "version %s\n", t->version);
	for (size_t i = 0; i < nr; i++)
		(void)fprintf(file, "service_ns %" PRIu64 "\n", service_ns[i]);
	return session_publish(&t->session, "ready", file);
}

static int say_done(struct tenant *t)
{
	FILE *file = session_create(&t->session, "done");

	return file == NULL ? -errno : session_publish(&t->session, "done", file);
}

static void serve(const struct tenant *t)
{
	t->work(t->arg);
	gpu_wait(&t->gpu);
}

static int time_requests(struct tenant *t)
{
	uint64_t *service_ns = calloc(t->nr_services + 1, sizeof(*service_ns));
	int r;

	if (service_ns == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < NR_WARM_REQUESTS; i++)
		serve(t);
	for (unsigned int i = 0; i < t->nr_services; i++) {
		uint64_t begin = clock_now_ns();

		serve(t);
		service_ns[i] = clock_now_ns() - begin;
	}
	r = say_ready(t, service_ns, t->nr_services);
	free(service_ns);
	return r;
}

/* Every request of the schedule, or those until `stop`. */
static int follow_schedule(struct tenant *t)
{
	int64_t *at_ns = NULL;
	size_t nr = 0;
	int r = session_arrivals(&t->session, &at_ns, &nr);

	for (size_t i = 0; r == 0 && i < nr && !session_is_stopped(&t->session); i++) {
		session_sleep_until(&t->session, at_ns[i]);
		serve(t);
		r = session_add(&t->rows, (int64_t)i, session_now(&t->session));
	}
	free(at_ns);
	return r;
}

static int foreground(struct tenant *t)
{
	int r = time_requests(t);

	if (r == 0)
		r = session_wait_go(&t->session);
	if (r == 0)
		r = follow_schedule(t);
	if (r == 0)
		r = say_done(t);
	while (r == 0 && !session_is_stopped(&t->session))
		session_sleep_until(&t->session, session_now(&t->session) + 2000000);
	return r;
}

/* A step has ended; the next one began then. */
static int add_step(struct tenant *t, int64_t *began)
{
	int64_t now = session_now(&t->session);
	int r = session_add(&t->rows, *began, now);

	*began = now;
	return r;
}

/* A step that is in the stream when the program is told to stop counts, too. */
static int train(struct tenant *t)
{
	CUevent done[IN_FLIGHT];
	uint64_t nr_begun = 0, nr_ended = 0;
	int64_t began = session_now(&t->session);
	int r = 0;

	for (int i = 0; i < IN_FLIGHT; i++)
		done[i] = gpu_event();
	while (r == 0 && !session_is_stopped(&t->session)) {
		t->work(t->arg);
		gpu_record(&t->gpu, done[nr_begun++ % IN_FLIGHT]);
		if (nr_begun - nr_ended < IN_FLIGHT)
			continue;
		gpu_wait_event(done[nr_ended++ % IN_FLIGHT]);
		r = add_step(t, &began);
	}
	while (r == 0 && nr_ended < nr_begun) {
		gpu_wait_event(done[nr_ended++ % IN_FLIGHT]);
		r = add_step(t, &began);
	}
	return r;
}

static int background(struct tenant *t)
{
	int r;

	for (int i = 0; i < NR_WARM_STEPS; i++)
		serve(t);
	r = say_ready(t, NULL, 0);
	if (r == 0)
		r = session_wait_go(&t->session);
	return r == 0 ? train(t) : r;
}

int tenant_run(struct tenant *tenant)
{
	int r = session_wait_turn(&tenant->session);

	if (r == 0)
		r = tenant_is_foreground(tenant) ? foreground(tenant) : background(tenant);
	if (r == 0)
		r = session_result(&tenant->session, &tenant->rows);
	if (r == -ECANCELED) /* told to stop before it was told to go */
		return 0;
	if (r < 0)
		(void)fprintf(stderr, "%s: %s\n", tenant->role, strerror(-r));
	return r < 0;
}
