/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the nodes of a graph to calls in a stream.
 *
 * The order is topological, by the edges alone: one stream runs the steps one after the other,
 * which is more than the edges ask for. So programmatic edges, by which a kernel may begin before
 * the one in front of it has ended, need no treatment either.
 *
 * Kernels keep what decides where their blocks run and meet, cluster and cooperative launch. Hints
 * about caches are dropped, and so is a node's priority, as it is everywhere for who borrows.
 *
 * A copy is a step only when both ends are known to the driver: it reads other memory when the call
 * is made, and a graph when it runs.
 *
 * Tested by tests/programs/graphs.c and tests/integration/graph_steps.bats.
 */
#include "shim/graph/read.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "shim/slots.h"

static struct graph_driver found;
static _Atomic int state; /* 0: not looked up, 1: complete, -1: something is missing */

static const struct {
	const char *name;
	size_t at;
} symbols[] = {
	{"cuGraphClone", offsetof(struct graph_driver, clone)},
	{"cuGraphDestroy", offsetof(struct graph_driver, destroy)},
	{"cuGraphNodeFindInClone", offsetof(struct graph_driver, find_in_clone)},
	{"cuGraphGetNodes", offsetof(struct graph_driver, nodes)},
	{"cuGraphGetEdges_v2", offsetof(struct graph_driver, edges)},
	{"cuGraphNodeGetType", offsetof(struct graph_driver, type)},
	{"cuGraphKernelNodeGetParams_v2", offsetof(struct graph_driver, kernel)},
	{"cuGraphKernelNodeSetParams_v2", offsetof(struct graph_driver, kernel_set)},
	{"cuGraphKernelNodeGetAttribute", offsetof(struct graph_driver, attribute)},
	{"cuGraphMemcpyNodeGetParams", offsetof(struct graph_driver, copy)},
	{"cuGraphMemsetNodeGetParams", offsetof(struct graph_driver, set)},
	{"cuGraphHostNodeGetParams", offsetof(struct graph_driver, host)},
	{"cuKernelGetFunction", offsetof(struct graph_driver, kernel_function)},
	{"cuPointerGetAttribute", offsetof(struct graph_driver, pointer)},
};

/* Two threads that do it at once find the same. */
const struct graph_driver *graph_driver(void)
{
	if (!state) {
		int is_complete = 1;

		for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
			void *symbol = slots_real(symbols[i].name);

			memcpy((char *)&found + symbols[i].at, &symbol, sizeof(symbol));
			is_complete &= symbol != NULL;
		}
		state = is_complete ? 1 : -1;
	}
	return state > 0 ? &found : NULL;
}

/* --- order ------------------------------------------------------------------------------------ */

struct ordering {
	CUgraphNode *node; /* sorted by address */
	size_t nr_nodes;
	CUgraphNode *from, *to;
	size_t nr_edges;
	uint32_t *waits_for; /* by node: how many of those that it waits for are not placed yet */
	CUgraphNode *placed;
	size_t nr_placed;
};

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t) * (const CUgraphNode *)a,
		  y = (uintptr_t) * (const CUgraphNode *)b;

	return x < y ? -1 : x > y;
}

static size_t index_of(const struct ordering *o, CUgraphNode node)
{
	const CUgraphNode *at =
		bsearch(&node, o->node, o->nr_nodes, sizeof(CUgraphNode), by_address);

	return at ? (size_t)(at - o->node) : o->nr_nodes;
}

/* Edges as pairs {from, to}, sorted, so that those that leave one node stand together. */
static int edges_sort(struct ordering *o)
{
	CUgraphNode(*pair)[2] = calloc(o->nr_edges + 1, sizeof(*pair));

	if (!pair)
		return -ENOMEM;
	for (size_t i = 0; i < o->nr_edges; i++) {
		pair[i][0] = o->from[i];
		pair[i][1] = o->to[i];
	}
	qsort(pair, o->nr_edges, sizeof(*pair), by_address);
	for (size_t i = 0; i < o->nr_edges; i++) {
		o->from[i] = pair[i][0];
		o->to[i] = pair[i][1];
	}
	free(pair);
	return 0;
}

