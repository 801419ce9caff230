/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver that writes down what it is told, lane by lane, and a share_ask() that says what the
 * test wants; for the tests of the queue (src/shim/queue).
 *
 * What the program calls (queue_program.h) and what reaches the driver must be the same sequence in
 * each lane, and across the NULL stream's rule: an entry in the NULL stream counts the operations
 * of blocking streams before it, and theirs count those of the NULL stream.
 */
#ifndef LITHOS_TESTS_QUEUE_FAKES_H
#define LITHOS_TESTS_QUEUE_FAKES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "queue_fakes_priority.h"
#include "shim/graph/steps.h"
#include "shim/link/share.h"
#include "shim/queue/calls.h"
#include "shim/queue/driver.h"
#include "shim/queue/ops.h"
#include "shim/queue/queue.h"
#include "shim/slots.h"
#include "shim/tenant.h"
#include "shim/track/execs.h"
#include "shim/track/predict_table.h"

#define NR_STREAMS 32u /* 0 is the NULL stream; even ones are blocking */
#define NR_EVENTS  16u
#define NR_EXECS   16u
#define NR_LANES   (NR_STREAMS + NR_EVENTS + NR_EXECS)
#define LANE_ROOM  16384u

#define CTX       ((CUcontext)0x100)
#define STREAM(i) ((i) ? (CUstream)(uintptr_t)(0x10000 + 16 * (i)) : NULL)
#define EVENT(i)  ((CUevent)(uintptr_t)(0x20000 + 16 * (i)))
#define EXEC(i)   ((CUgraphExec)(uintptr_t)(0x30000 + 16 * (i)))
#define FUNC      ((CUfunction)0x400)

struct tenant tenant;

/* The sequence of calls of a lane. */
struct lane_log {
	uint32_t n;
	uint64_t entry[LANE_ROOM];
};

static struct {
	pthread_mutex_t lock;
	struct lane_log program[NR_LANES], driver[NR_LANES];
	uint64_t program_blocking, program_null, driver_blocking, driver_null;
	uint64_t nr_wrong_context, nr_bad_syncs;
	_Atomic uint64_t nr_driver_calls;
	_Atomic int last_attribute; /* of a launch with attributes */
	_Atomic int last_priority;  /* of one that brings its own */
	/* What the driver answers. */
	_Atomic CUresult launch_result;
	CUresult query_result;
	uint32_t captured;                 /* bit by stream */
	_Atomic uint32_t nr_lost_contexts; /* so many cannot be made current */
	uint32_t pageable_is_all;          /* host pointers are pageable, or pinned */
	uint32_t had_lane; /* the stream whose destruction arrived last, by its handle */
	/* The gate: no call returns while it is shut. */
	_Atomic int gate_is_shut;
	_Atomic int nr_at_gate;
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct {
	_Atomic int may_hold;
	int is_borrower;
	_Atomic int holds;       /* share_ask() says HOLD */
	_Atomic uint64_t random; /* not 0: it says HOLD at random */
	_Atomic uint64_t nr_asked, nr_launching;
	_Atomic uint64_t last_predicted;
	_Atomic int last_failure;
	int knows_other_functions; /* predict_of() is asked about others than FUNC */
} share;

static _Thread_local CUcontext fake_current;
static _Thread_local struct thread_state fake_thread;
static struct device fake_device = {.topo = {.sms_per_tpc = 2, .nr_tpcs = 66}};
static struct context fake_context = {.device = &fake_device};

/* --- the rest of the shim --------------------------------------------------------------------- */

int share_is_on(void)
{
	return share.may_hold;
}

int share_may_hold(void)
{
	return share.may_hold;
}

enum share_verdict share_ask(const struct device *device, const struct share_request *request)
{
	uint64_t random = share.random;

	assert_ptr_equal(device, &fake_device);
	share.nr_asked++;
	share.last_predicted = request->predicted_ns;
	if (random) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		share.random = random;
		return random % 3 ? SHARE_GO : SHARE_HOLD_BOUND;
	}
	return share.holds ? SHARE_HOLD_TPCS : SHARE_GO;
}

