/* SPDX-License-Identifier: Apache-2.0 */
/* Which lithosd the command line talks to. */
#ifndef LITHOS_CLI_DAEMON_FIND_H
#define LITHOS_CLI_DAEMON_FIND_H

#include "cli/daemon/place.h"

struct options;

#define FIND_NO_DAEMON "none" /* LITHOS_SOCKET: without any daemon */

enum find_kind {
	FIND_NAMED,   /* by LITHOS_SOCKET or --socket */
	FIND_SYSTEM,  /* the machine's */
	FIND_PRIVATE, /* the user's own */
};

struct daemon_link {
	enum find_kind kind;
	int fd; /* owned by whoever asked; -1 when lost */
	char socket[PLACE_PATH_MAX];
	char sim_device[PLACE_PATH_MAX]; /* LITHOS_SIM_DEVICE of its tenants; empty: theirs */
};

/*
 * Connects to the daemon of options->socket; without one to the machine's, and without that to the
 * user's private one, which is started when `may_start` is set. With options->sim the machine's is
 * not asked. 0, or -errno after having said on stderr why not.
 */
int find_daemon(const struct options *options, int may_start, struct daemon_link *ret_link);

#endif