static size_t first_edge(const struct ordering *o, CUgraphNode from)
{
	size_t low = 0, high = o->nr_edges;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if ((uintptr_t)o->from[middle] < (uintptr_t)from)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Kahn 1962: who waits for nobody comes next. */
static int place_all(struct ordering *o)
{
	for (size_t i = 0; i < o->nr_edges; i++) {
		size_t to = index_of(o, o->to[i]);

		if (to == o->nr_nodes)
			return -ENOENT;
		o->waits_for[to]++;
	}
	for (size_t i = 0; i < o->nr_nodes; i++) {
		if (!o->waits_for[i])
			o->placed[o->nr_placed++] = o->node[i];
	}
	for (size_t done = 0; done < o->nr_placed; done++) {
		CUgraphNode node = o->placed[done];

		for (size_t e = first_edge(o, node); e < o->nr_edges && o->from[e] == node; e++) {
			if (--o->waits_for[index_of(o, o->to[e])] == 0)
				o->placed[o->nr_placed++] = o->to[e];
		}
	}
	return o->nr_placed == o->nr_nodes ? 0 : -ELOOP;
}

static int ordering_read(const struct graph_driver *driver, CUgraph graph, struct ordering *o)
{
	CUgraphEdgeData *data = NULL;
	int err = -ENOMEM;

	if (driver->nodes(graph, NULL, &o->nr_nodes) ||
	    driver->edges(graph, NULL, NULL, NULL, &o->nr_edges))
		return -EIO;
	o->node = calloc(o->nr_nodes + 1, sizeof(CUgraphNode));
	o->placed = calloc(o->nr_nodes + 1, sizeof(CUgraphNode));
	o->waits_for = calloc(o->nr_nodes + 1, sizeof(*o->waits_for));
	o->from = calloc(o->nr_edges + 1, sizeof(CUgraphNode));
	o->to = calloc(o->nr_edges + 1, sizeof(CUgraphNode));
	data = calloc(o->nr_edges + 1, sizeof(*data));
	if (!o->node || !o->placed || !o->waits_for || !o->from || !o->to || !data)
		goto out;
	err = -EIO;
	if ((o->nr_nodes && driver->nodes(graph, o->node, &o->nr_nodes)) ||
	    (o->nr_edges && driver->edges(graph, o->from, o->to, data, &o->nr_edges)))
		goto out;
	qsort(o->node, o->nr_nodes, sizeof(CUgraphNode), by_address);
	err = edges_sort(o);
out:
	free(data);
	return err;
}

CUgraphNode *graph_order(const struct graph_driver *driver, CUgraph graph, size_t *ret_nr)
{
	struct ordering o = {.nr_nodes = 0};
	int err = ordering_read(driver, graph, &o);

	if (!err)
		err = place_all(&o);
	free(o.node);
	free(o.waits_for);
	free(o.from);
	free(o.to);
	if (err) {
		free(o.placed);
		return NULL;
	}
	*ret_nr = o.nr_nodes;
	return o.placed;
}

/* --- nodes ------------------------------------------------------------------------------------ */

static void attribute_add(struct step *step, CUlaunchAttributeID id,
			  const CUlaunchAttributeValue *value)
{
	step->attr[step->nr_attrs++] = (CUlaunchAttribute){.id = id, .value = *value};
}

static int attributes_read(const struct graph_driver *driver, struct step *step)
{
	CUlaunchAttributeValue value;

	memset(&value, 0, sizeof(value));
	if (driver->attribute(step->node, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, &value))
		return -ENOTSUP;
	if (value.clusterDim.x)
		attribute_add(step, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, &value);
	memset(&value, 0, sizeof(value));
	if (driver->attribute(step->node, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &value))
		return -ENOTSUP;
	if (value.cooperative)
		attribute_add(step, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &value);
	return 0;
}

static int kernel_read(const struct graph_driver *driver, struct step *step)
{
	CUDA_KERNEL_NODE_PARAMS *kernel = &step->kernel;

	if (driver->kernel(step->node, kernel))
		return -ENOTSUP;
	step->kind = STEP_KERNEL;
	step->nr_attrs = 0;
	step->func = kernel->func;
	if (!step->func && (!kernel->kern || driver->kernel_function(&step->func, kernel->kern)))
		return -ENOTSUP;
	return attributes_read(driver, step);
}

/* 1 when the driver knows the memory, so that it is read when the copy runs. */
static int is_known(const struct graph_driver *driver, CUdeviceptr at)
{
	unsigned int type = 0;

	return driver->pointer(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, at) == CUDA_SUCCESS;
}

static CUdeviceptr end_of(CUmemorytype type, const void *host, CUdeviceptr device)
{
	return type == CU_MEMORYTYPE_HOST ? (CUdeviceptr)(uintptr_t)host : device;
}

static int copy_read(const struct graph_driver *driver, struct step *step)
{
	CUDA_MEMCPY3D in;
	CUdeviceptr from, to;

	memset(&in, 0, sizeof(in));
	if (driver->copy(step->node, &in) || in.Depth > 1 || in.srcZ || in.dstZ || in.srcLOD ||
	    in.dstLOD || in.srcMemoryType == CU_MEMORYTYPE_ARRAY ||
	    in.dstMemoryType == CU_MEMORYTYPE_ARRAY)
		return -ENOTSUP;
	from = end_of(in.srcMemoryType, in.srcHost, in.srcDevice);
	to = end_of(in.dstMemoryType, in.dstHost, in.dstDevice);
	if (!is_known(driver, from) || !is_known(driver, to))
		return -ENOTSUP;
	step->kind = STEP_COPY;
	step->copy = (CUDA_MEMCPY2D){
		.srcXInBytes = in.srcXInBytes,
		.srcY = in.srcY,
		.srcMemoryType = CU_MEMORYTYPE_UNIFIED,
		.srcDevice = from,
		.srcPitch = in.srcPitch,
		.dstXInBytes = in.dstXInBytes,
		.dstY = in.dstY,
		.dstMemoryType = CU_MEMORYTYPE_UNIFIED,
		.dstDevice = to,
		.dstPitch = in.dstPitch,
		.WidthInBytes = in.WidthInBytes,
		.Height = in.Height ? in.Height : 1,
	};
	return 0;
}

static int set_read(const struct graph_driver *driver, struct step *step)
{
	unsigned int bytes;

	if (driver->set(step->node, &step->set))
		return -ENOTSUP;
	bytes = step->set.elementSize;
	step->kind = STEP_SET;
	return bytes == 1 || bytes == 2 || bytes == 4 ? 0 : -ENOTSUP;
}

static int host_read(const struct graph_driver *driver, struct step *step)
{
	step->kind = STEP_HOST;
	return driver->host(step->node, &step->host) ? -ENOTSUP : 0;
}

int step_read(const struct graph_driver *driver, CUgraphNode node, struct step *ret_step)
{
	CUgraphNodeType type;

	*ret_step = (struct step){.kind = STEP_NOTHING, .node = node};
	if (driver->type(node, &type))
		return -ENOTSUP;
	switch (type) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
		return kernel_read(driver, ret_step);
	case CU_GRAPH_NODE_TYPE_MEMCPY:
		return copy_read(driver, ret_step);
	case CU_GRAPH_NODE_TYPE_MEMSET:
		return set_read(driver, ret_step);
	case CU_GRAPH_NODE_TYPE_HOST:
		return host_read(driver, ret_step);
	case CU_GRAPH_NODE_TYPE_EMPTY:
		return 0;
	default:
		return -ENOTSUP;
	}
}
