/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Held calls reach the driver in the order of the program, lane by lane, and nothing else waits.
 */
#include "queue_program.h"

/* Nothing is held: all calls go straight through. */
static void test_direct(void **state)
{
	(void)state;
	assert_int_equal(program_launch(1, 1), CUDA_SUCCESS);
	assert_int_equal(program_set(1, 2), CUDA_SUCCESS);
	assert_int_equal(program_record(0, 1), CUDA_SUCCESS);
	assert_int_equal(arrived(1), 3);
	assert_int_equal(queue_is_busy(), 0);
	assert_same_order();
}

/* A held launch keeps back what follows in its stream, and nothing in others. */
static void test_one_stream(void **state)
{
	(void)state;
	share.holds = 1;
	fake.pageable_is_all = 1;
	assert_int_equal(program_launch(1, 1), CUDA_SUCCESS);
	assert_int_equal(program_set(1, 2), CUDA_SUCCESS);
	assert_int_equal(program_copy(1, 3), CUDA_SUCCESS);
	assert_int_equal(program_host(1, 4), CUDA_SUCCESS);
	assert_int_equal(program_free(1, 5), CUDA_SUCCESS);
	assert_int_equal(program_set(3, 6), CUDA_SUCCESS);
	assert_int_equal(arrived(1), 0);
	assert_int_equal(arrived(3), 1);
	assert_int_equal(queue_is_busy(), 1);
	let_go();
	assert_same_order();
}

/* A wait keeps the record that it saw, whatever the event records afterwards. */
static void test_events(void **state)
{
	(void)state;
	share.holds = 1;
	(void)program_launch(1, 1);
	(void)program_record(0, 1);
	(void)program_wait(3, 0);
	(void)program_set(3, 2);
	/* Recorded again, in a stream in which nothing is held: it must not overtake the wait. */
	(void)program_record(0, 5);
	(void)program_set(5, 3);
	assert_int_equal(arrived(3), 0);
	assert_int_equal(arrived(5), 0);
	assert_int_equal(held_cuEventQuery(EVENT(0)), CUDA_ERROR_NOT_READY);
	assert_int_equal(held_cuEventQuery(EVENT(1)), CUDA_SUCCESS);
	float ms;
	assert_int_equal(held_cuEventElapsedTime(&ms, EVENT(1), EVENT(0)), CUDA_ERROR_NOT_READY);
	assert_int_equal(held_cuEventElapsedTime(&ms, EVENT(1), EVENT(2)), CUDA_SUCCESS);
	(void)program_event_end(0);
	assert_int_equal(arrived(lane_of_event(EVENT(0))), 0);
	let_go();
	assert_same_order();
}

/* Blocking streams and the NULL stream wait for each other; others do not. */
static void test_null_stream(void **state)
{
	(void)state;
	share.holds = 1;
	(void)program_launch(2, 1);
	(void)program_set(0, 2);
	(void)program_set(4, 3);
	(void)program_set(1, 4);
	assert_int_equal(arrived(0), 0);
	assert_int_equal(arrived(4), 0);
	assert_int_equal(arrived(1), 1);
	assert_int_equal(held_cuStreamQuery(NULL), CUDA_ERROR_NOT_READY);
	assert_int_equal(held_cuStreamQuery(STREAM(1)), CUDA_SUCCESS);
	assert_int_equal(held_cuStreamQuery(STREAM(2)), CUDA_ERROR_NOT_READY);
	let_go();
	assert_same_order();
}

/* Handle 1 is the NULL stream too. */
static void test_legacy_handle(void **state)
{
	(void)state;
	share.holds = 1;
	(void)program_launch(0, 1);
	assert_int_equal(held_cuStreamQuery(CU_STREAM_LEGACY), CUDA_ERROR_NOT_READY);
	assert_int_equal(held_cuStreamQuery(STREAM(1)), CUDA_SUCCESS);
	let_go();
	assert_int_equal(held_cuStreamQuery(CU_STREAM_LEGACY), CUDA_SUCCESS);
	assert_same_order();
}

