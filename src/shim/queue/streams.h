/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call acts on, as its arguments say it, and what that has to wait for.
 */
#ifndef LITHOS_SHIM_QUEUE_STREAMS_H
#define LITHOS_SHIM_QUEUE_STREAMS_H

#include <stdint.h>

#include "shim/queue/ops.h"

enum target_kind {
	TARGET_ALL,    /* everything held */
	TARGET_ORDER,  /* a stream, and what the NULL stream's rule puts before it */
	TARGET_STREAM, /* a stream alone */
	TARGET_RECORD, /* the newest record of an event */
	TARGET_EVENT,  /* everything with the event */
	TARGET_EXEC,   /* everything with the executable graph */
	/* A thread's own default stream: never held, but the NULL stream goes first */
	TARGET_THREAD,
};

struct target {
	enum target_kind kind;
	const void *handle; /* of a stream: NULL is the NULL stream of ctx */
	CUcontext ctx;      /* current in the calling thread */
};

/* The target of kind ORDER or THREAD that a stream argument names. */
struct target target_of_stream(const void *handle, int is_per_thread_call);

/* Number of the oldest operation of the target; 0 = nothing of it is held. */
uint64_t target_oldest_locked(const struct target *target);

/* Waits until everything of the target that is held by now was submitted. */
void target_wait_locked(const struct target *target);
void target_wait(const struct target *target);

/*
 * The lane of a stream target, made with what the driver says of the stream; NULL when it is not
 * known to the driver. Gives the lock back while it asks.
 */
struct lane *stream_lane_locked(const struct target *target);

/* 1 when the stream is part of a capture, or the driver refuses to say. Asks the driver. */
int stream_is_captured(const void *handle, int is_per_thread_call);

CUcontext current_context(void);

#endif
