/* SPDX-License-Identifier: Apache-2.0 */
/* Several processes on one simulated GPU: who runs together, who waits for whom. */
#include "sim_shared.h"

#include "hw/qmd.h"
#include "hw/tools_hook.h"

#define MS 1000000ull

enum {
	STARTED,
	GO,
	DONE
};

/* Holds one slot of each SM, or all slots, and does not end. */
static void hold_some(unsigned int blocks)
{
	struct guest guest;

	guest_open(&guest);
	GOOD(guest_launch(&guest, blocks, FOR_EVER, 1));
	guest_settle();
	flag_add(STARTED);
	sleep_for_ever(0);
}

static void launch_two(unsigned int number)
{
	struct guest guest;

	(void)number;
	guest_open(&guest);
	GOOD(guest_launch(&guest, 1, 10 * MS, 2));
	GOOD(guest_launch(&guest, 1, 10 * MS, 3));
	GOOD(cuStreamSynchronize(guest.stream));
}

/* A block's row gives its end; between two ends in one stream lies the time of the second. */
/* How long a grid of 10 ms takes beside one that does not end and holds `slots`. */
static uint64_t time_beside_another(unsigned int slots)
{
	pid_t other = child(hold_some, slots);

	assert_true(flag_wait(STARTED, 1));
	child_ends_well(child(launch_two, 0));
	child_kill(other);
	assert_int_equal(seen_of(1).nr, 0);
	return seen_of(3).last_end_ns - seen_of(2).last_end_ns;
}

static void test_one_mps_runs_together(void **state)
{
	(void)state;
	mps_start();
	assert_int_equal(time_beside_another(16), 10 * MS);
}

static void test_without_mps_slices_alternate(void **state)
{
	uint64_t took_ns = time_beside_another(SMALL_SLOTS);

	(void)state;
	/* Ten milliseconds of its own, and the other's slices between. */
	assert_true(took_ns >= 10 * MS + 4 * 2 * MS);
	assert_true(took_ns <= 10 * MS + 6 * 2 * MS);
	assert_int_equal((took_ns - 10 * MS) % (2 * MS), 0);
}

#define NR_GRIDS 60

static void progress(unsigned int number)
{
	CUdeviceptr word = (CUdeviceptr)&shared->flag[GO];
	struct guest guest;

	guest_open(&guest);
	GOOD(cuMemHostRegister(shared, sizeof(*shared), 0));
	GOOD(cuStreamWaitValue32(guest.stream, word, 1, CU_STREAM_WAIT_VALUE_GEQ));
	for (int i = 0; i < NR_GRIDS; i++)
		GOOD(guest_launch(&guest, 1, 1 * MS, number));
	guest_settle();
	flag_add(STARTED);
	GOOD(cuStreamSynchronize(guest.stream));
}

static uint64_t max_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t min_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Of the time in which both of two processes had work: how much work was done in it. */
static double nr_at_once(void)
{
	pid_t a = child(progress, 1);
	pid_t b = child(progress, 2);
	uint64_t from_ns, to_ns, work_ns = 0;

	assert_true(flag_wait(STARTED, 2));
	flag_add(GO);
	child_ends_well(a);
	child_ends_well(b);
	assert_int_equal(atomic_load(&shared->nr), 2 * NR_GRIDS);
	from_ns = max_of(seen_of(1).first_start_ns, seen_of(2).first_start_ns);
	to_ns = min_of(seen_of(1).last_end_ns, seen_of(2).last_end_ns);
	assert_true(from_ns + 20 * MS < to_ns);
	for (uint32_t i = 0; i < 2 * NR_GRIDS; i++) {
		uint64_t end_ns = shared->row[i].end_ns;

		if (end_ns > from_ns && end_ns <= to_ns)
			work_ns += shared->row[i].cost_ns;
	}
	return (double)work_ns / (double)(to_ns - from_ns);
}

static void test_time_slices_are_not_shared(void **state)
{
	double nr = nr_at_once();

	(void)state;
	assert_true(nr > 0.9 && nr < 1.15);
}

static void test_one_mps_gets_twice_as_much_done(void **state)
{
	(void)state;
	mps_start();
	assert_true(nr_at_once() > 1.8);
}

static void wait_in_line(unsigned int number)
{
	struct guest guest;

	guest_open_on(&guest, 0, number == 10 ? -5 : 0);
	GOOD(guest_launch(&guest, SMALL_SLOTS, 10 * MS, number));
	guest_settle();
	flag_add(GO);
	GOOD(cuStreamSynchronize(guest.stream));
}

