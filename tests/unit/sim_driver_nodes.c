/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs built node by node: every kind of node does its work, after what it depends on. */
#include "sim_program.h"

static struct program program;
static unsigned int nr_host_calls;

static int setup(void **state)
{
	(void)state;
	program_open(&program);
	return 0;
}

static int reset(void **state)
{
	(void)state;
	nr_host_calls = 0;
	OK(cuMemsetD32(program.words, 0, 64));
	OK(cuCtxSynchronize());
	return 0;
}

static void host_call(void *user)
{
	assert_ptr_equal(user, &nr_host_calls);
	nr_host_calls++;
}

static void run(CUgraph graph, unsigned int nr_times)
{
	CUgraphExec exec;

	OK(cuGraphInstantiate(&exec, graph, 0));
	for (unsigned int i = 0; i < nr_times; i++)
		OK(cuGraphLaunch(exec, program.stream));
	OK(cuStreamSynchronize(program.stream));
	OK(cuGraphExecDestroy(exec));
}

static CUgraphNode add_set(CUgraph graph, CUgraphNode after, unsigned int value)
{
	const CUDA_MEMSET_NODE_PARAMS set = {.dst = program.words,
					     .pitch = 16,
					     .value = value,
					     .elementSize = 4,
					     .width = 2,
					     .height = 3};
	CUgraphNode node;

	OK(cuGraphAddMemsetNode(&node, graph, &after, after != NULL, &set, program.ctx));
	return node;
}

static CUgraphNode add_kernel(CUgraph graph, CUgraphNode after, CUdeviceptr words)
{
	uint64_t ns = 1000;
	void *params[] = {&words, &ns};
	const CUDA_KERNEL_NODE_PARAMS kernel = {.func = program_kernel(&program, "lk_count"),
						.gridDimX = 2,
						.gridDimY = 1,
						.gridDimZ = 1,
						.blockDimX = 32,
						.blockDimY = 1,
						.blockDimZ = 1,
						.kernelParams = params};
	CUgraphNode node;

	OK(cuGraphAddKernelNode(&node, graph, &after, after != NULL, &kernel));
	return node;
}

static CUgraphNode add_copy(CUgraph graph, CUgraphNode after, void *host)
{
	const CUDA_MEMCPY3D copy = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
				    .srcDevice = program.words,
				    .srcPitch = 16,
				    .dstMemoryType = CU_MEMORYTYPE_HOST,
				    .dstHost = host,
				    .dstPitch = 8,
				    .WidthInBytes = 8,
				    .Height = 3,
				    .Depth = 1};
	CUgraphNode node;

	OK(cuGraphAddMemcpyNode(&node, graph, &after, after != NULL, &copy, program.ctx));
	return node;
}

static void test_a_chain_of_kinds(void **state)
{
	const CUDA_HOST_NODE_PARAMS call = {.fn = host_call, .userData = &nr_host_calls};
	uint32_t host[6] = {0};
	CUgraphNode last, empty, node;
	CUgraph graph;

	(void)state;
	OK(cuGraphCreate(&graph, 0));
	/* The fill starts every replay anew, so the kernel counts from 10. */
	last = add_kernel(graph, add_set(graph, NULL, 10), program.words);
	OK(cuGraphAddEmptyNode(&empty, graph, &last, 1));
	last = add_copy(graph, empty, host);
	OK(cuGraphAddHostNode(&node, graph, &last, 1, &call));
	run(graph, 2);
	assert_int_equal(nr_host_calls, 2);
	assert_int_equal(host[0], 11);
	assert_int_equal(host[1], 11);
	assert_int_equal(host[2], 10);
	assert_int_equal(host[5], 10);
	assert_int_equal(program_word(&program, 2), 0);
	OK(cuGraphDestroy(graph));
}

/* In the newest form, which also gives the data of the edge. */
static void check_one_edge(CUgraph graph, CUgraphNode set, CUgraphNode kernel)
{
#if CUDA_VERSION >= 13000
	CUgraphEdgeData data = {.type = 1}, odd = data;
	CUgraphNode from, to;
	size_t n = 1;

	OK(cuGraphGetEdges(graph, &from, &to, &data, &n));
	assert_int_equal(n, 1);
	assert_ptr_equal(from, set);
	assert_ptr_equal(to, kernel);
	assert_int_equal(data.type, 0);
	assert_int_equal(cuGraphAddDependencies(graph, &set, &kernel, &odd, 1),
			 CUDA_ERROR_NOT_SUPPORTED);
#else
	CUgraphNode from, to;
	size_t n = 1;

	OK(cuGraphGetEdges(graph, &from, &to, &n));
	assert_ptr_equal(from, set);
	assert_ptr_equal(to, kernel);
#endif
}

