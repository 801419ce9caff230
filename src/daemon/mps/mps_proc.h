/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc says about processes of MPS. Nothing is remembered; every answer may be old at
 * once. */
#ifndef LITHOS_DAEMON_MPS_PROC_H
#define LITHOS_DAEMON_MPS_PROC_H

#include <sys/types.h>

struct mps_proc {
	pid_t parent;
	uid_t uid; /* effective */
	int is_zombie;
};

/* 0; -ESRCH when there is no such process; -EPROTO when the file is not as expected. */
int mps_proc_read(pid_t pid, struct mps_proc *ret_proc);

/* Whether the program was started under this name; folders in front of either do not count. */
int mps_proc_is_program(pid_t pid, const char *name);

/* Whether the variable is in the process' first environment with another value. */
int mps_proc_has_other_value(pid_t pid, const char *variable, const char *value);

/* Children of all its threads, at most max. Their number, or -errno. */
int mps_proc_children(pid_t pid, pid_t *ret_pids, int max);
/* The same for kernels without the `children` file, by reading the parent of every process. */
int mps_proc_children_by_scan(pid_t pid, pid_t *ret_pids, int max);

/* The number that the file holds; -EPROTO when it holds none. */
int mps_proc_pid_file(const char *path, pid_t *ret_pid);

#endif
