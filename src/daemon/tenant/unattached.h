/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that use the GPU without being attached: who, how, and why.
 *
 * Either they say so themselves (PROTO_UNATTACHED), or the daemon has refused them. They are shown
 * in the status and decide nothing, but that a tenant lives as long as one of its own does.
 */
#ifndef LITHOS_DAEMON_UNATTACHED_H
#define LITHOS_DAEMON_UNATTACHED_H

#include <stdint.h>
#include <sys/types.h>

#include <lithos/proto.h>

#include "daemon/loop.h"

#define UNATTACHED_MAX      1024 /* of all users */
#define UNATTACHED_MAX_USER 256  /* of one user: nobody hides the others' */

struct connection;
struct daemon;
struct tenant;

struct unattached {
	struct unattached *next;
	struct daemon *daemon;
	struct loop_process watch; /* its end; without descriptors the sweep looks for it */
	pid_t pid;
	uid_t uid;
	uint64_t start_time;   /* of /proc/<pid>/stat: with the pid, who it is */
	struct tenant *tenant; /* NULL: the daemon does not know the token */
	uint32_t confinement;  /* enum proto_confinement */
	char reason[PROTO_REASON_BYTES];
};

/* What the connection's process says of itself, or as `lithos run` of one of its tenant. */
void unattached_said(struct connection *c, const struct proto_unattached *said);

/*
 * The daemon refused the connection's process, of the tenant or of none (NULL). How it goes on, it
 * says itself when it can; until then the worst that is possible is true.
 */
void unattached_refused(struct connection *c, struct tenant *t, enum proto_confinement how,
			const char *reason);

/* The process is attached now. */
void unattached_forget(struct daemon *daemon, pid_t pid);

/* Those of a tenant; NULL for those of none. */
uint32_t unattached_count(const struct daemon *daemon, const struct tenant *t);

/* The tenant ends: its processes are of no tenant from now on. */
void unattached_disown(struct tenant *t);

/* Those that have no pidfd and have ended. */
void unattached_sweep(struct daemon *daemon);

/* At the end of the daemon. */
void unattached_close(struct daemon *daemon);

#endif
