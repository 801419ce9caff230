/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of the double: each makes operations for pending.c, which executes them late and in a
 * random order. A graph under capture is a list of effects with bits for what each waits for; a
 * launch makes a node of each, so that branches overlap, and one for the end.
 *
 * Memory that a stream frees is overwritten and kept until the process ends. Tested by
 * checker_test.c.
 */
#include "double.h"

#include <stdlib.h>
#include <string.h>

#include "pending.h"

static struct block *blocks;
static struct CUgraphExec_st *dead_execs;
static char mix_function, many_function;

static CUresult call(CUstream stream, const struct effect *effect)
{
	pending_enter();
	(void)pending_submit(stream, effect);
	return pending_leave();
}

static CUresult call_and_wait(CUstream stream, const struct effect *effect)
{
	uint64_t number;

	pending_enter();
	number = pending_submit(stream, effect);
	pending_run_until(number);
	return pending_leave();
}

/* --- device, memory --------------------------------------------------------------------------- */

static CUresult double_Init(unsigned int flags)
{
	(void)flags;
	return CUDA_SUCCESS;
}

static CUresult double_DeviceGet(CUdevice *device, int ordinal)
{
	*device = ordinal;
	return CUDA_SUCCESS;
}

static CUresult double_DevicePrimaryCtxRetain(CUcontext *context, CUdevice device)
{
	(void)device;
	*context = (CUcontext)&mix_function;
	return CUDA_SUCCESS;
}

static CUresult double_DevicePrimaryCtxRelease(CUdevice device)
{
	(void)device;
	return CUDA_SUCCESS;
}

static CUresult double_CtxSetCurrent(CUcontext context)
{
	(void)context;
	return CUDA_SUCCESS;
}

static CUresult double_CtxSynchronize(void)
{
	pending_enter();
	pending_run_all();
	return pending_leave();
}

static CUresult double_ModuleLoadData(CUmodule *module, const void *image)
{
	(void)image;
	*module = (CUmodule)&mix_function;
	return CUDA_SUCCESS;
}

static CUresult double_ModuleGetFunction(CUfunction *function, CUmodule module, const char *name)
{
	(void)module;
	*function = (CUfunction)(strcmp(name, "ord_mix") ? &many_function : &mix_function);
	return CUDA_SUCCESS;
}

static void *new_block(size_t bytes)
{
	struct block *block = calloc(1, sizeof(*block) + bytes);

	if (!block)
		abort();
	block->next = blocks;
	blocks = block;
	return block->bytes;
}

static CUresult double_MemAlloc(CUdeviceptr *address, size_t bytes)
{
	pending_enter();
	*address = (CUdeviceptr)new_block(bytes);
	return pending_leave();
}

static CUresult double_MemFree(CUdeviceptr address)
{
	(void)address;
	return CUDA_SUCCESS;
}

static CUresult double_MemAllocHost(void **address, size_t bytes)
{
	pending_enter();
	*address = new_block(bytes);
	return pending_leave();
}

static CUresult double_MemFreeHost(void *address)
{
	(void)address;
	return CUDA_SUCCESS;
}

static struct effect set_effect(CUdeviceptr dst, uint32_t value, uint32_t element, size_t n)
{
	return (struct effect){.kind = EFFECT_SET,
			       .dst = (void *)dst,
			       .value = value,
			       .element = element,
			       .bytes = n * element};
}

static CUresult double_MemAllocAsync(CUdeviceptr *address, size_t bytes, CUstream stream)
{
	struct effect effect;

	pending_enter();
	*address = (CUdeviceptr)new_block(bytes);
	effect = set_effect(*address, SCRIBBLE, 1, bytes);
	(void)pending_submit(stream, &effect);
	return pending_leave();
}

static CUresult double_MemFreeAsync(CUdeviceptr address, CUstream stream)
{
	struct effect effect = set_effect(address, SCRIBBLE, 1, REGION_WORDS * 4);

	if (pending_defect == DEFECT_FREE_EARLY)
		pending_run(&effect);
	return call(stream, &effect);
}

/* --- copies and sets -------------------------------------------------------------------------- */

static struct effect copy_effect(CUdeviceptr dst, const void *src, size_t bytes)
{
	return (struct effect){.kind = EFFECT_COPY, .dst = (void *)dst, .src = src, .bytes = bytes};
}

