/* SPDX-License-Identifier: Apache-2.0 */
/* The clock estimate, on invented clocks: true bounds, drift followed, a jump survived. */
#include "base_files.h"

#include <errno.h>

#include "base/clock_sync.h"

#define MS 1000000ll
#define S  1000000000ull

/* An invented GPU clock: gpu = (cpu - zero) * (1 + ppm / 1e6) + offset. */
struct clocks {
	int64_t offset;
	int64_t ppm;
	uint64_t zero;
};

static uint64_t gpu_at(const struct clocks *clocks, uint64_t cpu)
{
	int64_t since = (int64_t)(cpu - clocks->zero);

	return cpu + (uint64_t)(clocks->offset + since / 1000000 * clocks->ppm);
}

/* A launch submitted at `cpu` that ends `run` later and is seen `poll` after that. */
static void launch(struct clock_sync *cs, const struct clocks *clocks, uint64_t cpu, uint64_t run,
		   uint64_t poll)
{
	clock_sync_observe(cs, gpu_at(clocks, cpu + run), cpu, cpu + run + poll);
}

static int64_t error_at(const struct clock_sync *cs, const struct clocks *clocks, uint64_t cpu)
{
	uint64_t answer = 0;

	assert_int_equal(clock_sync_to_cpu(cs, gpu_at(clocks, cpu), &answer), 0);
	return (int64_t)(answer - cpu);
}

static void test_unknown_then_known(void **state)
{
	struct clock_sync cs = {0};
	struct clocks clocks = {.offset = -123456789, .zero = 5 * S};
	uint64_t answer = 1;

	(void)state;
	assert_int_equal(clock_sync_to_cpu(&cs, 1, &answer), -EAGAIN);
	assert_int_equal(answer, 1);
	assert_true(clock_sync_error_ns(&cs, 5 * S) == UINT64_MAX);
	/* No submission time: one side only. */
	clock_sync_observe(&cs, gpu_at(&clocks, 5 * S), 0, 5 * S + 3000);
	assert_int_equal(clock_sync_to_cpu(&cs, 1, &answer), -EAGAIN);
	launch(&cs, &clocks, 5 * S, 5000, 10000);
	/* Bounds -5,000 and +3,000 around the truth. */
	assert_in_range(error_at(&cs, &clocks, 5 * S + 20000) + 2000, 0, 2000);
	assert_in_range(clock_sync_error_ns(&cs, 5 * S + 20000), 3990, 4010);
}

static void test_impossible_record_is_ignored(void **state)
{
	struct clock_sync cs = {0};

	(void)state;
	clock_sync_observe(&cs, 1000, 9000, 8000);
	assert_int_equal(cs.nr_observations, 0);
}

static void run_with_drift(int64_t ppm, struct clock_sync *cs)
{
	struct clocks clocks = {.offset = 77777777777, .ppm = ppm, .zero = 100 * S};
	unsigned int seed = 3;

	/* Two minutes, one launch a millisecond, of 5-45 us, polled every 0-20 us. */
	for (uint64_t cpu = 100 * S; cpu < 220 * S; cpu += (uint64_t)MS) {
		uint64_t run = 5000 + (uint64_t)rand_r(&seed) % 40000;
		int64_t error;

		launch(cs, &clocks, cpu, run, (uint64_t)rand_r(&seed) % 20000);
		error = error_at(cs, &clocks, cpu + run);
		assert_true((uint64_t)llabs(error) <= clock_sync_error_ns(cs, cpu + run) + 100);
		if (cpu > 101 * S)
			assert_true(llabs(error) < 20000);
	}
}

static void test_drift_is_followed(void **state)
{
	static const int64_t rates[] = {-95, -40, 0, 40, 95};

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct clock_sync cs = {0};

		run_with_drift(rates[i], &cs);
		assert_int_equal(cs.nr_restarts, 0);
	}
}

static void test_jump_restarts(void **state)
{
	struct clock_sync cs = {0};
	struct clocks clocks = {.offset = 1000, .zero = S};

	(void)state;
	for (uint64_t i = 0; i < 100; i++)
		launch(&cs, &clocks, S + i * (uint64_t)MS, 5000, 2000);
	/* The GPU's clock is set forward, then back. */
	clocks.offset += 40 * MS;
	launch(&cs, &clocks, 2 * S, 5000, 2000);
	assert_int_equal(cs.nr_restarts, 1);
	assert_in_range(error_at(&cs, &clocks, 2 * S) + 3000, 0, 6000);
	clocks.offset -= 70 * MS;
	launch(&cs, &clocks, 3 * S, 5000, 2000);
	assert_int_equal(cs.nr_restarts, 2);
	assert_in_range(error_at(&cs, &clocks, 3 * S) + 3000, 0, 6000);
	/* A contradiction without a submission time leaves one side unknown. */
	clocks.offset += 90 * MS;
	clock_sync_observe(&cs, gpu_at(&clocks, 4 * S), 0, 4 * S + 10);
	assert_int_equal(cs.nr_restarts, 3);
	assert_true(clock_sync_error_ns(&cs, 4 * S) == UINT64_MAX);
}

static void test_out_of_order_polls(void **state)
{
	struct clock_sync cs = {0};
	struct clocks clocks = {.offset = 5, .zero = S};

	(void)state;
	launch(&cs, &clocks, S + (uint64_t)MS, 5000, 2000);
	launch(&cs, &clocks, S, 4000, 1000);
	assert_int_equal(cs.nr_restarts, 0);
	assert_in_range(error_at(&cs, &clocks, S) + 2500, 0, 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown_then_known),
		cmocka_unit_test(test_impossible_record_is_ignored),
		cmocka_unit_test(test_drift_is_followed),
		cmocka_unit_test(test_jump_restarts),
		cmocka_unit_test(test_out_of_order_polls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
