/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream capture: work that goes into a stream becomes nodes of a graph.
 *
 * One capture may span streams: a wait for an event recorded in a capturing stream brings the
 * waiting stream in (fork); it is out again when the first stream has waited for its last event
 * (join).
 */
#ifndef LITHOS_SIM_CAPTURE_H
#define LITHOS_SIM_CAPTURE_H

#include "sim/driver/op.h"

/* The stream goes while it captures: its capture can only fail now. */
void capture_forget_locked(struct CUstream_st *stream);
/* A call that is not allowed while capturing: spoils the capture and gives the error to return. */
CUresult capture_invalidate_locked(struct CUstream_st *stream);

/* Adds a node behind what the stream captured so far. */
CUresult capture_op_locked(struct CUstream_st *stream, const struct op *op);

CUresult capture_event_record_locked(struct CUstream_st *stream, struct CUevent_st *event);
CUresult capture_event_wait_locked(struct CUstream_st *stream, struct CUevent_st *event);
/* The event's latest recording was in a capture that has not ended. */
int capture_event_is_live_locked(const struct CUevent_st *event);

#endif
