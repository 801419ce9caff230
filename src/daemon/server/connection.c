/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection: messages in and out, and its end.
 *
 * A packet is a message, so there is nothing to reassemble, and what is not exactly a message ends
 * the connection. Each is looked at in the queue first (MSG_PEEK), with a descriptor of our own for
 * what it passes, and taken out only when every file that it passes has one: the kernel closes what
 * has none, and close() on a file that a client chose may block (closer.c). So nothing that a
 * client passed is ever closed here.
 *
 * A dropped connection is closed at once and freed at the end of the round, because whoever found
 * it broken may be walking the list. Its reservation is given up there, too.
 *
 * A report is a memfd, and one that nobody reads is memory that nobody uses. So a connection has
 * one at most, a user has MAX_REPORTS_USER, and a connection that ends with an unread one is kept,
 * shut down but open, until the client has read or closed its side: only its own side knows. A
 * client that keeps the memfd after reading it pays with a descriptor of its own.
 *
 * Tested by tests/integration/daemon_hostile.c and daemon_freeze.c.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/daemon.h"
#include "daemon/server/closer.h"
#include "daemon/server/server.h"
#include "daemon/tenant/tenant.h"
#include "daemon/tenant/unattached.h"

#define MESSAGES_A_ROUND 4
#define MAX_FDS          4
#define MAX_REPORTS_USER 32

/* --- the end of a connection ------------------------------------------------------------------ */

/* The client has not read all that was sent. */
static int has_unread(const struct connection *c)
{
	int bytes = 0;

	return ioctl(c->io.fd, SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

static int has_unread_report(struct connection *c)
{
	if (c->has_report && !has_unread(c))
		c->has_report = 0;
	return c->has_report;
}

void connection_drop(struct connection *c)
{
	struct server *server = &c->daemon->server;

	if (c->is_dropped)
		return;
	c->is_dropped = 1;
	c->is_waiting = 0;
	c->asking = 0;
	loop_remove(&c->daemon->loop, &c->io);
	c->is_kept = has_unread_report(c);
	if (c->is_kept)
		(void)shutdown(c->io.fd, SHUT_RDWR);
	else
		closer_close_connection(c->io.fd, c->uid);
	if (c->process)
		c->process->connection = NULL;
	c->process = NULL;
	loop_defer(&c->daemon->loop, &server->bury);
}

void connection_look_again(struct connection *c)
{
	if (!c->is_kept || has_unread_report(c))
		return;
	c->is_kept = 0;
	closer_close_connection(c->io.fd, c->uid);
	loop_defer(&c->daemon->loop, &c->daemon->server.bury);
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

void connections_bury(void *cookie)
{
	struct daemon *daemon = cookie;
	struct connection **link = &daemon->server.connections;

	while (*link) {
		struct connection *c = *link;

		if (c->is_dropped)
			give_up_reservation(c);
		if (!c->is_dropped || c->is_kept) {
			link = &c->next;
			continue;
		}
		*link = c->next;
		daemon->server.nr_connections--;
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

int connection_report(struct connection *c, struct proto_report *report, int fd)
{
	uint32_t nr = 0;

	if (has_unread_report(c)) {
		connection_drop(c);
		return -EPIPE;
	}
	for (struct connection *o = c->daemon->server.connections; o; o = o->next)
		nr += o->uid == c->uid && (!o->is_dropped || o->is_kept) && has_unread_report(o);
	if (nr >= MAX_REPORTS_USER) {
		connection_refuse(c, "%u reports of this user are not read yet", nr);
		return -EAGAIN;
	}
	c->has_report = 1;
	return connection_send(c, report, PROTO_REPORT, sizeof(*report), 1, &fd);
}

/* --- in --------------------------------------------------------------------------------------- */

/* Descriptors of our own for what the packet passes. */
static int take_fds(struct msghdr *msg, int fds[MAX_FDS])
{
	int nr_all = 0;

	for (struct cmsghdr *head = CMSG_FIRSTHDR(msg); head; head = CMSG_NXTHDR(msg, head)) {
		size_t nr;

		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		nr = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < nr && nr_all < MAX_FDS; i++)
			memcpy(&fds[nr_all++], CMSG_DATA(head) + i * sizeof(int), sizeof(int));
	}
	return nr_all;
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

/* What was found in the queue: `n` bytes, without what was cut off. */
static int handle(struct connection *c, const struct proto_header *header, size_t n, int nr_fds,
		  int *fd)
{
	int taken = *fd;

	if (header_is_of_another_version(header, n))
		refuse_version(c, header);
	if (nr_fds > 1 || !header_is_sound(header, n))
		return -EPROTO;
	*fd = -1;
	return request_handle(c, header, taken) < 0 ? -EPROTO : 1;
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
	ssize_t n = recvmsg(c->io.fd, &msg, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fds[MAX_FDS] = {-1, -1, -1, -1};
	int nr_fds;
	int r;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	nr_fds = take_fds(&msg, fds);
	if (n == 0)
		r = nr_fds ? -EPROTO : -EPIPE;
	else if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
		 recv(c->io.fd, NULL, 0, MSG_DONTWAIT) < 0)
		r = -EPROTO;
	else
		r = handle(c, (const void *)buffer, (size_t)n, nr_fds, &fds[0]);
	for (int i = 0; i < MAX_FDS; i++) {
		if (fds[i] >= 0)
			closer_close(fds[i], c->uid);
	}
	return r;
}

void connection_ready(void *cookie, uint32_t events)
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
