/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left of a shared simulated GPU when somebody dies: a client in the middle of a grid, the
 * server, MPS; and when many arrive at once, or say nonsense.
 */
#include "sim_shared.h"

#include "sim/server/proto.h"

#define MS         1000000ull
#define NR_KILLS   100
#define NR_CLIENTS 50

enum {
	STARTED,
	GO,
	DONE,
	NEXT
};

static void fill_the_chip(unsigned int number)
{
	struct guest guest;
	CUdeviceptr p;

	(void)number;
	guest_open(&guest);
	GOOD(cuMemAlloc(&p, 64 << 20));
	GOOD(guest_launch(&guest, SMALL_SLOTS, FOR_EVER, 1));
	guest_settle();
	flag_add(STARTED);
	sleep_for_ever(0);
}

/* Needs every slot of the chip and all of its memory. */
static void use_the_chip(unsigned int number)
{
	struct guest guest;
	size_t free_bytes, total;

	(void)number;
	guest_open(&guest);
	GOOD(cuMemGetInfo(&free_bytes, &total));
	CHECK(free_bytes == total);
	GOOD(guest_launch_cooperative(&guest, SMALL_SLOTS, 1 * MS, 2));
	GOOD(cuStreamSynchronize(guest.stream));
	CHECK(cuStreamQuery(guest.stream) == CUDA_SUCCESS);
}

static void test_a_dead_client_leaves_nothing(void **state)
{
	pid_t first;

	(void)state;
	mps_start();
	first = child(fill_the_chip, 0);
	assert_true(flag_wait(STARTED, 1));
	child_kill(first);
	child_ends_well(child(use_the_chip, 0));
	assert_int_equal(seen_of(2).nr, SMALL_SLOTS);
}

static void work_at_random(unsigned int number)
{
	struct guest guest;
	CUdeviceptr p;
	CUevent event;

	srand(number);
	guest_open_on(&guest, 0, -(int)(number % 6));
	GOOD(cuEventCreate(&event, 0));
	for (;;) {
		GOOD(cuMemAlloc(&p, 1 << 16));
		GOOD(guest_launch(&guest, 1 + (unsigned int)rand() % 100,
				  (uint64_t)(rand() % 2000000), 1));
		if (rand() % 3 == 0)
			GOOD(guest_launch_cooperative(&guest, 1 + (unsigned int)rand() % 400,
						      100000, 1));
		GOOD(cuMemsetD32Async(p, 1, 1 << 14, guest.stream));
		GOOD(cuEventRecord(event, guest.stream));
		GOOD(cuStreamWaitEvent(NULL, event, 0));
		GOOD(cuMemFreeAsync(p, guest.stream));
		if (rand() % 4 == 0)
			GOOD(cuStreamSynchronize(guest.stream));
	}
}

/* Launches small grids until told to stop, and counts them. */
static void go_on(unsigned int number)
{
	struct guest guest;

	(void)number;
	guest_open(&guest);
	flag_add(STARTED);
	while (!atomic_load(&shared->flag[DONE])) {
		GOOD(guest_launch(&guest, 1, 1000, 3));
		GOOD(cuStreamSynchronize(guest.stream));
		flag_add(NEXT);
	}
}

static void kill_at_random(void)
{
	pid_t pid[NR_KILLS] = {0};
	pid_t other = child(go_on, 0);

	assert_true(flag_wait(STARTED, 1));
	srand(1);
	for (unsigned int i = 0; i < NR_KILLS + 3; i++) {
		if (i < NR_KILLS)
			pid[i] = child(work_at_random, i + 1);
		pause_ms(rand() % 30);
		if (i >= 3)
			child_kill(pid[i - 3]);
	}
	/* The one that nobody kills gets on still. */
	assert_true(flag_wait(NEXT, atomic_load(&shared->flag[NEXT]) + 10));
	flag_add(DONE);
	child_ends_well(other);
	child_ends_well(child(use_the_chip, 0));
}

static void test_random_kills_under_mps(void **state)
{
	(void)state;
	mps_start();
	kill_at_random();
}

