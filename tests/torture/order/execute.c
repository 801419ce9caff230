/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the calls of a program.
 *
 * Whatever a call may read only until it returns (kernel arguments, pageable sources) is changed
 * right after it, in memory that stays: a driver that reads late computes something else. Host
 * functions say that they ran, so that an answer of a query or a wait that came too early is seen
 * at once, not only in the memory it may have spoiled.
 *
 * It does badly at nothing but hangs: the caller sets an alarm.
 */
#include "execute.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	BLOCK = 16,
	GRID = (REGION_WORDS + BLOCK - 1) / BLOCK,
	REGION_BYTES = REGION_WORDS * 4
};

/* Laid out as the kernels' parameters. */
struct mix_args {
	CUdeviceptr dst, src;
	uint32_t a, b, n, ns;
};

struct many_args {
	CUdeviceptr dst;
	uint32_t value[24];
	uint32_t n, ns;
};

union step_memory {
	struct mix_args mix[MAX_NODES];
	struct many_args many;
	uint32_t pageable[REGION_WORDS];
};

struct run;

struct host_call {
	struct run *run;
	uint32_t step;
};

struct run {
	const struct machine *machine;
	const struct program *program;
	struct outcome *outcome;
	CUstream stream[MAX_STREAMS];
	CUevent event[MAX_EVENTS];
	CUgraphExec exec[MAX_EXECS];
	CUdeviceptr async[NR_ASYNC];
	sem_t post[MAX_STEPS];
	atomic_uchar host_ran[MAX_STEPS];
	struct host_call host_call[MAX_STEPS];
	union step_memory memory[MAX_STEPS];
	atomic_uint nr_wrong;
	int loud;
	pthread_barrier_t start;
};

struct worker {
	struct run *run;
	uint32_t thread;
};

static void fail(CUresult result, const char *what, const struct run *run, uint32_t step)
{
	fprintf(stderr, "order_check: %s = %d", what, (int)result);
	if (run) {
		char text[256];

		op_print(&run->program->op[step], step, text, sizeof(text));
		fprintf(stderr, " seed=%llu %s", (unsigned long long)run->program->seed, text);
	}
	fputc('\n', stderr);
	_Exit(1);
}

static void must_in(CUresult result, const char *what, const struct run *run, uint32_t step)
{
	if (result != CUDA_SUCCESS)
		fail(result, what, run, step);
}

#define MUST(call)    must_in(call, #call, NULL, 0)
#define MUST_IN(call) must_in(call, #call, run, step)

int machine_open(struct machine *machine)
{
	CUmodule module;
	CUresult r = api.Init(0);

	if (r == CUDA_ERROR_NO_DEVICE || r == CUDA_ERROR_STUB_LIBRARY)
		return 77;
	must_in(r, "cuInit", NULL, 0);
	MUST(api.DeviceGet(&machine->device, 0));
	MUST(api.DevicePrimaryCtxRetain(&machine->context, machine->device));
	MUST(api.CtxSetCurrent(machine->context));
	MUST(api.ModuleLoadData(&module, order_ptx));
	MUST(api.ModuleGetFunction(&machine->mix, module, "ord_mix"));
	MUST(api.ModuleGetFunction(&machine->many, module, "ord_many"));
	for (int i = 0; i < NR_DEVICE; i++)
		MUST(api.MemAlloc(&machine->region[i], REGION_BYTES));
	for (int i = 0; i < NR_PINNED; i++)
		MUST(api.MemAllocHost((void **)&machine->pinned[i], REGION_BYTES));
	MUST(api.MemAllocHost((void **)&machine->gate, MAX_GATES * sizeof(uint32_t)));
	return 0;
}

void machine_close(struct machine *machine)
{
	for (int i = 0; i < NR_DEVICE; i++)
		MUST(api.MemFree(machine->region[i]));
	for (int i = 0; i < NR_PINNED; i++)
		MUST(api.MemFreeHost(machine->pinned[i]));
	MUST(api.MemFreeHost(machine->gate));
	MUST(api.CtxSetCurrent(NULL));
	MUST(api.DevicePrimaryCtxRelease(machine->device));
}

static CUdeviceptr address_of(const struct run *run, uint32_t region)
{
	if (region >= FIRST_PINNED)
		return (CUdeviceptr)run->machine->pinned[region - FIRST_PINNED];
	if (region >= FIRST_ASYNC)
		return run->async[region - FIRST_ASYNC];
	return run->machine->region[region];
}

