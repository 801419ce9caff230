/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Held launches: what is copied, what the driver must judge at once, what waits in the caller.
 */
#include "queue_program.h"

#include <sys/wait.h>
#include <unistd.h>

static void *let_go_later(void *unused)
{
	const struct timespec pause = {.tv_nsec = 20000000};

	(void)nanosleep(&pause, NULL);
	share.holds = 0;
	return unused;
}

/* Runs the launch while everything is held; 1 when it came back before that ended. */
static int is_held_back(CUresult (*launch)(void))
{
	uint64_t before = fake.nr_driver_calls;
	pthread_t thread;
	int held;

	share.holds = 1;
	assert_int_equal(pthread_create(&thread, NULL, let_go_later, NULL), 0);
	assert_int_equal(launch(), CUDA_SUCCESS);
	held = share.holds && fake.nr_driver_calls == before;
	(void)pthread_join(thread, NULL);
	let_go();
	assert_int_equal(fake.nr_driver_calls, before + 1);
	return held;
}

static struct {
	unsigned int grid, block, block_z, shared;
	CUfunction func;
	CUstream stream;
	void **extra;
	CUlaunchAttribute attribute;
} ask;

static void ask_reset(void)
{
	memset(&ask, 0, sizeof(ask));
	ask.grid = 1;
	ask.block = 32;
	ask.block_z = 1;
	ask.func = FUNC;
	ask.stream = STREAM(1);
}

static CUresult launch_plain(void)
{
	uint32_t id = 1;
	uint64_t other = 2;
	void *params[2] = {&id, &other};

	return queued_cuLaunchKernel(ask.func, ask.grid, 1, 1, ask.block, 1, ask.block_z,
				     ask.shared, ask.stream, ask.extra ? NULL : params, ask.extra);
}

static CUresult launch_per_thread(void)
{
	return queued_cuLaunchKernel_ptsz(FUNC, 1, 1, 1, 32, 1, 1, 0, ask.stream,
					  (void *[]){&(uint32_t){1}, &(uint64_t){2}}, NULL);
}

static CUresult launch_config(void)
{
	CUlaunchConfig config = {.gridDimX = ask.grid,
				 .gridDimY = 1,
				 .gridDimZ = 1,
				 .blockDimX = ask.block,
				 .blockDimY = 1,
				 .blockDimZ = 1,
				 .hStream = ask.stream,
				 .attrs = &ask.attribute,
				 .numAttrs = 1};

	return queued_cuLaunchKernelEx(&config, FUNC, (void *[]){&(uint32_t){1}, &(uint64_t){2}},
				       NULL);
}

/* What the driver might refuse it gets from the caller, who is told. */
static void test_refusals(void **state)
{
	(void)state;
	ask_reset();
	assert_true(is_held_back(launch_plain));
	ask.shared = 4096;
	ask.block = 512;
	assert_true(is_held_back(launch_plain));
	ask.shared = 4097;
	assert_false(is_held_back(launch_plain));
	ask_reset();
	ask.block = 513;
	assert_false(is_held_back(launch_plain));
	ask_reset();
	ask.grid = 0;
	assert_false(is_held_back(launch_plain));
	ask_reset();
	ask.block_z = 65;
	ask.block = 1;
	assert_false(is_held_back(launch_plain));
}

static CUresult launch_unknown(void)
{
	return queued_cuLaunchKernel((CUfunction)0x500, 1, 1, 1, 32, 1, 1, 0, ask.stream, NULL,
				     NULL);
}

/* Functions and streams that the driver does not know are the driver's to refuse. */
static void test_unknown_handles(void **state)
{
	(void)state;
	ask_reset();
	share.knows_other_functions = 1;
	assert_false(is_held_back(launch_unknown));
	share.knows_other_functions = 0;
	ask.stream = (CUstream)0x42;
	assert_false(is_held_back(launch_plain));
}

static CUresult launch_null_params(void)
{
	return queued_cuLaunchKernel(FUNC, 1, 1, 1, 32, 1, 1, 0, ask.stream, NULL, NULL);
}

static void test_no_params(void **state)
{
	(void)state;
	ask_reset();
	assert_false(is_held_back(launch_null_params));
}

