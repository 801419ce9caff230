/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs and the launch hook: who is announced when, and that replays keep the edited descriptor.
 */
#include "sim_program.h"

#include "hw/qmd.h"
#include "hw/tools_hook.h"

#define MAX_EVENTS 64

static struct program program;
static struct {
	unsigned int nr;
	uint32_t width[MAX_EVENTS];
	uint64_t release; /* address to arm; 0: leave the descriptor alone */
} seen;

static void on_event(const struct qmd_event *event)
{
	const struct qmd_layout *layout = qmd_layout_by_name("V04_00");
	struct qmd_grid grid;

	OK(qmd_decode_grid(layout, event->qmd, &grid));
	assert_true(seen.nr < MAX_EVENTS);
	seen.width[seen.nr++] = grid.grid[0];
	if (seen.release)
		assert_int_equal(qmd_arm_release(layout, event->qmd, 1, seen.release, 42), 0);
}

static int setup(void **state)
{
	(void)state;
	program_open(&program);
	assert_int_equal(tools_hook_subscribe(cuGetExportTable, on_event), 0);
	return 0;
}

static int reset(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof(seen));
	OK(cuMemsetD32(program.words, 0, 64));
	OK(cuCtxSynchronize());
	return 0;
}

/* Three launches of 1, 2 and 3 blocks; the second on another stream, joined. */
static CUgraphExec capture_three(CUgraph *ret_graph)
{
	CUgraphExec exec;
	CUstream side;
	CUevent fork, join;

	OK(cuStreamCreate(&side, CU_STREAM_NON_BLOCKING));
	OK(cuEventCreate(&fork, CU_EVENT_DISABLE_TIMING));
	OK(cuEventCreate(&join, CU_EVENT_DISABLE_TIMING));
	OK(cuStreamBeginCapture(program.stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
	OK(program_launch(&program, "lk_count", 1, program.stream, 100));
	OK(cuEventRecord(fork, program.stream));
	OK(cuStreamWaitEvent(side, fork, 0));
	OK(program_launch(&program, "lk_count", 2, side, 100));
	OK(cuEventRecord(join, side));
	OK(cuStreamWaitEvent(program.stream, join, 0));
	OK(program_launch(&program, "lk_count", 3, program.stream, 100));
	OK(cuStreamEndCapture(program.stream, ret_graph));
	OK(cuGraphInstantiate(&exec, *ret_graph, 0));
	OK(cuEventDestroy(fork));
	OK(cuEventDestroy(join));
	OK(cuStreamDestroy(side));
	return exec;
}

static void test_announced_once_last_first(void **state)
{
	_Alignas(16) static uint32_t record[4];
	CUgraph graph;
	CUgraphExec exec = capture_three(&graph);

	(void)state;
	seen.release = (uintptr_t)record;
	assert_int_equal(seen.nr, 0);
	OK(cuGraphUpload(exec, program.stream));
	assert_int_equal(seen.nr, 3);
	assert_int_equal(seen.width[0], 3);
	assert_int_equal(seen.width[1], 2);
	assert_int_equal(seen.width[2], 1);
	for (uint32_t replay = 1; replay <= 3; replay++) {
		memset(record, 0, sizeof(record));
		OK(cuGraphLaunch(exec, program.stream));
		OK(cuStreamSynchronize(program.stream));
		assert_int_equal(record[0], 42);
		assert_int_equal(program_word(&program, 0), 3 * replay);
		assert_int_equal(program_word(&program, 2), replay);
	}
	assert_int_equal(seen.nr, 3);
	OK(cuGraphExecDestroy(exec));
	OK(cuGraphDestroy(graph));
}

static void test_changed_node_is_announced_again(void **state)
{
	CUDA_KERNEL_NODE_PARAMS params;
	CUgraphExecUpdateResultInfo info;
	CUgraph graph;
	CUgraphExec exec = capture_three(&graph);
	CUgraphNode nodes[3];
	size_t n = 3;

	(void)state;
	OK(cuGraphLaunch(exec, program.stream));
	OK(cuGraphGetNodes(graph, nodes, &n));
	assert_int_equal(n, 3);
	OK(cuGraphKernelNodeGetParams(nodes[1], &params));
	params.gridDimX = 9;
	OK(cuGraphExecKernelNodeSetParams(exec, nodes[1], &params));
	OK(cuGraphLaunch(exec, program.stream));
	assert_int_equal(seen.nr, 4);
	assert_int_equal(seen.width[3], 9);
	OK(cuGraphKernelNodeSetParams(nodes[1], &params));
	OK(cuGraphExecUpdate(exec, graph, &info));
	OK(cuGraphLaunch(exec, program.stream));
	assert_int_equal(seen.nr, 4);
	OK(cuStreamSynchronize(program.stream));
	assert_int_equal(program_word(&program, 8), 2);
	OK(cuGraphExecDestroy(exec));
	OK(cuGraphDestroy(graph));
}

static void test_unjoined_capture_fails(void **state)
{
	CUstream side;
	CUevent fork;
	CUgraph graph;

	(void)state;
	OK(cuStreamCreate(&side, CU_STREAM_NON_BLOCKING));
	OK(cuEventCreate(&fork, 0));
	OK(cuStreamBeginCapture(program.stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
	OK(cuEventRecord(fork, program.stream));
	OK(cuStreamWaitEvent(side, fork, 0));
	OK(program_launch(&program, "lk_count", 2, side, 100));
	assert_int_equal(cuStreamEndCapture(program.stream, &graph),
			 CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
	OK(program_launch(&program, "lk_count", 2, side, 100));
	OK(cuStreamSynchronize(side));
	OK(cuEventDestroy(fork));
	OK(cuStreamDestroy(side));
}

static void test_driver_kernels_are_announced(void **state)
{
	(void)state;
	OK(cuMemsetD32Async(program.words, 1, 1000, program.stream));
	assert_int_equal(seen.nr, 0);
	OK(cuMemsetD2D32Async(program.words, 64, 5, 4, 10, program.stream));
	assert_int_equal(seen.nr, 1);
	OK(cuStreamSynchronize(program.stream));
	assert_int_equal(program_word(&program, 9 * 16 + 3), 5);
	assert_int_equal(program_word(&program, 9 * 16 + 4), 1);
}

#define TEST(name) cmocka_unit_test_setup(name, reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_announced_once_last_first),
		TEST(test_changed_node_is_announced_again),
		TEST(test_unjoined_capture_fails),
		TEST(test_driver_kernels_are_announced),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
