/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder ask of each other about a struct mps. */
#ifndef LITHOS_DAEMON_MPS_PARTS_H
#define LITHOS_DAEMON_MPS_PARTS_H

#include "daemon/mps/mps.h"

#define MS 1000000ull

#define MPS_PATH_VARIABLE "CUDA_MPS_PIPE_DIRECTORY"

/* mps.c */
/* Enters the state and tells the callback; last in whoever calls it, as the callback may do a
 * lot. */
void mps_report(struct mps *mps, enum mps_state state, pid_t pid, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void mps_report_loss(struct mps *mps, pid_t pid, const char *text);

/* mps_control.c */
/* Adopts or starts. */
void mps_control_begin(struct mps *mps);
/* 1: the control of the pipe directory is watched now. 0: there is none. */
int mps_find_control(struct mps *mps);
/* Of the timers. */
void mps_control_look(void *cookie);
void mps_control_limit(void *cookie);
void mps_control_retry(void *cookie);

/* mps_helper.c; set process.on_exit before. */
int mps_spawn_helper(struct mps *mps, struct mps_helper *helper, const char *const *argv,
		     const char *input);
/* Of a helper that has ended: what waitpid says; 0 when somebody else has reaped it. */
int mps_reap_helper(struct mps_helper *helper);
/* SIGKILL to all of its session that has not made one of its own. */
void mps_kill_helper(const struct mps_helper *helper);

/* mps_servers.c */
/* Watches what is new; how many. */
int mps_servers_look(struct mps *mps);
/* How often from now on. */
void mps_servers_set_pace(struct mps *mps);
/* The control has died: its servers are nobody's. */
void mps_servers_orphan(struct mps *mps);
/* One that is watched, orphan or not; 0: none. */
pid_t mps_servers_any(const struct mps *mps);
void mps_servers_signal(const struct mps *mps, int number);
void mps_servers_forget(struct mps *mps);

/* mps_stop.c */
/* Goes on with the end after anything has happened. */
void mps_stop_go_on(struct mps *mps);
void mps_stop_limit(struct mps *mps);
/* Through the pidfd, so never to somebody who got the number later. */
void mps_signal(const struct loop_process *process, int number);

#endif
