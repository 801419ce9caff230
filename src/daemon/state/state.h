/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a later run of the daemon needs to know: tenants, their TPCs and processes, in a file.
 *
 * Written after the fact, at the end of a round, one transaction a round. Only good on the boot
 * that it was written on.
 */
#ifndef LITHOS_DAEMON_STATE_H
#define LITHOS_DAEMON_STATE_H

#include <stdint.h>

#include "daemon/loop.h"

#define STATE_MAX_ENDED 64

struct daemon;
struct sqlite3;
struct tenant;

struct state {
	struct sqlite3 *db; /* NULL: none, nothing survives */
	const char *path;   /* the configuration's */
	struct loop_task task;
	struct loop_timer retry;  /* runs after a write that failed */
	int is_stale;             /* the file is not what it should be: the next write writes all */
	uint32_t nr_failed_since; /* writes that failed since the last that did not */
	uint32_t nr_ended;
	uint32_t ended[STATE_MAX_ENDED]; /* tenants to be removed from the file */
	uint64_t nr_writes;
	uint64_t nr_failed;
};

/* Opens or makes the file. 0 or -errno; a damaged file is set aside and a new one made. */
int state_open(struct daemon *daemon, const char *path);
/* Tenants of the run before that still have somebody, into ledger and daemon. How many. */
int state_load(struct daemon *daemon);
/* The file was found damaged: it is set aside, and a new one is there, to be written. */
void state_renew(struct daemon *daemon);
void state_close(struct daemon *daemon);

/* The tenant, or its processes, have changed. */
void state_touch(struct tenant *t);
void state_tenant_ended(const struct tenant *t);
/* Writes now what the end of the round would have written. */
void state_flush(struct daemon *daemon);

#endif