static void *let_go_later(void *unused)
{
	const struct timespec pause = {.tv_nsec = 20000000};

	(void)nanosleep(&pause, NULL);
	share.holds = 0;
	return unused;
}

/* Waiting calls return only after what they depend on was submitted. */
static void test_waiting(void **state)
{
	CUresult (*const sync[])(void) = {held_cuCtxSynchronize};
	pthread_t thread;

	(void)state;
	for (int i = 0; i < 6; i++) {
		share.holds = 1;
		(void)program_launch(1, 1);
		(void)program_record(0, 1);
		(void)program_graph(0, 1);
		assert_int_equal(pthread_create(&thread, NULL, let_go_later, NULL), 0);
		if (i == 0)
			assert_int_equal(sync[0](), CUDA_SUCCESS);
		if (i == 1)
			assert_int_equal(held_cuStreamSynchronize(STREAM(1)), CUDA_SUCCESS);
		if (i == 2)
			assert_int_equal(held_cuMemFree_v2(0x10), CUDA_SUCCESS);
		if (i == 3)
			assert_int_equal(held_cuGraphExecUpdate_v2(EXEC(0), NULL, NULL),
					 CUDA_SUCCESS);
		if (i == 4)
			assert_int_equal(held_cuFuncSetAttribute(FUNC, 8, 1), CUDA_SUCCESS);
		if (i == 5) {
			assert_int_equal(held_cuEventSynchronize(EVENT(0)), CUDA_SUCCESS);
			assert_true(arrived(lane_of_event(EVENT(0))) == 6);
		}
		(void)pthread_join(thread, NULL);
		let_go();
	}
	assert_same_order();
}

/* What is being submitted still counts as held: a call cannot overtake it inside the driver. */
static void test_in_submission(void **state)
{
	(void)state;
	share.holds = 1;
	(void)program_launch(1, 1);
	fake.gate_is_shut = 1;
	share.holds = 0;
	while (!fake.nr_at_gate)
		(void)sched_yield();
	(void)program_set(1, 2);
	assert_int_equal(held_cuStreamQuery(STREAM(1)), CUDA_ERROR_NOT_READY);
	assert_int_equal(arrived(1), 0);
	fake.gate_is_shut = 0;
	let_go();
	assert_same_order();
}

/* Pageable memory: small sources are copied at once, destinations make the caller wait. */
static void test_pageable(void **state)
{
	CUDA_MEMCPY2D rows = {.srcMemoryType = CU_MEMORYTYPE_HOST,
			      .dstMemoryType = CU_MEMORYTYPE_DEVICE,
			      .WidthInBytes = 77};
	pthread_t thread;
	uint32_t word = 0;

	(void)state;
	share.holds = 1;
	fake.pageable_is_all = 1;
	(void)program_launch(1, 1);
	(void)program_copy(1, 2);
	assert_int_equal(arrived(1), 0);
	fake.pageable_is_all = 0;
	program_did(WHAT_COPY, 1, NO_LANE, 77);
	assert_int_equal(held_cuMemcpy2DAsync_v2(&rows, STREAM(1)), CUDA_SUCCESS);
	rows.WidthInBytes = 0;
	program_did(WHAT_COPY, 1, NO_LANE, 5);
	assert_int_equal(held_cuMemcpyDtoHAsync_v2(&word, MEMORY_AT + 5, 4, STREAM(1)),
			 CUDA_SUCCESS);
	assert_int_equal(arrived(1), 0);
	fake.pageable_is_all = 1;
	assert_int_equal(pthread_create(&thread, NULL, let_go_later, NULL), 0);
	program_did(WHAT_COPY, 1, NO_LANE, 6);
	assert_int_equal(held_cuMemcpyDtoHAsync_v2(&word, MEMORY_AT + 6, 4, STREAM(1)),
			 CUDA_SUCCESS);
	assert_int_equal(arrived(1), 5);
	(void)pthread_join(thread, NULL);
	assert_same_order();
}

