/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that attaches has made a context, so MPS has a server: the daemon looks for it then,
 * and not when its next period is over. A server that was not seen could die unnoticed.
 *
 * Each round a server of the fake control (tests/programs/fake_mps_control.c) starts, a process
 * attaches as soon as it is there, and the answer to ATTACH comes from a daemon that knows it. By
 * the period of 50 ms alone the daemon would know it in a few rounds of all.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon_client.h"

#define NR_ROUNDS 6

static struct test_daemon d;
static char folder[] = "/tmp/lithosd-mps-XXXXXX";

static const char *in_folder(const char *name)
{
	static char path[CLIENT_PATH_BYTES];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void write_text(const char *name, const char *text)
{
	FILE *file = fopen(in_folder(name), "we");

	CHECK(file != NULL);
	CHECK(fputs(text, file) >= 0 && fclose(file) == 0);
}

/* The pid of the server once it is what its name says; 0 before. */
static pid_t server_pid(void)
{
	FILE *file = fopen(in_folder("pipe/nvidia-cuda-mps-server.pid"), "re");
	char path[64];
	char name[64] = "";
	int pid = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%d", &pid) != 1)
		pid = 0;
	(void)fclose(file);
	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fgets(name, sizeof(name), file) || strcmp(name, "nvidia-cuda-mps-server") != 0)
		pid = 0;
	(void)fclose(file);
	return pid;
}

/* The control ends with its folder, however the test ends. */
static void remove_folder(void)
{
	char command[64];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	(void)!system(command); /* NOLINT: a path this file made */
}

static void prepare(void)
{
	const char *build = getenv("BUILD_DIR");
	const char *path = getenv("PATH");
	char text[4096];
	char fake[512];

	CHECK(mkdtemp(folder) != NULL && atexit(remove_folder) == 0);
	(void)snprintf(fake, sizeof(fake), "%s/tests/programs/fake_mps_control",
		       build ? build : ".");
	CHECK(symlink(fake, in_folder("nvidia-cuda-mps-control")) == 0);
	(void)snprintf(text, sizeof(text), "%s:%s", folder, path ? path : "/usr/bin:/bin");
	CHECK(setenv("PATH", text, 1) == 0);
	(void)snprintf(text, sizeof(text),
		       "version: v1\nmps:\n  mode: required\n  pipe_directory: %s/pipe\n"
		       "  log_directory: %s/log\n",
		       folder, folder);
	daemon_prepare(&d, text);
	daemon_start(&d);
	WAIT_UNTIL(daemon_number(&d, "mps.control_pid") > 0);
}

static void test_round(const struct proto_admitted *tenant)
{
	struct attached a;
	pid_t pid;

	CHECK(daemon_number(&d, "mps.server_pid") == 0);
	write_text("pipe/client", "");
	WAIT_UNTIL((pid = server_pid()) != 0);
	CHECK(client_attach(&d, tenant, &a, NULL) == PROTO_ATTACHED);
	CHECK(daemon_number(&d, "mps.server_pid") == pid);
	CHECK(unlink(in_folder("pipe/client")) == 0);
	CHECK(kill(pid, SIGKILL) == 0);
	WAIT_UNTIL(server_pid() == 0 && daemon_number(&d, "mps.server_pid") == 0);
	attached_close(&a);
}

int main(void)
{
	struct proto_admitted tenant;
	int fd;

	prepare();
	fd = tenant_admitted(&d, &(struct wish){.name = "one", .tpcs = 4}, &tenant);
	for (int i = 0; i < NR_ROUNDS; i++)
		test_round(&tenant);
	(void)close(fd);
	daemon_remove(&d);
	return 0;
}