/* --- kernels ---------------------------------------------------------------------------------- */

struct kernel {
	CUfunction function;
	CUstream stream;
	void *args; /* as the parameter bank has them */
	size_t bytes;
	void **params;
	uint32_t variant;
};

static CUresult launch_from_buffer(const struct kernel *k)
{
	void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, k->args, CU_LAUNCH_PARAM_BUFFER_SIZE,
			 (void *)(uintptr_t)&k->bytes, CU_LAUNCH_PARAM_END};

	return api.LaunchKernel(k->function, GRID, 1, 1, BLOCK, 1, 1, 0, k->stream, NULL, extra);
}

static CUresult launch_by_config(const struct kernel *k)
{
	CUlaunchConfig config = {.gridDimX = GRID,
				 .gridDimY = 1,
				 .gridDimZ = 1,
				 .blockDimX = BLOCK,
				 .blockDimY = 1,
				 .blockDimZ = 1,
				 .hStream = k->stream};

	return api.LaunchKernelEx(&config, k->function, k->params, NULL);
}

static CUresult launch(const struct kernel *k)
{
	if (k->variant == 1)
		return launch_from_buffer(k);
	if (k->variant == 2)
		return launch_by_config(k);
	return api.LaunchKernel(k->function, GRID, 1, 1, BLOCK, 1, 1, 0, k->stream, k->params,
				NULL);
}

static void launch_mix(struct run *run, const struct op *op, uint32_t step)
{
	struct mix_args *args = &run->memory[step].mix[0];
	void *params[] = {&args->dst, &args->src, &args->a, &args->b, &args->n, &args->ns};
	struct kernel k = {.function = run->machine->mix,
			   .stream = run->stream[op->stream],
			   .args = args,
			   .bytes = sizeof(*args),
			   .params = params,
			   .variant = op->variant};

	*args = (struct mix_args){.dst = address_of(run, op->dst),
				  .src = address_of(run, op->src),
				  .a = op->a,
				  .b = op->b,
				  .n = REGION_WORDS,
				  .ns = op->spin_ns};
	MUST_IN(launch(&k));
	args->a = ~op->a;
	args->b = 0;
}

static void launch_many(struct run *run, const struct op *op, uint32_t step)
{
	struct many_args *args = &run->memory[step].many;
	void *params[] = {&args->dst, args->value, &args->n, &args->ns};
	struct kernel k = {.function = run->machine->many,
			   .stream = run->stream[op->stream],
			   .args = args,
			   .bytes = sizeof(*args),
			   .params = params,
			   .variant = op->variant};

	*args = (struct many_args){
		.dst = address_of(run, op->dst), .n = REGION_WORDS, .ns = op->spin_ns};
	region_many_values(args->value, op->a);
	MUST_IN(launch(&k));
	memset(args->value, 0x5a, sizeof(args->value));
}

/* --- copies and sets -------------------------------------------------------------------------- */

static CUresult set_async(CUdeviceptr dst, const struct op *op, CUstream stream)
{
	if (op->kind == OP_SET && op->variant == 1)
		return api.MemsetD8Async(dst, (unsigned char)op->a, REGION_BYTES, stream);
	if (op->kind == OP_SET && op->variant == 2)
		return api.MemsetD2D32Async(dst, REGION_BYTES, op->a, REGION_WORDS, 1, stream);
	return api.MemsetD32Async(dst, op->a, REGION_WORDS, stream);
}

static CUresult copy_async(const struct run *run, const struct op *op)
{
	CUdeviceptr dst = address_of(run, op->dst), src = address_of(run, op->src);
	CUstream stream = run->stream[op->stream];

	if (op->variant == 1)
		return api.MemcpyAsync(dst, src, REGION_BYTES, stream);
	if (op->kind == OP_COPY_HD)
		return api.MemcpyHtoDAsync(dst, (const void *)src, REGION_BYTES, stream);
	if (op->kind == OP_COPY_DH)
		return api.MemcpyDtoHAsync((void *)dst, src, REGION_BYTES, stream);
	return api.MemcpyDtoDAsync(dst, src, REGION_BYTES, stream);
}