/* A stream is destroyed after what is held in it, and its handle may be another stream then. */
static void test_stream_destroy(void **state)
{
	(void)state;
	share.holds = 1;
	(void)program_launch(3, 1);
	assert_int_equal(program_stream_end(3), CUDA_SUCCESS);
	assert_int_equal(arrived(3), 0);
	fake.had_lane = 1;
	let_go();
	assert_int_equal(arrived(3), 2);
	assert_int_equal(fake.had_lane, 0);
	(void)pthread_mutex_lock(&queue.lock);
	assert_null(lane_find_locked(LANE_STREAM, STREAM(3)));
	(void)pthread_mutex_unlock(&queue.lock);
	assert_same_order();
}

/* Streams that are captured are the driver's alone; a capture begins with nothing held. */
static void test_capture(void **state)
{
	pthread_t thread;

	(void)state;
	share.holds = 1;
	(void)program_launch(1, 1);
	assert_int_equal(pthread_create(&thread, NULL, let_go_later, NULL), 0);
	assert_int_equal(held_cuStreamBeginCapture_v2(STREAM(3), CU_STREAM_CAPTURE_MODE_GLOBAL),
			 CUDA_SUCCESS);
	assert_int_equal(arrived(1), 1);
	(void)pthread_join(thread, NULL);
	share.holds = 1;
	(void)program_launch(3, 2);
	assert_int_equal(arrived(3), 1);
	(void)program_launch(1, 3);
	assert_int_equal(arrived(1), 1);
	(void)program_set(3, 4);
	(void)program_record(2, 3);
	assert_int_equal(arrived(3), 3);
	assert_int_equal(held_cuStreamEndCapture(STREAM(3), NULL), CUDA_SUCCESS);
	(void)program_launch(3, 5);
	assert_int_equal(arrived(3), 3);
	let_go();
	assert_same_order();
}

