/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tenants and their processes, as the daemon knows them.
 *
 * A tenant lives as long as one of: its reservation (the connection of `lithos run`), a process
 * that attached or said that it cannot, any other that was started with its token (kin.c), or,
 * after a restart of the daemon, the time in which those may come back. All structs belong to the
 * daemon's one thread.
 */
#ifndef LITHOS_DAEMON_TENANT_H
#define LITHOS_DAEMON_TENANT_H

#include <stdint.h>
#include <sys/types.h>

#include <lithos/proto.h>
#include <lithos/shm.h>

#include "daemon/loop.h"
#include "daemon/tenant/region.h"
#include "sched/ledger.h"
#include "sched/share.h"

struct connection;
struct daemon;
struct kin;
struct tenant;

/* A process of a tenant that attached; it owns one line of the activity. */
struct process {
	struct tenant *tenant;
	struct loop_process watch;
	struct connection *connection; /* NULL: lost, it may come back */
	pid_t pid;
	uint32_t line;
	uint64_t start_time; /* of /proc/<pid>/stat: with the pid, who it is */
	uint64_t attached_ns;
	int is_awaited; /* known from before a restart, not back yet */
};

/* What the processes of a tenant that have ended had done. */
struct tenant_totals {
	uint64_t nr_launches;
	uint64_t nr_deferred;
	uint64_t nr_reclaims;
	uint64_t own_tpc_ns;
	uint64_t borrowed_tpc_ns;
};

struct tenant {
	struct tenant *next;
	struct daemon *daemon;
	uint32_t id; /* never used twice by one state file */
	uid_t uid;
	uint32_t priority;
	struct quota quota;
	char name[PROTO_NAME_BYTES];
	uint8_t token[PROTO_TOKEN_BYTES];
	struct ledger_grant grant;
	uint64_t admitted_ns;

	struct region grant_region; /* struct shm_grant */
	struct region activity;     /* struct shm_activity; none while it is awaited */
	struct connection *reservation;
	pid_t launcher_pid; /* who took the reservation last; 0: not known */
	uint64_t launcher_start;
	int is_awaited;  /* the reservation is known from before a restart, and not back yet */
	struct kin *kin; /* processes with its token that were found when nothing else was left */
	int is_dirty;    /* the state file does not have it as it is */
	uint32_t nr_processes;
	struct process *process[SHM_MAX_PROCS]; /* by line */

	/* What watch.c saw last, and what came of it. */
	struct share_member member;
	int is_active;
	int is_stalled;
	struct tpcset
		lent_before; /* borrow sets of the last 100 ms or more: holds may be on them */
	uint64_t lent_before_ns;
	struct tenant_totals ended;
};

/* --- tenant.c --------------------------------------------------------------------------------- */

struct tenant *tenant_by_token(struct daemon *daemon, const uint8_t token[PROTO_TOKEN_BYTES]);

/* A tenant of this ledger grant, announced to the others. NULL: no memory or descriptors left. */
struct tenant *tenant_new(struct daemon *daemon, const struct tenant *like);

/* Ends it when nothing keeps it alive. 1 when it has ended: t is gone then. */
int tenant_reap(struct tenant *t);

/* Its activity: a new one, or one that a process has brought. 0 or -errno. */
int tenant_make_activity(struct tenant *t);
int tenant_adopt_activity(struct tenant *t, int fd);

/* A new generation of its place: who knows the former activity notices. */
void tenant_renew_place(struct tenant *t);

/* The board shows what the ledger says. */
void board_write(struct daemon *daemon, uint32_t gpu);
/* The grant shows what is in t. */
void grant_write(struct tenant *t);

/* --- process.c -------------------------------------------------------------------------------- */

struct process *process_by_pid(const struct tenant *t, pid_t pid);

/*
 * Makes a process of the tenant with this line, or the lowest free one for -1. Watches it. -ESRCH
 * it has ended already, -ENOSPC no line, -ENOMEM, -errno.
 */
int process_new(struct tenant *t, pid_t pid, int line, struct process **ret_process);

/* It has ended, or it has not come back. Does not reap the tenant. */
void process_remove(struct process *p);

/* The line is as new. */
void process_clear_line(const struct process *p);

/* Field 22 of /proc/<pid>/stat, and field 3. 0 or -errno. */
int process_stat(pid_t pid, uint64_t *ret_start_time, char *ret_state);

/* --- peers.c ---------------------------------------------------------------------------------- */

/* To a connection: all owners of its GPU that have an activity. */
void peers_tell_all(struct connection *c);
/* To everybody else on the GPU: an owner is there, or has gone. */
void peers_announce(const struct tenant *t);
void peers_retract(const struct tenant *t);

#endif
