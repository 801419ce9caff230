/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Question: what does one driver call cost the calling thread?
 *
 * Makes one call over and over: `pass` is cuDriverGetVersion, which the shim only forwards;
 * `launch` is cuLaunchKernel of an empty kernel; `graph` is cuGraphLaunch of a graph of eight of
 * them; `deferred` is cuLaunchKernel with three parameters while the shim holds every launch back
 * (option `hold`; only with a quota or statistics, otherwise it is `launch`); `single` is `launch`
 * with a wait for its end, so that a borrower's launches are not held. The calls are found the way
 * programs find them, by dlopen and dlsym, so the same program measures the driver, the simulated
 * driver and the shim: the baseline is whichever libcuda.so.1 the loader finds without lithos.
 *
 * Prints `name value unit n`: nanoseconds a call, the median of batches that were drained in
 * between, so that a full queue is not measured. Under callgrind, count the instructions of
 * bench_loop instead (tools/callgrind-launch.sh): they do not depend on what else the machine does.
 */
#include <argp.h>
#include <dlfcn.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuda.h>

#include "base/clock.h"

#define BATCH       500u
#define GRAPH_NODES 8

static const char kernel_ptx[] = ".version 7.0\n"
				 ".target sm_52\n"
				 ".address_size 64\n"
				 ".visible .entry lk_null()\n{\n	ret;\n}\n"
				 ".visible .entry lk_fill(.param .u64 p, .param .u32 value,"
				 " .param .u32 n)\n{\n	ret;\n}\n";

/* The driver's functions, as the loader gives them. */
static struct {
	CUresult (*init)(unsigned int flags);
	CUresult (*version)(int *version);
	CUresult (*retain)(CUcontext *ctx, CUdevice device);
	CUresult (*set_current)(CUcontext ctx);
	CUresult (*load)(CUmodule *module, const void *image);
	CUresult (*function)(CUfunction *func, CUmodule module, const char *name);
	CUresult (*stream_create)(CUstream *stream, unsigned int flags);
	CUresult (*stream_synchronize)(CUstream stream);
	CUresult (*launch)(CUfunction func, unsigned int gx, unsigned int gy, unsigned int gz,
			   unsigned int bx, unsigned int by, unsigned int bz, unsigned int shared,
			   CUstream stream, void **params, void **extra);
	CUresult (*begin_capture)(CUstream stream, CUstreamCaptureMode mode);
	CUresult (*end_capture)(CUstream stream, CUgraph *graph);
	CUresult (*instantiate)(CUgraphExec *exec, CUgraph graph, unsigned long long flags);
	CUresult (*graph_launch)(CUgraphExec exec, CUstream stream);
} cu;

struct bench {
	const char *call;
	unsigned int count;
	CUfunction func;
	CUfunction func_params; /* takes an address and two numbers, and does nothing for n = 0 */
	CUstream stream;
	CUgraphExec exec;
};

typedef CUresult (*call_fn)(const struct bench *bench);

static void fail(const char *what, int code)
{
	(void)fprintf(stderr, "bench_calls: %s: error %d\n", what, code);
	exit(1);
}

static void check(const char *what, CUresult result)
{
	if (result != CUDA_SUCCESS)
		fail(what, (int)result);
}

static void *symbol(void *driver, const char *name)
{
	void *address = dlsym(driver, name);

	if (!address)
		fail(name, 0);
	return address;
}

static void driver_load(void)
{
	void *driver = dlopen("libcuda.so.1", RTLD_NOW);

	if (!driver)
		fail("libcuda.so.1 cannot be loaded", 0);
	cu.init = symbol(driver, "cuInit");
	cu.version = symbol(driver, "cuDriverGetVersion");
	cu.retain = symbol(driver, "cuDevicePrimaryCtxRetain");
	cu.set_current = symbol(driver, "cuCtxSetCurrent");
	cu.load = symbol(driver, "cuModuleLoadData");
	cu.function = symbol(driver, "cuModuleGetFunction");
	cu.stream_create = symbol(driver, "cuStreamCreate");
	cu.stream_synchronize = symbol(driver, "cuStreamSynchronize");
	cu.launch = symbol(driver, "cuLaunchKernel");
	cu.begin_capture = symbol(driver, "cuStreamBeginCapture_v2");
	cu.end_capture = symbol(driver, "cuStreamEndCapture");
	cu.instantiate = symbol(driver, "cuGraphInstantiateWithFlags");
	cu.graph_launch = symbol(driver, "cuGraphLaunch");
}

static CUresult call_pass(const struct bench *bench)
{
	int version;

	(void)bench;
	return cu.version(&version);
}

/* Not inlined: what `single` counts. */
__attribute__((noinline)) static CUresult call_launch(const struct bench *bench)
{
	return cu.launch(bench->func, 1, 1, 1, 32, 1, 1, 0, bench->stream, NULL, NULL);
}