/* Pinned and device memory are the blocks; everything else is pageable. */
static int is_pageable(const void *address)
{
	int found = 0;

	pending_enter();
	for (const struct block *block = blocks; block && !found; block = block->next)
		found = block->bytes == (const unsigned char *)address;
	(void)pending_leave();
	return !found;
}

static CUresult copy_in(CUdeviceptr dst, const void *src, size_t bytes, CUstream stream)
{
	struct effect effect = copy_effect(dst, src, bytes);

	if (is_pageable(src) && pending_defect != DEFECT_SOURCE_LATE) {
		memcpy(effect.staged, src, bytes);
		effect.src = NULL;
	}
	return call(stream, &effect);
}

static CUresult copy_out(void *dst, CUdeviceptr src, size_t bytes, CUstream stream)
{
	struct effect effect = copy_effect((CUdeviceptr)dst, (const void *)src, bytes);

	return is_pageable(dst) ? call_and_wait(stream, &effect) : call(stream, &effect);
}

static CUresult double_MemcpyAsync(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream)
{
	struct effect effect = copy_effect(dst, (const void *)src, bytes);

	return call(stream, &effect);
}

static CUresult double_MemcpyDtoDAsync(CUdeviceptr dst, CUdeviceptr src, size_t bytes,
				       CUstream stream)
{
	return double_MemcpyAsync(dst, src, bytes, stream);
}

static CUresult double_MemcpyHtoD(CUdeviceptr dst, const void *src, size_t bytes)
{
	return copy_in(dst, src, bytes, NULL);
}

static CUresult double_MemcpyHtoDAsync(CUdeviceptr dst, const void *src, size_t bytes,
				       CUstream stream)
{
	return copy_in(dst, src, bytes, stream);
}

static CUresult double_MemcpyDtoH(void *dst, CUdeviceptr src, size_t bytes)
{
	return copy_out(dst, src, bytes, NULL);
}

static CUresult double_MemcpyDtoHAsync(void *dst, CUdeviceptr src, size_t bytes, CUstream stream)
{
	return copy_out(dst, src, bytes, stream);
}

static CUresult double_MemsetD32Async(CUdeviceptr dst, unsigned int value, size_t n,
				      CUstream stream)
{
	struct effect effect = set_effect(dst, value, 4, n);

	return call(stream, &effect);
}

static CUresult double_MemsetD32(CUdeviceptr dst, unsigned int value, size_t n)
{
	return double_MemsetD32Async(dst, value, n, NULL);
}

static CUresult double_MemsetD8Async(CUdeviceptr dst, unsigned char value, size_t n,
				     CUstream stream)
{
	struct effect effect = set_effect(dst, value, 1, n);

	return call(stream, &effect);
}

static CUresult double_MemsetD2D32Async(CUdeviceptr dst, size_t pitch, unsigned int value,
					size_t width, size_t height, CUstream stream)
{
	(void)pitch;
	return double_MemsetD32Async(dst, value, width * height, stream);
}

/* --- kernels ---------------------------------------------------------------------------------- */

static void mix_from_params(struct mix_args *args, void **params)
{
	memcpy(&args->dst, params[0], 8);
	memcpy(&args->src, params[1], 8);
	memcpy(&args->a, params[2], 4);
	memcpy(&args->b, params[3], 4);
}

/* The programs' arguments lie as in the parameter bank, whose start is the first of them. */
static CUresult launch(CUfunction function, CUstream stream, void **params, void **extra)
{
	int is_mix = (char *)function == &mix_function;
	const void *bank = extra ? extra[1] : params[0];
	struct effect effect = {.kind = is_mix ? EFFECT_MIX : EFFECT_MANY};

	if (pending_defect == DEFECT_ARGS_LATE)
		effect.src = bank;
	if (is_mix && !extra)
		mix_from_params(&effect.mix, params);
	else if (is_mix)
		memcpy(&effect.mix, bank, sizeof(effect.mix));
	else
		memcpy(&effect.many, bank, sizeof(effect.many));
	return call(stream, &effect);
}