static void test_random_kills_without_mps(void **state)
{
	(void)state;
	kill_at_random();
}

static void start_together(unsigned int number)
{
	struct guest guest;
	size_t free_bytes, total;
	CUdeviceptr p;

	(void)number;
	CHECK(flag_wait(GO, 1));
	guest_open(&guest);
	GOOD(cuMemAlloc(&p, 1 << 20));
	GOOD(guest_launch(&guest, 4, 1000, 1));
	GOOD(cuStreamSynchronize(guest.stream));
	flag_add(STARTED);
	CHECK(flag_wait(STARTED, NR_CLIENTS));
	/* All were counted by one server. */
	GOOD(cuMemGetInfo(&free_bytes, &total));
	CHECK(total - free_bytes == (size_t)NR_CLIENTS << 20);
	flag_add(DONE);
	CHECK(flag_wait(DONE, NR_CLIENTS));
}

static void test_many_start_at_once(void **state)
{
	pid_t pid[NR_CLIENTS];

	(void)state;
	for (unsigned int i = 0; i < NR_CLIENTS; i++)
		pid[i] = child(start_together, i);
	flag_add(GO);
	for (unsigned int i = 0; i < NR_CLIENTS; i++)
		child_ends_well(pid[i]);
	assert_int_equal(seen_of(1).nr, 4 * NR_CLIENTS);
}

/* An auto-started server ends; the next client starts the next one. */
static void test_the_server_ends_and_comes_again(void **state)
{
	pid_t first, second;

	(void)state;
	child_ends_well(child(use_the_chip, 0));
	first = server_pid();
	assert_true(first > 0);
	/* Out of reach of a terminal's signals, and nothing apart for the scheduler. */
	assert_int_equal(getsid(first), getsid(0));
	assert_int_equal(getpgid(first), first);
	for (int i = 0; i < PATIENCE_MS / 10 && !kill(first, 0); i++)
		pause_ms(10);
	assert_int_equal(kill(first, 0), -1);
	child_ends_well(child(use_the_chip, 0));
	second = server_pid();
	assert_true(second > 0 && second != first);
}

static void wait_for_loss(unsigned int expected)
{
	struct guest guest;
	CUdeviceptr p;
	CUresult r;

	guest_open(&guest);
	GOOD(guest_launch(&guest, SMALL_SLOTS, FOR_EVER, 1));
	guest_settle();
	flag_add(STARTED);
	r = cuStreamSynchronize(guest.stream);
	CHECK((unsigned int)r == expected);
	CHECK((unsigned int)cuCtxSynchronize() == expected);
	CHECK((unsigned int)cuMemAlloc(&p, 4) == expected);
	CHECK((unsigned int)guest_launch(&guest, 1, 1, 1) == expected);
	CHECK((unsigned int)cuInit(0) == expected);
}

static void test_a_dead_server_is_an_error(void **state)
{
	pid_t pid;

	(void)state;
	pid = child(wait_for_loss, CUDA_ERROR_LAUNCH_FAILED);
	assert_true(flag_wait(STARTED, 1));
	assert_int_equal(kill(server_pid(), SIGKILL), 0);
	child_ends_well(pid);
	/* What it left at the socket's place is replaced. */
	child_ends_well(child(use_the_chip, 0));
}

static void lose_mps(const char *file)
{
	pid_t server = child(sleep_for_ever, 0);
	pid_t pid, other;

	mps_start();
	write_pid("nvidia-cuda-mps-server.pid", server);
	pid = child(wait_for_loss, CUDA_ERROR_MPS_RPC_FAILURE);
	other = child(wait_for_loss, CUDA_ERROR_MPS_RPC_FAILURE);
	assert_true(flag_wait(STARTED, 2));
	if (file) {
		child_kill(server);
	} else {
		mps_stop();
	}
	child_ends_well(pid);
	child_ends_well(other);
	if (!file) {
		child_kill(server);
		mps_start();
	}
	/* The chip is free, and who comes now is served. */
	child_ends_well(child(use_the_chip, 0));
}

static void test_mps_server_dies(void **state)
{
	(void)state;
	lose_mps("server");
}

