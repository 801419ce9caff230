/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program of a queue test: it makes each call with program_X(), which writes the call down in
 * the order of the program and then calls the queue's stub, in front of the driver of
 * queue_fakes.h.
 */
#ifndef LITHOS_TESTS_QUEUE_PROGRAM_H
#define LITHOS_TESTS_QUEUE_PROGRAM_H

#include "queue_fakes.h"

/* --- the program ------------------------------------------------------------------------------ */

#define TYPED(name) extern __typeof__(name) queued_##name;
#define CALL(name, how, stream, other)
#include "shim/queue/calls.def"
#undef TYPED
#undef CALL

extern __typeof__(d_set) held_cuMemsetD32Async;
extern __typeof__(d_copy) held_cuMemcpyHtoDAsync_v2;
extern __typeof__(d_copy_to_host) held_cuMemcpyDtoHAsync_v2;
extern __typeof__(d_copy_2d) held_cuMemcpy2DAsync_v2;
extern __typeof__(d_host) held_cuLaunchHostFunc;
extern __typeof__(d_free) held_cuMemFreeAsync;
extern __typeof__(d_alloc) held_cuMemAllocAsync;
extern __typeof__(d_record) held_cuEventRecord;
extern __typeof__(d_wait) held_cuStreamWaitEvent;
extern __typeof__(d_event_destroy) held_cuEventDestroy_v2;
extern __typeof__(d_stream_destroy) held_cuStreamDestroy_v2;
extern __typeof__(d_upload) held_cuGraphUpload;
extern __typeof__(d_exec_update) held_cuGraphExecUpdate_v2;
extern __typeof__(d_stream_sync) held_cuStreamSynchronize;
extern __typeof__(d_stream_sync) held_cuStreamQuery;
extern __typeof__(d_event_sync) held_cuEventSynchronize;
extern __typeof__(d_event_sync) held_cuEventQuery;
extern __typeof__(d_elapsed) held_cuEventElapsedTime;
extern __typeof__(d_ctx_sync) held_cuCtxSynchronize;
extern __typeof__(d_mem_free) held_cuMemFree_v2;
extern __typeof__(d_graph_memory) held_cuDeviceGetGraphMemAttribute;
extern __typeof__(d_graph_memory) held_cuDeviceSetGraphMemAttribute;
extern __typeof__(d_graph_memory) held_cuDeviceGraphMemTrim;
extern __typeof__(d_begin_capture) held_cuStreamBeginCapture_v2;
extern __typeof__(d_end_capture) held_cuStreamEndCapture;
extern __typeof__(d_func_set_attribute) held_cuFuncSetAttribute;

static inline CUresult program_launch(uint32_t stream, uint32_t id)
{
	uint32_t copy = id;
	uint64_t other = id;
	void *params[2] = {&copy, &other};
	CUresult result;

	program_did(WHAT_LAUNCH, stream, NO_LANE, id);
	result = queued_cuLaunchKernel(FUNC, 1, 1, 1, 32, 1, 1, 0, STREAM(stream), params, NULL);
	/* The caller's memory means something else from here on. */
	copy = ~id;
	other = 0;
	__asm__ volatile("" ::"r"(&copy), "r"(&other) : "memory");
	return result;
}

static inline CUresult program_set(uint32_t stream, uint32_t id)
{
	program_did(WHAT_SET, stream, NO_LANE, id);
	return held_cuMemsetD32Async(0x1000, id, 1, STREAM(stream));
}

static inline CUresult program_copy(uint32_t stream, uint32_t id)
{
	uint32_t from[4] = {id, id, id, id};
	CUresult result;

	program_did(WHAT_COPY, stream, NO_LANE, id);
	result = held_cuMemcpyHtoDAsync_v2(0x1000, from, sizeof(from), STREAM(stream));
	/* Only pinned memory must be left alone. */
	if (fake.pageable_is_all)
		memset(from, 0xff, sizeof(from));
	__asm__ volatile("" ::"r"(from) : "memory");
	return result;
}

/* The fake driver calls none. */
static inline void CUDA_CB host_function(void *user)
{
	(void)user;
}

static inline CUresult program_host(uint32_t stream, uint32_t id)
{
	program_did(WHAT_HOST, stream, NO_LANE, id);
	return held_cuLaunchHostFunc(STREAM(stream), host_function, (void *)(uintptr_t)id);
}

