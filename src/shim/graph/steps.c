/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launching a graph in steps.
 *
 * Problem: a graph goes to the GPU as one, with masks that were fixed when it was uploaded, and
 * nothing can take it back. A borrower's graph of 30 ms keeps an owner waiting for 30 ms, at one
 * block's wait for each of the owner's kernels. Idea: a borrower's graph is launched as the kernels
 * that it consists of. Each of them then is a launch like any other: it gets the TPCs that are lent
 * at that moment, waits for the bound, is made in atoms or claimed when it is long.
 *
 * The graph is copied when it is instantiated, since programs destroy it then; the copy owns the
 * parameters of the kernels. Changes of the executable graph are made in the copy as well
 * (hook_exec.c); after one that is not understood the graph is launched as one again.
 *
 * Order: CUDA runs the launches of one executable graph one after the other, whatever streams they
 * are in. An event behind each launch, waited for by the next one, keeps that.
 *
 * What it does badly: a launch costs the caller a launch call for each kernel, 2 to 4 us; branches
 * of a graph run one after the other. A graph of many short kernels takes two to three times as
 * long this way: the price of giving the GPU back.
 *
 * Tested by tests/programs/graphs.c and tests/integration/graph_steps.bats.
 */
#include "shim/graph/steps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shim/graph/read.h"
#include "shim/queue/copy.h"
#include "shim/queue/launch.h"

/* Our own exports, through what stands in front of the driver's functions; legacy and _ptsz. */
static const struct stream_calls {
	__typeof__(cuMemcpyAsync) *copy;
	__typeof__(cuMemcpy2DAsync_v2) *copy_2d;
	__typeof__(cuMemsetD2D8Async) *set8;
	__typeof__(cuMemsetD2D16Async) *set16;
	__typeof__(cuMemsetD2D32Async) *set32;
	__typeof__(cuMemsetD8Async) *fill8;
	__typeof__(cuMemsetD16Async) *fill16;
	__typeof__(cuMemsetD32Async) *fill32;
	__typeof__(cuLaunchHostFunc) *host;
	__typeof__(cuEventRecord) *record;
	__typeof__(cuStreamWaitEvent) *wait;
} stream_calls[2] = {
	{cuMemcpyAsync, cuMemcpy2DAsync_v2, cuMemsetD2D8Async, cuMemsetD2D16Async,
	 cuMemsetD2D32Async, cuMemsetD8Async, cuMemsetD16Async, cuMemsetD32Async, cuLaunchHostFunc,
	 cuEventRecord, cuStreamWaitEvent},
	{cuMemcpyAsync_ptsz, cuMemcpy2DAsync_v2_ptsz, cuMemsetD2D8Async_ptsz,
	 cuMemsetD2D16Async_ptsz, cuMemsetD2D32Async_ptsz, cuMemsetD8Async_ptsz,
	 cuMemsetD16Async_ptsz, cuMemsetD32Async_ptsz, cuLaunchHostFunc_ptsz, cuEventRecord_ptsz,
	 cuStreamWaitEvent_ptsz},
};

struct graph_steps {
	CUgraph clone;
	CUevent end; /* of the latest launch; NULL before the first one */
	size_t nr;
	struct step step[];
};

static int steps_fill(const struct graph_driver *driver, struct graph_steps *steps,
		      const CUgraphNode *node)
{
	int err = 0;

	for (size_t i = 0; i < steps->nr && !err; i++)
		err = step_read(driver, node[i], &steps->step[i]);
	return err;
}

struct graph_steps *graph_steps_read(CUgraph graph)
{
	const struct graph_driver *driver = graph_driver();
	struct graph_steps *steps = NULL;
	CUgraphNode *node = NULL;
	CUgraph clone = NULL;
	size_t nr = 0;

	if (!driver || driver->clone(&clone, graph))
		return NULL;
	node = graph_order(driver, clone, &nr);
	if (node)
		steps = calloc(1, sizeof(*steps) + nr * sizeof(steps->step[0]));
	if (!steps)
		goto out;
	steps->nr = nr;
	if (steps_fill(driver, steps, node)) {
		free(steps);
		steps = NULL;
		goto out;
	}
	steps->clone = clone;
out:
	free(node);
	if (!steps)
		(void)driver->destroy(clone);
	return steps;
}

void graph_steps_free(struct graph_steps *steps)
{
	if (!steps)
		return;
	if (steps->end)
		(void)cuEventDestroy_v2(steps->end);
	(void)graph_driver()->destroy(steps->clone);
	free(steps);
}

static struct step *step_of(struct graph_steps *steps, CUgraphNode node)
{
	for (size_t i = 0; i < steps->nr; i++) {
		if (steps->step[i].node == node)
			return &steps->step[i];
	}
	return NULL;
}

