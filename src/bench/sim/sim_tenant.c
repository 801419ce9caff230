/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Foreground or background of the hybrid scenario on the simulated GPU.
 *
 * The foreground captures one request's kernels into a graph and replays it; the background
 * launches a step's kernels one by one. All of them spin for the times of workload.h.
 * Tested by tests/integration/bench.bats.
 */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/sim/workload.h"
#include "bench/tenant/tenant.h"

static const char spin_ptx[] = ".version 7.8\n"
			       ".target sm_75\n"
			       ".address_size 64\n"
			       ".visible .entry lk_spin(.param .u64 p_ns)\n{\n"
			       "	.reg .pred %p<2>;\n"
			       "	.reg .b64 %rd<4>;\n"
			       "	mov.u64 %rd1, %globaltimer;\n"
			       "	ld.param.u64 %rd2, [p_ns];\n"
			       "WAIT:\n"
			       "	mov.u64 %rd3, %globaltimer;\n"
			       "	sub.s64 %rd3, %rd3, %rd1;\n"
			       "	setp.lt.u64 %p1, %rd3, %rd2;\n"
			       "	@%p1 bra WAIT;\n"
			       "	ret;\n}\n";

struct hybrid {
	struct tenant tenant;
	unsigned int nr_sms;
	double scale;
	struct workload work;
	CUfunction spin; /* lk_spin(u64 ns): every thread spins so long */
	CUgraphExec request;
};

static void launch_all(void *arg)
{
	const struct hybrid *h = arg;

	for (size_t i = 0; i < h->work.nr; i++) {
		uint64_t ns = h->work.kernel[i].block_ns;
		void *params[] = {&ns};

		gpu_launch(&h->tenant.gpu, h->spin, h->work.kernel[i].nr_blocks, params);
	}
}

static void replay(void *arg)
{
	const struct hybrid *h = arg;

	gpu_replay(&h->tenant.gpu, h->request);
}

static int prepare(struct hybrid *h)
{
	h->tenant.arg = h;
	h->tenant.work = launch_all;
	if (!tenant_is_foreground(&h->tenant))
		return workload_background(&h->work, h->nr_sms, h->scale);
	if (workload_foreground(&h->work, h->nr_sms, h->scale) < 0)
		return -1;
	gpu_capture_begin(&h->tenant.gpu);
	launch_all(h);
	h->request = gpu_capture_end(&h->tenant.gpu);
	h->tenant.work = replay;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct hybrid *h = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &h->tenant;
		return 0;
	case 'm':
		h->nr_sms = (unsigned int)strtoul(arg, NULL, 10);
		return 0;
	case 's':
		h->scale = strtod(arg, NULL);
		return 0;
	case 'u':
		h->tenant.nr_services = (unsigned int)strtoul(arg, NULL, 10);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"sms", 'm', "N", 0, "SMs that the work was made for (132)", 0},
		{"scale", 's', "K", 0, "Kernels K times longer and fewer (10)", 0},
		{"services", 'u', "N", 0, "Requests to time before ready (50)", 0},
		{0},
	};
	static const struct argp_child children[] = {{&tenant_argp, 0, NULL, 0}, {0}};
	static const struct argp argp = {
		options,  parse, NULL, "A tenant of lithos bench on the simulated GPU.",
		children, NULL,  NULL};
	struct hybrid h = {.nr_sms = 132, .scale = 10, .tenant.nr_services = 50};
	int r;

	if (argp_parse(&argp, argc, argv, 0, NULL, &h) != 0 || !tenant_is_complete(&h.tenant) ||
	    h.nr_sms == 0 || !(h.scale > 0))
		return 2;
	gpu_open(&h.tenant.gpu);
	h.spin = gpu_kernel(spin_ptx, "lk_spin");
	if (prepare(&h) < 0) {
		(void)fputs("out of memory\n", stderr);
		return 1;
	}
	r = tenant_run(&h.tenant);
	free(h.work.kernel);
	return r;
}