static void test_client_priority_comes_first(void **state)
{
	pid_t holder, low, normal;

	(void)state;
	mps_start();
	holder = child(hold_some, SMALL_SLOTS);
	assert_true(flag_wait(STARTED, 1));
	assert_int_equal(setenv("CUDA_MPS_CLIENT_PRIORITY", "1", 1), 0);
	low = child(wait_in_line, 10);
	assert_true(flag_wait(GO, 1));
	assert_int_equal(setenv("CUDA_MPS_CLIENT_PRIORITY", "0", 1), 0);
	normal = child(wait_in_line, 20);
	assert_true(flag_wait(GO, 2));
	child_kill(holder);
	child_ends_well(low);
	child_ends_well(normal);
	assert_int_equal(seen_of(20).nr, SMALL_SLOTS);
	assert_int_equal(seen_of(10).nr, SMALL_SLOTS);
	assert_true(seen_of(10).first_start_ns >= seen_of(20).last_end_ns);
}

static void hold_cooperative(unsigned int blocks)
{
	struct guest guest;

	guest_open(&guest);
	GOOD(guest_launch_cooperative(&guest, blocks, FOR_EVER, 1));
	guest_settle();
	flag_add(STARTED);
	sleep_for_ever(0);
}

static void run_cooperative(unsigned int blocks)
{
	struct guest guest;

	guest_open(&guest);
	GOOD(guest_launch_cooperative(&guest, blocks, 1 * MS, 2));
	guest_settle();
	flag_add(GO);
	GOOD(cuStreamSynchronize(guest.stream));
}

static void test_cooperative_grids_wait_for_room(void **state)
{
	pid_t holder, other;

	(void)state;
	mps_start();
	holder = child(hold_cooperative, 300);
	assert_true(flag_wait(STARTED, 1));
	other = child(run_cooperative, 300);
	assert_true(flag_wait(GO, 1));
	pause_ms(20);
	assert_int_equal(seen_of(2).nr, 0);
	child_kill(holder);
	child_ends_well(other);
	assert_int_equal(seen_of(2).nr, 300);
	assert_int_equal(seen_of(2).last_end_ns - seen_of(2).first_start_ns, 1 * MS);
}

static struct tpcset allowed;

static void restrict_launch(const struct qmd_event *event)
{
	CHECK(qmd_restrict(qmd_layout_by_name("V04_00"), event->qmd, &allowed) == 0);
}

static void run_masked(unsigned int number)
{
	struct guest guest;

	/* Bits 0-2 in one process, 9-12 in the other; the chip has two SMs for each. */
	memset(&allowed, 0, sizeof(allowed));
	for (unsigned int bit = number ? 9 : 0; bit < (number ? 13 : 3); bit++)
		tpcset_add(&allowed, bit);
	CHECK(tools_hook_subscribe(cuGetExportTable, restrict_launch) == 0);
	guest_open(&guest);
	flag_add(STARTED);
	CHECK(flag_wait(STARTED, 2));
	for (int i = 0; i < 20; i++)
		GOOD(guest_launch(&guest, 256, 1 * MS, number));
	GOOD(cuStreamSynchronize(guest.stream));
}

static void test_masks_of_two_processes(void **state)
{
	pid_t a, b;

	(void)state;
	mps_start();
	a = child(run_masked, 0);
	b = child(run_masked, 1);
	child_ends_well(a);
	child_ends_well(b);
	assert_int_equal(seen_of(0).nr, 20 * 256);
	assert_int_equal(seen_of(1).nr, 20 * 256);
	assert_int_equal(__builtin_popcount(seen_of(0).sms[0]), 6);
	assert_int_equal(__builtin_popcount(seen_of(1).sms[0]), 8);
	assert_int_equal(seen_of(0).sms[0] & seen_of(1).sms[0], 0);
}

#define NR_WAITS 200

static void wait_often(unsigned int number)
{
	CUdeviceptr word = (CUdeviceptr)&shared->flag[GO];
	struct guest guest;

	(void)number;
	guest_open(&guest);
	GOOD(cuMemHostRegister(shared, sizeof(*shared), 0));
	for (uint32_t i = 1; i <= NR_WAITS; i++) {
		GOOD(cuStreamWaitValue32(guest.stream, word, i, CU_STREAM_WAIT_VALUE_GEQ));
		/* This thread, not the one that waits for the server, may hear that the wait is
		 * first; the other has to look at the word all the same. */
		guest_settle();
		flag_add(STARTED);
		GOOD(cuStreamSynchronize(guest.stream));
	}
}

