/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Foreground or background of the scenario `long`, on a GPU or the simulated one: one kernel a
 * request or a step (shape.h), which computes for a calibrated time (fma.h).
 * Tested by tests/integration/bench_long.bats.
 */
#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/long/fma.h"
#include "bench/long/shape.h"
#include "bench/tenant/tenant.h"

#define NR_SERVICES 200

struct long_tenant {
	struct tenant tenant;
	const char *calibration;
	unsigned int nr_sms;
	double scale;
	struct long_shape shape;
	struct fma fma;
	uint32_t rounds;
};

static void launch(void *arg)
{
	const struct long_tenant *t = arg;

	fma_launch(&t->fma, t->shape.nr_blocks, t->rounds);
}

static int prepare(struct long_tenant *t)
{
	int r = 0;

	gpu_open(&t->tenant.gpu);
	fma_open(&t->fma, &t->tenant.gpu);
	t->shape = tenant_is_foreground(&t->tenant) ? long_foreground(t->nr_sms)
						    : long_background(t->nr_sms, t->scale);
	if (t->calibration != NULL)
		r = fma_calibrate_once(&t->fma, &t->shape, t->calibration, &t->rounds);
	else
		t->rounds = fma_calibrate(&t->fma, &t->shape);
	if (r < 0)
		(void)fprintf(stderr, "%s: %s\n", t->calibration, strerror(-r));
	(void)snprintf(t->tenant.version, sizeof(t->tenant.version),
		       "%s %u blocks of %" PRIu32 " rounds", t->tenant.role, t->shape.nr_blocks,
		       t->rounds);
	t->tenant.work = launch;
	t->tenant.arg = t;
	return r;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct long_tenant *t = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &t->tenant;
		return 0;
	case 'c':
		t->calibration = arg;
		return 0;
	case 'm':
		t->nr_sms = (unsigned int)strtoul(arg, NULL, 10);
		return 0;
	case 's':
		t->scale = strtod(arg, NULL);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"calibration", 'c', "FILE", 0, "Rounds, measured once for all that name it", 0},
		{"sms", 'm', "N", 0, "SMs that the work is made for (132)", 0},
		{"scale", 's', "K", 0, "The background's blocks K times longer and fewer (1)", 0},
		{0},
	};
	static const struct argp_child children[] = {{&tenant_argp, 0, NULL, 0}, {0}};
	static const struct argp argp = {
		options,  parse, NULL, "A tenant of lithos bench --scenario long.",
		children, NULL,  NULL};
	struct long_tenant t = {.nr_sms = 132, .scale = 1, .tenant.nr_services = NR_SERVICES};

	if (argp_parse(&argp, argc, argv, 0, NULL, &t) != 0 || !tenant_is_complete(&t.tenant) ||
	    t.nr_sms == 0 || !(t.scale > 0))
		return 2;
	return prepare(&t) < 0 ? 1 : tenant_run(&t.tenant);
}