static CUresult call_deferred(const struct bench *bench)
{
	CUdeviceptr words = 0;
	unsigned int value = 1, n = 0;
	void *params[] = {&words, &value, &n};

	return cu.launch(bench->func_params, 1, 1, 1, 32, 1, 1, 0, bench->stream, params, NULL);
}

/* Nothing is outstanding when the next one is asked for: no launch is held back. */
static CUresult call_single(const struct bench *bench)
{
	CUresult result = call_launch(bench);

	return result == CUDA_SUCCESS ? cu.stream_synchronize(bench->stream) : result;
}

static CUresult call_graph(const struct bench *bench)
{
	return cu.graph_launch(bench->exec, bench->stream);
}

/* The counted function: nothing but the calls. */
__attribute__((noinline)) static CUresult bench_loop(const struct bench *bench, call_fn call,
						     unsigned int n)
{
	CUresult result = CUDA_SUCCESS;

	for (unsigned int i = 0; i < n && result == CUDA_SUCCESS; i++)
		result = call(bench);
	return result;
}

static void bench_open(struct bench *bench)
{
	CUcontext ctx;
	CUmodule module;

	check("cuInit", cu.init(0));
	check("cuDevicePrimaryCtxRetain", cu.retain(&ctx, 0));
	check("cuCtxSetCurrent", cu.set_current(ctx));
	check("cuModuleLoadData", cu.load(&module, kernel_ptx));
	check("cuModuleGetFunction", cu.function(&bench->func, module, "lk_null"));
	check("cuModuleGetFunction", cu.function(&bench->func_params, module, "lk_fill"));
	check("cuStreamCreate", cu.stream_create(&bench->stream, CU_STREAM_NON_BLOCKING));
}

static void bench_make_graph(struct bench *bench)
{
	CUgraph graph;

	check("cuStreamBeginCapture",
	      cu.begin_capture(bench->stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
	for (int i = 0; i < GRAPH_NODES; i++)
		check("captured launch", call_launch(bench));
	check("cuStreamEndCapture", cu.end_capture(bench->stream, &graph));
	check("cuGraphInstantiate", cu.instantiate(&bench->exec, graph, 0));
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void bench_run(struct bench *bench, call_fn call)
{
	unsigned int nr_batches = (bench->count + BATCH - 1) / BATCH;
	double *ns = calloc(nr_batches, sizeof(*ns));

	if (!ns)
		fail("memory", 0);
	check("first call", bench_loop(bench, call, 1));
	for (unsigned int i = 0; i < nr_batches; i++) {
		unsigned int left = bench->count - i * BATCH;
		unsigned int n = left < BATCH ? left : BATCH;
		check("cuStreamSynchronize", cu.stream_synchronize(bench->stream));
		uint64_t start = clock_now_ns();
		check(bench->call, bench_loop(bench, call, n));
		ns[i] = (double)(clock_now_ns() - start) / n;
	}
	check("cuStreamSynchronize", cu.stream_synchronize(bench->stream));
	qsort(ns, nr_batches, sizeof(*ns), by_value);
	printf("calls_%s %.1f ns %u\n", bench->call, ns[nr_batches / 2], bench->count);
	free(ns);
}

static void pin_to_current_cpu(void)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	CPU_ZERO(&set);
	if (cpu >= 0) {
		CPU_SET(cpu, &set);
		(void)sched_setaffinity(0, sizeof(set), &set);
	}
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct bench *bench = state->input;

	if (key == 'c')
		bench->call = arg;
	else if (key == 'n')
		bench->count = (unsigned int)strtoul(arg, NULL, 10);
	else
		return ARGP_ERR_UNKNOWN;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"call", 'c', "pass|launch|single|graph|deferred", 0, "The call to measure (pass)",
		 0},
		{"count", 'n', "N", 0, "How often (20000)", 0},
		{0},
	};
	static const struct argp argp = {
		options, parse_option, NULL, "What one driver call costs the calling thread.",
		NULL,    NULL,         NULL};
	struct bench bench = {.call = "pass", .count = 20000};
	call_fn call;

	if (argp_parse(&argp, argc, argv, 0, NULL, &bench) || bench.count == 0)
		return 2;
	call = !strcmp(bench.call, "launch") ? call_launch : call_pass;
	if (!strcmp(bench.call, "single"))
		call = call_single;
	if (!strcmp(bench.call, "deferred")) {
		call = call_deferred;
		(void)setenv("LITHOS_HOLD", "always", 1);
	}
	driver_load();
	bench_open(&bench);
	/* Threads that the first launch starts are not to share the CPU with those measured. */
	if (call == call_deferred)
		check("first call", bench_loop(&bench, call, 1));
	pin_to_current_cpu();
	if (!strcmp(bench.call, "graph")) {
		bench_make_graph(&bench);
		call = call_graph;
	}
	bench_run(&bench, call);
	return 0;
}
