/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections.
 *
 * The socket is SOCK_SEQPACKET: a packet is a message, so there is nothing to reassemble, and what
 * is not exactly a message ends the connection. A client gets one second for its first sound
 * message; each user gets so many connections; a client whose receive buffer is full loses its
 * connection. So no client can make the daemon wait, and none can take what others need, up to the
 * sum over users.
 *
 * One daemon a socket: a lock file beside it is held for life, which makes it safe to remove a
 * socket that a killed daemon left behind. A daemon that ends removes the socket first, while it
 * may still need seconds for MPS, and gives the lock back last, after the state file is closed. So
 * who wants a daemon starts the next one at once, which waits for the lock as long as nobody
 * serves.
 *
 * A dropped connection is closed at once and freed at the end of the round, because whoever found
 * it broken may be walking the list. Its reservation is given up there, too.
 *
 * Out of descriptors: accepting pauses for 100 ms instead of spinning on a listening socket that is
 * always ready. Tested by tests/integration/daemon_hostile.c and daemon_many.c.
 */
#include "daemon/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
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
#include "daemon/tenant/tenant.h"
#include "daemon/tenant/unattached.h"

#define HANDSHAKE_NS     1000000000u
#define SWEEP_NS         100000000u
#define BACKLOG          4096
#define ACCEPTS_A_ROUND  32
#define MESSAGES_A_ROUND 4
#define MAX_FDS          4
#define LOCK_NS          15000000000u /* more than an end takes, see END_NS in main.c */
#define LOCK_LOOK_NS     20000000

/* --- the end of a connection ------------------------------------------------------------------ */

void connection_drop(struct connection *c)
{
	struct server *server = &c->daemon->server;

	if (c->is_dropped)
		return;
	c->is_dropped = 1;
	c->is_waiting = 0;
	c->asking = 0;
	loop_remove(&c->daemon->loop, &c->io);
	(void)close(c->io.fd);
	if (c->process)
		c->process->connection = NULL;
	c->process = NULL;
	loop_defer(&c->daemon->loop, &server->bury);
}

static void give_up_reservation(struct connection *c)
{
	struct tenant *t = c->reserves;

	if (!t)
		return;
	c->reserves = NULL;
	t->reservation = NULL;
	(void)tenant_reap(t);
}

static void bury(void *cookie)
{
	struct daemon *daemon = cookie;
	struct connection **link = &daemon->server.connections;

	while (*link) {
		struct connection *c = *link;

		if (!c->is_dropped) {
			link = &c->next;
			continue;
		}
		*link = c->next;
		daemon->server.nr_connections--;
		give_up_reservation(c);
		free(c);
	}
}

/* --- out -------------------------------------------------------------------------------------- */

/* The whole control message, laid out by hand: CMSG_FIRSTHDR may be NULL for all a compiler
 * knows. */
struct fds_control {
	_Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(int) * MAX_FDS)];
};

static void attach_fds(struct msghdr *msg, struct fds_control *control, int nr_fds, const int *fds)
{
	size_t bytes = sizeof(int) * (size_t)nr_fds;
	struct cmsghdr head = {
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(bytes)};

	memcpy(control->bytes, &head, sizeof(head));
	memcpy(control->bytes + CMSG_LEN(0), fds, bytes);
	msg->msg_control = control->bytes;
	msg->msg_controllen = CMSG_SPACE(bytes);
}

static int send_as(struct connection *c, void *message, const struct proto_header *header,
		   int nr_fds, const int *fds)
{
	size_t bytes = header->bytes;
	struct fds_control control = {0};
	struct iovec iov = {.iov_base = message, .iov_len = bytes};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;
	int r;

	if (c->is_dropped)
		return -EPIPE;
	memcpy(message, header, sizeof(*header));
	if (nr_fds)
		attach_fds(&msg, &control, nr_fds, fds);
	n = sendmsg(c->io.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == (ssize_t)bytes)
		return 0;
	r = n < 0 ? -errno : -EIO;
	log_line(NULL, LOG_DEBUG, "msg=\"connection dropped\" pid=%d reason=\"%s\"", (int)c->pid,
		 strerror(-r));
	connection_drop(c);
	return r;
}

int connection_send(struct connection *c, void *message, uint16_t type, size_t bytes, int nr_fds,
		    const int *fds)
{
	struct proto_header header = {.magic = PROTO_MAGIC,
				      .version = PROTO_VERSION,
				      .type = type,
				      .bytes = (uint32_t)bytes};

	return send_as(c, message, &header, nr_fds, fds);
}

static void send_text(struct connection *c, uint16_t type, const char *text)
{
	struct proto_text message = {0};

	(void)snprintf(message.text, sizeof(message.text), "%s", text);
	(void)connection_send(c, &message, type, sizeof(message), 0, NULL);
}

void connection_refuse(struct connection *c, const char *format, ...)
{
	char text[PROTO_TEXT_BYTES];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* Parts of it may be the client's. */
	for (char *p = text; *p; p++)
		*p = *p < 0x20 || *p > 0x7e || *p == '"' ? '?' : *p;
	log_line(NULL, LOG_INFO, "msg=\"refused\" pid=%d uid=%u why=\"%s\"", (int)c->pid,
		 (unsigned int)c->uid, text);
	send_text(c, PROTO_REFUSED, text);
}