static void copy_from_pageable(struct run *run, const struct op *op, uint32_t step)
{
	uint32_t *source = run->memory[step].pageable;
	CUdeviceptr dst = address_of(run, op->dst);

	for (int i = 0; i < REGION_WORDS; i++)
		source[i] = op->a;
	if (op->kind == OP_COPY_SYNC_HD)
		MUST_IN(api.MemcpyHtoD(dst, source, REGION_BYTES));
	else
		MUST_IN(api.MemcpyHtoDAsync(dst, source, REGION_BYTES, run->stream[op->stream]));
	memset(source, 0x5a, REGION_BYTES);
}

static void copy_to_pageable(struct run *run, const struct op *op, uint32_t step)
{
	uint32_t *target = run->memory[step].pageable;
	CUdeviceptr src = address_of(run, op->src);

	if (op->kind == OP_COPY_SYNC_DH)
		MUST_IN(api.MemcpyDtoH(target, src, REGION_BYTES));
	else
		MUST_IN(api.MemcpyDtoHAsync(target, src, REGION_BYTES, run->stream[op->stream]));
	run->outcome->read[step] = region_hash(target);
}

static void allocate(struct run *run, const struct op *op, uint32_t step)
{
	CUstream stream = run->stream[op->stream];
	CUdeviceptr *at = &run->async[op->dst - FIRST_ASYNC];

	MUST_IN(api.MemAllocAsync(at, REGION_BYTES, stream));
	MUST_IN(set_async(*at, op, stream));
}

/* --- host functions and words ----------------------------------------------------------------- */

static void CUDA_CB host_function(void *user)
{
	const struct host_call *call = user;
	struct run *run = call->run;
	const struct op *op = &run->program->op[call->step];
	uint32_t *dst = run->machine->pinned[op->dst - FIRST_PINNED];

	region_mix(dst, dst, op->a, op->b);
	atomic_store_explicit(&run->host_ran[call->step], 1, memory_order_release);
}

static void CUDA_CB host_callback(CUstream stream, CUresult status, void *user)
{
	(void)stream;
	(void)status;
	host_function(user);
}

static void call_host(struct run *run, const struct op *op, uint32_t step)
{
	struct host_call *call = &run->host_call[step];

	*call = (struct host_call){run, step};
	if (op->variant == 1)
		MUST_IN(api.StreamAddCallback(run->stream[op->stream], host_callback, call, 0));
	else
		MUST_IN(api.LaunchHostFunc(run->stream[op->stream], host_function, call));
}

static void touch_on_host(struct run *run, const struct op *op, uint32_t step)
{
	if (op->kind == OP_HOST_READ) {
		run->outcome->read[step] =
			region_hash(run->machine->pinned[op->src - FIRST_PINNED]);
	} else {
		uint32_t *dst = run->machine->pinned[op->dst - FIRST_PINNED];

		region_mix(dst, dst, op->a, op->b);
	}
}

static void gate(struct run *run, const struct op *op, uint32_t step)
{
	uint32_t *word = &run->machine->gate[op->slot];

	if (op->kind == OP_OPEN)
		__atomic_store_n(word, 1, __ATOMIC_RELEASE);
	else
		MUST_IN(api.StreamWaitValue32(run->stream[op->stream], (CUdeviceptr)word, 1,
					      CU_STREAM_WAIT_VALUE_GEQ));
}

/* --- what waits and asks ---------------------------------------------------------------------- */

static void wrong(struct run *run, uint32_t step, const char *what)
{
	char text[256];

	op_print(&run->program->op[step], step, text, sizeof(text));
	if (!atomic_fetch_add_explicit(&run->nr_wrong, 1, memory_order_relaxed) && run->loud)
		fprintf(stderr, "seed=%llu %s: %s\n", (unsigned long long)run->program->seed, what,
			text);
}

/* The driver says that all under `cover` is complete: then the host functions there have run. */
static void check_complete(struct run *run, const struct clock *cover, uint32_t step)
{
	for (uint32_t i = 0; i < step; i++) {
		const struct op *op = &run->program->op[i];

		if (op->kind == OP_HOST && op->place <= cover->at[MAX_THREADS + op->stream] &&
		    !atomic_load_explicit(&run->host_ran[i], memory_order_acquire)) {
			wrong(run, step, "said to be complete too early");
			return;
		}
	}
}

static void query(struct run *run, const struct op *op, uint32_t step)
{
	int is_event = op->kind == OP_EVENT_QUERY;
	CUresult r = is_event ? api.EventQuery(run->event[op->slot])
			      : api.StreamQuery(run->stream[op->stream]);

	if (r == CUDA_SUCCESS)
		check_complete(run, &op->cover, step);
	else if (r != CUDA_ERROR_NOT_READY)
		fail(r, is_event ? "cuEventQuery" : "cuStreamQuery", run, step);
	else if (op->must_be_done)
		wrong(run, step, "said to be incomplete although it is");
}