/* An error of a held launch is told by the next call that waits, once. */
static void test_errors(void **state)
{
	(void)state;
	share.holds = 1;
	(void)program_launch(1, 1);
	fake.launch_result = CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
	share.holds = 0;
	assert_int_equal(held_cuStreamSynchronize(STREAM(1)), CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
	assert_int_equal(share.last_failure, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
	assert_int_equal(held_cuStreamSynchronize(STREAM(1)), CUDA_SUCCESS);
	assert_int_equal(atomic_load(&queue_state), 0);
	assert_same_order();
}

static CUresult memset_of_nothing(uint32_t stream)
{
	return held_cuMemsetD32Async(MEMORY_AT - 8, 1, 1, STREAM(stream));
}

/* What the driver may refuse waits for what is in front of it, and the driver judges. */
static void test_refusals_come_at_once(void **state)
{
	pthread_t thread;

	(void)state;
	share.holds = 1;
	(void)program_launch(1, 1);
	assert_int_equal(pthread_create(&thread, NULL, let_go_later, NULL), 0);
	program_did(WHAT_SET, 1, NO_LANE, 1);
	assert_int_equal(memset_of_nothing(1), CUDA_SUCCESS);
	assert_int_equal(arrived(1), 2);
	(void)pthread_join(thread, NULL);
	assert_same_order();
}

/* A held launch that failed is no other launch's affair, nor does it slow those down. */
static void test_errors_are_not_others(void **state)
{
	(void)state;
	share.holds = 1;
	(void)program_launch(1, 1);
	fake.launch_result = CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
	share.holds = 0;
	await_arrived(1, 1);
	while (queue_is_busy())
		(void)sched_yield();
	fake.launch_result = CUDA_SUCCESS;
	assert_int_equal(program_launch(1, 2), CUDA_SUCCESS);
	assert_int_equal(arrived(1), 2);
	share.holds = 1;
	assert_int_equal(program_launch(1, 3), CUDA_SUCCESS);
	share.holds = 0;
	assert_int_equal(held_cuStreamSynchronize(STREAM(1)), CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
	assert_int_equal(arrived(1), 3);
	assert_int_equal(atomic_load(&queue_state), 0);
	assert_same_order();
}

/* A context that has failed answers every call so. */
static void test_dead_context(void **state)
{
	(void)state;
	share.holds = 1;
	(void)program_launch(1, 1);
	fake.launch_result = CUDA_ERROR_ILLEGAL_ADDRESS;
	share.holds = 0;
	await_arrived(1, 1);
	while (queue_is_busy())
		(void)sched_yield();
	assert_int_equal(program_launch(1, 2), CUDA_ERROR_ILLEGAL_ADDRESS);
	assert_int_equal(arrived(1), 1);
	assert_int_equal(atomic_load(&queue_state), 0);
}

/* An error that nobody was told goes with its context: whatever comes later is not slowed down. */
static void test_error_of_gone_context(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		share.holds = 1;
		(void)program_launch(1, 1);
		fake.launch_result =
			i ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
		share.holds = 0;
		while (queue_is_busy())
			(void)sched_yield();
		assert_int_not_equal(atomic_load(&queue_state), 0);
		queue_context_gone(CTX);
		assert_int_equal(atomic_load(&queue_state), 0);
	}
}

/* Nothing is given to the driver in another context than its own. */
static void test_context_cannot_be_entered(void **state)
{
	(void)state;
	share.holds = 1;
	(void)program_launch(1, 1);
	(void)program_launch(3, 1);
	fake.nr_lost_contexts = 1;
	share.holds = 0;
	assert_int_equal(held_cuCtxSynchronize(), CUDA_ERROR_INVALID_CONTEXT);
	assert_int_equal(arrived(1) + arrived(3), 1);
	assert_int_equal(fake.nr_wrong_context, 0);
	fake.nr_bad_syncs = 0;
}

/* The most urgent stream first, then those that waited longest. */
static void test_priority(void **state)
{
	(void)state;
	share.holds = 1;
	(void)program_launch(1, 1);
	(void)program_launch(1, 2);
	(void)program_launch(3, 3);
	(void)program_launch(7, 4);
	fake.gate_is_shut = 1;
	share.holds = 0;
	while (!fake.nr_at_gate)
		(void)sched_yield();
	(void)pthread_mutex_lock(&queue.lock);
	assert_true(queue.all.tail->in_submission);
	(void)pthread_mutex_unlock(&queue.lock);
	fake.gate_is_shut = 0;
	let_go();
	assert_same_order();
}

/* --- any order of calls ----------------------------------------------------------------------- */

static uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed >> 11;
}

/* What a program may use without ordering itself against others: its streams, events, graphs. */
struct toys {
	uint32_t first_stream, nr_streams, step; /* first, first + step... */
	uint32_t first_event, nr_events;
	uint32_t first_exec, nr_execs;
	uint32_t nr_calls;
	uint64_t seed;
};

static uint32_t pick(uint64_t *seed, uint32_t first, uint32_t n, uint32_t step)
{
	return first + step * (uint32_t)(random_next(seed) % n);
}

static void one_call(struct toys *toys, uint32_t id)
{
	uint32_t stream = pick(&toys->seed, toys->first_stream, toys->nr_streams, toys->step);
	uint32_t event = pick(&toys->seed, toys->first_event, toys->nr_events, 1);
	uint32_t exec = pick(&toys->seed, toys->first_exec, toys->nr_execs, 1);

	switch (random_next(&toys->seed) % 40) {
	case 0 ... 9:
		assert_int_equal(program_launch(stream, id), CUDA_SUCCESS);
		break;
	case 10 ... 13:
		assert_int_equal(program_record(event, stream), CUDA_SUCCESS);
		break;
	case 14 ... 18:
		assert_int_equal(program_wait(stream, event), CUDA_SUCCESS);
		break;
	case 19 ... 23:
		assert_int_equal(program_set(stream, id), CUDA_SUCCESS);
		break;
	case 24 ... 25:
		assert_int_equal(program_copy(stream, id), CUDA_SUCCESS);
		break;
	case 26 ... 27:
		assert_int_equal(program_host(stream, id), CUDA_SUCCESS);
		break;
	case 28 ... 30:
		assert_int_equal(program_graph(exec, stream), CUDA_SUCCESS);
		break;
	case 31:
		assert_int_equal(program_upload(exec, stream), CUDA_SUCCESS);
		break;
	case 32 ... 34:
		assert_int_equal(program_free(stream, id), CUDA_SUCCESS);
		break;
	case 35:
		assert_int_equal(program_event_end(event), CUDA_SUCCESS);
		break;
	case 36:
		(void)held_cuStreamQuery(STREAM(stream));
		break;
	case 37:
		(void)held_cuEventQuery(EVENT(event));
		break;
	case 38:
		if (random_next(&toys->seed) % 8 == 0)
			assert_int_equal(held_cuStreamSynchronize(STREAM(stream)), CUDA_SUCCESS);
		break;
	default:
		if (random_next(&toys->seed) % 8 == 0)
			assert_int_equal(held_cuGraphExecUpdate_v2(EXEC(exec), NULL, NULL), 0);
		break;
	}
}

static void *play(void *argument)
{
	struct toys *toys = argument;

	fake_current = CTX;
	for (uint32_t i = 0; i < toys->nr_calls; i++)
		one_call(toys, i);
	return NULL;
}

/* One thread, all kinds of streams, 100,000 calls. */
static void test_any_order(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct toys toys = {0, NR_STREAMS, 1,     0,          NR_EVENTS,
				    0, NR_EXECS,   25000, seed * 7919};
		(void)fake_setup(state);
		share.random = seed;
		fake.pageable_is_all = 1;
		(void)play(&toys);
		let_go();
		assert_same_order();
	}
}

