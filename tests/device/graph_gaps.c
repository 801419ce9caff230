/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a graph of tiny kernels takes on the GPU, by what else its process and a neighbour have
 * done.
 *
 * Under MPS each kernel of a graph can take 0.2 to 0.3 us longer than natively (docs/hardware.md,
 * section 9), and whether it does may depend on something that lithos changes when it makes an
 * epoch word. This program does by itself what an owner does then, a step a flag, so that the step
 * can be found if it is one: without the shim, under whatever MPS there is.
 *
 *   graph_gaps [--streams] [--word before|late|own] [--export] [--opened] [--neighbour]
 *              [--its-streams] [--kernels N] [--samples N]
 *
 * --streams     two streams of the highest priority, each used once
 * --word WHEN   a store to device memory at each sample: by one of these streams before the graph's
 *               launch or behind it, or by the graph's own stream before it
 * --export      that memory has an IPC handle; --opened: and the neighbour has opened it
 * --neighbour   another process runs kernels of 20 us blocks for 1 ms of every 5 (samples that meet
 *               them are in the upper percentiles); its MPS client priority is that of
 *               GRAPH_GAPS_PRIORITY
 * --its-streams and the neighbour has used a stream of the highest priority once, as a borrower
 *               that claims has
 *
 * Prints one line; exit codes as tests/programs.
 */
#include <dlfcn.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "prog.h"

#define WORD_BYTES   (2u << 20) /* the smallest unit that can be exported */
#define PAUSE_US     2000u
#define BURST_US     1000u
#define BURST_PAUSE  4000u
#define BLOCK_NS     20000u
#define MAX_SAMPLES  10000
#define TOP_PRIORITY (-5)
#define WARM_SAMPLES 20

enum when {
	NEVER,
	BEFORE,
	LATE,
	OWN
};

/* As --word spells them. */
static const char *const words[] = {"never", "before", "late", "own"};

struct setting {
	bool has_streams, has_export, is_opened, has_neighbour, has_its_streams;
	enum when when;
	long kernels, samples;
};

struct bench {
	struct prog prog;
	struct setting setting;
	CUstream stream, other[2];
	CUgraphExec graph;
	CUdeviceptr count, word;
	CUevent from, to;
	uint32_t value;
	pid_t neighbour;
	int to_neighbour;
};

static void *symbol(const char *name)
{
	void *at = dlsym(cu_handle, name);

	if (!CHECK(at != NULL))
		exit(PROG_FAIL);
	return at;
}

static CUstream top_stream(void)
{
	CUresult (*create)(CUstream *, unsigned int, int) =
		(CUresult(*)(CUstream *, unsigned int, int))symbol("cuStreamCreateWithPriority");
	CUstream stream = NULL;

	MUST(create(&stream, CU_STREAM_NON_BLOCKING, TOP_PRIORITY));
	return stream;
}

static CUstream use_top_stream(CUdeviceptr word)
{
	CUstream stream = top_stream();

	MUST(cu.MemsetD32Async(word, 0, 1, stream));
	MUST(cu.StreamSynchronize(stream));
	return stream;
}

static void store(const struct bench *bench, CUstream stream)
{
	CUresult (*write)(CUstream, CUdeviceptr, uint32_t, unsigned int) = (CUresult(*)(
		CUstream, CUdeviceptr, uint32_t, unsigned int))symbol("cuStreamWriteValue32_v2");

	MUST(write(stream, bench->word, bench->value, 0));
}

static void launch_count(const struct prog *prog, CUstream stream, CUdeviceptr count,
			 unsigned int blocks, uint64_t ns)
{
	void *params[] = {&count, &ns};

	MUST(prog_run(
		&(struct prog_launch){prog->count, {blocks, 1, 1}, {64, 1, 1}, stream, params}));
}

/* --- the neighbour ---------------------------------------------------------------------------- */

static bool is_told_to_end(void)
{
	char c;
	fd_set set;
	struct timeval none = {0, 0};

	FD_ZERO(&set);
	FD_SET(STDIN_FILENO, &set);
	return select(STDIN_FILENO + 1, &set, NULL, NULL, &none) > 0 &&
	       read(STDIN_FILENO, &c, 1) <= 0;
}