static void test_mps_control_dies(void **state)
{
	(void)state;
	lose_mps(NULL);
}

/* --- a client that does not keep to the protocol -------------------------------------------- */
static int raw_connect(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/gpu", folder);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void raw_hello(int fd)
{
	struct proto_hello hello = {.head = {sizeof(hello), PROTO_HELLO, 0},
				    .magic = PROTO_MAGIC,
				    .version = PROTO_VERSION};
	struct proto_welcome welcome;

	assert_int_equal(send(fd, &hello, sizeof(hello), MSG_NOSIGNAL), sizeof(hello));
	assert_int_equal(recv(fd, &welcome, sizeof(welcome), MSG_WAITALL), sizeof(welcome));
}

/* The server closes the connection, whatever it says before. */
static void is_dropped_after(const void *message, size_t bytes, int says_hello)
{
	struct pollfd ready;
	char rest[256];
	int fd = raw_connect();
	ssize_t n;

	if (says_hello)
		raw_hello(fd);
	assert_int_equal(send(fd, message, bytes, MSG_NOSIGNAL), (ssize_t)bytes);
	do {
		ready = (struct pollfd){.fd = fd, .events = POLLIN};
		assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
		n = recv(fd, rest, sizeof(rest), 0);
	} while (n > 0);
	(void)close(fd);
}

static void test_nonsense_ends_its_client_only(void **state)
{
	static const struct proto_grid grid = {.head = {sizeof(grid), PROTO_GRID, 1}};
	const struct proto_hello hello = {.head = {sizeof(hello), PROTO_HELLO, 0},
					  .magic = PROTO_MAGIC,
					  .version = PROTO_VERSION + 1};
	const struct proto_queue_new queue = {.head = {sizeof(queue), PROTO_QUEUE_NEW, 1},
					      .gpu = PROTO_MAX_GPUS};
	const struct proto_time done[] = {{.head = {sizeof(done[0]), PROTO_TASK_DONE, 1}}};
	const struct proto_memory_change give = {.head = {sizeof(give), PROTO_MEMORY_GIVE, 0},
						 .bytes = 1};
	const struct proto_head unknown = {sizeof(unknown), 999, 0};
	const struct proto_head tiny = {1, PROTO_TASK, 0};
	const struct proto_head short_one = {sizeof(short_one), PROTO_TASK, 0};
	uint8_t noise[4096];
	pid_t other = child(go_on, 0);

	(void)state;
	assert_true(flag_wait(STARTED, 1));
	is_dropped_after(&grid, sizeof(grid), 0);
	is_dropped_after(&hello, sizeof(hello), 0);
	is_dropped_after(&queue, sizeof(queue), 1);
	is_dropped_after(&grid, sizeof(grid), 1);
	is_dropped_after(done, sizeof(done), 1);
	is_dropped_after(&give, sizeof(give), 1);
	is_dropped_after(&unknown, sizeof(unknown), 1);
	is_dropped_after(&tiny, sizeof(tiny), 1);
	is_dropped_after(&short_one, sizeof(short_one), 1);
	srand(2);
	for (int i = 0; i < 50; i++) {
		for (size_t j = 0; j < sizeof(noise); j++)
			noise[j] = (uint8_t)rand();
		/* A length that is too long for any message. */
		noise[0] = noise[1] = 0xff;
		is_dropped_after(noise, sizeof(noise), 1);
	}
	assert_true(flag_wait(NEXT, atomic_load(&shared->flag[NEXT]) + 10));
	flag_add(DONE);
	child_ends_well(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SHARED_TEST(test_a_dead_client_leaves_nothing),
		SHARED_TEST(test_random_kills_under_mps),
		SHARED_TEST(test_random_kills_without_mps),
		SHARED_TEST(test_many_start_at_once),
		SHARED_TEST(test_the_server_ends_and_comes_again),
		SHARED_TEST(test_a_dead_server_is_an_error),
		SHARED_TEST(test_mps_server_dies),
		SHARED_TEST(test_mps_control_dies),
		SHARED_TEST(test_nonsense_ends_its_client_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
