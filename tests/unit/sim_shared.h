/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes on one simulated GPU: the test's own process never calls CUDA; it forks children that
 * do, waits for what they tell in shared memory, and looks at the log. A child that finds something
 * wrong ends with a status other than 0.
 */
#ifndef LITHOS_TEST_SIM_SHARED_H
#define LITHOS_TEST_SIM_SHARED_H

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <cuda.h>

#include "sim_shared_log.h"

#define PATIENCE_MS 100000
#define FOR_EVER    (1ull << 50) /* ns of a block that does not end */
#define SMALL_SLOTS (16u * 32u)  /* blocks the small chip holds */

/* In children. */
#define CHECK(claim) child_check(claim, #claim, __FILE__, __LINE__)
#define GOOD(call)   CHECK((call) == CUDA_SUCCESS)

static struct log *shared;
static char folder[64];
static pid_t daemon_pid; /* of MPS; 0: none */

static inline void child_check(int holds, const char *claim, const char *file, int line)
{
	if (holds)
		return;
	(void)fprintf(stderr, "%s:%d: %s\n", file, line, claim);
	_exit(99);
}

static inline void pause_ms(long ms)
{
	const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	(void)nanosleep(&pause, NULL);
}

/* 0 when the flag did not come to the value in time. */
static inline int flag_wait(unsigned int flag, uint32_t value)
{
	for (int i = 0; i < PATIENCE_MS && atomic_load(&shared->flag[flag]) < value; i++)
		pause_ms(1);
	return atomic_load(&shared->flag[flag]) >= value;
}

static inline void flag_add(unsigned int flag)
{
	(void)atomic_fetch_add(&shared->flag[flag], 1);
}

static inline pid_t child(void (*run)(unsigned int number), unsigned int number)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	/* A test that is killed leaves nothing behind. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	run(number);
	_exit(0);
}

static inline void child_ends_well(pid_t pid)
{
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static inline void child_kill(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* --- what children do ---------------------------------------------------------------------- */
struct guest {
	CUcontext ctx;
	CUfunction func;
	CUstream stream;
};

static inline void guest_open_on(struct guest *guest, int ordinal, int priority)
{
	static const char ptx[] =
		".version 7.0\n.target sm_90\n.address_size 64\n"
		".visible .entry lk_log(.param .u64 l, .param .u64 n, .param .u64 t){ret;}\n";
	CUmodule module;

	GOOD(cuInit(0));
	GOOD(cuDevicePrimaryCtxRetain(&guest->ctx, ordinal));
	GOOD(cuCtxSetCurrent(guest->ctx));
	GOOD(cuModuleLoadData(&module, ptx));
	GOOD(cuModuleGetFunction(&guest->func, module, "lk_log"));
	GOOD(cuStreamCreateWithPriority(&guest->stream, CU_STREAM_NON_BLOCKING, priority));
}

static inline void guest_open(struct guest *guest)
{
	guest_open_on(guest, 0, 0);
}

static inline CUresult guest_launch(const struct guest *guest, unsigned int blocks, uint64_t ns,
				    uint64_t tag)
{
	struct log_params values = {shared, ns, tag};
	void *params[] = {&values.log, &values.ns, &values.tag};

	return cuLaunchKernel(guest->func, blocks, 1, 1, 32, 1, 1, 0, guest->stream, params, NULL);
}

static inline CUresult guest_launch_cooperative(const struct guest *guest, unsigned int blocks,
						uint64_t ns, uint64_t tag)
{
	struct log_params values = {shared, ns, tag};
	void *params[] = {&values.log, &values.ns, &values.tag};

	return cuLaunchCooperativeKernel(guest->func, blocks, 1, 1, 32, 1, 1, 0, guest->stream,
					 params);
}

/* The server has seen everything this process said: it answers in order. */
static inline void guest_settle(void)
{
	size_t free_bytes, total;

	GOOD(cuMemGetInfo(&free_bytes, &total));
}

/* --- what the test does ---------------------------------------------------------------------- */
static inline void write_pid(const char *name, pid_t pid)
{
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fprintf(file, "%d\n", (int)pid) > 0);
	assert_int_equal(fclose(file), 0);
}

static inline void sleep_for_ever(unsigned int number)
{
	(void)number;
	for (;;)
		(void)pause();
}

static inline void mps_start(void)
{
	daemon_pid = child(sleep_for_ever, 0);
	write_pid("nvidia-cuda-mps-control.pid", daemon_pid);
}

static inline void mps_stop(void)
{
	if (daemon_pid)
		child_kill(daemon_pid);
	daemon_pid = 0;
}

static inline int shared_setup(void **state)
{
	char path[96];

	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	assert_ptr_not_equal(shared, MAP_FAILED);
	strcpy(folder, "/tmp/lithos-sim-XXXXXX");
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/gpu", folder);
	assert_int_equal(setenv("LITHOS_SIM_DEVICE", path, 1), 0);
	assert_int_equal(setenv("LITHOS_SIM_GPU", "small", 1), 0);
	assert_int_equal(setenv("LITHOS_SIM_KERNELS", SIM_SHARED_OBJECT, 1), 0);
	assert_int_equal(setenv("CUDA_MPS_PIPE_DIRECTORY", folder, 1), 0);
	return 0;
}

static inline void remove_file(const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	(void)unlink(path);
}

/* The process that listens at the socket. */
static inline pid_t server_pid(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/gpu", folder);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		peer.pid = 0;
	(void)close(fd);
	return peer.pid;
}

static inline int shared_teardown(void **state)
{
	pid_t pid = server_pid();

	(void)state;
	mps_stop();
	if (pid > 0)
		(void)kill(pid, SIGKILL);
	remove_file("gpu");
	remove_file("gpu.lock");
	remove_file("nvidia-cuda-mps-control.pid");
	remove_file("nvidia-cuda-mps-server.pid");
	(void)rmdir(folder);
	(void)unsetenv("CUDA_MPS_CLIENT_PRIORITY");
	(void)unsetenv("LITHOS_SIM_NR_GPUS");
	return munmap(shared, sizeof(*shared));
}

/* Over all blocks with this tag: how many, the first start and the last end. */
struct seen {
	uint32_t nr;
	uint64_t first_start_ns;
	uint64_t last_end_ns;
	uint32_t sms[5];
};

static inline struct seen seen_of(uint32_t tag)
{
	struct seen seen = {.first_start_ns = UINT64_MAX};
	uint32_t nr = atomic_load(&shared->nr);

	for (uint32_t i = 0; i < nr && i < LOG_ROWS; i++) {
		const struct log_row *row = &shared->row[i];
		uint64_t start_ns = row->end_ns - row->cost_ns;

		if (row->tag != tag)
			continue;
		seen.nr++;
		seen.sms[row->smid / 32] |= 1u << (row->smid % 32);
		if (start_ns < seen.first_start_ns)
			seen.first_start_ns = start_ns;
		if (row->end_ns > seen.last_end_ns)
			seen.last_end_ns = row->end_ns;
	}
	return seen;
}

#define SHARED_TEST(name) cmocka_unit_test_setup_teardown(name, shared_setup, shared_teardown)

#endif