static void open_word(void)
{
	CUresult (*open_handle)(CUdeviceptr *, CUipcMemHandle, unsigned int) = (CUresult(*)(
		CUdeviceptr *, CUipcMemHandle, unsigned int))symbol("cuIpcOpenMemHandle_v2");
	CUipcMemHandle handle;
	CUdeviceptr word;

	if (CHECK(read(STDIN_FILENO, &handle, sizeof(handle)) == (ssize_t)sizeof(handle)))
		MUST(open_handle(&word, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
}

static int neighbour_main(bool opens, bool has_streams)
{
	struct prog prog;
	CUdeviceptr count;
	unsigned int blocks;

	prog_open(&prog);
	blocks = (unsigned int)prog.nr_sms * 8;
	count = prog_words(blocks, 0);
	if (opens)
		open_word();
	if (has_streams)
		use_top_stream(count);
	while (!is_told_to_end()) {
		for (unsigned int us = 0; us < BURST_US; us += BLOCK_NS / 1000)
			launch_count(&prog, NULL, count, blocks, BLOCK_NS);
		MUST(cu.CtxSynchronize());
		(void)usleep(BURST_PAUSE);
	}
	prog_close(&prog);
	return prog_result();
}

static void neighbour_start(struct bench *bench)
{
	char name[] = "/proc/self/exe", main_option[] = "--be-neighbour", opens[] = "--opened",
	     streams[] = "--its-streams";
	char *argv[5] = {name, main_option};
	int argc = 2;
	const char *priority = getenv("GRAPH_GAPS_PRIORITY");
	posix_spawn_file_actions_t actions;
	int down[2] = {-1, -1};

	if (!CHECK(!pipe(down)))
		exit(PROG_FAIL);
	if (bench->setting.is_opened)
		argv[argc++] = opens;
	if (bench->setting.has_its_streams)
		argv[argc++] = streams;
	/* Of the neighbour alone: this process has made its context. */
	if (priority)
		(void)setenv("CUDA_MPS_CLIENT_PRIORITY", priority, 1);
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_adddup2(&actions, down[0], STDIN_FILENO);
	(void)posix_spawn_file_actions_addclose(&actions, down[0]);
	(void)posix_spawn_file_actions_addclose(&actions, down[1]);
	if (!CHECK(!posix_spawn(&bench->neighbour, name, &actions, NULL, argv, environ)))
		exit(PROG_FAIL);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(down[0]);
	bench->to_neighbour = down[1];
}

static void neighbour_stop(struct bench *bench)
{
	int status = -1;

	(void)close(bench->to_neighbour);
	CHECK(waitpid(bench->neighbour, &status, 0) == bench->neighbour && status == 0);
}

/* --- what is measured ------------------------------------------------------------------------- */

static void make_graph(struct bench *bench)
{
	CUgraph graph;

	MUST(cu.StreamBeginCapture(bench->stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
	for (long i = 0; i < bench->setting.kernels; i++)
		launch_count(&bench->prog, bench->stream, bench->count, 1, 0);
	MUST(cu.StreamEndCapture(bench->stream, &graph));
	MUST(cu.GraphInstantiate(&bench->graph, graph, 0));
	MUST(cu.GraphDestroy(graph));
}

static void do_steps(struct bench *bench)
{
	CUresult (*get_handle)(CUipcMemHandle *, CUdeviceptr) =
		(CUresult(*)(CUipcMemHandle *, CUdeviceptr))symbol("cuIpcGetMemHandle");
	CUipcMemHandle handle;

	for (int i = 0; bench->setting.has_streams && i < 2; i++)
		bench->other[i] = use_top_stream(bench->word);
	if (bench->setting.has_export)
		MUST(get_handle(&handle, bench->word));
	if (bench->setting.has_neighbour)
		neighbour_start(bench);
	if (bench->setting.is_opened)
		CHECK(write(bench->to_neighbour, &handle, sizeof(handle)) ==
		      (ssize_t)sizeof(handle));
}

static double sample_us(struct bench *bench)
{
	float ms = 0;

	bench->value++;
	if (bench->setting.when == BEFORE)
		store(bench, bench->other[0]);
	if (bench->setting.when == OWN)
		store(bench, bench->stream);
	MUST(cu.EventRecord(bench->from, bench->stream));
	MUST(cu.GraphLaunch(bench->graph, bench->stream));
	MUST(cu.EventRecord(bench->to, bench->stream));
	if (bench->setting.when == LATE)
		store(bench, bench->other[0]);
	MUST(cu.CtxSynchronize());
	MUST(cu.EventElapsedTime(&ms, bench->from, bench->to));
	(void)usleep(PAUSE_US);
	return (double)ms * 1e3;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void measure(struct bench *bench)
{
	static double us[MAX_SAMPLES];
	const struct setting *setting = &bench->setting;
	size_t n = (size_t)setting->samples;

	for (int i = 0; i < WARM_SAMPLES; i++)
		(void)sample_us(bench);
	for (size_t i = 0; i < n; i++)
		us[i] = sample_us(bench);
	qsort(us, n, sizeof(us[0]), compare);
	printf("streams=%d word=%s export=%d opened=%d neighbour=%d its_streams=%d kernels=%ld "
	       "samples=%zu ns_per_kernel_p10=%.0f ns_per_kernel_p50=%.0f ns_per_kernel_p90=%.0f\n",
	       setting->has_streams, words[setting->when], setting->has_export, setting->is_opened,
	       setting->has_neighbour, setting->has_its_streams, setting->kernels, n,
	       us[n / 10] * 1e3 / (double)setting->kernels,
	       us[n / 2] * 1e3 / (double)setting->kernels,
	       us[n * 9 / 10] * 1e3 / (double)setting->kernels);
}

/* The value of --word; NEVER without it or for another one. */
static enum when when_of(int argc, char **argv)
{
	for (int i = 1; i < argc - 1; i++) {
		if (strcmp(argv[i], "--word") != 0)
			continue;
		for (int w = BEFORE; w <= OWN; w++) {
			if (!strcmp(argv[i + 1], words[w]))
				return (enum when)w;
		}
	}
	return NEVER;
}

static struct setting setting_read(int argc, char **argv)
{
	return (struct setting){
		.has_streams = prog_flag(argc, argv, "--streams"),
		.has_export = prog_flag(argc, argv, "--export"),
		.is_opened = prog_flag(argc, argv, "--opened"),
		.has_neighbour = prog_flag(argc, argv, "--neighbour"),
		.has_its_streams = prog_flag(argc, argv, "--its-streams"),
		.when = when_of(argc, argv),
		.kernels = prog_option(argc, argv, "--kernels", 300),
		.samples = prog_option(argc, argv, "--samples", 300),
	};
}

static bool is_sound(const struct setting *setting)
{
	bool needs_streams = setting->when == BEFORE || setting->when == LATE;

	return setting->kernels > 0 && setting->samples > 0 && setting->samples <= MAX_SAMPLES &&
	       (!needs_streams || setting->has_streams) &&
	       (!setting->is_opened || (setting->has_export && setting->has_neighbour)) &&
	       (!setting->has_its_streams || setting->has_neighbour);
}

int main(int argc, char **argv)
{
	struct bench bench = {.setting = setting_read(argc, argv)};

	if (argc > 1 && !strcmp(argv[1], "--be-neighbour"))
		return neighbour_main(prog_flag(argc, argv, "--opened"),
				      prog_flag(argc, argv, "--its-streams"));
	if (!is_sound(&bench.setting)) {
		fprintf(stderr, "graph_gaps: --word before and late need --streams, --opened needs "
				"--export, it and --its-streams need --neighbour; at most 10000 "
				"samples\n");
		return PROG_FAIL;
	}
	prog_open(&bench.prog);
	bench.stream = top_stream();
	bench.count = prog_words(1, 0);
	bench.word = prog_words(WORD_BYTES / sizeof(uint32_t), 0);
	MUST(cu.EventCreate(&bench.from, CU_EVENT_DEFAULT));
	MUST(cu.EventCreate(&bench.to, CU_EVENT_DEFAULT));
	make_graph(&bench);
	do_steps(&bench);
	measure(&bench);
	CHECK(prog_count_other(bench.count, 1,
			       (uint32_t)((bench.setting.samples + WARM_SAMPLES) *
					  bench.setting.kernels)) == 0);
	CHECK(bench.setting.when == NEVER || prog_count_other(bench.word, 1, bench.value) == 0);
	if (bench.setting.has_neighbour)
		neighbour_stop(&bench);
	prog_close(&bench.prog);
	return prog_result();
}
