/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MPS as the rest of the daemon sees it: configuration, states and what is told about them.
 *
 * Every change goes through mps_report() or mps_report_loss(), last in whatever led to it, so a
 * callback finds a struct that is consistent and may stop MPS on the spot. What cannot be had (no
 * binary, a directory that is somebody else's) is a state and no error, unless MPS is required:
 * programs run without it, taking turns on the GPU.
 *
 * The control is in mps_control.c, its servers in mps_servers.c, the end in mps_stop.c.
 *
 * Tested by tests/integration/mps_life.c and mps_trouble.c.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/options.h"
#include "daemon/mps/mps_parts.h"
#include "daemon/mps/mps_spawn.h"

/* The longest name of a socket in the pipe directory, and what an address of one may hold. */
#define LONGEST_SOCKET  "/control_privileged"
#define SOCKET_PATH_MAX 107u

static const char *const state_names[] = {
	[MPS_OFF] = "off",         [MPS_NO_BINARIES] = "no-binaries", [MPS_STARTING] = "starting",
	[MPS_NO_SERVER] = "ready", [MPS_RUNNING] = "running",         [MPS_DIED] = "died",
	[MPS_FAILED] = "failed",
};

const char *mps_state_name(enum mps_state state)
{
	return state_names[state];
}

enum mps_state mps_state(const struct mps *mps)
{
	return mps->state;
}

int mps_is_serving(const struct mps *mps)
{
	return mps->step == MPS_STOP_NONE &&
	       (mps->state == MPS_NO_SERVER || mps->state == MPS_RUNNING);
}

const char *mps_pipe_directory(const struct mps *mps)
{
	int is_there =
		mps->state != MPS_OFF && mps->state != MPS_NO_BINARIES && mps->state != MPS_FAILED;

	return is_there ? mps->pipe_directory : "";
}

pid_t mps_control_pid(const struct mps *mps)
{
	return mps->control_pid;
}

static void tell(struct mps *mps, const struct mps_change *change)
{
	mps->state = change->state;
	if (mps->on_change != NULL)
		mps->on_change(mps->cookie, change);
}

void mps_report(struct mps *mps, enum mps_state state, pid_t pid, const char *format, ...)
{
	char text[MPS_TEXT_BYTES];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	tell(mps, &(struct mps_change){.state = state, .pid = pid, .text = text});
}

void mps_report_loss(struct mps *mps, pid_t pid, const char *text)
{
	tell(mps, &(struct mps_change){
			  .state = mps->state, .lost_contexts = 1, .pid = pid, .text = text});
}

static int copy_path(char *copy, const char *text)
{
	size_t length = text != NULL ? strlen(text) : 0;

	if (length >= MPS_PATH_BYTES)
		return -ENAMETOOLONG;
	memcpy(copy, text != NULL ? text : "", length + 1);
	return 0;
}

static uint64_t or_default(uint64_t value, uint64_t dflt)
{
	return value != 0 ? value : dflt;
}

static int configure(struct mps *mps, const struct mps_config *config)
{
	const struct mps_limits *limits = &config->limits;

	if (copy_path(mps->pipe_directory, config->pipe_directory) < 0 ||
	    copy_path(mps->log_directory, config->log_directory) < 0 ||
	    copy_path(mps->visible_devices, config->visible_devices) < 0 ||
	    strlen(mps->pipe_directory) + strlen(LONGEST_SOCKET) > SOCKET_PATH_MAX)
		return -ENAMETOOLONG;
	if (mps->pipe_directory[0] != '/' || mps->log_directory[0] != '/')
		return -EINVAL;
	mps->is_multiuser = config->is_multiuser && geteuid() == 0;
	mps->limits = (struct mps_limits){.start_ns = or_default(limits->start_ns, 10000 * MS),
					  .quit_ns = or_default(limits->quit_ns, 5000 * MS),
					  .signal_ns = or_default(limits->signal_ns, 1000 * MS),
					  .backoff_ns = or_default(limits->backoff_ns, 100 * MS),
					  .backoff_max_ns =
						  or_default(limits->backoff_max_ns, 5000 * MS)};
	return 0;
}

static int add_timers(struct mps *mps)
{
	struct loop_timer *const timer[] = {&mps->look, &mps->limit, &mps->retry};
	void (*const on_time[])(void *) = {mps_control_look, mps_control_limit, mps_control_retry};

	for (size_t i = 0; i < 3; i++) {
		int r;

		timer[i]->on_time = on_time[i];
		timer[i]->cookie = mps;
		r = loop_timer_add(mps->loop, timer[i]);
		while (r < 0 && i-- > 0)
			loop_timer_remove(mps->loop, timer[i]);
		if (r < 0)
			return r;
	}
	mps->has_timers = 1;
	return 0;
}

/* What cannot be had is an error only when it is required. */
static int do_without(struct mps *mps, enum mps_state state, int error, const char *text)
{
	mps_report(mps, state, 0, "%s: %s; without MPS programs take turns on the GPU", text,
		   strerror(-error));
	return mps->mode == MPS_MODE_REQUIRED ? error : 0;
}

int mps_start(struct mps *mps, struct loop *loop, const struct mps_config *config,
	      mps_on_change *on_change, void *cookie)
{
	mode_t mode = geteuid() == 0 ? 0755 : 0700;
	int r;

	memset(mps, 0, sizeof(*mps));
	mps->mode = config->mode;
	if (config->mode == MPS_MODE_OFF)
		return 0;
	r = configure(mps, config);
	if (r < 0)
		return r;
	mps->loop = loop;
	mps->on_change = on_change;
	mps->cookie = cookie;
	r = mps_find_binary(config->binary != NULL ? config->binary : "",
			    options_environment("PATH"), mps->binary, sizeof(mps->binary));
	if (r < 0)
		return do_without(mps, MPS_NO_BINARIES, r, MPS_CONTROL_NAME);
	r = mps_make_directory(mps->pipe_directory, mode);
	if (r < 0)
		return do_without(mps, MPS_FAILED, r, mps->pipe_directory);
	r = mps_make_directory(mps->log_directory, mode);
	if (r < 0)
		return do_without(mps, MPS_FAILED, r, mps->log_directory);
	r = add_timers(mps);
	if (r < 0)
		return r;
	mps_control_begin(mps);
	return 0;
}

void mps_fini(struct mps *mps)
{
	struct loop_timer *const timer[] = {&mps->look, &mps->limit, &mps->retry};
	struct mps_helper *const helper[] = {&mps->launcher, &mps->quitter};

	if (mps->loop == NULL || !mps->has_timers)
		return;
	mps_servers_forget(mps);
	if (mps->control_pid != 0)
		loop_process_remove(mps->loop, &mps->control);
	mps->control_pid = 0;
	for (size_t i = 0; i < 2; i++) {
		if (helper[i]->pid != 0)
			loop_process_remove(mps->loop, &helper[i]->process);
		helper[i]->pid = 0;
	}
	for (size_t i = 0; i < 3; i++)
		loop_timer_remove(mps->loop, timer[i]);
	mps->has_timers = 0;
	mps->step = MPS_STOP_NONE;
	mps->is_starting = 0;
	mps->state = MPS_OFF;
}