void share_launching(struct thread_state *t)
{
	assert_ptr_equal(t, &fake_thread);
	share.nr_launching++;
}

void share_launching_soon(struct thread_state *t)
{
	share_launching(t);
}

void share_graph_launching(struct thread_state *t)
{
	assert_ptr_equal(t, &fake_thread);
}

void share_graph_launched(struct exec *exec, CUstream stream, int is_per_thread, CUresult result)
{
	(void)exec;
	(void)stream;
	(void)is_per_thread;
	(void)result;
}

void share_failed(CUresult result)
{
	share.last_failure = (int)result;
}

/* An owner's go before what it asked for, a borrower's behind all. */
int share_stream_priority(int asked)
{
	return share.is_borrower ? 0 : asked - 1;
}

int share_priority_in_range(int asked)
{
	return asked;
}

void share_queued(uint64_t nr_queued)
{
	assert_true(nr_queued <= QUEUE_MAX_OPS);
}

void share_wait(uint64_t timeout_ns)
{
	assert_true(timeout_ns <= 1000000);
	(void)sched_yield();
}

void predict_step(struct thread_state *t, CUfunction func, uint64_t nr_blocks, uint32_t nr_threads)
{
	assert_ptr_equal(t, &fake_thread);
	(void)func;
	(void)nr_threads;
	t->launch_path = nr_blocks * 1000;
}

/* The dispatcher's thread has made no step: a held launch comes with its path. */
uint64_t predict_of(struct thread_state *t, CUfunction func, uint64_t nr_blocks,
		    uint32_t nr_threads, uint64_t path)
{
	assert_ptr_equal(t, &fake_thread);
	assert_true(func == FUNC || share.knows_other_functions);
	return nr_blocks * nr_threads + path;
}

struct exec *exec_of(struct thread_state *t, CUgraphExec handle)
{
	(void)t;
	(void)handle;
	return NULL;
}

int share_is_best_effort(void)
{
	return 0;
}

int share_must_yield(void)
{
	return 0;
}

struct graph_steps *exec_steps(const struct exec *exec)
{
	(void)exec;
	return NULL;
}

CUresult graph_steps_launch(struct graph_steps *steps, CUstream stream, int is_per_thread)
{
	(void)steps;
	(void)stream;
	(void)is_per_thread;
	return CUDA_SUCCESS;
}

CUresult graph_steps_before_whole(struct graph_steps *steps, CUstream stream, int is_per_thread)
{
	return graph_steps_launch(steps, stream, is_per_thread);
}

void graph_steps_after_whole(struct graph_steps *steps, CUstream stream, int is_per_thread)
{
	(void)graph_steps_launch(steps, stream, is_per_thread);
}

int exec_mask(struct exec *exec, struct tpcset *ret_mask)
{
	(void)exec;
	(void)ret_mask;
	return 0;
}

uint64_t exec_predicted_ns(struct exec *exec)
{
	(void)exec;
	return 0;
}

struct thread_state *thread_self(void)
{
	return &fake_thread;
}

void thread_count(enum stats_counter counter)
{
	(void)counter;
}

struct context *tenant_context_of(struct thread_state *t, CUcontext handle)
{
	(void)t;
	return handle == CTX ? &fake_context : NULL;
}

/* --- writing down ----------------------------------------------------------------------------- */

enum what {
	WHAT_LAUNCH = 1,
	WHAT_GRAPH,
	WHAT_SET,
	WHAT_COPY,
	WHAT_RECORD,
	WHAT_WAIT,
	WHAT_HOST,
	WHAT_FREE,
	WHAT_EVENT_END,
	WHAT_STREAM_END,
	WHAT_UPLOAD,
};

#define NO_LANE UINT32_MAX

static inline uint32_t lane_of_stream(CUstream stream)
{
	if (!stream || stream == CU_STREAM_LEGACY)
		return 0;
	return (uint32_t)(((uintptr_t)stream - 0x10000) / 16);
}

