/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capture.
 *
 * A capture owns a graph being built; each stream in it knows the nodes its next operation waits
 * for (its tips). An event recorded in it keeps a copy of the tips; waiting for that event adds
 * them to the waiter's, whose stream joins the capture if it was not in it. At the end every node
 * must be reachable backwards from the first stream's tips, or a branch was never joined.
 *
 * What it does badly: the null stream's implicit dependencies on capturing streams are not checked,
 * and the thread modes (which calls spoil a capture) are kept but not enforced. Tested by
 * tests/unit/sim_driver_graphs.c.
 */
#include "sim/graph/capture.h"

#include <stdlib.h>
#include <string.h>

#include "sim/graph/graph.h"

struct capture {
	struct capture *next;
	uint64_t id;
	struct CUgraph_st *graph;
	struct CUstream_st *first; /* NULL once it was destroyed */
	int is_spoiled;
};

static struct capture *captures;
static _Thread_local CUstreamCaptureMode thread_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;

static CUresult tips_add(struct CUstream_st *stream, struct CUgraphNode_st *node)
{
	struct CUgraphNode_st **tips;

	for (size_t i = 0; i < stream->nr_tips; i++) {
		if (stream->tips[i] == node)
			return CUDA_SUCCESS;
	}
	tips = realloc(stream->tips, (stream->nr_tips + 1) * sizeof(CUgraphNode));
	if (!tips)
		return CUDA_ERROR_OUT_OF_MEMORY;
	stream->tips = tips;
	tips[stream->nr_tips++] = node;
	return CUDA_SUCCESS;
}

static void leave_capture(struct CUstream_st *stream)
{
	free(stream->tips);
	stream->tips = NULL;
	stream->nr_tips = 0;
	stream->capture = NULL;
}

void capture_forget_locked(struct CUstream_st *stream)
{
	stream->capture->is_spoiled = 1;
	if (stream->capture->first == stream)
		stream->capture->first = NULL;
	leave_capture(stream);
}

