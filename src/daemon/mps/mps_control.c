/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MPS from the daemon's side: its control is adopted or started, watched, and started again.
 *
 * Problem: programs of one GPU run at the same time only under MPS, and a program that finds no
 * control when it starts silently runs without. The control leaves its parent (`-d`), so it is
 * nobody's child, and its start can hang.
 *
 * Idea: the pid file in the pipe directory names the control; a pidfd watches it. Starting is a
 * helper process with a deadline; until it is met the pid file is read every 5 ms. A control that
 * dies is started again at once, the next time after 0.1 s, doubled up to 5 s, and not any more
 * after ten starts in a minute. Ten seconds of life make the next restart immediate again.
 *
 *	OFF -> STARTING -> NO_SERVER <-> RUNNING
 *	           ^  \        |           |
 *	           |   +-> DIED <----------+      FAILED after ten starts
 *	           +--------+
 *
 * What it does badly: a program that starts in the milliseconds between the death of a control and
 * the next one runs without MPS; whoever starts programs can wait for mps_is_serving().
 *
 * Tested by tests/integration/mps_life.c and mps_trouble.c, against a control that misbehaves.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/mps/mps_parts.h"
#include "daemon/mps/mps_proc.h"
#include "daemon/mps/mps_spawn.h"

#define LOOK_STARTING_NS (5 * MS)
#define LAUNCHER_NS      (10 * MS)
#define SETTLED_NS       (10000 * MS)
#define MINUTE_NS        (60000 * MS)

static void in_pipe_directory(const struct mps *mps, const char *name, char *ret_path, size_t size)
{
	(void)snprintf(ret_path, size, "%s/%s", mps->pipe_directory, name);
}

static int is_our_control(const struct mps *mps, pid_t pid)
{
	struct mps_proc proc;

	return mps_proc_read(pid, &proc) == 0 && !proc.is_zombie && proc.uid == geteuid() &&
	       (mps_proc_is_program(pid, MPS_CONTROL_NAME) ||
		mps_proc_is_program(pid, mps->binary)) &&
	       !mps_proc_has_other_value(pid, MPS_PATH_VARIABLE, mps->pipe_directory);
}

static uint64_t backoff_of(const struct mps *mps)
{
	uint64_t delay = mps->limits.backoff_ns;

	if (mps->nr_failures == 0)
		return 1;
	for (unsigned int i = 1; i < mps->nr_failures && delay < mps->limits.backoff_max_ns; i++)
		delay *= 2;
	return delay < mps->limits.backoff_max_ns ? delay : mps->limits.backoff_max_ns;
}

static int may_start_again(const struct mps *mps)
{
	/* The place that the next start will take holds the oldest of the last ten. */
	uint64_t oldest = mps->start_ns[mps->nr_starts % MPS_MAX_STARTS];

	return mps->nr_starts < MPS_MAX_STARTS || clock_now_ns() - oldest > MINUTE_NS;
}

/* The control is not there, and text says why. */
static void try_again_later(struct mps *mps, pid_t pid, const char *text)
{
	uint64_t delay = backoff_of(mps);

	mps->is_starting = 0;
	(void)loop_timer_stop(&mps->limit);
	(void)loop_timer_stop(&mps->look);
	if (!may_start_again(mps)) {
		mps_report(mps, MPS_FAILED, pid,
			   "MPS is given up after %u starts in a minute; the last: %s",
			   MPS_MAX_STARTS, text);
		return;
	}
	mps->nr_failures++;
	(void)loop_timer_set(&mps->retry, delay, 0);
	mps_report(mps, MPS_DIED, pid, "%s", text);
}

static void on_control_exit(void *cookie)
{
	struct mps *mps = cookie;
	pid_t pid = mps->control_pid;
	char text[MPS_TEXT_BYTES];

	/* Where the daemon is the init of a container, the control has become its child. */
	(void)waitpid(pid, NULL, WNOHANG);
	mps->control_pid = 0;
	mps_servers_orphan(mps);
	if (mps->step != MPS_STOP_NONE) {
		mps_stop_go_on(mps);
		return;
	}
	if (clock_now_ns() - mps->control_since_ns > SETTLED_NS)
		mps->nr_failures = 0;
	(void)snprintf(
		text, sizeof(text),
		"the MPS control daemon (pid %d) died: programs that start before it is back "
		"run without MPS",
		(int)pid);
	try_again_later(mps, pid, text);
}

int mps_find_control(struct mps *mps)
{
	char path[MPS_PATH_BYTES + 64];
	pid_t pid;

	in_pipe_directory(mps, MPS_CONTROL_NAME ".pid", path, sizeof(path));
	if (mps_proc_pid_file(path, &pid) < 0)
		return 0;
	in_pipe_directory(mps, "control", path, sizeof(path));
	if (access(path, F_OK) < 0)
		return 0;
	mps->control.on_exit = on_control_exit;
	mps->control.cookie = mps;
	if (loop_process_add(mps->loop, &mps->control, pid) < 0)
		return 0;
	/* After the pidfd is open: who is checked here is who is watched. */
	if (!is_our_control(mps, pid)) {
		loop_process_remove(mps->loop, &mps->control);
		return 0;
	}
	mps->control_pid = pid;
	mps->control_since_ns = clock_now_ns();
	return 1;
}