static inline uint32_t lane_of_event(CUevent event)
{
	return NR_STREAMS + (uint32_t)(((uintptr_t)event - 0x20000) / 16);
}

static inline uint32_t lane_of_exec(CUgraphExec exec)
{
	return NR_STREAMS + NR_EVENTS + (uint32_t)(((uintptr_t)exec - 0x30000) / 16);
}

static inline void log_add(struct lane_log *log, uint64_t entry)
{
	if (log->n < LANE_ROOM)
		log->entry[log->n] = entry;
	log->n++;
}

/* One call in a lane or two; the NULL stream's rule goes into the entry of the stream. */
static inline void write_down(struct lane_log *logs, uint64_t *nr_blocking, uint64_t *nr_null,
			      const uint32_t lanes[2], uint64_t entry)
{
	uint64_t stamp = 0;

	if (lanes[0] >= NR_LANES && lanes[0] != NO_LANE)
		return;
	if (lanes[0] == 0)
		stamp = *nr_blocking, (*nr_null)++;
	else if (lanes[0] < NR_STREAMS && lanes[0] % 2 == 0)
		stamp = *nr_null, (*nr_blocking)++;
	if (lanes[0] != NO_LANE)
		log_add(&logs[lanes[0]], entry | stamp << 40);
	if (lanes[1] != NO_LANE)
		log_add(&logs[lanes[1]], entry);
}

static inline void fake_lock(void)
{
	(void)pthread_mutex_lock(&fake.lock);
}

static inline void fake_unlock(void)
{
	(void)pthread_mutex_unlock(&fake.lock);
}

static inline void program_did(enum what what, uint32_t lane0, uint32_t lane1, uint32_t id)
{
	fake_lock();
	write_down(fake.program, &fake.program_blocking, &fake.program_null,
		   (uint32_t[]){lane0, lane1}, (uint64_t)what << 32 | id);
	fake_unlock();
}

static inline CUresult driver_did(enum what what, uint32_t lane0, uint32_t lane1, uint32_t id)
{
	fake.nr_at_gate++;
	while (fake.gate_is_shut)
		(void)sched_yield();
	fake.nr_at_gate--;
	fake_lock();
	if (fake_current != CTX)
		fake.nr_wrong_context++;
	fake.nr_driver_calls++;
	write_down(fake.driver, &fake.driver_blocking, &fake.driver_null,
		   (uint32_t[]){lane0, lane1}, (uint64_t)what << 32 | id);
	fake_unlock();
	return CUDA_SUCCESS;
}

/* --- the driver ------------------------------------------------------------------------------- */

/* NOLINTNEXTLINE(readability-function-size): the driver's signature */
CUresult hook_cuLaunchKernel(CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz,
			     unsigned int bx, unsigned int by, unsigned int bz, unsigned int shared,
			     CUstream stream, void **params, void **extra)
{
	uint32_t id = 0;

	(void)f, (void)gx, (void)gy, (void)gz, (void)bx, (void)by, (void)bz, (void)shared;
	if (params)
		memcpy(&id, params[0], sizeof(id));
	else if (extra)
		memcpy(&id, extra[1], sizeof(id));
	(void)driver_did(WHAT_LAUNCH, lane_of_stream(stream), NO_LANE, id);
	return fake.launch_result;
}

/* NOLINTNEXTLINE(readability-function-size): the driver's signature */
CUresult hook_cuLaunchCooperativeKernel(CUfunction f, unsigned int gx, unsigned int gy,
					unsigned int gz, unsigned int bx, unsigned int by,
					unsigned int bz, unsigned int shared, CUstream stream,
					void **params)
{
	return hook_cuLaunchKernel(f, gx, gy, gz, bx, by, bz, shared, stream, params, NULL);
}

CUresult hook_cuLaunchKernelEx(const CUlaunchConfig *c, CUfunction f, void **params, void **extra)
{
	if (c->numAttrs) {
		fake.last_attribute = (int)c->attrs[0].id;
		fake.last_priority = c->attrs[0].value.priority;
	}
	return hook_cuLaunchKernel(f, c->gridDimX, c->gridDimY, c->gridDimZ, c->blockDimX,
				   c->blockDimY, c->blockDimZ, c->sharedMemBytes, c->hStream,
				   params, extra);
}

