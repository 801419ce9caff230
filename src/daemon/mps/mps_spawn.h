/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of MPS: where they lie, what directories they need, how they are started. */
#ifndef LITHOS_DAEMON_MPS_SPAWN_H
#define LITHOS_DAEMON_MPS_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

#include "base/find/program_find.h" /* what they are called */

/*
 * An absolute path. configured not empty: that file or nothing. Otherwise search_path (as $PATH,
 * NULL for none), then the usual folders. -ENOENT, -ENAMETOOLONG.
 */
int mps_find_binary(const char *configured, const char *search_path, char *ret_path, size_t size);

/*
 * Makes the directory and its parents, or takes one that exists: it must be a directory, ours, and
 * nobody else's to write (-EPERM). It has this mode afterwards, whatever the umask.
 */
int mps_make_directory(const char *path, mode_t mode);

struct mps_command {
	const char *const *argv;    /* argv[0] is the program's path */
	const char *const *setting; /* "NAME=value", NULL at the end */
	const char *input; /* what it reads; NULL: nothing. At most a pipe's atomic write */
};

/*
 * A child in a session of its own: standard streams on /dev/null, no other descriptor, no signal
 * blocked or ignored. Its environment is ours without what only concerns tenants, plus the
 * settings. It ends with 127 when the program cannot be run. 0 or -errno.
 */
int mps_spawn(const struct mps_command *command, pid_t *ret_pid);

#endif
