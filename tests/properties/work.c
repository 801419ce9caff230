/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests whose result says whether every launch was made once, whole, and in its order.
 *
 * Each step multiplies and adds, with numbers of its own, so two steps in the wrong order, a block
 * that did not run, ran twice or ran early give other words. What must come of it is computed here,
 * at the launch; the first words are compared at every request, all of them at the end. Two streams
 * that take turns by events try the order between streams.
 */
#include "work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char prop_ptx[];

static const char *number(const char *text, unsigned int *ret_number)
{
	char *end = NULL;

	*ret_number = (unsigned int)strtoul(text, &end, 10);
	return end == text ? NULL : end;
}

static const char *read_step(struct step *step, const char *text)
{
	unsigned int us = 0;
	char kind = *text++;

	if (kind == 'c')
		text = number(text, &step->cluster);
	step->is_gang = kind == 'g';
	if (!strchr("kcg", kind) || !text || *text++ != ':')
		return NULL;
	text = number(text, &step->nr_blocks);
	if (!text || *text++ != ':')
		return NULL;
	text = number(text, &us);
	step->ns = us * 1000;
	return text;
}

bool work_read_steps(struct work *work, const char *text)
{
	while (text && *text && work->nr_steps < WORK_MAX_STEPS) {
		struct step *step = &work->step[work->nr_steps++];

		text = read_step(step, text);
		step->a = 2 * work->nr_steps + 1;
		step->b = 7919 * work->nr_steps;
		if (text && *text == ',')
			text++;
	}
	return text && !*text && work->nr_steps;
}

/* --- launches --------------------------------------------------------------------------------- */

static CUlaunchConfig config_of(const struct work *work, const struct step *step, CUstream stream,
				CUlaunchAttribute *attribute)
{
	CUlaunchConfig config = {.gridDimX = step->nr_blocks,
				 .gridDimY = 1,
				 .gridDimZ = 1,
				 .blockDimX = WORK_THREADS,
				 .blockDimY = 1,
				 .blockDimZ = 1,
				 .sharedMemBytes = work->shared_bytes,
				 .hStream = stream};

	if (!step->cluster)
		return config;
	*attribute = (CUlaunchAttribute){.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
					 .value.clusterDim = {step->cluster, 1, 1}};
	config.attrs = attribute;
	config.numAttrs = 1;
	return config;
}

static CUresult launch_gang(const struct work *work, CUfunction func, unsigned int nr_blocks,
			    uint64_t ns, CUstream stream)
{
	CUdeviceptr meet = work->meet;
	void *params[] = {&meet, &ns};

	return cu.LaunchCooperativeKernel(func, nr_blocks, 1, 1, WORK_THREADS, 1, 1,
					  work->shared_bytes, stream, params);
}

static void launch_step(const struct work *work, const struct step *step, CUstream stream)
{
	struct step s = *step;
	CUdeviceptr words = work->words;
	void *params[] = {&words, &s.a, &s.b, &s.ns};
	CUlaunchAttribute attribute;
	CUlaunchConfig config;

	if (s.is_gang) {
		MUST(launch_gang(work, work->prog.barrier, s.nr_blocks, s.ns, stream));
		return;
	}
	if (!s.cluster) {
		MUST(cu.LaunchKernel(work->mix, s.nr_blocks, 1, 1, WORK_THREADS, 1, 1,
				     work->shared_bytes, stream, params, NULL));
		return;
	}
	config = config_of(work, &s, stream, &attribute);
	MUST(cu.LaunchKernelEx(&config, work->mix, params, NULL));
}

/* In turns; each waits for the one before it. The last is followed by the first stream. */
static void launch_steps(const struct work *work)
{
	for (unsigned int i = 0; i < work->nr_steps; i++) {
		CUstream stream = work->stream[work->two_streams ? i % 2 : 0];
		CUstream next =
			work->stream[work->two_streams && i + 1 < work->nr_steps ? (i + 1) % 2 : 0];
		launch_step(work, &work->step[i], stream);
		if (next == stream)
			continue;
		MUST(cu.EventRecord(work->between, stream));
		MUST(cu.StreamWaitEvent(next, work->between, 0));
	}
}

/* What the words are after the steps. */
static void expect_steps(struct work *work)
{
	for (unsigned int i = 0; i < work->nr_steps; i++) {
		const struct step *step = &work->step[i];

		if (step->is_gang) {
			work->nr_met += step->nr_blocks;
			continue;
		}
		for (uint32_t k = 0; k < step->nr_blocks * WORK_THREADS; k++)
			work->expected[k] = work->expected[k] * step->a + step->b + k;
	}
}