CUresult hook_cuGraphLaunch(CUgraphExec exec, CUstream stream)
{
	return driver_did(WHAT_GRAPH, lane_of_stream(stream), lane_of_exec(exec), 0);
}

CUresult hook_cuLaunch(CUfunction f)
{
	(void)f;
	return driver_did(WHAT_LAUNCH, 0, NO_LANE, 0);
}

CUresult hook_cuLaunchGrid(CUfunction f, int width, int height)
{
	(void)width, (void)height;
	return hook_cuLaunch(f);
}

CUresult hook_cuLaunchGridAsync(CUfunction f, int width, int height, CUstream stream)
{
	(void)f, (void)width, (void)height;
	return driver_did(WHAT_LAUNCH, lane_of_stream(stream), NO_LANE, 0);
}

CUresult hook_cuLaunchCooperativeKernelMultiDevice(CUDA_LAUNCH_PARAMS *list, unsigned int n,
						   unsigned int flags)
{
	(void)list, (void)n, (void)flags;
	return CUDA_SUCCESS;
}

/* In the thread's own stream: written down nowhere but in the count. */
static inline CUresult per_thread_call(void)
{
	return driver_did(WHAT_LAUNCH, NO_LANE, NO_LANE, 0);
}

/* NOLINTNEXTLINE(readability-function-size): the driver's signature */
CUresult hook_cuLaunchKernel_ptsz(CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz,
				  unsigned int bx, unsigned int by, unsigned int bz,
				  unsigned int shared, CUstream stream, void **params, void **extra)
{
	if (stream)
		return hook_cuLaunchKernel(f, gx, gy, gz, bx, by, bz, shared, stream, params,
					   extra);
	return per_thread_call();
}

/* NOLINTNEXTLINE(readability-function-size): the driver's signature */
CUresult hook_cuLaunchCooperativeKernel_ptsz(CUfunction f, unsigned int gx, unsigned int gy,
					     unsigned int gz, unsigned int bx, unsigned int by,
					     unsigned int bz, unsigned int shared, CUstream stream,
					     void **params)
{
	return hook_cuLaunchKernel_ptsz(f, gx, gy, gz, bx, by, bz, shared, stream, params, NULL);
}

CUresult hook_cuLaunchKernelEx_ptsz(const CUlaunchConfig *c, CUfunction f, void **params,
				    void **extra)
{
	return c->hStream ? hook_cuLaunchKernelEx(c, f, params, extra) : per_thread_call();
}

CUresult hook_cuGraphLaunch_ptsz(CUgraphExec exec, CUstream stream)
{
	return stream ? hook_cuGraphLaunch(exec, stream) : per_thread_call();
}

/* Where all addresses from here on are memory, each the first of an allocation. */
#define MEMORY_AT 0x1000u

static CUresult d_set(CUdeviceptr to, unsigned int value, size_t n, CUstream stream)
{
	(void)to, (void)n;
	return driver_did(WHAT_SET, lane_of_stream(stream), NO_LANE, value);
}

static CUresult d_copy(CUdeviceptr to, const void *from, size_t bytes, CUstream stream)
{
	uint32_t id;

	(void)to, (void)bytes;
	memcpy(&id, from, sizeof(id));
	return driver_did(WHAT_COPY, lane_of_stream(stream), NO_LANE, id);
}

static CUresult d_copy_to_host(void *to, CUdeviceptr from, size_t bytes, CUstream stream)
{
	(void)to, (void)bytes;
	return driver_did(WHAT_COPY, lane_of_stream(stream), NO_LANE, (uint32_t)(from - MEMORY_AT));
}

static CUresult d_copy_2d(const CUDA_MEMCPY2D *copy, CUstream stream)
{
	return driver_did(WHAT_COPY, lane_of_stream(stream), NO_LANE, (uint32_t)copy->WidthInBytes);
}