/* The driver's own signature. NOLINTNEXTLINE(readability-function-size) */
static CUresult double_LaunchKernel(CUfunction function, unsigned int gx, unsigned int gy,
				    unsigned int gz, unsigned int bx, unsigned int by,
				    unsigned int bz, unsigned int shared, CUstream stream,
				    void **params, void **extra)
{
	(void)(gx + gy + gz + bx + by + bz + shared);
	return launch(function, stream, params, extra);
}

static CUresult double_LaunchKernelEx(const CUlaunchConfig *config, CUfunction function,
				      void **params, void **extra)
{
	return launch(function, config->hStream, params, extra);
}

static CUresult double_LaunchHostFunc(CUstream stream, CUhostFn function, void *user)
{
	struct effect effect = {.kind = EFFECT_HOST, .host = function, .user = user};

	if (pending_defect == DEFECT_HOST_EARLY) {
		pending_run(&effect);
		effect.host = NULL;
	}
	return call(stream, &effect);
}

static CUresult double_StreamAddCallback(CUstream stream, CUstreamCallback function, void *user,
					 unsigned int flags)
{
	struct effect effect = {.kind = EFFECT_HOST, .callback = function, .user = user};

	(void)flags;
	return call(stream, &effect);
}

static CUresult double_StreamWriteValue32(CUstream stream, CUdeviceptr address, cuuint32_t value,
					  unsigned int flags)
{
	struct effect effect = {.kind = EFFECT_WORD, .dst = (void *)address, .value = value};

	(void)flags;
	return call(stream, &effect);
}

static CUresult double_StreamWaitValue32(CUstream stream, CUdeviceptr address, cuuint32_t value,
					 unsigned int flags)
{
	struct effect effect = {.kind = EFFECT_GATE, .dst = (void *)address, .value = value};

	(void)flags;
	return call(stream, &effect);
}

/* --- streams and events ----------------------------------------------------------------------- */

static CUresult double_StreamCreate(CUstream *handle, unsigned int flags)
{
	struct CUstream_st *stream = calloc(1, sizeof(*stream));

	if (!stream)
		abort();
	pending_enter();
	stream->is_blocking = !(flags & CU_STREAM_NON_BLOCKING);
	stream->next = pending_null_stream.next;
	pending_null_stream.next = stream;
	*handle = stream;
	return pending_leave();
}

static CUresult double_StreamDestroy(CUstream stream)
{
	struct CUstream_st *before = &pending_null_stream;

	pending_enter();
	while (before->next != stream)
		before = before->next;
	before->next = stream->next;
	if (pending_defect == DEFECT_DESTROY_DROPS)
		pending_drop(stream);
	free(stream);
	return pending_leave();
}

/* The NULL stream's wait covers what its next operation would wait for. */
static CUresult double_StreamSynchronize(CUstream stream)
{
	pending_enter();
	if (pending_defect != DEFECT_STREAM_SYNC_EARLY)
		pending_run_until(pending_stream(stream)->last);
	return pending_leave();
}

