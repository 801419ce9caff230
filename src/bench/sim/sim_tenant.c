/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tenant of a scenario on the simulated GPU: a service or a job with the kernels of a model.
 *
 * With --graph the kernels of --repeat passes are captured into a graph that is replayed; without,
 * they are launched one by one. All of them spin for the times of workload.h.
 * Tested by tests/integration/bench.bats and bench_mixes.bats.
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

struct sim_tenant {
	struct tenant tenant;
	unsigned int nr_sms;
	double scale;
	const char *work_name;
	int is_graph;
	unsigned int nr_passes; /* in one request or step */
	struct workload work;
	CUfunction spin; /* lk_spin(u64 ns): every thread spins so long */
	CUgraphExec graph;
};

static void launch_all(void *arg)
{
	const struct sim_tenant *h = arg;

	for (size_t i = 0; i < h->nr_passes * h->work.nr; i++) {
		const struct workload_kernel *kernel = &h->work.kernel[i % h->work.nr];
		uint64_t ns = kernel->block_ns;
		void *params[] = {&ns};

		gpu_launch(&h->tenant.gpu, h->spin, kernel->nr_blocks, params);
	}
}

static void replay(void *arg)
{
	const struct sim_tenant *h = arg;

	gpu_replay(&h->tenant.gpu, h->graph);
}

static int prepare(struct sim_tenant *h)
{
	int r = workload_make(&h->work, h->work_name, h->nr_sms, h->scale);

	if (r < 0) {
		(void)fprintf(stderr, "%s: %s\n", h->work_name, strerror(-r));
		return r;
	}
	h->tenant.arg = h;
	h->tenant.work = launch_all;
	if (!h->is_graph)
		return 0;
	gpu_capture_begin(&h->tenant.gpu);
	launch_all(h);
	h->graph = gpu_capture_end(&h->tenant.gpu);
	h->tenant.work = replay;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct sim_tenant *h = state->input;

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
	case 'w':
		h->work_name = arg;
		return 0;
	case 'g':
		h->is_graph = 1;
		return 0;
	case 'p':
		h->nr_passes = (unsigned int)strtoul(arg, NULL, 10);
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
		{"work", 'w', "NAME", 0, "The model whose kernels these are", 0},
		{"graph", 'g', NULL, 0, "As a graph", 0},
		{"repeat", 'p', "N", 0, "Passes in one request or step (1)", 0},
		{"sms", 'm', "N", 0, "SMs that the work was made for (132)", 0},
		{"scale", 's', "K", 0, "Kernels K times longer and fewer (10)", 0},
		{"services", 'u', "N", 0, "Requests to time before ready (50)", 0},
		{0},
	};
	static const struct argp_child children[] = {{&tenant_argp, 0, NULL, 0}, {0}};
	static const struct argp argp = {
		options,  parse, NULL, "A tenant of lithos bench on the simulated GPU.",
		children, NULL,  NULL};
	struct sim_tenant h = {
		.nr_sms = 132, .scale = 10, .nr_passes = 1, .tenant.nr_services = 50};
	int r;

	if (argp_parse(&argp, argc, argv, 0, NULL, &h) != 0 || !tenant_is_complete(&h.tenant) ||
	    h.nr_sms == 0 || h.nr_passes == 0 || h.work_name == NULL || !(h.scale > 0))
		return 2;
	gpu_open(&h.tenant.gpu);
	h.spin = gpu_kernel(spin_ptx, "lk_spin");
	if (prepare(&h) < 0)
		return 1;
	r = tenant_run(&h.tenant);
	free(h.work.kernel);
	return r;
}