static CUresult d_host(CUstream stream, CUhostFn fn, void *user)
{
	(void)fn;
	return driver_did(WHAT_HOST, lane_of_stream(stream), NO_LANE, (uint32_t)(uintptr_t)user);
}

static CUresult d_free(CUdeviceptr ptr, CUstream stream)
{
	return driver_did(WHAT_FREE, lane_of_stream(stream), NO_LANE, (uint32_t)(ptr - MEMORY_AT));
}

static CUresult d_record(CUevent event, CUstream stream)
{
	return driver_did(WHAT_RECORD, lane_of_stream(stream), lane_of_event(event), 0);
}

static CUresult d_wait(CUstream stream, CUevent event, unsigned int flags)
{
	return driver_did(WHAT_WAIT, lane_of_stream(stream), lane_of_event(event), flags);
}

static CUresult d_event_destroy(CUevent event)
{
	return driver_did(WHAT_EVENT_END, NO_LANE, lane_of_event(event), 0);
}

static CUresult d_stream_destroy(CUstream stream)
{
	/* From here on another thread may be given the same handle. */
	(void)pthread_mutex_lock(&queue.lock);
	fake.had_lane = lane_find_locked(LANE_STREAM, stream) != NULL;
	(void)pthread_mutex_unlock(&queue.lock);
	return driver_did(WHAT_STREAM_END, lane_of_stream(stream), NO_LANE, 0);
}

static CUresult d_upload(CUgraphExec exec, CUstream stream)
{
	return driver_did(WHAT_UPLOAD, lane_of_stream(stream), lane_of_exec(exec), 0);
}

/* The program waits for a lane: everything it did there must have arrived. */
static inline CUresult lane_is_complete(uint32_t lane)
{
	fake_lock();
	if (fake.program[lane].n != fake.driver[lane].n)
		fake.nr_bad_syncs++;
	fake_unlock();
	return fake.query_result;
}

static CUresult d_stream_sync(CUstream stream)
{
	return lane_is_complete(lane_of_stream(stream));
}

static CUresult d_event_sync(CUevent event)
{
	(void)event;
	return fake.query_result;
}

static CUresult d_ctx_sync(void)
{
	for (uint32_t i = 0; i < NR_LANES; i++)
		(void)lane_is_complete(i);
	return fake.query_result;
}

static CUresult d_mem_free(CUdeviceptr ptr)
{
	(void)ptr;
	return d_ctx_sync();
}

static CUresult d_graph_memory(CUdevice device, CUgraphMem_attribute attribute, void *value)
{
	(void)device, (void)attribute, (void)value;
	return d_ctx_sync();
}

static CUresult d_elapsed(float *ms, CUevent a, CUevent b)
{
	(void)a, (void)b;
	*ms = 1;
	return CUDA_SUCCESS;
}

static CUresult d_begin_capture(CUstream stream, CUstreamCaptureMode mode)
{
	(void)mode;
	(void)d_ctx_sync();
	fake.captured |= 1u << lane_of_stream(stream);
	return CUDA_SUCCESS;
}

static CUresult d_end_capture(CUstream stream, CUgraph *graph)
{
	(void)graph;
	fake.captured &= ~(1u << lane_of_stream(stream));
	return CUDA_SUCCESS;
}

static CUresult d_exec_update(CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo *info)
{
	(void)graph, (void)info;
	return lane_is_complete(lane_of_exec(exec));
}

static CUresult d_func_set_attribute(CUfunction f, CUfunction_attribute attribute, int value)
{
	(void)f, (void)attribute, (void)value;
	return d_ctx_sync();
}

static CUresult d_alloc(CUdeviceptr *ptr, size_t bytes, CUstream stream)
{
	(void)bytes, (void)stream;
	*ptr = 0x99;
	return fake.query_result;
}

/* --- what the queue asks the driver ----------------------------------------------------------- */

static CUresult q_ctx_current(CUcontext *ctx)
{
	*ctx = fake_current;
	return CUDA_SUCCESS;
}