static CUresult answer(uint64_t number)
{
	int done;

	pending_enter();
	done = pending_is_done(number);
	if (pending_defect == DEFECT_NEVER_DONE && number && pending_random(2))
		done = 0;
	(void)pending_leave();
	return done || pending_defect == DEFECT_QUERY_EARLY ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

/* Whoever polls must see progress. */
static CUresult answer_with_progress(uint64_t number)
{
	pending_enter();
	(void)pending_run_one();
	(void)pending_leave();
	return answer(number);
}

static CUresult double_StreamQuery(CUstream stream)
{
	return answer(pending_stream(stream)->last);
}

static CUresult double_EventCreate(CUevent *handle, unsigned int flags)
{
	(void)flags;
	*handle = calloc(1, sizeof(**handle));
	return *handle ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult double_EventDestroy(CUevent event)
{
	free(event);
	return CUDA_SUCCESS;
}

static CUresult double_EventRecord(CUevent event, CUstream handle)
{
	struct CUstream_st *stream = pending_stream(handle);

	pending_enter();
	event->capture = stream->capture;
	event->tips = stream->tips;
	if (!stream->capture) {
		uint64_t number = pending_submit(handle, &(struct effect){.kind = EFFECT_NONE});
		if (pending_defect != DEFECT_STALE_RECORD || !event->record)
			event->record = number;
	}
	return pending_leave();
}

static CUresult double_StreamWaitEvent(CUstream handle, CUevent event, unsigned int flags)
{
	struct CUstream_st *stream = pending_stream(handle);
	struct pending *node;

	(void)flags;
	pending_enter();
	if (event->capture) {
		stream->capture = event->capture;
		stream->tips |= event->tips;
		return pending_leave();
	}
	/* No work in the sense of the NULL stream's rule. */
	node = pending_new(&(struct effect){.kind = EFFECT_NONE}, stream);
	pending_add_dep(node, stream->last);
	if (pending_defect != DEFECT_WAIT_IGNORED)
		pending_add_dep(node, event->record);
	stream->last = pending_newest();
	return pending_leave();
}

static CUresult double_EventQuery(CUevent event)
{
	return answer_with_progress(event->record);
}

static CUresult double_EventSynchronize(CUevent event)
{
	pending_enter();
	if (pending_defect != DEFECT_SYNC_EARLY)
		pending_run_until(event->record);
	return pending_leave();
}

/* --- graphs ----------------------------------------------------------------------------------- */

static CUresult double_StreamBeginCapture(CUstream stream, CUstreamCaptureMode mode)
{
	(void)mode;
	pending_enter();
	stream->capture = calloc(1, sizeof(*stream->capture));
	stream->tips = 0;
	return pending_leave();
}

static CUresult double_StreamEndCapture(CUstream stream, CUgraph *graph)
{
	pending_enter();
	*graph = stream->capture;
	(*graph)->tips = stream->tips;
	for (struct CUstream_st *s = pending_null_stream.next; s; s = s->next) {
		if (s->capture == *graph) {
			s->capture = NULL;
			s->tips = 0;
		}
	}
	return pending_leave();
}

static CUresult double_GraphInstantiate(CUgraphExec *handle, CUgraph graph,
					unsigned long long flags)
{
	struct CUgraphExec_st *exec = calloc(1, sizeof(*exec));

	(void)flags;
	if (!exec)
		return CUDA_ERROR_OUT_OF_MEMORY;
	exec->graph = *graph;
	*handle = exec;
	return CUDA_SUCCESS;
}

static CUresult double_GraphDestroy(CUgraph graph)
{
	free(graph);
	return CUDA_SUCCESS;
}

static void launch_node(const struct CUgraphExec_st *exec, uint32_t i,
			const struct CUstream_st *stream, uint64_t first)
{
	const struct graph_node *from = &exec->graph.node[i];
	struct pending *node = pending_new(&from->effect, NULL);

	if (pending_defect == DEFECT_UPDATE_LATE)
		node->late = &from->effect;
	pending_add_stream(node, stream);
	for (uint32_t d = 0; d < i; d++) {
		if (from->deps >> d & 1)
			pending_add_dep(node, first + d);
	}
}

static CUresult double_GraphLaunch(CUgraphExec exec, CUstream handle)
{
	struct CUstream_st *stream = pending_stream(handle);
	uint32_t n = exec->graph.nr_nodes;
	struct pending *end;
	uint64_t first;

	pending_enter();
	first = pending_newest() + 1;
	for (uint32_t i = 0; i < n; i++)
		launch_node(exec, i, stream, first);
	end = pending_new(&(struct effect){.kind = EFFECT_NONE}, NULL);
	pending_add_stream(end, stream);
	for (uint32_t i = 0; i < n; i++) {
		if (pending_defect != DEFECT_JOIN_LOST || i == 0)
			pending_add_dep(end, first + i);
	}
	stream->last = pending_newest();
	return pending_leave();
}

static CUresult double_GraphExecUpdate(CUgraphExec exec, CUgraph graph,
				       CUgraphExecUpdateResultInfo *info)
{
	pending_enter();
	memset(info, 0, sizeof(*info));
	exec->graph = *graph;
	return pending_leave();
}

/* Launches that were not copied may still look at it. */
static CUresult double_GraphExecDestroy(CUgraphExec exec)
{
	pending_enter();
	exec->next = dead_execs;
	dead_execs = exec;
	return pending_leave();
}

void double_install(enum double_defect which, uint64_t seed)
{
	pending_seed(which, seed);
	api = (struct order_api){
#define API(member, name) .member = double_##member,
#include "api.def"
#undef API
	};
}
