/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launcher ends before the processes of its tenant: the reservation stays until the last
 * process that was started with the tenant's token has ended, and they attach by it, also when the
 * daemon was started anew between the two.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon_client.h"

static struct test_daemon d;

/* A process as `lithos run` starts it: the token in the environment of its program. */
static pid_t start_with(const struct proto_admitted *tenant, const char *command)
{
	char token[2 * PROTO_TOKEN_BYTES + 1];
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	for (size_t i = 0; i < PROTO_TOKEN_BYTES; i++)
		(void)snprintf(token + 2 * i, 3, "%02x", tenant->token[i]);
	(void)setenv("LITHOS_TOKEN", token, 1);
	(void)execl("/bin/sh", "sh", "-c", command, NULL);
	_exit(127);
}

static void end(pid_t pid)
{
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
}

static int log_has(const char *text)
{
	char command[2 * CLIENT_PATH_BYTES];

	(void)snprintf(command, sizeof(command), "grep -q '%s' '%s'", text, d.log);
	return system(command) == 0; /* NOLINT: paths this file made */
}

/* Waits until the shell runs: before that the new process is a copy of this one. */
static void wait_for_file(const char *path)
{
	WAIT_UNTIL(access(path, F_OK) == 0);
	(void)unlink(path);
}

/* Nobody is left who was started: the tenant ends with the first that is not there. */
static void test_outlives_launcher(void)
{
	struct proto_admitted tenant;
	struct attached a;
	char ready[CLIENT_PATH_BYTES];
	char command[2 * CLIENT_PATH_BYTES];
	int fd = tenant_admitted(&d, &(struct wish){.name = "kin", .tpcs = 20}, &tenant);
	pid_t pid;

	(void)snprintf(ready, sizeof(ready), "%s/ready", d.folder);
	(void)snprintf(command, sizeof(command), "echo > '%s'; read x", ready);
	pid = start_with(&tenant, command);
	wait_for_file(ready);
	(void)close(fd);
	WAIT_UNTIL(log_has("kept for processes"));
	CHECK(tenant_number(&d, "kin", "own") == 20);
	CHECK(tenant_number(&d, "kin", "reserved") == 0);
	/* One of the tenant attaches, late, and ends. */
	CHECK(client_attach(&d, &tenant, &a, NULL) == PROTO_ATTACHED);
	attached_close(&a);
	CHECK(tenant_number(&d, "kin", "own") == 20);
	end(pid);
	/* This process is attached and lives, without a connection. */
	CHECK(tenant_number(&d, "kin", "own") == 20);
}

static void hold(void *cookie)
{
	struct proto_admitted tenant;
	const int *out = cookie;

	(void)tenant_admitted(&d, &(struct wish){.name = "orphan", .tpcs = 30}, &tenant);
	CHECK(write(*out, &tenant, sizeof(tenant)) == (ssize_t)sizeof(tenant));
	for (;;)
		(void)pause();
}

/* The launcher is killed, then the daemon; the process found by the next daemon ends at last. */
static void test_over_a_restart(void)
{
	struct proto_admitted tenant;
	char ready[CLIENT_PATH_BYTES];
	char command[2 * CLIENT_PATH_BYTES];
	int ends[2];
	pid_t launcher, pid;

	CHECK(pipe(ends) == 0);
	launcher = client_fork(hold, &ends[1]);
	CHECK(read(ends[0], &tenant, sizeof(tenant)) == (ssize_t)sizeof(tenant));
	(void)snprintf(ready, sizeof(ready), "%s/ready", d.folder);
	(void)snprintf(command, sizeof(command), "echo > '%s'; read x", ready);
	pid = start_with(&tenant, command);
	wait_for_file(ready);
	end(launcher);
	CHECK(tenant_number(&d, "orphan", "own") == 30);
	(void)daemon_stop(&d, SIGKILL);
	daemon_start(&d);
	CHECK(tenant_number(&d, "orphan", "own") == 30);
	end(pid);
	WAIT_UNTIL(tenant_number(&d, "orphan", "own") == -1);
}

int main(void)
{
	/* What is read from is never written to: the shells wait. */
	int ends[2];

	CHECK(pipe(ends) == 0 && dup2(ends[0], STDIN_FILENO) == STDIN_FILENO);
	daemon_prepare(&d, "version: v1\n");
	daemon_start(&d);
	test_outlives_launcher();
	test_over_a_restart();
	daemon_remove(&d);
	return 0;
}