static CUresult q_ctx_set_current(CUcontext ctx)
{
	if (fake.nr_lost_contexts) {
		fake.nr_lost_contexts--;
		fake_current = (CUcontext)0x200;
		return CUDA_ERROR_INVALID_CONTEXT;
	}
	fake_current = ctx;
	return CUDA_SUCCESS;
}

/* The driver's own signature. NOLINTNEXTLINE(readability-non-const-parameter) */
static CUresult q_exchange(CUstreamCaptureMode *mode)
{
	assert_int_equal(*mode, CU_STREAM_CAPTURE_MODE_RELAXED);
	return CUDA_SUCCESS;
}

static CUresult q_flags(CUstream stream, unsigned int *flags)
{
	*flags = lane_of_stream(stream) % 2 ? CU_STREAM_NON_BLOCKING : CU_STREAM_DEFAULT;
	return lane_of_stream(stream) < NR_STREAMS ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult q_priority(CUstream stream, int *priority)
{
	*priority = lane_of_stream(stream) == 7 ? -5 : 0;
	return CUDA_SUCCESS;
}

static CUresult q_stream_context(CUstream stream, CUcontext *ctx)
{
	(void)stream;
	*ctx = CTX;
	return CUDA_SUCCESS;
}

static CUresult q_capturing(CUstream stream, CUstreamCaptureStatus *status)
{
	*status = fake.captured >> lane_of_stream(stream) & 1 ? CU_STREAM_CAPTURE_STATUS_ACTIVE
							      : CU_STREAM_CAPTURE_STATUS_NONE;
	return CUDA_SUCCESS;
}

static CUresult q_pointer(void *value, CUpointer_attribute attribute, CUdeviceptr ptr)
{
	(void)value, (void)attribute, (void)ptr;
	return fake.pageable_is_all ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static CUresult q_pointers(unsigned int nr, const CUpointer_attribute *attributes, void **values,
			   CUdeviceptr at)
{
	const uint64_t start = at, size = UINT64_MAX - at;

	for (unsigned int i = 0; i < nr && at >= MEMORY_AT; i++) {
		if (attributes[i] == CU_POINTER_ATTRIBUTE_RANGE_START_ADDR)
			memcpy(values[i], &start, sizeof(start));
		if (attributes[i] == CU_POINTER_ATTRIBUTE_RANGE_SIZE)
			memcpy(values[i], &size, sizeof(size));
	}
	return CUDA_SUCCESS;
}

/* FUNC has two parameters: 4 bytes at 0 and 8 at 8. */
static CUresult q_func_param(CUfunction f, size_t i, size_t *offset, size_t *size)
{
	if (f != FUNC)
		return CUDA_ERROR_INVALID_HANDLE;
	if (i > 1)
		return CUDA_ERROR_INVALID_VALUE;
	*offset = i * 8;
	*size = i ? 8 : 4;
	return CUDA_SUCCESS;
}

/* The driver's own signature. NOLINTNEXTLINE(readability-non-const-parameter) */
static CUresult q_kernel_param(CUkernel kernel, size_t i, size_t *offset, size_t *size)
{
	(void)kernel, (void)i, (void)offset, (void)size;
	return CUDA_ERROR_INVALID_HANDLE;
}

static CUresult q_kernel_function(CUfunction *func, CUkernel kernel)
{
	(void)func, (void)kernel;
	return CUDA_ERROR_INVALID_HANDLE;
}

static CUresult q_func_attribute(int *value, CUfunction_attribute attribute, CUfunction f)
{
	(void)f;
	*value = 0;
	if (attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK)
		*value = 512;
	if (attribute == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)
		*value = 4096;
	return CUDA_SUCCESS;
}

static CUresult q_stream_create(CUstream *stream, unsigned int flags, int priority)
{
	*stream = (CUstream)(uintptr_t)(1000 + priority + (int)flags);
	return CUDA_SUCCESS;
}

static const struct {
	const char *name;
	void *function;
} fake_symbols[] = {
	{"cuMemsetD32Async", (void *)d_set},
	{"cuMemcpyHtoDAsync_v2", (void *)d_copy},
	{"cuMemcpyDtoHAsync_v2", (void *)d_copy_to_host},
	{"cuMemcpy2DAsync_v2", (void *)d_copy_2d},
	{"cuLaunchHostFunc", (void *)d_host},
	{"cuMemFreeAsync", (void *)d_free},
	{"cuMemAllocAsync", (void *)d_alloc},
	{"cuEventRecord", (void *)d_record},
	{"cuStreamWaitEvent", (void *)d_wait},
	{"cuEventDestroy_v2", (void *)d_event_destroy},
	{"cuStreamDestroy_v2", (void *)d_stream_destroy},
	{"cuGraphUpload", (void *)d_upload},
	{"cuGraphExecUpdate_v2", (void *)d_exec_update},
	{"cuStreamSynchronize", (void *)d_stream_sync},
	{"cuStreamQuery", (void *)d_stream_sync},
	{"cuEventSynchronize", (void *)d_event_sync},
	{"cuEventQuery", (void *)d_event_sync},
	{"cuEventElapsedTime", (void *)d_elapsed},
	{"cuCtxSynchronize", (void *)d_ctx_sync},
	{"cuMemFree_v2", (void *)d_mem_free},
	{"cuDeviceGetGraphMemAttribute", (void *)d_graph_memory},
	{"cuDeviceSetGraphMemAttribute", (void *)d_graph_memory},
	{"cuDeviceGraphMemTrim", (void *)d_graph_memory},
	{"cuStreamBeginCapture_v2", (void *)d_begin_capture},
	{"cuStreamEndCapture", (void *)d_end_capture},
	{"cuFuncSetAttribute", (void *)d_func_set_attribute},
	{"cuCtxGetCurrent", (void *)q_ctx_current},
	{"cuCtxSetCurrent", (void *)q_ctx_set_current},
	{"cuThreadExchangeStreamCaptureMode", (void *)q_exchange},
	{"cuStreamGetFlags", (void *)q_flags},
	{"cuStreamGetPriority", (void *)q_priority},
	{"cuStreamGetPriority_ptsz", (void *)q_get_priority},
	{"cuStreamGetAttribute", (void *)q_get_attribute},
	{"cuStreamSetAttribute", (void *)q_set_attribute},
	{"cuStreamCopyAttributes", (void *)q_copy_attributes},
	{"cuGraphKernelNodeGetAttribute", (void *)q_get_attribute},
	{"cuGraphKernelNodeSetAttribute", (void *)q_set_attribute},
	{"cuGraphKernelNodeCopyAttributes", (void *)q_copy_attributes},
	{"cuGraphDestroyNode", (void *)q_destroy_node},
	{"cuGreenCtxStreamCreate", (void *)q_green_create},
	{"cuStreamGetCtx", (void *)q_stream_context},
	{"cuStreamIsCapturing", (void *)q_capturing},
	{"cuPointerGetAttribute", (void *)q_pointer},
	{"cuPointerGetAttributes", (void *)q_pointers},
	{"cuFuncGetAttribute", (void *)q_func_attribute},
	{"cuFuncGetParamInfo", (void *)q_func_param},
	{"cuKernelGetParamInfo", (void *)q_kernel_param},
	{"cuKernelGetFunction", (void *)q_kernel_function},
	{"cuStreamCreate", (void *)q_stream_create},
	{"cuStreamCreateWithPriority", (void *)q_stream_create},
};

void *slots_real(const char *symbol)
{
	for (size_t i = 0; i < sizeof(fake_symbols) / sizeof(fake_symbols[0]); i++) {
		if (!strcmp(fake_symbols[i].name, symbol))
			return fake_symbols[i].function;
	}
	return NULL;
}

void slots_install_calls(const struct call_row *rows, uint32_t nr_rows)
{
	for (uint32_t i = 0; i < nr_rows; i++) {
		if (rows[i].next)
			*rows[i].next = slots_real(rows[i].name);
	}
}

#endif