void connection_notice(struct connection *c, const char *text)
{
	send_text(c, PROTO_NOTICE, text);
}

/* In the version of who asks, which cannot read another: header and refusal are alike in all. */
static void refuse_version(struct connection *c, const struct proto_header *asked)
{
	struct proto_text answer = {0};
	struct proto_header header = *asked;

	header.type = PROTO_REFUSED;
	header.bytes = sizeof(answer);
	(void)snprintf(answer.text, sizeof(answer.text),
		       "lithosd speaks version %u of its protocol, this program's lithos version "
		       "%u: both must be of one version",
		       PROTO_VERSION, (unsigned int)asked->version);
	log_line(NULL, LOG_WARN,
		 "msg=\"of another version: refused\" pid=%d uid=%u protocol=%u lithosd=%u",
		 (int)c->pid, (unsigned int)c->uid, (unsigned int)asked->version, PROTO_VERSION);
	if (asked->type == PROTO_ATTACH)
		unattached_refused(c, NULL, PROTO_UNCONFINED, answer.text);
	(void)send_as(c, &answer, &header, 0, NULL);
}

/* --- in --------------------------------------------------------------------------------------- */

/* The first descriptor of the message, -1 for none; more than one is not in the protocol. */
static int take_fds(struct msghdr *msg, int *ret_nr)
{
	int first = -1;

	*ret_nr = 0;
	for (struct cmsghdr *head = CMSG_FIRSTHDR(msg); head; head = CMSG_NXTHDR(msg, head)) {
		size_t nr;

		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		nr = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < nr; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(fd));
			if ((*ret_nr)++ == 0)
				first = fd;
			else
				(void)close(fd);
		}
	}
	return first;
}

static int header_is_of_another_version(const struct proto_header *header, size_t bytes)
{
	return bytes >= sizeof(*header) && header->magic == PROTO_MAGIC &&
	       header->version != PROTO_VERSION && header->bytes == bytes;
}

static int header_is_sound(const struct proto_header *header, size_t bytes)
{
	return bytes >= sizeof(*header) && header->magic == PROTO_MAGIC &&
	       header->version == PROTO_VERSION && header->bytes == bytes;
}

/* One message. 1 = there may be more; 0 = none for now; -errno = the connection is over. */
static int receive_one(struct connection *c)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * MAX_FDS)];
	_Alignas(struct proto_header) char buffer[PROTO_MAX_BYTES];
	struct iovec iov = {.iov_base = buffer, .iov_len = sizeof(buffer)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(c->io.fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct proto_header *header = (const void *)buffer;
	int nr_fds;
	int fd;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	fd = take_fds(&msg, &nr_fds);
	if (n == 0)
		return -EPIPE;
	if (header_is_of_another_version(header, (size_t)n))
		refuse_version(c, header);
	if (nr_fds > 1 || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
	    !header_is_sound(header, (size_t)n)) {
		if (fd >= 0)
			(void)close(fd);
		return -EPROTO;
	}
	return request_handle(c, header, fd) < 0 ? -EPROTO : 1;
}

static void on_message(void *cookie, uint32_t events)
{
	struct connection *c = cookie;
	int r = 1;

	(void)events;
	for (int i = 0; i < MESSAGES_A_ROUND && r == 1 && !c->is_dropped; i++) {
		r = receive_one(c);
		if (r == 1)
			c->is_shaken = 1;
	}
	if (r == -EPROTO)
		c->daemon->server.nr_malformed++;
	if (r < 0)
		connection_drop(c);
}

/* --- coming in -------------------------------------------------------------------------------- */

static uint32_t connections_of(const struct server *server, uid_t uid)
{
	uint32_t nr = 0;

	for (const struct connection *c = server->connections; c; c = c->next)
		nr += !c->is_dropped && c->uid == uid;
	return nr;
}

static void greet(struct daemon *daemon, int fd)
{
	struct server *server = &daemon->server;
	struct connection *c = NULL;
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.pid > 0 &&
	    connections_of(server, peer.uid) < daemon->config.max_connections)
		c = calloc(1, sizeof(*c));
	if (!c) {
		(void)close(fd);
		return;
	}
	*c = (struct connection){.daemon = daemon,
				 .io = {.fd = fd, .on_ready = on_message, .cookie = c},
				 .pid = peer.pid,
				 .uid = peer.uid,
				 .born_ns = clock_now_ns()};
	if (loop_add(&daemon->loop, &c->io, EPOLLIN) < 0) {
		(void)close(fd);
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
	server->bury = (struct loop_task){.run = bury, .cookie = daemon};
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
		if (!c->is_dropped)
			(void)close(c->io.fd);
		free(c);
	}
	loop_task_cancel(&daemon->loop, &server->bury);
	loop_timer_remove(&daemon->loop, &server->sweep);
}