static void poll_event(struct run *run, const struct op *op, uint32_t step)
{
	CUresult r;

	while ((r = api.EventQuery(run->event[op->slot])) == CUDA_ERROR_NOT_READY)
		(void)sched_yield();
	must_in(r, "cuEventQuery", run, step);
	check_complete(run, &op->cover, step);
}

static void synchronize(struct run *run, const struct op *op, uint32_t step)
{
	if (op->kind == OP_STREAM_SYNC)
		MUST_IN(api.StreamSynchronize(run->stream[op->stream]));
	else
		MUST_IN(api.EventSynchronize(run->event[op->slot]));
	check_complete(run, &op->cover, step);
}

/* --- handles ---------------------------------------------------------------------------------- */

static CUresult new_stream(struct run *run, uint32_t stream)
{
	return api.StreamCreate(&run->stream[stream], run->program->is_blocking[stream]
							      ? CU_STREAM_DEFAULT
							      : CU_STREAM_NON_BLOCKING);
}

static void new_event(struct run *run, const struct op *op, uint32_t step)
{
	MUST_IN(api.EventDestroy(run->event[op->slot]));
	MUST_IN(api.EventCreate(&run->event[op->slot], CU_EVENT_DISABLE_TIMING));
}

static void destroy_stream(struct run *run, const struct op *op, uint32_t step)
{
	MUST_IN(api.StreamDestroy(run->stream[op->stream]));
	run->stream[op->stream] = NULL;
}

/* --- graphs ----------------------------------------------------------------------------------- */

static void capture_node(struct run *run, const struct op *op, uint32_t step, uint32_t i)
{
	const struct node *node = &op->body.node[i];
	CUstream stream = run->stream[node->is_forked ? op->stream_too : op->stream];
	CUdeviceptr dst = address_of(run, node->dst), src = address_of(run, node->src);
	struct mix_args *args = &run->memory[step].mix[i];
	void *params[] = {&args->dst, &args->src, &args->a, &args->b, &args->n, &args->ns};
	struct kernel k = {run->machine->mix, stream, args, sizeof(*args), params, i % 3};

	if (node->kind == OP_SET) {
		MUST_IN(api.MemsetD32Async(dst, node->a, REGION_WORDS, stream));
	} else if (node->kind == OP_COPY_DD) {
		MUST_IN(api.MemcpyDtoDAsync(dst, src, REGION_BYTES, stream));
	} else {
		*args = (struct mix_args){dst, src, node->a, node->b, REGION_WORDS, 0};
		MUST_IN(launch(&k));
		args->a = ~node->a;
	}
}

static int has_fork(const struct body *body)
{
	for (uint32_t i = 0; i < body->nr_nodes; i++) {
		if (body->node[i].is_forked)
			return 1;
	}
	return 0;
}

/* In the list's order; the forked stream joins before the first node and is joined at the end. */
static CUgraph capture(struct run *run, const struct op *op, uint32_t step)
{
	CUstream first = run->stream[op->stream], second = run->stream[op->stream_too];
	int forks = has_fork(&op->body);
	CUevent event;
	CUgraph graph;

	MUST_IN(api.EventCreate(&event, CU_EVENT_DISABLE_TIMING));
	MUST_IN(api.StreamBeginCapture(first, op->variant ? CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
							  : CU_STREAM_CAPTURE_MODE_RELAXED));
	if (forks) {
		MUST_IN(api.EventRecord(event, first));
		MUST_IN(api.StreamWaitEvent(second, event, 0));
	}
	for (uint32_t i = 0; i < op->body.nr_nodes; i++)
		capture_node(run, op, step, i);
	if (forks) {
		MUST_IN(api.EventRecord(event, second));
		MUST_IN(api.StreamWaitEvent(first, event, 0));
	}
	MUST_IN(api.StreamEndCapture(first, &graph));
	MUST_IN(api.EventDestroy(event));
	return graph;
}

static void make_exec(struct run *run, const struct op *op, uint32_t step)
{
	CUgraph graph = capture(run, op, step);
	CUgraphExecUpdateResultInfo info;

	if (op->kind == OP_CAPTURE)
		MUST_IN(api.GraphInstantiate(&run->exec[op->slot], graph, 0));
	else
		MUST_IN(api.GraphExecUpdate(run->exec[op->slot], graph, &info));
	MUST_IN(api.GraphDestroy(graph));
}