static inline CUresult program_free(uint32_t stream, uint32_t id)
{
	program_did(WHAT_FREE, stream, NO_LANE, id);
	return held_cuMemFreeAsync(MEMORY_AT + id, STREAM(stream));
}

static inline CUresult program_record(uint32_t event, uint32_t stream)
{
	program_did(WHAT_RECORD, stream, lane_of_event(EVENT(event)), 0);
	return held_cuEventRecord(EVENT(event), STREAM(stream));
}

static inline CUresult program_wait(uint32_t stream, uint32_t event)
{
	program_did(WHAT_WAIT, stream, lane_of_event(EVENT(event)), 0);
	return held_cuStreamWaitEvent(STREAM(stream), EVENT(event), 0);
}

static inline CUresult program_graph(uint32_t exec, uint32_t stream)
{
	program_did(WHAT_GRAPH, stream, lane_of_exec(EXEC(exec)), 0);
	return queued_cuGraphLaunch(EXEC(exec), STREAM(stream));
}

static inline CUresult program_upload(uint32_t exec, uint32_t stream)
{
	program_did(WHAT_UPLOAD, stream, lane_of_exec(EXEC(exec)), 0);
	return held_cuGraphUpload(EXEC(exec), STREAM(stream));
}

static inline CUresult program_event_end(uint32_t event)
{
	program_did(WHAT_EVENT_END, NO_LANE, lane_of_event(EVENT(event)), 0);
	return held_cuEventDestroy_v2(EVENT(event));
}

static inline CUresult program_stream_end(uint32_t stream)
{
	program_did(WHAT_STREAM_END, stream, NO_LANE, 0);
	return held_cuStreamDestroy_v2(STREAM(stream));
}

/* --- checks ----------------------------------------------------------------------------------- */

/* How many of the program's calls the driver has got. */
static inline uint32_t arrived(uint32_t lane)
{
	uint32_t n;

	fake_lock();
	n = fake.driver[lane].n;
	fake_unlock();
	return n;
}

/* Waits, with a generous deadline, until the driver got so many calls of the lane. */
static inline void await_arrived(uint32_t lane, uint32_t n)
{
	for (int i = 0; i < 100000 && arrived(lane) < n; i++) {
		const struct timespec pause = {.tv_nsec = 100000};
		(void)nanosleep(&pause, NULL);
	}
	assert_int_equal(arrived(lane), n);
}

static inline uint32_t nr_out_of_order(uint32_t lane)
{
	const struct lane_log *program = &fake.program[lane], *driver = &fake.driver[lane];
	uint32_t n = 0;

	if (program->n != driver->n || program->n > LANE_ROOM)
		return UINT32_MAX;
	for (uint32_t i = 0; i < program->n; i++)
		n += driver->entry[i] != program->entry[i];
	return n;
}

static inline void assert_same_order(void)
{
	uint64_t nr_wrong = 0;

	/* An assertion that fails does not come back to unlock. */
	fake_lock();
	for (uint32_t i = 0; i < NR_LANES; i++)
		nr_wrong += nr_out_of_order(i);
	fake_unlock();
	assert_int_equal(nr_wrong, 0);
	assert_int_equal(fake.nr_wrong_context, 0);
	assert_int_equal(fake.nr_bad_syncs, 0);
}

static inline void let_go(void)
{
	share.holds = 0;
	share.random = 0;
	assert_int_equal(held_cuCtxSynchronize(), CUDA_SUCCESS);
	assert_int_equal(queue_is_busy(), 0);
}

static inline int fake_setup(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < NR_LANES; i++)
		fake.program[i].n = fake.driver[i].n = 0;
	fake.program_blocking = fake.program_null = fake.driver_blocking = fake.driver_null = 0;
	fake.nr_wrong_context = fake.nr_bad_syncs = 0;
	fake.nr_driver_calls = 0;
	fake.launch_result = CUDA_SUCCESS;
	fake.query_result = CUDA_SUCCESS;
	fake.captured = fake.pageable_is_all = 0;
	fake_current = CTX;
	share.may_hold = 1;
	share.is_borrower = 0;
	share.holds = 0;
	share.random = 0;
	(void)snprintf(tenant.options.hold, sizeof(tenant.options.hold), "auto");
	assert_int_equal(queue_start(), 0);
	return 0;
}

static inline int fake_teardown(void **state)
{
	(void)state;
	let_go();
	return 0;
}

#endif
