/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket, its lock, and who comes in.
 *
 * A client gets one second for its first sound message; each user gets so many connections; a
 * client whose receive buffer is full loses its connection (connection.c). So no client can make
 * the daemon wait, and none can take what others need, up to the sum over users.
 *
 * One daemon a socket: a lock file beside it is held for life, which makes it safe to remove a
 * socket that a killed daemon left behind. A daemon that ends removes the socket first, while it
 * may still need seconds for MPS, and gives the lock back last, after the state file is closed. So
 * who wants a daemon starts the next one at once, which waits for the lock as long as nobody
 * serves.
 *
 * Out of descriptors: accepting pauses for 100 ms instead of spinning on a listening socket that is
 * always ready. Tested by tests/integration/daemon_hostile.c and daemon_many.c.
 */
#include "daemon/server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "daemon/server/closer.h"
#include "daemon/tenant/tenant.h"
#include "daemon/tenant/unattached.h"

#define HANDSHAKE_NS    1000000000u
#define SWEEP_NS        100000000u
#define BACKLOG         4096
#define ACCEPTS_A_ROUND 32
#define LOCK_NS         15000000000u /* more than an end takes, see END_NS in main.c */
#define LOCK_LOOK_NS    20000000

/* --- coming in -------------------------------------------------------------------------------- */

/* With what is not closed yet of those that were. */
static uint32_t connections_of(const struct server *server, uid_t uid)
{
	uint32_t nr = closer_pending(uid);

	for (const struct connection *c = server->connections; c; c = c->next)
		nr += (!c->is_dropped || c->is_kept) && c->uid == uid;
	return nr;
}

static void greet(struct daemon *daemon, int fd)
{
	struct server *server = &daemon->server;
	struct connection *c = NULL;
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t length = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.pid > 0 &&
	    connections_of(server, peer.uid) < daemon->config.max_connections)
		c = calloc(1, sizeof(*c));
	if (!c) {
		closer_close_connection(fd, peer.uid);
		return;
	}
	*c = (struct connection){.daemon = daemon,
				 .io = {.fd = fd, .on_ready = connection_ready, .cookie = c},
				 .pid = peer.pid,
				 .uid = peer.uid,
				 .born_ns = clock_now_ns()};
	if (loop_add(&daemon->loop, &c->io, EPOLLIN) < 0) {
		closer_close_connection(fd, c->uid);
		free(c);
		return;
	}
	c->next = server->connections;
	server->connections = c;
	server->nr_connections++;
}

static void pause_accepting(struct daemon *daemon)
{
	static struct log_site site;

	log_line(&site, LOG_WARN, "msg=\"cannot accept connections for the moment\" reason=\"%s\"",
		 strerror(errno));
	loop_remove(&daemon->loop, &daemon->server.io);
	daemon->server.is_paused = 1;
}

static void on_connect(void *cookie, uint32_t events)
{
	struct daemon *daemon = cookie;

	(void)events;
	for (int i = 0; i < ACCEPTS_A_ROUND; i++) {
		int fd = accept4(daemon->server.io.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			greet(daemon, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			pause_accepting(daemon);
		return;
	}
}

static void sweep(void *cookie)
{
	struct daemon *daemon = cookie;
	struct server *server = &daemon->server;
	uint64_t now = clock_now_ns();

	for (struct connection *c = server->connections; c; c = c->next) {
		connection_look_again(c);
		if (!c->is_shaken && now - c->born_ns > HANDSHAKE_NS)
			connection_drop(c);
	}
	if (server->is_paused && server->is_listening &&
	    loop_add(&daemon->loop, &server->io, EPOLLIN) == 0)
		server->is_paused = 0;
	unattached_sweep(daemon);
	/* Who has waited for long enough. */
	admit_waiting(daemon);
}

/* --- the socket ------------------------------------------------------------------------------- */

static int set_address(const struct config *config, struct sockaddr_un *ret_address)
{
	size_t length = strlen(config->socket);

	if (length >= sizeof(ret_address->sun_path))
		return -ENAMETOOLONG;
	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(ret_address->sun_path, config->socket, length + 1);
	return 0;
}

/* Somebody listens. Without a socket, whoever holds the lock is ending, or not ready yet. */
static int is_served(const struct config *config)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int is = 1;

	if (fd >= 0 && set_address(config, &address) == 0 &&
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		is = errno != ENOENT && errno != ECONNREFUSED;
	if (fd >= 0)
		(void)close(fd);
	return is;
}

static int lock_patiently(const struct config *config, int fd)
{
	static const struct timespec pause = {.tv_nsec = LOCK_LOOK_NS};
	uint64_t end_ns = clock_now_ns() + LOCK_NS;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if (is_served(config) || clock_now_ns() > end_ns)
			return -EADDRINUSE;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

int server_lock(struct daemon *daemon)
{
	char path[CONFIG_PATH_BYTES + 8];
	int fd;
	int r;

	(void)snprintf(path, sizeof(path), "%s.lock", daemon->config.socket);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = lock_patiently(&daemon->config, fd);
	if (r < 0)
		(void)close(fd);
	else
		daemon->server.lock_fd = fd;
	return r;
}

void server_unlock(struct daemon *daemon)
{
	if (daemon->server.lock_fd > 0)
		(void)close(daemon->server.lock_fd);
	daemon->server.lock_fd = 0;
}

static int listen_on(const struct config *config)
{
	struct sockaddr_un address;
	int r = set_address(config, &address);
	int fd;

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* Ours by the lock: whoever made this file is gone. */
	(void)unlink(config->socket);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(config->socket, config->socket_mode) < 0 || listen(fd, BACKLOG) < 0) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	return fd;
}

int server_open(struct daemon *daemon)
{
	struct server *server = &daemon->server;
	int r = listen_on(&daemon->config);

	if (r < 0)
		return r;
	server->io = (struct loop_io){.fd = r, .on_ready = on_connect, .cookie = daemon};
	server->is_listening = 1;
	server->bury = (struct loop_task){.run = connections_bury, .cookie = daemon};
	server->sweep = (struct loop_timer){.on_time = sweep, .cookie = daemon};
	r = loop_add(&daemon->loop, &server->io, EPOLLIN);
	if (r == 0)
		r = loop_timer_add(&daemon->loop, &server->sweep);
	if (r == 0)
		r = loop_timer_set(&server->sweep, SWEEP_NS, SWEEP_NS);
	return r;
}

void server_shut(struct daemon *daemon)
{
	struct server *server = &daemon->server;

	if (!server->is_listening)
		return;
	server->is_listening = 0;
	/* The name first: who finds none starts another daemon, and need not try this one. */
	(void)unlink(daemon->config.socket);
	loop_remove(&daemon->loop, &server->io);
	(void)close(server->io.fd);
}

void server_close(struct daemon *daemon)
{
	struct server *server = &daemon->server;

	server_shut(daemon);
	while (server->connections) {
		struct connection *c = server->connections;

		server->connections = c->next;
		/* Tenants outlive the daemon: nothing is given up. */
		if (!c->is_dropped || c->is_kept)
			closer_close_connection(c->io.fd, c->uid);
		free(c);
	}
	loop_task_cancel(&daemon->loop, &server->bury);
	loop_timer_remove(&daemon->loop, &server->sweep);
}
