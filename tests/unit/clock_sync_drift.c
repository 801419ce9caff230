/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock estimate, on invented clocks: true bounds, drift followed, a jump survived; and its
 * error, for programs and ways of looking that bring other bounds close.
 */
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
	struct clock_record record = {
		.gpu_ns = gpu_at(clocks, cpu + run),
		.submitted_ns = cpu,
		.polled_ns = cpu + run + poll,
	};

	clock_sync_observe(cs, &record);
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
	clock_sync_observe(&cs, &(struct clock_record){.gpu_ns = gpu_at(&clocks, 5 * S),
						       .polled_ns = 5 * S + 3000});
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
	clock_sync_observe(&cs, &(struct clock_record){
					.gpu_ns = 1000, .submitted_ns = 9000, .polled_ns = 8000});
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
	clock_sync_observe(&cs, &(struct clock_record){.gpu_ns = gpu_at(&clocks, 4 * S),
						       .polled_ns = 4 * S + 10});
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

/* Where a look found nothing, the end came later, unless its write was slow. */
static void test_look_in_vain(void **state)
{
	struct clock_sync cs = {0};
	struct clocks clocks = {.offset = 12345, .zero = S};
	struct clock_record record = {.gpu_ns = gpu_at(&clocks, 2 * S), .looked_ns = 2 * S - 16000};

	(void)state;
	record.polled_ns = 2 * S + 10000;
	/* Also without a submission: bounds -16,000 less 4,000 of a write, and +10,000. */
	clock_sync_observe(&cs, &record);
	assert_int_equal(error_at(&cs, &clocks, 2 * S), -5000);
	assert_int_equal(clock_sync_error_ns(&cs, record.polled_ns), 15000);
	/* The submission is nearer than the look. */
	record.submitted_ns = 2 * S - 12000;
	clock_sync_observe(&cs, &record);
	assert_int_equal(error_at(&cs, &clocks, 2 * S), -1000);
	/* A look after the end did not see what was written late: it says nothing. */
	record.looked_ns = 2 * S + 30000;
	record.polled_ns = 2 * S + 50000;
	clock_sync_observe(&cs, &record);
	assert_in_range(error_at(&cs, &clocks, 2 * S) + 1010, 0, 20);
	assert_int_equal(cs.nr_restarts, 0);
	/* One that seemed possible gives way to a record that contradicts it. */
	record.looked_ns = 2 * S + 10000;
	clock_sync_observe(&cs, &record);
	assert_in_range(error_at(&cs, &clocks, 2 * S), 7900, 8100);
	launch(&cs, &clocks, 2 * S + 60000, 5000, 1000);
	assert_int_equal(cs.nr_restarts, 1);
	assert_in_range(error_at(&cs, &clocks, 2 * S) + 2000, 0, 10);
}

/* --- how good it is
 * -------------------------------------------------------------------------------- */

/* A program that waits for each kernel, and a tracker that looks beside it. All in ns. */
struct world {
	uint64_t run[2];  /* each launch takes one of them, up to 2 % longer */
	uint64_t gap;     /* 0 to this between two */
	uint64_t pause;   /* of the tracker */
	uint64_t doubled; /* up to this while it finds nothing */
	int64_t ppm;
	uint32_t nr_launches;
	/* What is demanded of the durations of all but the first 100: half of them, and 99 of
	 * 100. */
	int64_t median;
	int64_t most;
};

struct looker {
	uint64_t next;  /* look */
	uint64_t last;  /* look, the one before */
	uint64_t pause; /* before the next */
	uint64_t found_at, found_after;
};

static uint64_t at_most(unsigned int *seed, uint64_t most)
{
	return ((uint64_t)rand_r(seed) << 16 ^ (uint64_t)rand_r(seed)) % (most + 1);
}

static void look(struct looker *looker, const struct world *world, int is_found, unsigned int *seed)
{
	looker->pause = is_found ? world->pause : looker->pause * 2;
	if (looker->pause > world->doubled)
		looker->pause = world->doubled;
	looker->last = looker->next;
	/* Threads wake a few us late. */
	looker->next += looker->pause + 3000 + at_most(seed, 5000);
}