static void report_serving(struct mps *mps, const char *how)
{
	pid_t control = mps->control_pid;
	pid_t server = mps_server_pid(mps);

	mps_servers_set_pace(mps);
	if (server != 0)
		mps_report(mps, MPS_RUNNING, server,
			   "the MPS server (pid %d) runs; control daemon (pid %d) %s", (int)server,
			   (int)control, how);
	else
		mps_report(mps, MPS_NO_SERVER, control,
			   "the MPS control daemon (pid %d) %s; its server starts with the first "
			   "program",
			   (int)control, how);
}

static void serve(struct mps *mps, const char *how)
{
	mps->is_starting = 0;
	/* A launcher that stays behind has its deadline still. */
	if (mps->launcher.pid == 0)
		(void)loop_timer_stop(&mps->limit);
	(void)mps_servers_look(mps);
	report_serving(mps, how);
}

void mps_look(struct mps *mps)
{
	int is_new;

	if (mps->control_pid == 0 || mps->step != MPS_STOP_NONE)
		return;
	is_new = mps_servers_look(mps) > 0;
	if (is_new || (mps->state == MPS_RUNNING) != (mps_server_pid(mps) != 0))
		report_serving(mps, "runs");
}

/* --- the control is started ------------------------------------------------------------------- */

static void fail_start(struct mps *mps, const char *text)
{
	pid_t pid = mps->launcher.pid;

	mps_kill_helper(&mps->launcher);
	try_again_later(mps, pid, text);
}

static void on_launcher_exit(void *cookie)
{
	struct mps_helper *launcher = cookie;
	struct mps *mps = launcher->mps;
	int status = mps_reap_helper(launcher);
	char text[MPS_TEXT_BYTES];

	if (mps->step != MPS_STOP_NONE) {
		mps->is_starting = mps->is_starting && status == 0;
		mps_stop_go_on(mps);
		return;
	}
	if (!mps->is_starting) {
		(void)loop_timer_stop(&mps->limit);
		return;
	}
	if (mps_find_control(mps)) {
		serve(mps, "runs");
		return;
	}
	if (status == 0)
		return; /* it has daemonised; the pid file follows, or the deadline */
	/* Drivers before the option refuse it. */
	if (mps->is_multiuser) {
		mps->is_multiuser = 0;
		mps->nr_failures = 0;
	}
	if (WIFSIGNALED(status))
		(void)snprintf(text, sizeof(text), "'%s -d' was ended by signal %d", mps->binary,
			       WTERMSIG(status));
	else
		(void)snprintf(text, sizeof(text), "'%s -d' ended with status %d", mps->binary,
			       WEXITSTATUS(status));
	fail_start(mps, text);
}

/*
 * What a control that was killed has left would be taken for the new one's. A control whose start
 * was given up for its slowness and that comes up between the last search and this loses its pid
 * file: starts then fail at its lock until it ends.
 */
static void remove_remains(const struct mps *mps)
{
	static const char *const names[] = {MPS_CONTROL_NAME ".pid", "control"};
	char path[MPS_PATH_BYTES + 64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		in_pipe_directory(mps, names[i], path, sizeof(path));
		(void)unlink(path);
	}
}

void mps_control_begin(struct mps *mps)
{
	const char *const argv[] = {mps->binary, "-d",
				    mps->is_multiuser ? "-multiuser-server" : NULL, NULL};
	int r;

	mps->start_ns[mps->nr_starts++ % MPS_MAX_STARTS] = clock_now_ns();
	if (mps_find_control(mps)) {
		serve(mps, "was running and is adopted");
		return;
	}
	remove_remains(mps);
	mps->launcher.process.on_exit = on_launcher_exit;
	mps->is_starting = 1;
	r = mps_spawn_helper(mps, &mps->launcher, argv, NULL);
	if (r < 0) {
		char text[MPS_TEXT_BYTES];

		(void)snprintf(text, sizeof(text), "'%s -d' cannot be started: %s", mps->binary,
			       strerror(-r));
		try_again_later(mps, 0, text);
		return;
	}
	(void)loop_timer_set(&mps->limit, mps->limits.start_ns, 0);
	(void)loop_timer_set(&mps->look, LOOK_STARTING_NS, LOOK_STARTING_NS);
	mps_report(mps, MPS_STARTING, mps->launcher.pid, "the MPS control daemon is being started");
}

void mps_control_look(void *cookie)
{
	struct mps *mps = cookie;

	if (mps->step != MPS_STOP_NONE)
		mps_stop_go_on(mps);
	else if (mps->control_pid != 0)
		mps_look(mps);
	else if (mps->is_starting && mps_find_control(mps))
		serve(mps, "runs");
}

void mps_control_limit(void *cookie)
{
	struct mps *mps = cookie;
	char text[MPS_TEXT_BYTES];

	if (mps->step != MPS_STOP_NONE) {
		mps_stop_limit(mps);
		return;
	}
	if (!mps->is_starting) {
		mps_kill_helper(&mps->launcher);
		return;
	}
	(void)snprintf(text, sizeof(text), "'%s -d' did not bring a control daemon up in %llu ms",
		       mps->binary, (unsigned long long)(mps->limits.start_ns / MS));
	fail_start(mps, text);
}

void mps_control_retry(void *cookie)
{
	struct mps *mps = cookie;

	if (mps->launcher.pid == 0)
		mps_control_begin(mps);
	else /* was killed a moment ago */
		(void)loop_timer_set(&mps->retry, LAUNCHER_NS, 0);
}