/*
 * 16 threads at once, each with a stream, an event and a graph of its own; streams that do not
 * block, for the NULL stream would order them all.
 */
static void test_threads(void **state)
{
	struct toys toys[NR_EXECS];
	pthread_t thread[NR_EXECS];

	(void)state;
	share.random = 99;
	fake.pageable_is_all = 1;
	for (uint32_t i = 0; i < NR_EXECS; i++) {
		toys[i] = (struct toys){2 * i + 1, 1, 1, i, 1, i, 1, 4000, i + 1};
		assert_int_equal(pthread_create(&thread[i], NULL, play, &toys[i]), 0);
	}
	for (uint32_t i = 0; i < NR_EXECS; i++)
		(void)pthread_join(thread[i], NULL);
	let_go();
	assert_same_order();
}

/*
 * From the moment a graph may contain events, graph launches wait in the caller: the event's lane
 * cannot be known. Last, for that cannot be undone.
 */
static void test_events_in_graphs(void **state)
{
	pthread_t thread;

	(void)state;
	share.holds = 1;
	(void)program_graph(0, 1);
	assert_int_equal(arrived(1), 0);
	let_go();
	assert_int_equal(held_cuStreamBeginCapture_v2(STREAM(3), CU_STREAM_CAPTURE_MODE_GLOBAL), 0);
	program_did(WHAT_WAIT, 3, lane_of_event(EVENT(0)), CU_EVENT_WAIT_EXTERNAL);
	assert_int_equal(held_cuStreamWaitEvent(STREAM(3), EVENT(0), CU_EVENT_WAIT_EXTERNAL), 0);
	assert_int_equal(held_cuStreamEndCapture(STREAM(3), NULL), CUDA_SUCCESS);
	share.holds = 1;
	(void)program_launch(5, 1);
	(void)program_record(0, 5);
	assert_int_equal(pthread_create(&thread, NULL, let_go_later, NULL), 0);
	(void)program_graph(0, 1);
	assert_int_equal(arrived(1), 2);
	assert_int_equal(arrived(5), 2);
	(void)pthread_join(thread, NULL);
	assert_same_order();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_direct, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_one_stream, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_events, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_null_stream, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_legacy_handle, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_waiting, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_in_submission, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_pageable, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_stream_destroy, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_capture, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_errors, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_refusals_come_at_once, fake_setup,
						fake_teardown),
		cmocka_unit_test_setup_teardown(test_errors_are_not_others, fake_setup,
						fake_teardown),
		cmocka_unit_test_setup_teardown(test_dead_context, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_error_of_gone_context, fake_setup,
						fake_teardown),
		cmocka_unit_test_setup_teardown(test_context_cannot_be_entered, fake_setup,
						fake_teardown),
		cmocka_unit_test_setup_teardown(test_priority, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_any_order, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_threads, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(test_events_in_graphs, fake_setup, fake_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