/* Until `written` is found. What the latest successful look found as well needs none of its own. */
static void look_until(struct looker *looker, const struct world *world, uint64_t written,
		       unsigned int *seed)
{
	if (written <= looker->found_at)
		return;
	while (looker->next < written)
		look(looker, world, 0, seed);
	looker->found_at = looker->next;
	looker->found_after = looker->last;
	look(looker, world, 1, seed);
}

/* A write is seen 0.5-2.5 us after its time, one in a thousand up to 20 us later. */
static uint64_t write_delay(unsigned int *seed)
{
	return 500 + at_most(seed, 2000) + (at_most(seed, 999) ? 0 : at_most(seed, 20000));
}

static int compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void errors_of(const struct world *world, int64_t *ret_error)
{
	struct clocks clocks = {.offset = -555555555, .ppm = world->ppm, .zero = 100 * S};
	struct clock_sync cs = {0};
	struct looker looker = {.next = 100 * S, .last = 99 * S, .pause = world->pause};
	unsigned int seed = 5;
	uint64_t cpu = 100 * S + 1000;

	for (uint32_t i = 0; i < world->nr_launches; i++) {
		uint64_t run = world->run[at_most(&seed, 1)] + 2000;
		uint64_t end = cpu + run + at_most(&seed, run / 50);
		look_until(&looker, world, end + write_delay(&seed), &seed);
		clock_sync_observe(&cs, &(struct clock_record){
						.gpu_ns = gpu_at(&clocks, end),
						.submitted_ns = cpu,
						.looked_ns = looker.found_after,
						.polled_ns = looker.found_at + at_most(&seed, 1000),
					});
		ret_error[i] = llabs(error_at(&cs, &clocks, end));
		cpu = end + 8000 + at_most(&seed, world->gap);
		while (looker.next < cpu)
			look(&looker, world, 0, &seed);
	}
}

static void test_error_of_durations(void **state)
{
	static const struct world worlds[] = {
		/* Short ones: looks every 50 us, and of a tracker that backs off. */
		{{5000, 100000}, 300000, 50000, 50000, 0, 10000, 1500, 4000},
		{{5000, 5000}, 300000, 50000, 50000, 0, 10000, 1500, 4000},
		{{5000, 100000}, 20000000, 50000, 50000, 0, 3000, 4000, 12000},
		{{5000, 100000}, 300000, 200000, 20000000, 0, 10000, 2500, 6000},
		/* Long ones alone. */
		{{2000000, 2000000}, 5000, 50000, 50000, 0, 5000, 3000, 10000},
		{{2000000, 2000000}, 5000, 50000, 50000, 90, 5000, 5000, 12000},
		{{2000000, 2000000}, 5000, 50000, 50000, -90, 5000, 5000, 12000},
		{{50000000, 50000000}, 5000, 50000, 50000, 0, 1000, 10000, 30000},
		{{2000000, 2000000}, 5000, 400000, 400000, 0, 5000, 6000, 25000},
		{{2000000, 2000000}, 5000, 200000, 20000000, 0, 5000, 10000, 30000},
		{{20000000, 20000000}, 5000, 200000, 20000000, 0, 3000, 120000, 300000},
		/* Long ones, rare, of a tracker that backs off. */
		{{2000000, 2000000}, 100000000, 200000, 20000000, 0, 1000, 150000, 500000},
	};
	static int64_t error[10000];

	(void)state;
	for (size_t i = 0; i < sizeof(worlds) / sizeof(worlds[0]); i++) {
		uint32_t nr = worlds[i].nr_launches - 100;

		errors_of(&worlds[i], error);
		qsort(&error[100], nr, sizeof(error[0]), compare);
		assert_true(error[100 + nr / 2] <= worlds[i].median);
		assert_true(error[100 + nr * 99 / 100] <= worlds[i].most);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown_then_known),
		cmocka_unit_test(test_impossible_record_is_ignored),
		cmocka_unit_test(test_drift_is_followed),
		cmocka_unit_test(test_jump_restarts),
		cmocka_unit_test(test_out_of_order_polls),
		cmocka_unit_test(test_look_in_vain),
		cmocka_unit_test(test_error_of_durations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