/* Parameters packed by the caller are copied as they are. */
static void test_extra(void **state)
{
	uint32_t packed[4] = {77, 0, 2, 0};
	size_t bytes = sizeof(packed);
	void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, packed, CU_LAUNCH_PARAM_BUFFER_SIZE,
			 &bytes, CU_LAUNCH_PARAM_END};

	(void)state;
	ask_reset();
	ask.extra = extra;
	share.holds = 1;
	program_did(WHAT_LAUNCH, 1, NO_LANE, 77);
	assert_int_equal(launch_plain(), CUDA_SUCCESS);
	memset(packed, 0, sizeof(packed));
	bytes = 0;
	assert_int_equal(arrived(1), 0);
	let_go();
	assert_same_order();
}

/* A buffer that is smaller than the parameters is the driver's to refuse. */
static void test_small_extra(void **state)
{
	uint32_t packed[4] = {77, 0, 2, 0};
	size_t bytes = sizeof(packed) - 1;
	void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, packed, CU_LAUNCH_PARAM_BUFFER_SIZE,
			 &bytes, CU_LAUNCH_PARAM_END};

	(void)state;
	ask_reset();
	ask.extra = extra;
	assert_false(is_held_back(launch_plain));
	bytes++;
	assert_true(is_held_back(launch_plain));
}

/* The caller's attributes may change as soon as the call has returned. */
static void test_attributes_are_copied(void **state)
{
	(void)state;
	ask_reset();
	ask.attribute.id = CU_LAUNCH_ATTRIBUTE_PRIORITY;
	share.holds = 1;
	assert_int_equal(launch_config(), CUDA_SUCCESS);
	ask.attribute.id = CU_LAUNCH_ATTRIBUTE_IGNORE;
	let_go();
	assert_int_equal(fake.last_attribute, CU_LAUNCH_ATTRIBUTE_PRIORITY);
}

static void test_attributes(void **state)
{
	(void)state;
	ask_reset();
	ask.attribute.id = CU_LAUNCH_ATTRIBUTE_PRIORITY;
	assert_true(is_held_back(launch_config));
	ask.attribute.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT;
	assert_false(is_held_back(launch_config));
	ask.attribute.id = CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT;
	assert_false(is_held_back(launch_config));
	ask.attribute.id = (CUlaunchAttributeID)60;
	assert_false(is_held_back(launch_config));
	ask.attribute.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
	ask.attribute.value.clusterDim.x = 2;
	ask.attribute.value.clusterDim.y = ask.attribute.value.clusterDim.z = 1;
	ask.grid = 4;
	assert_true(is_held_back(launch_config));
	ask.grid = 5;
	assert_false(is_held_back(launch_config));
}

/* No other thread can submit to a thread's own stream: it waits itself. */
static void test_own_stream(void **state)
{
	(void)state;
	ask_reset();
	ask.stream = NULL;
	assert_false(is_held_back(launch_per_thread));
	assert_true(is_held_back(launch_plain));
	ask.stream = STREAM(1);
	assert_true(is_held_back(launch_per_thread));
}

/* More parameters than fit into an operation. */
static void test_large(void **state)
{
	static uint32_t packed[4000];
	size_t bytes = sizeof(packed);
	void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, packed, CU_LAUNCH_PARAM_BUFFER_SIZE,
			 &bytes, CU_LAUNCH_PARAM_END};

	(void)state;
	ask_reset();
	ask.extra = extra;
	for (uint32_t i = 0; i < 50; i++) {
		packed[0] = i;
		share.holds = 1;
		program_did(WHAT_LAUNCH, 1, NO_LANE, i);
		assert_int_equal(launch_plain(), CUDA_SUCCESS);
	}
	let_go();
	assert_same_order();
}

static CUresult occupancy(int *blocks, CUfunction f, int threads, size_t shared_bytes)
{
	(void)f, (void)threads, (void)shared_bytes;
	*blocks = 2;
	return CUDA_SUCCESS;
}

static CUresult launch_gang(void)
{
	return queued_cuLaunchCooperativeKernel(FUNC, ask.grid, 1, 1, 32, 1, 1, 0, STREAM(1),
						(void *[]){&(uint32_t){1}, &(uint64_t){2}});
}

/* Gangs that the GPU cannot hold at once are refused to the caller. */
static void test_gangs(void **state)
{
	(void)state;
	ask_reset();
	tenant.ops.occupancy_blocks = occupancy;
	ask.grid = 66 * 2 * 2;
	assert_true(is_held_back(launch_gang));
	ask.grid++;
	assert_false(is_held_back(launch_gang));
}

