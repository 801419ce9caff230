/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket: connections, and messages in and out (include/lithos/proto.h).
 *
 * Nothing here blocks. A client that does not read loses its connection, and nothing else: shims
 * come back by themselves.
 */
#ifndef LITHOS_DAEMON_SERVER_H
#define LITHOS_DAEMON_SERVER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <lithos/proto.h>

#include "daemon/loop.h"

struct daemon;
struct process;
struct tenant;

struct connection {
	struct connection *next;
	struct daemon *daemon;
	struct loop_io io;
	pid_t pid; /* of who connected, as the kernel says */
	uid_t uid;
	uint64_t born_ns;
	int is_shaken;  /* sent something valid */
	int is_dropped; /* closed; freed at the end of the round */
	int has_report; /* one was sent, and not found read yet */
	int is_kept;    /* dropped, but open until its report is read */
	struct tenant *reserves;
	struct process *process;
	int is_waiting; /* `wish` waits for the tenant's activity to come back */
	struct proto_attach wish;
	/* `asked` waits for MPS: its place in the order of arrival; 0: nothing does */
	uint64_t asking;
	struct proto_admit asked;
};

struct server {
	struct loop_io io;
	int lock_fd;
	int is_listening;
	int is_paused; /* out of descriptors: not accepting for a moment */
	struct loop_timer sweep;
	struct loop_task bury;
	struct connection *connections;
	uint32_t nr_connections;
	uint64_t nr_malformed;
	uint64_t last_asking;
};

/*
 * Takes the socket's place, before anything else is touched. Waits for a daemon that is ending.
 * -EADDRINUSE: another daemon has it and serves, or does not end.
 */
int server_lock(struct daemon *daemon);
/* Listens. 0 or -errno. */
int server_open(struct daemon *daemon);
/* Removes the socket and lets nobody in any more; the connections that are there stay. */
void server_shut(struct daemon *daemon);
/* That, and closes all connections. */
void server_close(struct daemon *daemon);
/* The next daemon may begin: after everything that the two have in common is closed. */
void server_unlock(struct daemon *daemon);

/*
 * Sends, or drops the connection. The header is filled in here. 0 or -errno; nothing is sent to a
 * connection that was dropped.
 */
int connection_send(struct connection *c, void *message, uint16_t type, size_t bytes, int nr_fds,
		    const int *fds);
void connection_refuse(struct connection *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void connection_notice(struct connection *c, const char *text);
void connection_drop(struct connection *c);
/* Sends a report, or refuses, or drops the connection. fd stays the caller's. 0 or -errno. */
int connection_report(struct connection *c, struct proto_report *report, int fd);

/* For server.c: something to read; now and then; the task that frees those that were dropped. */
void connection_ready(void *cookie, uint32_t events);
void connection_look_again(struct connection *c);
void connections_bury(void *cookie);

/* --- requests.c: what a message asks for ------------------------------------------------------ */

/* A whole message with a sound header; fd is -1 or consumed. -EPROTO: close the connection. */
int request_handle(struct connection *c, const struct proto_header *message, int fd);

/* --- admit.c and attach.c --------------------------------------------------------------------- */

int admit_request(struct connection *c, const struct proto_admit *message);
/* Answers those who wait for MPS, when there is nothing to wait for any more. */
void admit_waiting(struct daemon *daemon);
int admit_return(struct connection *c, const struct proto_attach *message);
int attach_request(struct connection *c, const struct proto_attach *message, int fd);
/* The tenant's activity is there, or nobody is waited for any more. */
void attach_waiting(struct tenant *t);

#endif
