/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two daemons and one GPU: the second, which listens elsewhere and keeps its state elsewhere, ends
 * with a message that names the first; when the first has been killed the second may have it.
 * Another simulation's GPU has the same UUID and is another GPU.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "daemon_client.h"

static int log_has(const struct test_daemon *d, const char *text)
{
	char command[5 * CLIENT_PATH_BYTES];

	(void)snprintf(command, sizeof(command), "grep -qF '%s' '%s'", text, d->log);
	return system(command) == 0; /* NOLINT: paths this file made */
}

static void set_device(const char *folder)
{
	char path[2 * CLIENT_PATH_BYTES];

	(void)snprintf(path, sizeof(path), "%s/gpu.sock", folder);
	CHECK(setenv("LITHOS_SIM_DEVICE", path, 1) == 0);
}

int main(void)
{
	struct test_daemon first, second;
	char text[2 * CLIENT_PATH_BYTES];
	int status;

	daemon_prepare(&second, NULL);
	daemon_prepare(&first, "version: v1\n");
	set_device(first.folder);
	daemon_start(&first);
	status = daemon_start_in_vain(&second);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	(void)snprintf(text, sizeof(text), "pid %d, uid", (int)first.pid);
	CHECK(log_has(&second, text));
	(void)snprintf(text, sizeof(text), "socket %s", first.socket);
	CHECK(log_has(&second, text));
	/* The first has noticed nothing. */
	CHECK(daemon_number(&first, "ledger.free") == 66);
	/* Another simulation beside it. */
	set_device(second.folder);
	daemon_start(&second);
	(void)daemon_stop(&second, SIGTERM);
	/* The same simulation after it. */
	set_device(first.folder);
	(void)daemon_stop(&first, SIGKILL);
	daemon_start(&second);
	CHECK(daemon_number(&second, "ledger.free") == 66);
	daemon_remove(&second);
	daemon_remove(&first);
	return 0;
}
