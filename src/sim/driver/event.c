/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events: a handle on the latest record made with it.
 *
 * Recording in a capturing stream makes no record: the event then names nodes of the graph, and a
 * wait for it joins the waiting stream to the capture (sim/graph/capture.c). Times are device
 * times, so elapsed time is exact in the simulation. Tested by tests/unit/sim_driver_streams.c.
 */
#include "sim/driver/op.h"

#include <stdlib.h>

#include "sim/graph/capture.h"

CUresult cuEventCreate(CUevent *phEvent, unsigned int Flags)
{
	struct CUctx_st *ctx;
	struct CUevent_st *event;
	CUresult r = enter_ctx(&ctx);

	if (r)
		return r;
	if (!phEvent || Flags > 7 || Flags == CU_EVENT_INTERPROCESS)
		return leave(CUDA_ERROR_INVALID_VALUE);
	event = calloc(1, sizeof(*event));
	if (!event)
		return leave(CUDA_ERROR_OUT_OF_MEMORY);
	event->ctx = ctx;
	event->flags = Flags;
	object_add_locked(&event->object, OBJECT_EVENT);
	*phEvent = event;
	return leave(CUDA_SUCCESS);
}

/* 0 with the lock held and the handle good, or the error. */
static CUresult enter_event(CUevent event)
{
	CUresult r = enter();

	if (r)
		return r;
	return object_is_locked(event, OBJECT_EVENT) ? CUDA_SUCCESS
						     : leave(CUDA_ERROR_INVALID_HANDLE);
}

CUresult cuEventDestroy_v2(CUevent hEvent)
{
	CUresult r = enter_event(hEvent);

	if (r)
		return r;
	object_remove_locked(&hEvent->object);
	record_put_locked(hEvent->last);
	free(hEvent->nodes);
	free(hEvent);
	return leave(CUDA_SUCCESS);
}

CUresult event_record_locked(struct CUevent_st *event, struct CUstream_st *stream)
{
	struct record *record;
	CUresult r = record_in_stream_locked(stream, &record);

	if (r)
		return r;
	record_put_locked(event->last);
	event->last = record;
	event->capture = NULL;
	return CUDA_SUCCESS;
}

CUresult event_wait_locked(struct CUevent_st *event, struct CUstream_st *stream)
{
	/* An event that was never recorded is done. */
	return event->last ? record_wait_in_stream_locked(stream, event->last) : CUDA_SUCCESS;
}

CUresult cuEventRecordWithFlags(CUevent hEvent, CUstream hStream, unsigned int flags)
{
	struct CUstream_st *stream;
	CUresult r = enter_stream(hStream, &stream);

	if (r)
		return r;
	if (!object_is_locked(hEvent, OBJECT_EVENT))
		return leave(CUDA_ERROR_INVALID_HANDLE);
	if (flags & ~(unsigned int)CU_EVENT_RECORD_EXTERNAL)
		return leave(CUDA_ERROR_INVALID_VALUE);
	if (stream->capture && flags)
		return leave(
			op_submit_locked(stream, &(struct op){.kind = OP_RECORD, .event = hEvent}));
	if (stream->capture)
		return leave(capture_event_record_locked(stream, hEvent));
	return leave(event_record_locked(hEvent, stream));
}

CUresult cuEventRecord(CUevent hEvent, CUstream hStream)
{
	return cuEventRecordWithFlags(hEvent, hStream, 0);
}

CUresult cuStreamWaitEvent(CUstream hStream, CUevent hEvent, unsigned int Flags)
{
	struct CUstream_st *stream;
	CUresult r = enter_stream(hStream, &stream);

	if (r)
		return r;
	if (!object_is_locked(hEvent, OBJECT_EVENT))
		return leave(CUDA_ERROR_INVALID_HANDLE);
	if (Flags & ~(unsigned int)CU_EVENT_WAIT_EXTERNAL)
		return leave(CUDA_ERROR_INVALID_VALUE);
	if (Flags && stream->capture)
		return leave(
			op_submit_locked(stream, &(struct op){.kind = OP_WAIT, .event = hEvent}));
	if (capture_event_is_live_locked(hEvent))
		return leave(capture_event_wait_locked(stream, hEvent));
	if (stream->capture)
		return leave(CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
	return leave(event_wait_locked(hEvent, stream));
}

CUresult cuEventQuery(CUevent hEvent)
{
	CUresult r = enter_event(hEvent);

	if (r)
		return r;
	if (capture_event_is_live_locked(hEvent))
		return leave(CUDA_ERROR_CAPTURED_EVENT);
	engine_kick_locked();
	return leave(!hEvent->last || hEvent->last->done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY);
}

CUresult cuEventSynchronize(CUevent hEvent)
{
	CUresult r = enter_event(hEvent);

	if (r)
		return r;
	if (capture_event_is_live_locked(hEvent))
		return leave(CUDA_ERROR_CAPTURED_EVENT);
	return leave(hEvent->last ? record_wait_locked(hEvent->last) : CUDA_SUCCESS);
}

static CUresult elapsed_locked(const struct CUevent_st *start, const struct CUevent_st *end,
			       float *ret_ms)
{
	if ((start->flags | end->flags) & CU_EVENT_DISABLE_TIMING || !start->last || !end->last)
		return CUDA_ERROR_INVALID_HANDLE;
	if (!start->last->done || !end->last->done)
		return CUDA_ERROR_NOT_READY;
	*ret_ms = (float)((double)(int64_t)(end->last->time_ns - start->last->time_ns) / 1e6);
	return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime_v2(float *pMilliseconds, CUevent hStart, CUevent hEnd)
{
	CUresult r = enter_event(hStart);

	if (r)
		return r;
	if (!object_is_locked(hEnd, OBJECT_EVENT))
		return leave(CUDA_ERROR_INVALID_HANDLE);
	if (!pMilliseconds)
		return leave(CUDA_ERROR_INVALID_VALUE);
	return leave(elapsed_locked(hStart, hEnd, pMilliseconds));
}
