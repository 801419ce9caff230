/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running operations that are not kernels.
 *
 * Copies and fills happen at the start of their time on the device, which nobody can tell, because
 * what follows in the stream waits for their end. Times: a fixed part and bytes by bandwidth; the
 * constants are round numbers near an H100's (docs/simulator.md). Transfers do not share a bus.
 */
#include "sim/driver/op.h"

#include <stdlib.h>
#include <string.h>

#include "sim/graph/capture.h"

#define FIXED_NS            1000u
#define BUS_BYTES_PER_US    50000u   /* 50 GB/s */
#define MEMORY_BYTES_PER_US 1500000u /* 1.5 TB/s, read and written */

struct op_task {
	struct sim_task task; /* first: the device hands this back */
	struct op op;
};

static void run_copy(const struct op_copy *copy)
{
	for (size_t y = 0; y < copy->height; y++)
		memmove((char *)copy->dst + y * copy->dst_pitch,
			(const char *)copy->src + y * copy->src_pitch, copy->width);
}

static void set_row(char *row, const struct op_set *set)
{
	if (set->element == 1) {
		memset(row, (int)set->value, set->width);
		return;
	}
	/* Little-endian: the low bytes of the value are the element. */
	for (size_t x = 0; x < set->width; x++)
		memcpy(row + x * set->element, &set->value, set->element);
}

static uint64_t copy_ns(const struct op_copy *copy)
{
	uint64_t per_us = copy->crosses_bus ? BUS_BYTES_PER_US : MEMORY_BYTES_PER_US;

	return FIXED_NS + copy->width * copy->height * 1000 / per_us;
}

static int op_run(struct sim_task *task, uint64_t now_ns, uint64_t *ret_ns)
{
	const struct op *op = &((struct op_task *)task)->op;

	(void)now_ns;
	if (op->kind == OP_COPY) {
		run_copy(&op->copy);
		*ret_ns = copy_ns(&op->copy);
		return 0;
	}
	for (size_t y = 0; y < op->set.height; y++)
		set_row((char *)op->set.dst + y * op->set.pitch, &op->set);
	*ret_ns = FIXED_NS +
		  op->set.width * op->set.element * op->set.height * 1000 / MEMORY_BYTES_PER_US;
	return 0;
}

static void op_release(struct sim_task *task)
{
	free(task);
}

static CUresult submit_memory_op(struct CUstream_st *stream, const struct op *op)
{
	struct op_task *task = calloc(1, sizeof(*task));

	if (!task)
		return CUDA_ERROR_OUT_OF_MEMORY;
	task->task.run = op_run;
	task->task.release = op_release;
	task->op = *op;
	return stream_task_locked(stream, &task->task);
}

CUresult op_run_locked(struct CUstream_st *stream, const struct op *op)
{
	switch (op->kind) {
	case OP_COPY:
	case OP_SET:
		return submit_memory_op(stream, op);
	case OP_HOST:
		return engine_host_func_locked(stream, op->host.fn, op->host.user);
	case OP_RECORD:
		return event_record_locked(op->event, stream);
	case OP_WAIT:
		return event_wait_locked(op->event, stream);
	case OP_EMPTY:
		return CUDA_SUCCESS;
	case OP_KERNEL:
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult op_submit_locked(struct CUstream_st *stream, const struct op *op)
{
	if (stream->capture)
		return capture_op_locked(stream, op);
	return op_run_locked(stream, op);
}

CUresult op_clone(const struct op *op, struct op *ret_op)
{
	*ret_op = *op;
	if (op->kind != OP_KERNEL)
		return CUDA_SUCCESS;
	/* One byte at least, so that NULL means no memory. */
	ret_op->kernel.params = malloc(op->kernel.params_bytes + 1);
	if (!ret_op->kernel.params)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (op->kernel.params_bytes)
		memcpy(ret_op->kernel.params, op->kernel.params, op->kernel.params_bytes);
	return CUDA_SUCCESS;
}

void op_free(struct op *op)
{
	if (op->kind == OP_KERNEL)
		free(op->kernel.params);
	op->kind = OP_EMPTY;
}
