/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work happens in the order the program asked for: within a stream, after a wait for another
 * stream's event, and around host functions. Every step writes memory that the next step reads; a
 * step that ran early would leave a wrong number behind.
 *
 * y = 2x + y with x = y's predecessor makes each launch depend on the one before: 20 of them in
 * order give exact small integers in floats.
 */
#include "prog.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define N      100000u
#define ROUNDS 20

struct order {
	struct prog prog;
	CUstream first, second;
	CUdeviceptr x, y;
	uint32_t *pinned;
};

static void fill(struct order *order, CUstream stream, CUdeviceptr words, uint32_t value)
{
	uint32_t n = N;
	void *params[] = {&words, &value, &n};
	struct prog_launch launch = {.function = order->prog.fill,
				     .grid = {(N + 255) / 256, 1, 1},
				     .block = {256, 1, 1},
				     .stream = stream,
				     .params = params};
	MUST(prog_run(&launch));
}

/* y = a * x + y */
static void saxpy(struct order *order, CUstream stream, CUdeviceptr x, CUdeviceptr y, float a)
{
	uint32_t n = N;
	void *params[] = {&x, &y, &a, &n};
	struct prog_launch launch = {.function = order->prog.saxpy,
				     .grid = {(N + 255) / 256, 1, 1},
				     .block = {256, 1, 1},
				     .stream = stream,
				     .params = params};
	MUST(prog_run(&launch));
}

static uint32_t bits_of(float value)
{
	uint32_t bits;
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* x and y grow in turn, so each launch reads what the one before wrote. */
static float grow(struct order *order, CUstream streams[2], const CUevent events[2])
{
	float x = 1, y = 1;
	fill(order, streams[0], order->x, bits_of(1));
	fill(order, streams[0], order->y, bits_of(1));
	for (int i = 0; i < ROUNDS; i++) {
		CUstream stream = streams[i % 2];
		if (events) {
			MUST(cu.EventRecord(events[i % 2], streams[(i + 1) % 2]));
			MUST(cu.StreamWaitEvent(stream, events[i % 2], 0));
		}
		saxpy(order, stream, i % 2 ? order->y : order->x, i % 2 ? order->x : order->y, 1);
		if (i % 2)
			x += y;
		else
			y += x;
	}
	MUST(cu.StreamSynchronize(streams[(ROUNDS - 1) % 2]));
	CHECK(prog_count_other(order->x, N, bits_of(x)) == 0);
	CHECK(prog_count_other(order->y, N, bits_of(y)) == 0);
	return y;
}

static float in_one_stream(struct order *order)
{
	CUstream streams[2] = {order->first, order->first};
	return grow(order, streams, NULL);
}

static float across_streams(struct order *order)
{
	CUevent events[2];
	CUstream streams[2] = {order->first, order->second};
	/* The first wait is of the second stream for the first one's fills: i = 0 works on `first`.
	 */
	for (int i = 0; i < 2; i++)
		MUST(cu.EventCreate(&events[i], CU_EVENT_DISABLE_TIMING));
	float y = grow(order, streams, events);
	for (int i = 0; i < 2; i++)
		MUST(cu.EventDestroy(events[i]));
	return y;
}

/* What a host function saw in pinned memory when it ran, and how many ran before it. */
struct seen {
	struct order *order;
	atomic_uint nr_run;
	uint32_t value[ROUNDS];
};

static void CUDA_CB look(void *user)
{
	struct seen *seen = user;
	unsigned int turn = atomic_fetch_add_explicit(&seen->nr_run, 1, memory_order_relaxed);
	if (turn < ROUNDS)
		seen->value[turn] = seen->order->pinned[N - 1];
}

static unsigned int host_functions(struct order *order)
{
	static struct seen seen;
	seen.order = order;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		fill(order, order->first, order->x, 100 + i);
		MUST(cu.MemcpyDtoHAsync(order->pinned, order->x, N * sizeof(uint32_t),
					order->first));
		MUST(cu.LaunchHostFunc(order->first, look, &seen));
	}
	MUST(cu.StreamSynchronize(order->first));
	unsigned int nr_run = atomic_load_explicit(&seen.nr_run, memory_order_relaxed);
	CHECK(nr_run == ROUNDS);
	for (uint32_t i = 0; i < ROUNDS; i++)
		CHECK(seen.value[i] == 100 + i);
	return nr_run;
}

/* An event is not complete before the work in front of it, and its time spans that work. */
static double event_times(struct order *order)
{
	const uint64_t spin_ns = 20000000;
	CUevent begin, end;
	float ms = 0;
	MUST(cu.EventCreate(&begin, CU_EVENT_DEFAULT));
	MUST(cu.EventCreate(&end, CU_EVENT_DEFAULT));
	MUST(cu.MemsetD32(order->x, 0, N));
	MUST(cu.CtxSynchronize());
	uint64_t ns = spin_ns;
	void *params[] = {&order->x, &ns};
	struct prog_launch launch = {.function = order->prog.count,
				     .grid = {1, 1, 1},
				     .block = {32, 1, 1},
				     .stream = order->first,
				     .params = params};
	MUST(cu.EventRecord(begin, order->first));
	MUST(prog_run(&launch));
	MUST(cu.EventRecord(end, order->first));
	MUST(cu.EventSynchronize(end));
	CHECK(cu.EventQuery(end) == CUDA_SUCCESS);
	CHECK(prog_count_other(order->x, 1, 1) == 0);
	MUST(cu.EventElapsedTime(&ms, begin, end));
	/* A lower bound only: the kernel cannot have been shorter than its own clock. */
	CHECK((double)ms >= 0.99e-6 * (double)spin_ns);
	MUST(cu.EventDestroy(begin));
	MUST(cu.EventDestroy(end));
	return (double)ms;
}

int main(void)
{
	struct order order = {0};
	prog_open(&order.prog);
	MUST(cu.StreamCreate(&order.first, CU_STREAM_NON_BLOCKING));
	MUST(cu.StreamCreate(&order.second, CU_STREAM_NON_BLOCKING));
	order.x = prog_words(N, 0);
	order.y = prog_words(N, 0);
	MUST(cu.MemAllocHost((void **)&order.pinned, N * sizeof(uint32_t)));

	float one = in_one_stream(&order);
	float across = across_streams(&order);
	unsigned int nr_host = host_functions(&order);
	double ms = event_times(&order);

	MUST(cu.MemFreeHost(order.pinned));
	MUST(cu.MemFree(order.x));
	MUST(cu.MemFree(order.y));
	MUST(cu.StreamDestroy(order.first));
	MUST(cu.StreamDestroy(order.second));
	prog_close(&order.prog);
	printf("program=order one_stream=%.0f across_streams=%.0f host_functions=%u event_ms=%.2f "
	       "ok=%d\n",
	       (double)one, (double)across, nr_host, ms, prog_result() == PROG_PASS);
	return prog_result();
}
