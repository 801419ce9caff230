/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records: "everything in this stream up to here is done, at that time".
 *
 * Events, waits between streams, the null stream's ordering and every synchronisation are built on
 * them. A record is made once, completed once, and shared by counting references, so an event that
 * is recorded again while somebody waits for its earlier recording needs no care.
 */
#include "sim/driver/state.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"

#define SPIN_NS 30000u

struct record_task {
	struct sim_task task; /* first: the device hands this back */
	struct record *record;
};

struct record *record_new(void)
{
	struct record *record = calloc(1, sizeof(*record));

	if (record)
		record->nr_refs = 1;
	return record;
}

void record_put_locked(struct record *record)
{
	if (record && !--record->nr_refs)
		free(record);
}

static int record_run(struct sim_task *task, uint64_t now_ns, uint64_t *ret_ns)
{
	struct record *record = ((struct record_task *)task)->record;

	record->done = 1;
	record->time_ns = now_ns;
	*ret_ns = 0;
	return 0;
}

static int wait_run(struct sim_task *task, uint64_t now_ns, uint64_t *ret_ns)
{
	(void)now_ns;
	*ret_ns = 0;
	return ((struct record_task *)task)->record->done ? 0 : -EAGAIN;
}

static void wait_release(struct sim_task *task)
{
	record_put_locked(((struct record_task *)task)->record);
	free(task);
}

/* Whoever waits for a record whose stream is destroyed must not wait for ever. */
static void record_release(struct sim_task *task)
{
	((struct record_task *)task)->record->done = 1;
	(void)pthread_cond_broadcast(&sim.progress);
	wait_release(task);
}

enum record_use {
	RECORD_MADE,
	RECORD_MADE_ASIDE,
	RECORD_AWAITED
};

static CUresult submit(struct CUstream_st *stream, struct record *record, enum record_use use)
{
	int is_wait = use == RECORD_AWAITED;
	struct record_task *task = calloc(1, sizeof(*task));

	if (!task)
		return CUDA_ERROR_OUT_OF_MEMORY;
	task->task.run = is_wait ? wait_run : record_run;
	task->task.release = is_wait ? wait_release : record_release;
	task->task.never_waits = !is_wait;
	task->task.is_aside = use == RECORD_MADE_ASIDE;
	task->record = record;
	if (gpu_submit_task_locked(stream->queue, &task->task)) {
		free(task);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	record->nr_refs++;
	return CUDA_SUCCESS;
}

CUresult record_submit_aside_locked(struct CUstream_st *stream, struct record *record)
{
	return submit(stream, record, RECORD_MADE_ASIDE);
}

CUresult record_submit_wait_locked(struct CUstream_st *stream, struct record *record)
{
	return submit(stream, record, RECORD_AWAITED);
}

CUresult record_in_stream_locked(struct CUstream_st *stream, struct record **ret_record)
{
	struct record *record = record_new();
	CUresult r = record ? stream_order_locked(stream) : CUDA_ERROR_OUT_OF_MEMORY;

	if (!r)
		r = submit(stream, record, RECORD_MADE);
	if (r) {
		record_put_locked(record);
		return r;
	}
	engine_kick_locked();
	*ret_record = record;
	return CUDA_SUCCESS;
}

CUresult record_wait_in_stream_locked(struct CUstream_st *stream, struct record *record)
{
	CUresult r;

	if (record->done)
		return CUDA_SUCCESS;
	r = stream_order_locked(stream);
	if (!r)
		r = record_submit_wait_locked(stream, record);
	engine_kick_locked();
	return r;
}

CUresult record_wait_locked(struct record *record)
{
	uint64_t give_up_ns = clock_now_ns() + SPIN_NS;
	CUresult r;

	record->nr_refs++;
	/* Short work of an own GPU ends before a sleeping thread would wake up. */
	while (!gpu_is_shared() && !record->done && time_before(clock_now_ns(), give_up_ns)) {
		(void)pthread_mutex_unlock(&sim.lock);
		__builtin_ia32_pause();
		(void)pthread_mutex_lock(&sim.lock);
		if (gpu_advance_locked())
			(void)pthread_cond_broadcast(&sim.progress);
	}
	while (!record->done && !sim.lost)
		(void)pthread_cond_wait(&sim.progress, &sim.lock);
	r = record->done ? CUDA_SUCCESS : (CUresult)sim.lost;
	record_put_locked(record);
	return r;
}