int graph_steps_change(struct graph_steps *steps, CUgraphNode node,
		       const CUDA_KERNEL_NODE_PARAMS *params)
{
	const struct graph_driver *driver = graph_driver();
	CUgraphNode in_clone = NULL;
	struct step *step;

	if (driver->find_in_clone(&in_clone, node, steps->clone) ||
	    driver->kernel_set(in_clone, params))
		return -ENOENT;
	step = step_of(steps, in_clone);
	return step && !step_read(driver, in_clone, step) ? 0 : -ENOENT;
}

/* --- launching -------------------------------------------------------------------------------- */

static CUresult kernel_launch(const struct step *step, CUstream stream, int is_per_thread)
{
	const CUDA_KERNEL_NODE_PARAMS *k = &step->kernel;
	CUlaunchAttribute attr[STEP_ATTRS];
	struct launch launch = {
		.kind = step->nr_attrs ? LAUNCH_EX : LAUNCH_KERNEL,
		.is_per_thread_call = is_per_thread,
		.func = step->func,
		.config = {.gridDimX = k->gridDimX,
			   .gridDimY = k->gridDimY,
			   .gridDimZ = k->gridDimZ,
			   .blockDimX = k->blockDimX,
			   .blockDimY = k->blockDimY,
			   .blockDimZ = k->blockDimZ,
			   .sharedMemBytes = k->sharedMemBytes,
			   .hStream = stream,
			   .attrs = attr,
			   .numAttrs = step->nr_attrs},
		.params = k->kernelParams,
		.extra = k->kernelParams ? NULL : k->extra,
	};

	memcpy(attr, step->attr, sizeof(attr));
	return launch_by_program(&launch);
}

/* One row may be longer than the driver allows a row of a rectangle to be. */
static CUresult copy_make(const struct stream_calls *calls, const CUDA_MEMCPY2D *copy,
			  CUstream stream)
{
	if (copy->Height > 1)
		return calls->copy_2d(copy, stream);
	return calls->copy(copy->dstDevice + copy->dstY * copy->dstPitch + copy->dstXInBytes,
			   copy->srcDevice + copy->srcY * copy->srcPitch + copy->srcXInBytes,
			   copy->WidthInBytes, stream);
}

static CUresult set_launch(const struct stream_calls *calls, const CUDA_MEMSET_NODE_PARAMS *set,
			   CUstream stream)
{
	int is_flat = set->height <= 1;

	switch (set->elementSize) {
	case 1:
		return is_flat ? calls->fill8(set->dst, (unsigned char)set->value, set->width,
					      stream)
			       : calls->set8(set->dst, set->pitch, (unsigned char)set->value,
					     set->width, set->height, stream);
	case 2:
		return is_flat ? calls->fill16(set->dst, (unsigned short)set->value, set->width,
					       stream)
			       : calls->set16(set->dst, set->pitch, (unsigned short)set->value,
					      set->width, set->height, stream);
	default:
		return is_flat ? calls->fill32(set->dst, set->value, set->width, stream)
			       : calls->set32(set->dst, set->pitch, set->value, set->width,
					      set->height, stream);
	}
}

static CUresult step_launch(const struct step *step, CUstream stream, int is_per_thread)
{
	const struct stream_calls *calls = &stream_calls[is_per_thread != 0];

	switch (step->kind) {
	case STEP_KERNEL:
		return kernel_launch(step, stream, is_per_thread);
	case STEP_COPY:
		return copy_make(calls, &step->copy, stream);
	case STEP_SET:
		return set_launch(calls, &step->set, stream);
	case STEP_HOST:
		return calls->host(stream, step->host.fn, step->host.userData);
	case STEP_NOTHING:
	default:
		return CUDA_SUCCESS;
	}
}

CUresult graph_steps_before_whole(struct graph_steps *steps, CUstream stream, int is_per_thread)
{
	/* In the same stream it costs next to nothing; and a handle may be that of a new stream. */
	if (!steps->end)
		return CUDA_SUCCESS;
	return stream_calls[is_per_thread != 0].wait(stream, steps->end, 0);
}

void graph_steps_after_whole(struct graph_steps *steps, CUstream stream, int is_per_thread)
{
	if (!steps->end && cuEventCreate(&steps->end, CU_EVENT_DISABLE_TIMING)) {
		steps->end = NULL;
		return;
	}
	(void)stream_calls[is_per_thread != 0].record(steps->end, stream);
}

CUresult graph_steps_launch(struct graph_steps *steps, CUstream stream, int is_per_thread)
{
	CUresult result = graph_steps_before_whole(steps, stream, is_per_thread);

	for (size_t i = 0; i < steps->nr && result == CUDA_SUCCESS; i++)
		result = step_launch(&steps->step[i], stream, is_per_thread);
	if (result == CUDA_SUCCESS)
		graph_steps_after_whole(steps, stream, is_per_thread);
	return result;
}
