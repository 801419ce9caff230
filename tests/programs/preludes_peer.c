/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second process of preludes.c: the owner of an epoch. It is this program again: it allocates
 * memory of its own, writes the handle of it to its standard output, and moves the epoch by one at
 * every byte from its standard input. Bytes answer, so whoever asked knows that the epoch has
 * moved.
 *
 * The allocation is of 2 MiB, as the driver's smallest unit of memory that can be exported is: what
 * is exported is all of it, and nothing else should lie in it.
 */
#include "preludes_peer.h"

#include <dlfcn.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "prog.h"

#define EPOCH_BYTES (2u << 20)

CUstream urgent_stream(void)
{
	CUresult (*create)(CUstream *, unsigned int, int) =
		(CUresult(*)(CUstream *, unsigned int, int))dlsym(cu_handle,
								  "cuStreamCreateWithPriority");
	CUstream stream = NULL;

	MUST(create(&stream, CU_STREAM_NON_BLOCKING, -5));
	return stream;
}

void epoch_write(CUstream stream, CUdeviceptr epoch, uint32_t value)
{
	CUresult (*write)(CUstream, CUdeviceptr, uint32_t, unsigned int) =
		(CUresult(*)(CUstream, CUdeviceptr, uint32_t, unsigned int))dlsym(
			cu_handle, "cuStreamWriteValue32_v2");

	MUST(write(stream, epoch, value, 0));
	MUST(cu.StreamSynchronize(stream));
}

static bool hear(int fd, void *buffer, size_t bytes)
{
	size_t n = 0;

	while (n < bytes) {
		ssize_t got = read(fd, (char *)buffer + n, bytes - n);

		if (got <= 0)
			return false;
		n += (size_t)got;
	}
	return true;
}

static bool say(int fd, const void *buffer, size_t bytes)
{
	return write(fd, buffer, bytes) == (ssize_t)bytes;
}

int peer_main(void)
{
	struct prog prog;

	prog_open(&prog);
	CUresult (*get_handle)(CUipcMemHandle *, CUdeviceptr) =
		(CUresult(*)(CUipcMemHandle *, CUdeviceptr))dlsym(cu_handle, "cuIpcGetMemHandle");
	CUdeviceptr epoch = prog_words(EPOCH_BYTES / sizeof(uint32_t), 0);
	CUstream stream = urgent_stream();
	CUipcMemHandle handle;
	uint32_t value = 0;
	char c;

	MUST(cu.CtxSynchronize());
	MUST(get_handle(&handle, epoch));
	CHECK(say(STDOUT_FILENO, &handle, sizeof(handle)));
	while (hear(STDIN_FILENO, &c, 1)) {
		epoch_write(stream, epoch, ++value);
		CHECK(say(STDOUT_FILENO, &c, 1));
	}
	prog_close(&prog);
	return prog_result();
}

static bool spawn(struct peer *peer)
{
	char name[] = "/proc/self/exe", option[] = "--peer";
	char *argv[] = {name, option, NULL};
	posix_spawn_file_actions_t actions;
	int down[2] = {-1, -1}, up[2] = {-1, -1}, r;

	if (!CHECK(!pipe(down) && !pipe(up)))
		return false;
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_adddup2(&actions, down[0], STDIN_FILENO);
	(void)posix_spawn_file_actions_adddup2(&actions, up[1], STDOUT_FILENO);
	for (int i = 0; i < 2; i++) {
		(void)posix_spawn_file_actions_addclose(&actions, down[i]);
		(void)posix_spawn_file_actions_addclose(&actions, up[i]);
	}
	r = posix_spawn(&peer->pid, name, &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(down[0]);
	(void)close(up[1]);
	peer->to = down[1];
	peer->from = up[0];
	return CHECK(r == 0);
}

static bool peer_wait(struct peer *peer)
{
	int status = -1;

	(void)close(peer->to);
	peer->pid = waitpid(peer->pid, &status, 0);
	(void)close(peer->from);
	return peer->pid > 0 && status == 0;
}

bool peer_start(struct peer *peer)
{
	CUresult (*open_handle)(CUdeviceptr *, CUipcMemHandle, unsigned int) =
		(CUresult(*)(CUdeviceptr *, CUipcMemHandle, unsigned int))dlsym(
			cu_handle, "cuIpcOpenMemHandle_v2");
	CUipcMemHandle handle;

	memset(peer, 0, sizeof(*peer));
	if (!spawn(peer))
		return false;
	if (!CHECK(hear(peer->from, &handle, sizeof(handle)))) {
		(void)peer_wait(peer);
		return false;
	}
	MUST(open_handle(&peer->epoch, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
	return true;
}

bool peer_raise(struct peer *peer)
{
	char c = 'r';

	peer->value++;
	return say(peer->to, &c, 1) && hear(peer->from, &c, 1);
}

CUresult peer_close(const struct peer *peer)
{
	CUresult (*close_handle)(CUdeviceptr) =
		(CUresult(*)(CUdeviceptr))dlsym(cu_handle, "cuIpcCloseMemHandle");

	return close_handle(peer->epoch);
}

bool peer_stop(struct peer *peer)
{
	MUST(peer_close(peer));
	return peer_wait(peer);
}

void peer_kill(struct peer *peer)
{
	(void)kill(peer->pid, SIGKILL);
	(void)peer_wait(peer);
}