static void destroy_exec(struct run *run, const struct op *op, uint32_t step)
{
	MUST_IN(api.GraphExecDestroy(run->exec[op->slot]));
	run->exec[op->slot] = NULL;
}

/* --- dispatch --------------------------------------------------------------------------------- */

static void do_memory(struct run *run, const struct op *op, uint32_t step)
{
	switch (op->kind) {
	case OP_COPY_DD:
	case OP_COPY_HD:
	case OP_COPY_DH:
		return MUST_IN(copy_async(run, op));
	case OP_COPY_PAGEABLE_HD:
	case OP_COPY_SYNC_HD:
		return copy_from_pageable(run, op, step);
	case OP_COPY_PAGEABLE_DH:
	case OP_COPY_SYNC_DH:
		return copy_to_pageable(run, op, step);
	case OP_SET_SYNC:
		return MUST_IN(api.MemsetD32(address_of(run, op->dst), op->a, REGION_WORDS));
	case OP_ALLOC_ASYNC:
		return allocate(run, op, step);
	case OP_FREE_ASYNC:
		MUST_IN(api.MemFreeAsync(address_of(run, op->dst), run->stream[op->stream]));
		run->async[op->dst - FIRST_ASYNC] = 0;
		return;
	default:
		return MUST_IN(set_async(address_of(run, op->dst), op, run->stream[op->stream]));
	}
}

static void do_handles(struct run *run, const struct op *op, uint32_t step)
{
	switch (op->kind) {
	case OP_EVENT_NEW:
		return new_event(run, op, step);
	case OP_STREAM_NEW:
		return MUST_IN(new_stream(run, op->stream));
	case OP_STREAM_DESTROY:
		return destroy_stream(run, op, step);
	case OP_CAPTURE:
	case OP_EXEC_UPDATE:
		return make_exec(run, op, step);
	case OP_EXEC_LAUNCH:
		return MUST_IN(api.GraphLaunch(run->exec[op->slot], run->stream[op->stream]));
	default:
		return destroy_exec(run, op, step);
	}
}

static void do_order(struct run *run, const struct op *op, uint32_t step)
{
	switch (op->kind) {
	case OP_RECORD:
		return MUST_IN(api.EventRecord(run->event[op->slot], run->stream[op->stream]));
	case OP_WAIT:
		return MUST_IN(
			api.StreamWaitEvent(run->stream[op->stream], run->event[op->slot], 0));
	case OP_EVENT_POLL:
		return poll_event(run, op, step);
	case OP_EVENT_SYNC:
	case OP_STREAM_SYNC:
		return synchronize(run, op, step);
	case OP_EVENT_QUERY:
	case OP_STREAM_QUERY:
		return query(run, op, step);
	case OP_CONTEXT_SYNC:
		return MUST_IN(api.CtxSynchronize());
	case OP_POST:
		(void)sem_post(&run->post[step]);
		return;
	default: /* OP_TAKE */
		while (sem_wait(&run->post[op->from]))
			;
	}
}

static void do_step(struct run *run, uint32_t step)
{
	const struct op *op = &run->program->op[step];

	switch (op->kind) {
	case OP_MIX:
		return launch_mix(run, op, step);
	case OP_MANY:
		return launch_many(run, op, step);
	case OP_HOST:
		return call_host(run, op, step);
	case OP_WRITE_VALUE:
		return MUST_IN(api.StreamWriteValue32(
			run->stream[op->stream],
			address_of(run, op->dst) + 4ull * (op->a % REGION_WORDS), op->b, 0));
	case OP_GATE:
	case OP_OPEN:
		return gate(run, op, step);
	case OP_HOST_WRITE:
	case OP_HOST_READ:
		return touch_on_host(run, op, step);
	case OP_EVENT_NEW:
	case OP_STREAM_NEW:
	case OP_STREAM_DESTROY:
	case OP_CAPTURE:
	case OP_EXEC_UPDATE:
	case OP_EXEC_LAUNCH:
	case OP_EXEC_DESTROY:
		return do_handles(run, op, step);
	default:
		if (op->kind < OP_RECORD || op->kind == OP_ALLOC_ASYNC || op->kind == OP_FREE_ASYNC)
			return do_memory(run, op, step);
		return do_order(run, op, step);
	}
}