static void test_a_watched_word_is_seen(void **state)
{
	pid_t pid = child(wait_often, 0);

	(void)state;
	for (uint32_t i = 1; i <= NR_WAITS; i++) {
		assert_true(flag_wait(STARTED, i));
		pause_ms(1);
		flag_add(GO);
	}
	child_ends_well(pid);
}

/* Lines of the trace that name this process. */
static int nr_traced(const char *path, pid_t pid)
{
	char line[2048], end[32];
	FILE *file = fopen(path, "re");
	int nr = 0;

	assert_non_null(file);
	(void)snprintf(end, sizeof(end), " pid=%d\n", (int)pid);
	while (fgets(line, sizeof(line), file))
		nr += strlen(line) > strlen(end) && !strcmp(line + strlen(line) - strlen(end), end);
	(void)fclose(file);
	return nr;
}

static void test_traces_name_their_process(void **state)
{
	char path[96];
	pid_t a, b;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/trace", folder);
	assert_int_equal(setenv("LITHOS_SIM_TRACE", path, 1), 0);
	a = child(launch_two, 0);
	b = child(launch_two, 1);
	assert_int_equal(unsetenv("LITHOS_SIM_TRACE"), 0);
	child_ends_well(a);
	child_ends_well(b);
	assert_int_equal(nr_traced(path, a), 2);
	assert_int_equal(nr_traced(path, b), 2);
	remove_file("trace");
}

static void use_two_gpus(unsigned int number)
{
	struct guest first, second;
	CUuuid uuid[2];
	CUdevice device = -1;
	size_t free_bytes[2], total;
	CUdeviceptr p;
	char bus[16];
	int count = 0;

	(void)number;
	guest_open_on(&first, 0, 0);
	GOOD(cuDeviceGetCount(&count));
	CHECK(count == 2);
	GOOD(cuDeviceGetUuid_v2(&uuid[0], 0));
	GOOD(cuDeviceGetUuid_v2(&uuid[1], 1));
	CHECK(memcmp(&uuid[0], &uuid[1], sizeof(uuid[0])) != 0);
	GOOD(cuDeviceGetPCIBusId(bus, sizeof(bus), 1));
	GOOD(cuDeviceGetByPCIBusId(&device, bus));
	CHECK(device == 1);
	guest_open_on(&second, 1, 0);
	GOOD(cuCtxGetDevice(&device));
	CHECK(device == 1);
	GOOD(cuMemAlloc(&p, 1 << 20));
	GOOD(cuMemGetInfo(&free_bytes[1], &total));
	GOOD(cuCtxSetCurrent(first.ctx));
	GOOD(cuMemGetInfo(&free_bytes[0], &total));
	CHECK(free_bytes[0] == total && free_bytes[1] == total - (1 << 20));
	/* Each GPU is full; neither waits for the other. */
	GOOD(guest_launch_cooperative(&first, SMALL_SLOTS, FOR_EVER, 1));
	GOOD(cuCtxSetCurrent(second.ctx));
	GOOD(guest_launch_cooperative(&second, SMALL_SLOTS, 1 * MS, 2));
	GOOD(cuStreamSynchronize(second.stream));
	CHECK(cuStreamQuery(first.stream) == CUDA_ERROR_NOT_READY);
}

static void test_two_gpus(void **state)
{
	(void)state;
	assert_int_equal(setenv("LITHOS_SIM_NR_GPUS", "2", 1), 0);
	child_ends_well(child(use_two_gpus, 0));
	assert_int_equal(unsetenv("LITHOS_SIM_DEVICE"), 0);
	child_ends_well(child(use_two_gpus, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SHARED_TEST(test_one_mps_runs_together),
		SHARED_TEST(test_without_mps_slices_alternate),
		SHARED_TEST(test_time_slices_are_not_shared),
		SHARED_TEST(test_one_mps_gets_twice_as_much_done),
		SHARED_TEST(test_client_priority_comes_first),
		SHARED_TEST(test_cooperative_grids_wait_for_room),
		SHARED_TEST(test_masks_of_two_processes),
		SHARED_TEST(test_a_watched_word_is_seen),
		SHARED_TEST(test_traces_name_their_process),
		SHARED_TEST(test_two_gpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