void work_launch(struct work *work, struct slot *slot)
{
	if (work->is_graph)
		MUST(cu.GraphLaunch(work->exec, work->stream[0]));
	else
		launch_steps(work);
	MUST(cu.MemcpyDtoHAsync(slot->sample, work->words, sizeof(slot->expected),
				work->stream[0]));
	MUST(cu.EventRecord(slot->done, work->stream[0]));
	expect_steps(work);
	memcpy(slot->expected, work->expected, sizeof(slot->expected));
}

void work_wait(struct work *work, struct slot *slot)
{
	(void)work;
	MUST(cu.EventSynchronize(slot->done));
	CHECK(!memcmp(slot->sample, slot->expected, sizeof(slot->expected)));
}

void work_mistakes(struct work *work)
{
	uint32_t zero = 0;
	void *params[] = {&work->words, &zero, &zero, &zero};
	unsigned int too_many = (unsigned int)work->prog.nr_sms * 64;

	CHECK(cu.LaunchKernel(work->mix, 1, 1, 1, 2048, 1, 1, 0, work->stream[0], params, NULL) ==
	      CUDA_ERROR_INVALID_VALUE);
	CHECK(launch_gang(work, work->prog.barrier, too_many, 0, work->stream[0]) ==
	      CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
}

/* --- before and after ------------------------------------------------------------------------- */

static void open_kernels(struct work *work)
{
	CUmodule module;

	MUST(cu.ModuleLoadData(&module, prop_ptx));
	MUST(cu.ModuleGetFunction(&work->mix, module, "prop_mix"));
	if (!work->shared_bytes)
		return;
	MUST(cu.FuncSetAttribute(work->mix, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
				 (int)work->shared_bytes));
	MUST(cu.FuncSetAttribute(work->prog.barrier,
				 CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
				 (int)work->shared_bytes));
}

/* As programs do: no more blocks than fit the SMs that they are told of behind the context. */
static void fit_gangs(struct work *work)
{
	int per_sm = 0;

	MUST(cu.DeviceGetAttribute(&work->prog.nr_sms, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT,
				   work->prog.device));
	MUST(cu.OccupancyMaxBlocks(&per_sm, work->prog.barrier, WORK_THREADS, work->shared_bytes));
	for (unsigned int i = 0; i < work->nr_steps; i++) {
		unsigned int most = (unsigned int)(per_sm * work->prog.nr_sms);

		if (work->step[i].is_gang && work->step[i].nr_blocks > most)
			work->step[i].nr_blocks = most;
	}
}

static void open_memory(struct work *work)
{
	unsigned int most = 1;

	for (unsigned int i = 0; i < work->nr_steps; i++) {
		if (work->step[i].nr_blocks > most)
			most = work->step[i].nr_blocks;
	}
	work->nr_words = most * WORK_THREADS;
	work->words = prog_words(work->nr_words, 1);
	work->meet = prog_words(1, 0);
	work->expected = calloc(work->nr_words, sizeof(*work->expected));
	if (!work->expected)
		exit(PROG_FAIL);
	for (uint32_t i = 0; i < work->nr_words; i++)
		work->expected[i] = 1;
}

static void open_graph(struct work *work)
{
	CUgraph graph;

	MUST(cu.StreamBeginCapture(work->stream[0], CU_STREAM_CAPTURE_MODE_RELAXED));
	launch_steps(work);
	MUST(cu.StreamEndCapture(work->stream[0], &graph));
	MUST(cu.GraphInstantiate(&work->exec, graph, 0));
	MUST(cu.GraphDestroy(graph));
}

void work_open(struct work *work)
{
	prog_open(&work->prog);
	open_kernels(work);
	fit_gangs(work);
	open_memory(work);
	for (int i = 0; i < 2; i++)
		MUST(cu.StreamCreate(&work->stream[i], CU_STREAM_NON_BLOCKING));
	MUST(cu.EventCreate(&work->between, CU_EVENT_DISABLE_TIMING));
	for (int i = 0; i < WORK_MAX_DEPTH; i++) {
		void *page;

		MUST(cu.EventCreate(&work->slot[i].done, CU_EVENT_DISABLE_TIMING));
		MUST(cu.MemAllocHost(&page, WORK_SAMPLE * sizeof(uint32_t)));
		work->slot[i].sample = page;
	}
	if (work->is_graph)
		open_graph(work);
}

void work_check(struct work *work)
{
	uint32_t *found = prog_read(work->words, work->nr_words);
	uint32_t *met = prog_read(work->meet, 1);

	CHECK(!memcmp(found, work->expected, work->nr_words * sizeof(*found)));
	CHECK(*met == work->nr_met);
	free(found);
	free(met);
}
