/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The servers of MPS: found, watched, mourned.
 *
 * Problem: the control starts a server when the first program comes, and says so to nobody. When
 * one dies, every program that was running on it has lost its GPU context, and the daemon must say
 * it before the programs' users ask.
 *
 * Idea: the children of the control are read every 50 ms while there is no server, every 250 ms
 * after (another user's server may come), and when the daemon calls mps_look() because a program
 * has just attached. A server is held by a pidfd, which tells its death at once. One whose control
 * has died first is an orphan: it still serves the programs that it had, so it is watched to its
 * end.
 *
 * What it does badly: a server that lives for less than the period between two looks is not seen. A
 * pidfd does not tell how a process that is not ours ended, so a server that the control ends
 * because nobody uses it any more counts as died; programs that were running there are then none.
 *
 * Tested by tests/integration/mps_life.c.
 */
#include <stdio.h>

#include "daemon/mps/mps_parts.h"
#include "daemon/mps/mps_proc.h"
#include "daemon/mps/mps_spawn.h"

#define CHILDREN_MAX    64
#define LOOK_SERVER_NS  (50 * MS)
#define LOOK_RUNNING_NS (250 * MS)

void mps_servers_set_pace(struct mps *mps)
{
	uint64_t every_ns = mps_server_pid(mps) != 0 ? LOOK_RUNNING_NS : LOOK_SERVER_NS;

	(void)loop_timer_set(&mps->look, every_ns, every_ns);
}

static void on_server_exit(void *cookie)
{
	struct mps_server *server = cookie;
	struct mps *mps = server->mps;
	pid_t pid = server->pid;
	char text[MPS_TEXT_BYTES];

	server->pid = 0;
	if (mps->step != MPS_STOP_NONE) {
		mps_stop_go_on(mps);
		return;
	}
	(void)snprintf(text, sizeof(text),
		       "the MPS server (pid %d) died: programs that were running have lost their "
		       "GPU context",
		       (int)pid);
	if (mps->state == MPS_RUNNING && mps_server_pid(mps) == 0) {
		mps->state = MPS_NO_SERVER;
		mps_servers_set_pace(mps);
	}
	mps_report_loss(mps, pid, text);
}

static int is_watched(const struct mps *mps, pid_t pid)
{
	for (size_t i = 0; i < MPS_MAX_SERVERS; i++) {
		if (mps->server[i].pid == pid)
			return 1;
	}
	return 0;
}

/* 1: watched now. 0: there is no place, or it is no server (yet): the next look asks again. */
static int watch_server(struct mps *mps, pid_t pid)
{
	struct mps_server *server = mps->server;
	struct mps_proc proc;

	while (server < mps->server + MPS_MAX_SERVERS && server->pid != 0)
		server++;
	if (server == mps->server + MPS_MAX_SERVERS)
		return 0;
	*server = (struct mps_server){.mps = mps};
	server->process.on_exit = on_server_exit;
	server->process.cookie = server;
	if (loop_process_add(mps->loop, &server->process, pid) < 0)
		return 0;
	if (mps_proc_read(pid, &proc) < 0 || proc.parent != mps->control_pid || proc.is_zombie ||
	    !mps_proc_is_program(pid, MPS_SERVER_NAME)) {
		loop_process_remove(mps->loop, &server->process);
		return 0;
	}
	server->pid = pid;
	return 1;
}

int mps_servers_look(struct mps *mps)
{
	pid_t child[CHILDREN_MAX];
	int nr_new = 0;
	int nr;

	if (mps->control_pid == 0)
		return 0;
	nr = mps_proc_children(mps->control_pid, child, CHILDREN_MAX);
	for (int i = 0; i < nr; i++) {
		if (!is_watched(mps, child[i]))
			nr_new += watch_server(mps, child[i]);
	}
	return nr_new;
}

void mps_servers_orphan(struct mps *mps)
{
	for (size_t i = 0; i < MPS_MAX_SERVERS; i++)
		mps->server[i].is_orphan = mps->server[i].pid != 0;
}

pid_t mps_servers_any(const struct mps *mps)
{
	for (size_t i = 0; i < MPS_MAX_SERVERS; i++) {
		if (mps->server[i].pid != 0)
			return mps->server[i].pid;
	}
	return 0;
}

void mps_servers_signal(const struct mps *mps, int number)
{
	for (size_t i = 0; i < MPS_MAX_SERVERS; i++) {
		if (mps->server[i].pid != 0)
			mps_signal(&mps->server[i].process, number);
	}
}

void mps_servers_forget(struct mps *mps)
{
	for (size_t i = 0; i < MPS_MAX_SERVERS; i++) {
		if (mps->server[i].pid != 0)
			loop_process_remove(mps->loop, &mps->server[i].process);
		mps->server[i].pid = 0;
	}
}

pid_t mps_server_pid(const struct mps *mps)
{
	for (size_t i = 0; i < MPS_MAX_SERVERS; i++) {
		if (mps->server[i].pid != 0 && !mps->server[i].is_orphan)
			return mps->server[i].pid;
	}
	return 0;
}
