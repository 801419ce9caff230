/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream operations on memory words, and callbacks.
 *
 * A wait watches a word of host-visible memory: the device tries it again every few microseconds.
 * Waits and writes cannot be captured here. Tested by tests/unit/sim_driver_streams.c.
 */
#include "sim/driver/op.h"

#include <errno.h>
#include <stdlib.h>

#include "sim/memory/memory.h"

struct word_task {
	struct sim_task task; /* first: the device hands this back */
	CUdeviceptr address;
	uint64_t value;
	unsigned int flags;
	int is_64;
};

static int write_run(struct sim_task *task, uint64_t now_ns, uint64_t *ret_ns)
{
	const struct word_task *word = (struct word_task *)task;

	(void)now_ns;
	*ret_ns = 0;
	/* Release order: what the stream wrote before is visible to whoever sees the word. */
	if (word->is_64)
		__atomic_store_n((uint64_t *)word->address, word->value, __ATOMIC_RELEASE);
	else
		__atomic_store_n((uint32_t *)word->address, (uint32_t)word->value,
				 __ATOMIC_RELEASE);
	return 0;
}

static int condition_holds(const struct word_task *word, uint64_t seen)
{
	uint64_t value = word->is_64 ? word->value : (uint32_t)word->value;

	switch (word->flags & 3) {
	case CU_STREAM_WAIT_VALUE_GEQ:
		return word->is_64 ? (int64_t)(seen - value) >= 0
				   : (int32_t)((uint32_t)seen - (uint32_t)value) >= 0;
	case CU_STREAM_WAIT_VALUE_EQ:
		return seen == value;
	case CU_STREAM_WAIT_VALUE_AND:
		return (seen & value) != 0;
	default:
		/* "Not or" of 32-bit words is about their 32 bits. */
		return ~(seen | value) != (word->is_64 ? 0 : (uint64_t)UINT32_MAX << 32);
	}
}

static int wait_run(struct sim_task *task, uint64_t now_ns, uint64_t *ret_ns)
{
	const struct word_task *word = (struct word_task *)task;
	uint64_t seen;

	(void)now_ns;
	*ret_ns = 0;
	if (word->is_64)
		seen = __atomic_load_n((uint64_t *)word->address, __ATOMIC_ACQUIRE);
	else
		seen = __atomic_load_n((uint32_t *)word->address, __ATOMIC_ACQUIRE);
	return condition_holds(word, seen) ? 0 : -EAGAIN;
}

static void word_release(struct sim_task *task)
{
	free(task);
}

static CUresult word_op(CUstream handle, const struct word_task *word, int is_wait)
{
	struct CUstream_st *stream;
	struct word_task *task;
	CUresult r = enter_stream(handle, &stream);

	if (r)
		return r;
	if (stream->capture)
		return leave(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	r = memory_check_locked(word->address, word->is_64 ? 8 : 4);
	if (r || word->address % (word->is_64 ? 8 : 4))
		return leave(CUDA_ERROR_INVALID_VALUE);
	task = malloc(sizeof(*task));
	if (!task)
		return leave(CUDA_ERROR_OUT_OF_MEMORY);
	*task = *word;
	task->task.run = is_wait ? wait_run : write_run;
	task->task.release = word_release;
	task->task.never_waits = !is_wait;
	task->task.watches_memory = is_wait;
	return leave(stream_task_locked(stream, &task->task));
}

CUresult cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr addr, cuuint32_t value,
				 unsigned int flags)
{
	return word_op(stream, &(struct word_task){.address = addr, .value = value, .flags = flags},
		       0);
}

CUresult cuStreamWaitValue32_v2(CUstream stream, CUdeviceptr addr, cuuint32_t value,
				unsigned int flags)
{
	return word_op(stream, &(struct word_task){.address = addr, .value = value, .flags = flags},
		       1);
}

CUresult cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr addr, cuuint64_t value,
				 unsigned int flags)
{
	return word_op(
		stream,
		&(struct word_task){.address = addr, .value = value, .flags = flags, .is_64 = 1},
		0);
}

CUresult cuStreamWaitValue64_v2(CUstream stream, CUdeviceptr addr, cuuint64_t value,
				unsigned int flags)
{
	return word_op(
		stream,
		&(struct word_task){.address = addr, .value = value, .flags = flags, .is_64 = 1},
		1);
}

struct callback {
	CUstreamCallback fn;
	CUstream stream;
	void *user;
};

static void run_callback(void *arg)
{
	struct callback *callback = arg;

	callback->fn(callback->stream, CUDA_SUCCESS, callback->user);
	free(callback);
}

CUresult cuStreamAddCallback(CUstream hStream, CUstreamCallback callback, void *userData,
			     unsigned int flags)
{
	struct CUstream_st *stream;
	struct callback *copy;
	CUresult r = enter_stream(hStream, &stream);

	if (r)
		return r;
	if (!callback || flags)
		return leave(CUDA_ERROR_INVALID_VALUE);
	if (stream->capture)
		return leave(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	copy = malloc(sizeof(*copy));
	if (!copy)
		return leave(CUDA_ERROR_OUT_OF_MEMORY);
	*copy = (struct callback){callback, hStream, userData};
	r = engine_host_func_locked(stream, run_callback, copy);
	return leave(r);
}
