/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of a user's private lithosd. */
#ifndef LITHOS_CLI_DAEMON_PLACE_H
#define LITHOS_CLI_DAEMON_PLACE_H

#include <stddef.h>

struct options;

#define PLACE_FOLDER_MAX 80  /* so that a socket in it fits a socket's address */
#define PLACE_PATH_MAX   108 /* of one, as sun_path is */

/* One folder a daemon; the simulated GPU has daemons of its own, one a kind of chip. */
struct place {
	char folder[PLACE_FOLDER_MAX];
	char socket[PLACE_PATH_MAX];
	char lock[PLACE_PATH_MAX];       /* held by the one who starts the daemon */
	char log[PLACE_PATH_MAX];        /* what the daemon says */
	char sim_device[PLACE_PATH_MAX]; /* the shared simulated GPU; empty for a real one */
};

/* Names it: $XDG_RUNTIME_DIR/lithos, or /tmp/lithos-UID, or the same in $TMPDIR without a /tmp. */
void place_name(const struct options *options, struct place *ret_place);

/*
 * Whether the folder is this user's alone (owner, mode, no symbolic link), made first when `make`
 * is set. -ENOENT: it does not exist; -EPERM: it is not this user's alone; -errno.
 */
int place_check(const struct place *place, int make);

#endif
