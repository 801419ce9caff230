/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations: what goes into a stream, or, while the stream captures, into a graph as a node.
 *
 * Every asynchronous call makes one and hands it over; a graph launch hands over those of its
 * nodes.
 */
#ifndef LITHOS_SIM_OP_H
#define LITHOS_SIM_OP_H

#include "sim/driver/state.h"

enum op_kind {
	OP_EMPTY,
	OP_KERNEL,
	OP_COPY,
	OP_SET,
	OP_HOST,
	OP_RECORD,
	OP_WAIT
};

struct op_kernel {
	struct CUfunc_st *func;
	uint32_t grid[3];
	uint32_t block[3];
	uint32_t cluster[3];
	uint32_t dynamic_shared;
	int cooperative;
	int overlaps_previous;
	size_t params_bytes;
	void *params; /* owned; laid out as the kernel's parameter bank */
};

/* A rectangle of bytes; height 1 for what is not one. */
struct op_copy {
	void *dst;
	const void *src;
	size_t dst_pitch;
	size_t src_pitch;
	size_t width;
	size_t height;
	int crosses_bus; /* one side is host memory */
};

struct op_set {
	void *dst;
	size_t pitch;
	uint32_t value;
	uint32_t element; /* 1, 2 or 4 bytes */
	size_t width;     /* in elements */
	size_t height;
};

struct op_host {
	CUhostFn fn;
	void *user;
};

struct op {
	enum op_kind kind;
	union {
		struct op_kernel kernel;
		struct op_copy copy;
		struct op_set set;
		struct op_host host;
		struct CUevent_st *event;
	};
};

/* Copies what the operation owns. */
CUresult op_clone(const struct op *op, struct op *ret_op);
void op_free(struct op *op);

/*
 * Adds the operation to the stream, or to the graph it captures into. Not for kernels, which are
 * announced first: launch_op (sim/kernel/launch.h).
 */
CUresult op_submit_locked(struct CUstream_st *stream, const struct op *op);
/* The same, never captured. */
CUresult op_run_locked(struct CUstream_st *stream, const struct op *op);

/* The current thread's view of an event in a stream. event.c. */
CUresult event_record_locked(struct CUevent_st *event, struct CUstream_st *stream);
CUresult event_wait_locked(struct CUevent_st *event, struct CUstream_st *stream);

#endif