static void *work(void *arg)
{
	const struct worker *worker = arg;
	struct run *run = worker->run;

	MUST(api.CtxSetCurrent(run->machine->context));
	if (run->program->nr_threads > 1)
		(void)pthread_barrier_wait(&run->start);
	for (uint32_t step = 0; step < run->program->nr_steps; step++) {
		if (run->program->op[step].thread == worker->thread)
			do_step(run, step);
	}
	return NULL;
}

static void run_threads(struct run *run)
{
	uint32_t n = run->program->nr_threads;
	struct worker worker[MAX_THREADS] = {{run, 0}};
	pthread_t thread[MAX_THREADS];

	(void)pthread_barrier_init(&run->start, NULL, n);
	for (uint32_t i = 1; i < n; i++) {
		worker[i] = (struct worker){run, i};
		if (pthread_create(&thread[i], NULL, work, &worker[i]))
			fail(CUDA_ERROR_OPERATING_SYSTEM, "pthread_create", NULL, 0);
	}
	(void)work(&worker[0]);
	for (uint32_t i = 1; i < n; i++)
		(void)pthread_join(thread[i], NULL);
	(void)pthread_barrier_destroy(&run->start);
}

static void set_up(struct run *run)
{
	const struct program *program = run->program;
	uint32_t words[REGION_WORDS];

	memset(run->machine->gate, 0, MAX_GATES * sizeof(uint32_t));
	for (uint32_t r = 0; r < NR_REGIONS; r++) {
		for (uint32_t i = 0; i < REGION_WORDS; i++)
			words[i] = region_first_word(program->seed, r, i);
		if (r < FIRST_ASYNC)
			MUST(api.MemcpyHtoD(run->machine->region[r], words, REGION_BYTES));
		else if (r >= FIRST_PINNED)
			memcpy(run->machine->pinned[r - FIRST_PINNED], words, REGION_BYTES);
	}
	MUST(api.CtxSynchronize());
	for (uint32_t i = 1; i < program->nr_streams; i++)
		MUST(new_stream(run, i));
	for (uint32_t i = 0; i < MAX_EVENTS; i++)
		MUST(api.EventCreate(&run->event[i], CU_EVENT_DISABLE_TIMING));
	for (uint32_t i = 0; i < program->nr_steps; i++)
		(void)sem_init(&run->post[i], 0, 0);
}

static void read_back(const struct run *run)
{
	struct outcome *o = run->outcome;

	MUST(api.CtxSynchronize());
	for (uint32_t r = 0; r < NR_REGIONS; r++) {
		o->is_live[r] = r < FIRST_ASYNC || r >= FIRST_PINNED || run->async[r - FIRST_ASYNC];
		if (o->is_live[r] && r >= FIRST_PINNED)
			memcpy(o->memory[r], run->machine->pinned[r - FIRST_PINNED], REGION_BYTES);
		else if (o->is_live[r])
			MUST(api.MemcpyDtoH(o->memory[r], address_of(run, r), REGION_BYTES));
	}
}

static void tear_down(const struct run *run)
{
	for (uint32_t i = 1; i < MAX_STREAMS; i++) {
		if (run->stream[i])
			MUST(api.StreamDestroy(run->stream[i]));
	}
	for (uint32_t i = 0; i < MAX_EVENTS; i++)
		MUST(api.EventDestroy(run->event[i]));
	for (uint32_t i = 0; i < MAX_EXECS; i++) {
		if (run->exec[i])
			MUST(api.GraphExecDestroy(run->exec[i]));
	}
	for (uint32_t i = 0; i < NR_ASYNC; i++) {
		if (run->async[i])
			MUST(api.MemFree(run->async[i]));
	}
}

uint32_t program_execute(const struct machine *machine, const struct program *program,
			 struct outcome *ret_outcome, int loud)
{
	struct run *run = calloc(1, sizeof(*run));
	uint32_t nr_wrong;

	if (!run)
		fail(CUDA_ERROR_OUT_OF_MEMORY, "calloc", NULL, 0);
	memset(ret_outcome, 0, sizeof(*ret_outcome));
	run->machine = machine;
	run->program = program;
	run->outcome = ret_outcome;
	run->loud = loud;
	set_up(run);
	run_threads(run);
	read_back(run);
	tear_down(run);
	nr_wrong = atomic_load_explicit(&run->nr_wrong, memory_order_relaxed);
	free(run);
	return nr_wrong;
}
