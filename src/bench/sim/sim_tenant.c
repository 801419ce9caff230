/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Foreground or background of the hybrid scenario on the simulated GPU.
 *
 * The foreground captures one request's kernels into a graph and replays it at each arrival of the
 * schedule, one after the other, as a service with one worker does. A request that comes while
 * another is served waits, and its latency counts from its arrival. The background launches step
 * after step, two of them in the stream at most, as a training loop does that reads its loss one
 * step late.
 *
 * Before they are ready, both have launched everything they will launch; the foreground has also
 * timed requests on the GPU that was its own if nobody else ran.
 * Tested by tests/integration/bench.bats.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/sim/cuda.h"
#include "bench/sim/workload.h"
#include "bench/tenant/session.h"

#define NR_WARM_REQUESTS 5
#define NR_WARM_STEPS    1
#define IN_FLIGHT        2

struct tenant {
	const char *role;
	unsigned int nr_sms;
	unsigned int nr_services; /* requests timed before it is ready */
	double scale;
	struct session session;
	struct session_rows rows;
	struct gpu gpu;
	struct workload work;
};

static int say_ready(struct tenant *t, const uint64_t *service_ns, size_t nr)
{
	FILE *file = session_create(&t->session, "ready");

	if (file == NULL)
		return -errno;
	(void)fprintf(file, "device %s\n", t->gpu.device);
	(void)fprintf(file, "version driver %d.%d\n", t->gpu.driver_version / 1000,
		      t->gpu.driver_version % 1000 / 10);
	for (size_t i = 0; i < nr; i++)
		(void)fprintf(file, "service_ns %" PRIu64 "\n", service_ns[i]);
	return session_publish(&t->session, "ready", file);
}

static int say_done(struct tenant *t)
{
	FILE *file = session_create(&t->session, "done");

	return file == NULL ? -errno : session_publish(&t->session, "done", file);
}

static void launch_all(const struct tenant *t)
{
	for (size_t i = 0; i < t->work.nr; i++)
		gpu_spin(&t->gpu, t->work.kernel[i].nr_blocks, t->work.kernel[i].block_ns);
}

static void serve(const struct tenant *t, CUgraphExec exec)
{
	gpu_replay(&t->gpu, exec);
	gpu_wait(&t->gpu);
}

static int time_requests(struct tenant *t, CUgraphExec exec)
{
	uint64_t *service_ns = calloc(t->nr_services + 1, sizeof(*service_ns));
	int r;

	if (service_ns == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < NR_WARM_REQUESTS; i++)
		serve(t, exec);
	for (unsigned int i = 0; i < t->nr_services; i++) {
		uint64_t begin = clock_now_ns();

		serve(t, exec);
		service_ns[i] = clock_now_ns() - begin;
	}
	r = say_ready(t, service_ns, t->nr_services);
	free(service_ns);
	return r;
}

/* Every request of the schedule, or those until `stop`. */
static int follow_schedule(struct tenant *t, CUgraphExec exec)
{
	int64_t *at_ns = NULL;
	size_t nr = 0;
	int r = session_arrivals(&t->session, &at_ns, &nr);

	for (size_t i = 0; r == 0 && i < nr && !session_is_stopped(&t->session); i++) {
		session_sleep_until(&t->session, at_ns[i]);
		serve(t, exec);
		r = session_add(&t->rows, (int64_t)i, session_now(&t->session));
	}
	free(at_ns);
	return r;
}

static int foreground(struct tenant *t)
{
	CUgraphExec exec;
	int r = workload_foreground(&t->work, t->nr_sms, t->scale);

	if (r < 0)
		return r;
	gpu_capture_begin(&t->gpu);
	launch_all(t);
	exec = gpu_capture_end(&t->gpu);
	r = time_requests(t, exec);
	if (r == 0)
		r = session_wait_go(&t->session);
	if (r == 0)
		r = follow_schedule(t, exec);
	if (r == 0)
		r = say_done(t);
	while (r == 0 && !session_is_stopped(&t->session))
		session_sleep_until(&t->session, session_now(&t->session) + 2000000);
	return r < 0 ? r : session_result(&t->session, &t->rows);
}

static int train(struct tenant *t)
{
	CUevent done[IN_FLIGHT];
	int64_t began = 0;
	int r = 0;

	for (int i = 0; i < IN_FLIGHT; i++)
		done[i] = gpu_event();
	for (uint64_t step = 0; r == 0 && !session_is_stopped(&t->session); step++) {
		if (step == 0)
			began = session_now(&t->session);
		launch_all(t);
		gpu_record(&t->gpu, done[step % IN_FLIGHT]);
		if (step + 1 < IN_FLIGHT)
			continue;
		/* The step before the newest IN_FLIGHT - 1. */
		gpu_wait_event(done[(step + 1) % IN_FLIGHT]);
		int64_t now = session_now(&t->session);
		r = session_add(&t->rows, began, now);
		began = now;
	}
	gpu_wait(&t->gpu);
	return r;
}

static int background(struct tenant *t)
{
	int r = workload_background(&t->work, t->nr_sms, t->scale);

	for (int i = 0; r == 0 && i < NR_WARM_STEPS; i++) {
		launch_all(t);
		gpu_wait(&t->gpu);
	}
	if (r == 0)
		r = say_ready(t, NULL, 0);
	if (r == 0)
		r = session_wait_go(&t->session);
	if (r == 0)
		r = train(t);
	return r < 0 ? r : session_result(&t->session, &t->rows);
}

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
	case 'm':
		t->nr_sms = (unsigned int)strtoul(arg, NULL, 10);
		return 0;
	case 's':
		t->scale = strtod(arg, NULL);
		return 0;
	case 'u':
		t->nr_services = (unsigned int)strtoul(arg, NULL, 10);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"role", 'r', "foreground|background", 0, "Which of the two", 0},
		{"dir", 'd', "FOLDER", 0, "The measurement's folder", 0},
		{"name", 'n', "NAME", 0, "Its name in there", 0},
		{"sms", 'm', "N", 0, "SMs that the work was made for (132)", 0},
		{"scale", 's', "K", 0, "Kernels K times longer and fewer (10)", 0},
		{"services", 'u', "N", 0, "Requests to time before ready (50)", 0},
		{0},
	};
	static const struct argp argp = {
		options, parse, NULL, "A tenant of lithos bench on the simulated GPU.",
		NULL,    NULL,  NULL};
	struct tenant t = {.nr_sms = 132, .scale = 10, .nr_services = 50};
	int r;

	if (argp_parse(&argp, argc, argv, 0, NULL, &t) != 0 || t.role == NULL ||
	    t.session.folder == NULL || t.session.name == NULL || t.nr_sms == 0 || !(t.scale > 0))
		return 2;
	gpu_open(&t.gpu);
	r = strcmp(t.role, "foreground") == 0 ? foreground(&t) : background(&t);
	free(t.work.kernel);
	if (r < 0 && r != -ECANCELED)
		(void)fprintf(stderr, "%s: %s\n", t.role, strerror(-r));
	return r < 0 && r != -ECANCELED;
}
