/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever sets a priority is changed on its way to the driver, and the program is told what it
 * asked for. The owner of queue_fakes.h gets one more than it asks for; its borrower the lowest, 0.
 */
#include "queue_program.h"

#include "shim/queue/priority.h"

#define NODE(i) ((CUgraphNode)(uintptr_t)(0x50000 + 16 * (i)))

static int told_of_stream(CUstream stream)
{
	int priority = 99;

	assert_int_equal(queued_cuStreamGetPriority_ptsz(stream, &priority), CUDA_SUCCESS);
	return priority;
}

static int told_of_attribute(CUstream stream)
{
	CUstreamAttrValue value = {.priority = 99};

	assert_int_equal(queued_cuStreamGetAttribute(stream, CU_LAUNCH_ATTRIBUTE_PRIORITY, &value),
			 CUDA_SUCCESS);
	return value.priority;
}

static int told_of_node(CUgraphNode node)
{
	CUkernelNodeAttrValue value = {.priority = 99};

	assert_int_equal(
		queued_cuGraphKernelNodeGetAttribute(node, CU_LAUNCH_ATTRIBUTE_PRIORITY, &value),
		CUDA_SUCCESS);
	return value.priority;
}

static CUresult stream_set(CUstream stream, int priority)
{
	CUstreamAttrValue value = {.priority = priority};

	return queued_cuStreamSetAttribute(stream, CU_LAUNCH_ATTRIBUTE_PRIORITY, &value);
}

static CUresult node_set(CUgraphNode node, int priority)
{
	CUkernelNodeAttrValue value = {.priority = priority};

	return queued_cuGraphKernelNodeSetAttribute(node, CU_LAUNCH_ATTRIBUTE_PRIORITY, &value);
}

static void test_made(void **state)
{
	CUstream stream;

	(void)state;
	/* Where it is made, the fake driver's handle says what it got. */
	assert_int_equal(queued_cuStreamCreateWithPriority(&stream, 1, -3), CUDA_SUCCESS);
	assert_int_equal((uintptr_t)stream, 1000 - 4 + 1);
	fake_priority.priority = -4;
	assert_int_equal(told_of_stream(stream), -3);
	assert_int_equal(told_of_attribute(stream), -3);
	share.is_borrower = 1;
	assert_int_equal(queued_cuStreamCreateWithPriority(&stream, 1, -5), CUDA_SUCCESS);
	assert_int_equal((uintptr_t)stream, 1000 + 1);
	fake_priority.priority = 0;
	assert_int_equal(told_of_stream(stream), -5);
	assert_int_equal(queued_cuGreenCtxStreamCreate(&stream, NULL, 1, -2), CUDA_SUCCESS);
	assert_int_equal(fake_priority.priority, 0);
	assert_int_equal(told_of_stream(stream), -2);
}

/* A handle that was given out again, by a call that nobody saw, means another stream. */
static void test_stale(void **state)
{
	(void)state;
	share.is_borrower = 1;
	assert_int_equal(stream_set(STREAM(2), -1), CUDA_SUCCESS);
	assert_int_equal(told_of_stream(STREAM(2)), -1);
	fake_priority.priority = -3;
	assert_int_equal(told_of_stream(STREAM(2)), -3);
	fake_priority.priority = 0;
	(void)held_cuStreamDestroy_v2(STREAM(2));
	assert_int_equal(told_of_stream(STREAM(2)), 0);
}

static void test_attributes_of_streams(void **state)
{
	(void)state;
	assert_int_equal(stream_set(STREAM(3), -2), CUDA_SUCCESS);
	assert_int_equal(fake_priority.priority, -3);
	assert_int_equal(told_of_attribute(STREAM(3)), -2);
	assert_int_equal(told_of_stream(STREAM(3)), -2);
	assert_int_equal(queued_cuStreamCopyAttributes(STREAM(4), STREAM(3)), CUDA_SUCCESS);
	assert_int_equal(told_of_stream(STREAM(4)), -2);
	/* A stream without a note: its priority is the driver's to tell. */
	assert_int_equal(queued_cuStreamCopyAttributes(STREAM(4), STREAM(6)), CUDA_SUCCESS);
	assert_int_equal(told_of_stream(STREAM(4)), -3);
	assert_int_equal(stream_set(NULL, -2), CUDA_ERROR_INVALID_HANDLE);
}

/* The attribute is for what comes after it. */
static void test_attribute_waits(void **state)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	(void)state;
	share.random = 1;
	for (uint32_t i = 0; i < 20; i++)
		(void)program_launch(5, i);
	(void)nanosleep(&pause, NULL);
	assert_int_equal(stream_set(STREAM(5), -2), CUDA_SUCCESS);
	assert_int_equal(arrived(5), 20);
	let_go();
}

static void test_kernels_of_graphs(void **state)
{
	(void)state;
	share.is_borrower = 1;
	assert_int_equal(node_set(NODE(1), -5), CUDA_SUCCESS);
	assert_int_equal(fake_priority.priority, 0);
	assert_int_equal(told_of_node(NODE(1)), -5);
	assert_int_equal(queued_cuGraphKernelNodeCopyAttributes(NODE(2), NODE(1)), CUDA_SUCCESS);
	assert_int_equal(told_of_node(NODE(2)), -5);
	assert_int_equal(queued_cuGraphDestroyNode(NODE(2)), CUDA_SUCCESS);
	assert_int_equal(told_of_node(NODE(2)), 0);
	assert_int_equal(told_of_node(NODE(1)), -5);
}

static CUresult launch_at(int priority, CUlaunchAttribute *attribute)
{
	CUlaunchConfig config = {.gridDimX = 1,
				 .gridDimY = 1,
				 .gridDimZ = 1,
				 .blockDimX = 32,
				 .blockDimY = 1,
				 .blockDimZ = 1,
				 .hStream = STREAM(1),
				 .attrs = attribute,
				 .numAttrs = 1};

	attribute->id = CU_LAUNCH_ATTRIBUTE_PRIORITY;
	attribute->value.priority = priority;
	return queued_cuLaunchKernelEx(&config, FUNC, (void *[]){&(uint32_t){1}, &(uint64_t){2}},
				       NULL);
}

static void test_launches(void **state)
{
	CUlaunchAttribute attribute;

	(void)state;
	assert_int_equal(launch_at(-2, &attribute), CUDA_SUCCESS);
	assert_int_equal(fake.last_priority, -3);
	/* The program's memory is its own. */
	assert_int_equal(attribute.value.priority, -2);
	share.is_borrower = 1;
	assert_int_equal(launch_at(-5, &attribute), CUDA_SUCCESS);
	assert_int_equal(fake.last_priority, 0);
	share.holds = 1;
	assert_int_equal(launch_at(-4, &attribute), CUDA_SUCCESS);
	fake.last_priority = 99;
	let_go();
	assert_int_equal(fake.last_priority, 0);
}

/* More streams than there is room for: the oldest are forgotten, the newest are known. */
static void test_many(void **state)
{
	(void)state;
	share.is_borrower = 1;
	for (uintptr_t i = 0; i < 5000; i++)
		assert_int_equal(stream_set((CUstream)(0x90000 + 16 * i), -1), CUDA_SUCCESS);
	assert_int_equal(told_of_stream((CUstream)(0x90000 + 16 * 4999)), -1);
	assert_int_equal(told_of_stream((CUstream)0x90000), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_made, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_stale, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_attributes_of_streams, fake_setup,
						fake_teardown),
		cmocka_unit_test_setup_teardown(test_attribute_waits, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_kernels_of_graphs, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_launches, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_many, fake_setup, fake_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
