/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of calls.def in front of the driver: stubs in calls.S, which come here when the queue
 * is busy, and what happens then.
 */
#ifndef LITHOS_SHIM_QUEUE_CALLS_H
#define LITHOS_SHIM_QUEUE_CALLS_H

#include <stdint.h>

enum call_how {
	CALL_TYPED,
	CALL_HOST_FUNC,
	CALL_FILL,
	CALL_FILL_2D,
	CALL_FREE,
	CALL_PREFETCH,
	CALL_ATTACH,
	CALL_COPY_DEVICE,
	CALL_COPY_PEER,
	CALL_WAIT_WORD,
	CALL_WRITE_WORD,
	CALL_BATCH_OPS,
	CALL_COPY_ANY,
	CALL_COPY_FROM_HOST,
	CALL_COPY_TO_HOST,
	CALL_COPY_2D,
	CALL_COPY_3D,
	CALL_COPY_3D_PEER,
	CALL_RECORD,
	CALL_WAIT_FOR_EVENT,
	CALL_EVENT_DESTROY,
	CALL_STREAM_DESTROY,
	CALL_EXEC_OP,
	CALL_QUERY,
	CALL_EVENT_QUERY,
	CALL_EVENT_ELAPSED,
	CALL_WAIT,
	CALL_EXEC_WAIT,
	CALL_STREAM_SYNC,
	CALL_EVENT_SYNC,
	CALL_CTX_SYNC,
	CALL_DRAIN,
	CALL_BEGIN_CAPTURE,
	CALL_END_CAPTURE,
	CALL_ALLOCATE,
	CALL_FORGET,
	CALL_FUNC_ATTRIBUTE,
	CALL_GRAPH_EVENT,
	CALL_GRAPH_NODE,
	CALL_SHARED_EVENT,
	NR_CALL_HOWS
};

#define ARG_NONE    (-1)
#define ARG_DEFAULT (-2)

struct call_row {
	const char *name;
	void *stub;  /* what the entry leads to while the queue is in front */
	void **next; /* where the stub goes on to; set when it is put in front */
	enum call_how how;
	int stream, other; /* argument numbers, ARG_NONE or ARG_DEFAULT */
};

extern const struct call_row call_rows[];
extern const uint32_t nr_call_rows;

/* Notes which rows are per-thread forms. Once, before any stub is in front. */
void calls_start(void);

/*
 * Called by a stub with the slot it goes on to, the six argument registers and the arguments on the
 * stack. The result of the call, or CALL_DIRECT: go on.
 */
#define CALL_DIRECT (1ull << 32)
uint64_t queue_call(void **next, const uint64_t *registers, const uint64_t *stack);

#endif