/* Owners are busy from the call on, held or not; and the prediction is of the launch itself. */
static void test_what_share_learns(void **state)
{
	uint64_t before = share.nr_launching;

	(void)state;
	ask_reset();
	ask.grid = 7;
	assert_int_equal(launch_plain(), CUDA_SUCCESS);
	assert_int_equal(share.nr_launching, before + 1);
	assert_int_equal(share.last_predicted, 7 * 32 + 7000);
	share.last_predicted = 0;
	assert_true(is_held_back(launch_plain));
	assert_int_equal(share.last_predicted, 7 * 32 + 7000);
	assert_true(share.nr_launching >= before + 2);
}

/* More operations than may be held: the caller waits for room, and nothing is lost. */
static void test_full(void **state)
{
	pthread_t thread;

	(void)state;
	share.holds = 1;
	for (uint32_t i = 0; i < QUEUE_MAX_OPS / 2; i++) {
		(void)program_launch(1, i);
		(void)program_launch(3, i);
	}
	assert_int_equal(atomic_load(&queue_state) & STATE_HELD, QUEUE_MAX_OPS);
	assert_int_equal(pthread_create(&thread, NULL, let_go_later, NULL), 0);
	(void)program_launch(5, 1);
	assert_true(arrived(1) + arrived(3) > 0);
	(void)pthread_join(thread, NULL);
	let_go();
	assert_same_order();
}

static void test_streams_get_priorities(void **state)
{
	CUstream stream;

	(void)state;
	assert_int_equal(queued_cuStreamCreate(&stream, 1), CUDA_SUCCESS);
	assert_int_equal((uintptr_t)stream, 1000);
	assert_int_equal(queued_cuStreamCreateWithPriority(&stream, 1, -3), CUDA_SUCCESS);
	assert_int_equal((uintptr_t)stream, 997);
}

/* What graphs have allocated is known once they were launched. */
static void test_graph_memory(void **state)
{
	__typeof__(d_graph_memory) *const calls[] = {held_cuDeviceGetGraphMemAttribute,
						     held_cuDeviceSetGraphMemAttribute,
						     held_cuDeviceGraphMemTrim};
	pthread_t thread;

	(void)state;
	for (uint32_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		share.holds = 1;
		assert_int_equal(program_graph(1, 3), CUDA_SUCCESS);
		assert_int_equal(pthread_create(&thread, NULL, let_go_later, NULL), 0);
		assert_int_equal(calls[i](0, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT, NULL),
				 CUDA_SUCCESS);
		(void)pthread_join(thread, NULL);
		assert_int_equal(fake.nr_bad_syncs, 0);
	}
}

/* In the child of a fork nothing is held, and the queue works anew, without the parent's thread. */
static void test_fork(void **state)
{
	int status = -1;
	pid_t child;

	(void)state;
#ifdef __SANITIZE_THREAD__
	skip(); /* it does not bear threads in the child of a process with threads */
#endif
	ask_reset();
	assert_true(is_held_back(launch_plain));
	share.holds = 1;
	(void)program_launch(1, 1);
	child = fork();
	if (child == 0) {
		/* queue_after_fork() has run: nothing of the parent's is held here. */
		int was_empty = !queue_is_busy();
		_exit(was_empty && is_held_back(launch_plain) ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	/* The parent's is still held, and goes. */
	assert_int_equal(arrived(1), 1);
	let_go();
	assert_int_equal(arrived(1), 2);
}

/* At the end everything goes, whatever share_ask() says, and from then on nothing is held. */
static void test_stop(void **state)
{
	(void)state;
	share.holds = 1;
	for (uint32_t i = 0; i < 100; i++)
		(void)program_launch(1, i);
	queue_stop();
	assert_int_equal(arrived(1), 100);
	share.holds = 0;
	(void)program_launch(1, 100);
	assert_int_equal(arrived(1), 101);
	assert_same_order();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_refusals, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_unknown_handles, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_no_params, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_extra, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_small_extra, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_attributes, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_attributes_are_copied, fake_setup,
						fake_teardown),
		cmocka_unit_test_setup_teardown(test_own_stream, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_large, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_gangs, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_what_share_learns, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_full, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_streams_get_priorities, fake_setup,
						fake_teardown),
		cmocka_unit_test_setup_teardown(test_graph_memory, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_fork, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_stop, fake_setup, fake_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
