/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second process of preludes.c. It is this program again: it opens the handle it finds on its
 * command line, says that it has, and raises the flag at every byte from its standard input. Bytes
 * answer, so whoever asked knows that the flag is up.
 */
#include "preludes_peer.h"

#include <dlfcn.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "prog.h"

CUstream urgent_stream(void)
{
	CUresult (*create)(CUstream *, unsigned int, int) =
		(CUresult(*)(CUstream *, unsigned int, int))dlsym(cu_handle,
								  "cuStreamCreateWithPriority");
	CUstream stream = NULL;

	MUST(create(&stream, CU_STREAM_NON_BLOCKING, -5));
	return stream;
}

void flag_raise(CUstream stream, CUdeviceptr flag)
{
	CUresult (*write)(CUstream, CUdeviceptr, uint32_t, unsigned int) =
		(CUresult(*)(CUstream, CUdeviceptr, uint32_t, unsigned int))dlsym(
			cu_handle, "cuStreamWriteValue32_v2");

	MUST(write(stream, flag, 1, 0));
	MUST(cu.StreamSynchronize(stream));
}

static int to_peer = -1, from_peer = -1;

static char hear(int fd)
{
	char c = 0;

	return read(fd, &c, 1) == 1 ? c : 0;
}

bool peer_raise(void)
{
	char c = 'r';

	return write(to_peer, &c, 1) == 1 && hear(from_peer) == 'r';
}

int peer_main(const char *hex)
{
	struct prog prog;

	prog_open(&prog);
	CUresult (*open_handle)(CUdeviceptr *, CUipcMemHandle, unsigned int) =
		(CUresult(*)(CUdeviceptr *, CUipcMemHandle, unsigned int))dlsym(
			cu_handle, "cuIpcOpenMemHandle_v2");
	CUresult (*close_handle)(CUdeviceptr) =
		(CUresult(*)(CUdeviceptr))dlsym(cu_handle, "cuIpcCloseMemHandle");
	CUipcMemHandle handle;
	CUdeviceptr flag = 0;
	CUstream stream;
	unsigned int byte = 0;
	char c = 'o';

	for (size_t i = 0; i < sizeof(handle); i++) {
		if (!CHECK(sscanf(hex + 2 * i, "%2x", &byte) == 1))
			return PROG_FAIL;
		((unsigned char *)&handle)[i] = (unsigned char)byte;
	}
	MUST(open_handle(&flag, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
	stream = urgent_stream();
	CHECK(write(STDOUT_FILENO, &c, 1) == 1);
	while (hear(STDIN_FILENO) == 'r') {
		flag_raise(stream, flag);
		c = 'r';
		CHECK(write(STDOUT_FILENO, &c, 1) == 1);
	}
	MUST(close_handle(flag));
	prog_close(&prog);
	return prog_result();
}

/* -1 when the process could not be started. */
static pid_t spawn(char *hex)
{
	char name[] = "/proc/self/exe", option[] = "--peer";
	char *argv[] = {name, option, hex, NULL};
	posix_spawn_file_actions_t actions;
	int down[2] = {-1, -1}, up[2] = {-1, -1}, r;
	pid_t pid = -1;

	if (!CHECK(!pipe(down) && !pipe(up)))
		return -1;
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_adddup2(&actions, down[0], STDIN_FILENO);
	(void)posix_spawn_file_actions_adddup2(&actions, up[1], STDOUT_FILENO);
	(void)posix_spawn_file_actions_addclose(&actions, down[1]);
	(void)posix_spawn_file_actions_addclose(&actions, up[0]);
	r = posix_spawn(&pid, name, &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(down[0]);
	(void)close(up[1]);
	to_peer = down[1];
	from_peer = up[0];
	return CHECK(r == 0) ? pid : -1;
}

pid_t peer_start(CUdeviceptr flag)
{
	CUresult (*get_handle)(CUipcMemHandle *, CUdeviceptr) =
		(CUresult(*)(CUipcMemHandle *, CUdeviceptr))dlsym(cu_handle, "cuIpcGetMemHandle");
	char hex[2 * sizeof(CUipcMemHandle) + 1];
	CUipcMemHandle handle;
	pid_t pid;

	MUST(get_handle(&handle, flag));
	for (size_t i = 0; i < sizeof(handle); i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", ((unsigned char *)&handle)[i]);
	pid = spawn(hex);
	if (pid > 0 && !CHECK(hear(from_peer) == 'o')) {
		(void)peer_stop(pid);
		return -1;
	}
	return pid;
}

bool peer_stop(pid_t pid)
{
	int status = -1;

	(void)close(to_peer);
	pid = waitpid(pid, &status, 0);
	(void)close(from_peer);
	return pid > 0 && status == 0;
}
