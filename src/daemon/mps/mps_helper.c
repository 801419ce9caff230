/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helper processes: `nvidia-cuda-mps-control` as a child of the daemon, to start the control or to
 * talk to it.
 *
 * Problem: such a child may hang, and the daemon has one thread. Idea: nothing waits for it. Its
 * pidfd is in the loop, its streams are /dev/null or a pipe that is full already, and whoever needs
 * it sets a deadline and kills its whole session. What it does badly: one that hangs in the kernel
 * blocks its place, and so the next start, until it dies.
 *
 * Tested by tests/integration/mps_life.c and mps_trouble.c.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "daemon/mps/mps_parts.h"
#include "daemon/mps/mps_spawn.h"

int mps_spawn_helper(struct mps *mps, struct mps_helper *helper, const char *const *argv,
		     const char *input)
{
	char pipes[MPS_PATH_BYTES + 32];
	char logs[MPS_PATH_BYTES + 32];
	char devices[MPS_PATH_BYTES + 32];
	const char *setting[] = {pipes, logs, "LITHOS_DISABLE=1", NULL, NULL};
	struct mps_command command = {.argv = argv, .setting = setting, .input = input};
	int r;

	if (helper->pid != 0)
		return -EBUSY;
	(void)snprintf(pipes, sizeof(pipes), MPS_PATH_VARIABLE "=%s", mps->pipe_directory);
	(void)snprintf(logs, sizeof(logs), "CUDA_MPS_LOG_DIRECTORY=%s", mps->log_directory);
	(void)snprintf(devices, sizeof(devices), "CUDA_VISIBLE_DEVICES=%s", mps->visible_devices);
	if (mps->visible_devices[0] != '\0')
		setting[3] = devices;
	r = mps_spawn(&command, &helper->pid);
	if (r < 0)
		return r;
	helper->mps = mps;
	helper->process.cookie = helper;
	r = loop_process_add(mps->loop, &helper->process, helper->pid);
	if (r < 0) {
		/* Nobody would see it end: it is a zombie for as long as the daemon lives. */
		mps_kill_helper(helper);
		helper->pid = 0;
	}
	return r;
}

int mps_reap_helper(struct mps_helper *helper)
{
	int status = 0;

	if (waitpid(helper->pid, &status, WNOHANG) != helper->pid)
		status = 0;
	helper->pid = 0;
	return status;
}

void mps_kill_helper(const struct mps_helper *helper)
{
	if (helper->pid == 0)
		return;
	/* The first may come before it has made its session. */
	(void)kill(helper->pid, SIGKILL);
	(void)kill(-helper->pid, SIGKILL);
}