static void test_dependencies_added_later_count(void **state)
{
	CUgraphNode set, kernel, deps[4];
	size_t n = 4;
	CUgraph graph;

	(void)state;
	OK(cuGraphCreate(&graph, 0));
	/* Made in the wrong order; the edge puts them right. */
	kernel = add_kernel(graph, NULL, program.words);
	set = add_set(graph, NULL, 20);
#if CUDA_VERSION < 13000
	OK(cuGraphAddDependencies(graph, &set, &kernel, 1));
	OK(cuGraphNodeGetDependencies(kernel, deps, &n));
#else
	OK(cuGraphAddDependencies(graph, &set, &kernel, NULL, 1));
	OK(cuGraphNodeGetDependencies(kernel, deps, NULL, &n));
#endif
	assert_int_equal(n, 1);
	assert_ptr_equal(deps[0], set);
	check_one_edge(graph, set, kernel);
	n = 4;
	OK(cuGraphGetRootNodes(graph, deps, &n));
	assert_int_equal(n, 1);
	assert_ptr_equal(deps[0], set);
	run(graph, 1);
	assert_int_equal(program_word(&program, 0), 21);
	OK(cuGraphDestroy(graph));
}

static void test_event_nodes(void **state)
{
	CUgraphNode kernel, record, node;
	CUgraph graph, waiting;
	CUevent event;

	(void)state;
	OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
	OK(cuGraphCreate(&graph, 0));
	kernel = add_kernel(graph, NULL, program.words);
	OK(cuGraphAddEventRecordNode(&record, graph, &kernel, 1, event));
	OK(cuGraphCreate(&waiting, 0));
	OK(cuGraphAddEventWaitNode(&node, waiting, NULL, 0, event));
	run(graph, 1);
	OK(cuEventSynchronize(event));
	OK(cuEventQuery(event));
	run(waiting, 1);
	OK(cuGraphDestroy(waiting));
	OK(cuGraphDestroy(graph));
	OK(cuEventDestroy(event));
}

static void test_types_and_clones(void **state)
{
	CUgraphNode set, kernel, found;
	CUgraphNodeType type;
	CUgraph graph, clone;
	size_t n = 0;

	(void)state;
	OK(cuGraphCreate(&graph, 0));
	set = add_set(graph, NULL, 30);
	kernel = add_kernel(graph, set, program.words);
	OK(cuGraphNodeGetType(set, &type));
	assert_int_equal(type, CU_GRAPH_NODE_TYPE_MEMSET);
	OK(cuGraphNodeGetType(kernel, &type));
	assert_int_equal(type, CU_GRAPH_NODE_TYPE_KERNEL);
	OK(cuGraphClone(&clone, graph));
	OK(cuGraphNodeFindInClone(&found, kernel, clone));
	assert_ptr_not_equal(found, kernel);
	OK(cuGraphDestroy(graph));
	OK(cuGraphGetNodes(clone, NULL, &n));
	assert_int_equal(n, 2);
	run(clone, 1);
	assert_int_equal(program_word(&program, 1), 31);
	OK(cuGraphDestroy(clone));
}

static void test_bad_nodes_are_refused(void **state)
{
	CUDA_MEMSET_NODE_PARAMS set = {.dst = program.words,
				       .pitch = 16,
				       .value = 1,
				       .elementSize = 3,
				       .width = 2,
				       .height = 3};
	CUDA_MEMCPY3D deep = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
			      .srcDevice = program.words,
			      .dstMemoryType = CU_MEMORYTYPE_DEVICE,
			      .dstDevice = program.words,
			      .WidthInBytes = 8,
			      .Height = 3,
			      .Depth = 2};
	CUgraphNode node, foreign;
	CUgraph graph, other;
	size_t n = 9;

	(void)state;
	OK(cuGraphCreate(&graph, 0));
	OK(cuGraphCreate(&other, 0));
	OK(cuGraphAddEmptyNode(&foreign, other, NULL, 0));
	assert_int_equal(cuGraphAddMemsetNode(&node, graph, NULL, 0, &set, program.ctx),
			 CUDA_ERROR_INVALID_VALUE);
	assert_int_equal(cuGraphAddMemcpyNode(&node, graph, NULL, 0, &deep, program.ctx),
			 CUDA_ERROR_NOT_SUPPORTED);
	assert_int_equal(cuGraphAddEmptyNode(&node, graph, &foreign, 1), CUDA_ERROR_INVALID_VALUE);
	assert_int_equal(cuGraphAddEmptyNode(&node, graph, NULL, 1), CUDA_ERROR_INVALID_VALUE);
	OK(cuGraphGetNodes(graph, NULL, &n));
	assert_int_equal(n, 0);
	OK(cuGraphDestroy(other));
	OK(cuGraphDestroy(graph));
}

#define TEST(name) cmocka_unit_test_setup(name, reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_chain_of_kinds),      TEST(test_dependencies_added_later_count),
		TEST(test_event_nodes),           TEST(test_types_and_clones),
		TEST(test_bad_nodes_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