CUresult capture_invalidate_locked(struct CUstream_st *stream)
{
	stream->capture->is_spoiled = 1;
	return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

CUresult capture_op_locked(struct CUstream_st *stream, const struct op *op)
{
	struct CUgraphNode_st *node;
	CUresult r;

	if (stream->capture->is_spoiled)
		return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	r = graph_add_locked(stream->capture->graph, op, stream->tips, stream->nr_tips, &node);
	if (r)
		return r;
	stream->nr_tips = 0;
	return tips_add(stream, node);
}

int capture_event_is_live_locked(const struct CUevent_st *event)
{
	for (const struct capture *capture = captures; capture; capture = capture->next) {
		if (capture == event->capture && capture->id == event->capture_id)
			return 1;
	}
	return 0;
}

CUresult capture_event_record_locked(struct CUstream_st *stream, struct CUevent_st *event)
{
	struct CUgraphNode_st **nodes = calloc(stream->nr_tips + 1, sizeof(CUgraphNode));

	if (!nodes)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (stream->nr_tips)
		memcpy(nodes, stream->tips, stream->nr_tips * sizeof(CUgraphNode));
	free(event->nodes);
	event->nodes = nodes;
	event->nr_nodes = stream->nr_tips;
	event->capture = stream->capture;
	event->capture_id = stream->capture->id;
	return CUDA_SUCCESS;
}

CUresult capture_event_wait_locked(struct CUstream_st *stream, struct CUevent_st *event)
{
	CUresult r = CUDA_SUCCESS;

	if (stream->capture && stream->capture != event->capture) {
		stream->capture->is_spoiled = 1;
		return CUDA_ERROR_STREAM_CAPTURE_MERGE;
	}
	stream->capture = event->capture;
	for (size_t i = 0; i < event->nr_nodes && !r; i++)
		r = tips_add(stream, event->nodes[i]);
	return r;
}

static CUresult begin_locked(struct CUstream_st *stream)
{
	struct capture *capture;
	CUresult r;

	if (stream == stream->ctx->null_stream)
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	if (stream->capture)
		return CUDA_ERROR_ILLEGAL_STATE;
	capture = calloc(1, sizeof(*capture));
	if (!capture)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = graph_new_locked(&capture->graph);
	if (r) {
		free(capture);
		return r;
	}
	capture->id = sim.next_id++;
	capture->first = stream;
	capture->next = captures;
	captures = capture;
	stream->capture = capture;
	return CUDA_SUCCESS;
}

CUresult cuStreamBeginCapture_v2(CUstream hStream, CUstreamCaptureMode mode)
{
	struct CUstream_st *stream;
	CUresult r = enter_stream(hStream, &stream);

	if (r)
		return r;
	if ((unsigned int)mode > CU_STREAM_CAPTURE_MODE_RELAXED)
		return leave(CUDA_ERROR_INVALID_VALUE);
	return leave(begin_locked(stream));
}

CUresult cuStreamBeginCapture(CUstream hStream)
{
	return cuStreamBeginCapture_v2(hStream, CU_STREAM_CAPTURE_MODE_GLOBAL);
}

CUresult cuStreamBeginCapture_ptsz(CUstream hStream)
{
	return cuStreamBeginCapture(hStream ? hStream : CU_STREAM_PER_THREAD);
}

/* Marks the nodes the tips wait for, the tips included. Nodes only depend on older ones. */
static int all_reachable(const struct CUgraph_st *graph, const struct CUstream_st *stream)
{
	for (size_t i = 0; i < graph->nr_nodes; i++)
		graph->node[i]->mark = 0;
	for (size_t i = 0; i < stream->nr_tips; i++)
		stream->tips[i]->mark = 1;
	for (size_t i = graph->nr_nodes; i-- > 0;) {
		const struct CUgraphNode_st *node = graph->node[i];

		if (!node->mark)
			return 0;
		for (size_t d = 0; d < node->nr_deps; d++)
			node->deps[d]->mark = 1;
	}
	return 1;
}

static void capture_free(struct capture *capture)
{
	struct capture **link = &captures;

	while (*link != capture)
		link = &(*link)->next;
	*link = capture->next;
	/* Streams that joined are released too. */
	for (struct CUctx_st *ctx = sim.contexts; ctx; ctx = ctx->next) {
		for (struct CUstream_st *stream = ctx->streams; stream; stream = stream->next) {
			if (stream->capture == capture)
				leave_capture(stream);
		}
	}
	free(capture);
}

static CUresult end_locked(struct CUstream_st *stream, CUgraph *ret_graph)
{
	struct capture *capture = stream->capture;
	CUresult r = CUDA_SUCCESS;

	if (!capture)
		return CUDA_ERROR_ILLEGAL_STATE;
	if (capture->first != stream)
		return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
	if (capture->is_spoiled)
		r = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	else if (!all_reachable(capture->graph, stream))
		r = CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
	*ret_graph = r ? NULL : capture->graph;
	if (r)
		graph_free_locked(capture->graph);
	capture_free(capture);
	return r;
}

CUresult cuStreamEndCapture(CUstream hStream, CUgraph *phGraph)
{
	struct CUstream_st *stream;
	CUresult r = enter_stream(hStream, &stream);

	if (r)
		return r;
	return leave(phGraph ? end_locked(stream, phGraph) : CUDA_ERROR_INVALID_VALUE);
}

static CUstreamCaptureStatus status_of(const struct CUstream_st *stream)
{
	if (!stream->capture)
		return CU_STREAM_CAPTURE_STATUS_NONE;
	return stream->capture->is_spoiled ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
					   : CU_STREAM_CAPTURE_STATUS_ACTIVE;
}

CUresult cuStreamIsCapturing(CUstream hStream, CUstreamCaptureStatus *captureStatus)
{
	struct CUstream_st *stream;
	CUresult r = enter_stream(hStream, &stream);

	if (r)
		return r;
	if (!captureStatus)
		return leave(CUDA_ERROR_INVALID_VALUE);
	*captureStatus = status_of(stream);
	return leave(CUDA_SUCCESS);
}

CUresult cuStreamGetCaptureInfo_v2(CUstream hStream, CUstreamCaptureStatus *captureStatus_out,
				   cuuint64_t *id_out, CUgraph *graph_out,
				   const CUgraphNode **dependencies_out,
				   size_t *numDependencies_out)
{
	struct CUstream_st *stream;
	CUresult r = enter_stream(hStream, &stream);

	if (r)
		return r;
	if (!captureStatus_out)
		return leave(CUDA_ERROR_INVALID_VALUE);
	*captureStatus_out = status_of(stream);
	if (*captureStatus_out != CU_STREAM_CAPTURE_STATUS_ACTIVE)
		return leave(CUDA_SUCCESS);
	if (id_out)
		*id_out = stream->capture->id;
	if (graph_out)
		*graph_out = stream->capture->graph;
	if (dependencies_out)
		*dependencies_out = stream->tips;
	if (numDependencies_out)
		*numDependencies_out = stream->nr_tips;
	return leave(CUDA_SUCCESS);
}

CUresult cuStreamGetCaptureInfo_v3(CUstream hStream, CUstreamCaptureStatus *captureStatus_out,
				   cuuint64_t *id_out, CUgraph *graph_out,
				   const CUgraphNode **dependencies_out,
				   const CUgraphEdgeData **edgeData_out,
				   size_t *numDependencies_out)
{
	if (edgeData_out)
		*edgeData_out = NULL;
	return cuStreamGetCaptureInfo_v2(hStream, captureStatus_out, id_out, graph_out,
					 dependencies_out, numDependencies_out);
}

CUresult cuStreamGetCaptureInfo(CUstream hStream, CUstreamCaptureStatus *captureStatus_out,
				cuuint64_t *id_out)
{
	return cuStreamGetCaptureInfo_v2(hStream, captureStatus_out, id_out, NULL, NULL, NULL);
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
	CUstreamCaptureMode before = thread_mode;
	CUresult r = enter();

	if (r)
		return r;
	if (!mode || (unsigned int)*mode > CU_STREAM_CAPTURE_MODE_RELAXED)
		return leave(CUDA_ERROR_INVALID_VALUE);
	thread_mode = *mode;
	*mode = before;
	return leave(CUDA_SUCCESS);
}
