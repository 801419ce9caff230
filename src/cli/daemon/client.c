/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to and from lithosd.
 *
 * A SOCK_SEQPACKET socket keeps the borders of messages, so there is no stream to parse: a packet
 * is one message or it is wrong. The descriptor never blocks; every wait is a poll with what is
 * left of the caller's time, because a command that hangs on a daemon that hangs helps nobody.
 *
 * What arrives is not trusted: a daemon of another version, or something else that listens on the
 * path, must give an error in words and not a crash. Texts are cut at their field's end and their
 * control characters replaced, because they go to a terminal.
 *
 * Tested by tests/unit/cli_client.c.
 */
#include "cli/daemon/client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MAX_FDS 8 /* more than any message carries: what is too much is taken and closed */

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until the descriptor is ready or the deadline has passed. */
static int wait_ready(int fd, short events, int64_t deadline_ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};

	for (;;) {
		int64_t left = deadline_ms - now_ms();
		int r = poll(&poll_fd, 1, left > 0 ? (int)left : 0);

		if (r > 0)
			return 0;
		if (r == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

int client_connect(const char *path, int *ret_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;
	int r;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int client_peer_uid(int fd, uint32_t *ret_uid)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	*ret_uid = peer.uid;
	return 0;
}

void client_message_init(union client_message *message, enum proto_type type, size_t bytes)
{
	memset(message, 0, sizeof(*message));
	message->header = (struct proto_header){.magic = PROTO_MAGIC,
						.version = PROTO_VERSION,
						.type = (uint16_t)type,
						.bytes = (uint32_t)bytes};
}

int client_send(int fd, const union client_message *message, int timeout_ms)
{
	int64_t deadline_ms = now_ms() + timeout_ms;

	for (;;) {
		ssize_t sent = send(fd, message->bytes, message->header.bytes, MSG_NOSIGNAL);
		int r;

		if (sent >= 0)
			return (size_t)sent == message->header.bytes ? 0 : -EPROTO;
		if (errno == EPIPE)
			return -ECONNRESET;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		r = wait_ready(fd, POLLOUT, deadline_ms);
		if (r < 0)
			return r;
	}
}

/* The first descriptor of the message; the others are closed. */
static int take_fd(struct msghdr *packet)
{
	int taken = -1;

	for (struct cmsghdr *part = CMSG_FIRSTHDR(packet); part != NULL;
	     part = CMSG_NXTHDR(packet, part)) {
		size_t nr = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fds[MAX_FDS];

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		nr = nr < MAX_FDS ? nr : MAX_FDS;
		memcpy(fds, CMSG_DATA(part), nr * sizeof(int));
		for (size_t i = 0; i < nr; i++) {
			if (taken < 0)
				taken = fds[i];
			else
				(void)close(fds[i]);
		}
	}
	return taken;
}

/* Bytes received, -EAGAIN, -ECONNRESET at the end, or -errno. */
static ssize_t receive_packet(int fd, union client_message *message, int *ret_fd)
{
	union {
		char bytes[CMSG_SPACE(MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec room = {.iov_base = message, .iov_len = sizeof(*message)};
	struct msghdr packet = {.msg_iov = &room,
				.msg_iovlen = 1,
				.msg_control = control.bytes,
				.msg_controllen = sizeof(control.bytes)};
	ssize_t bytes = recvmsg(fd, &packet, MSG_CMSG_CLOEXEC);

	*ret_fd = -1;
	if (bytes < 0)
		return -errno;
	*ret_fd = take_fd(&packet);
	if (packet.msg_flags & MSG_TRUNC)
		return -EPROTO;
	return bytes > 0 ? bytes : -ECONNRESET;
}

/* The size a message of the type must have; 0 for types that are never sent to the command line. */
static size_t expected_bytes(uint16_t type)
{
	switch (type) {
	case PROTO_ADMITTED:
		return sizeof(struct proto_admitted);
	case PROTO_REFUSED:
	case PROTO_NOTICE:
		return sizeof(struct proto_text);
	case PROTO_REPORT:
		return sizeof(struct proto_report);
	default:
		return 0;
	}
}

/* Ends the text in its field and makes it fit for a terminal; bytes of UTF-8 stay. */
static void tame(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
	}
}

static int check(union client_message *message, size_t bytes)
{
	const struct proto_header *header = &message->header;

	if (bytes < sizeof(*header) || header->magic != PROTO_MAGIC)
		return -EPROTO;
	if (header->version != PROTO_VERSION)
		return -EPROTONOSUPPORT;
	if (header->bytes != bytes || bytes != expected_bytes(header->type))
		return -EPROTO;
	if (header->type == PROTO_REFUSED || header->type == PROTO_NOTICE)
		tame(message->text.text, sizeof(message->text.text));
	if (header->type == PROTO_ADMITTED) {
		tame(message->admitted.tenant, sizeof(message->admitted.tenant));
		tame(message->admitted.mps_pipe_directory,
		     sizeof(message->admitted.mps_pipe_directory));
	}
	return 0;
}

int client_receive(int fd, int timeout_ms, union client_message *ret_message, int *ret_fd)
{
	int64_t deadline_ms = now_ms() + timeout_ms;
	ssize_t bytes;
	int passed = -1;
	int r;

	for (;;) {
		bytes = receive_packet(fd, ret_message, &passed);
		if (bytes != -EAGAIN && bytes != -EINTR)
			break;
		r = wait_ready(fd, POLLIN, deadline_ms);
		if (r < 0)
			return r;
	}
	r = bytes < 0 ? (int)bytes : check(ret_message, (size_t)bytes);
	if (r < 0) {
		if (passed >= 0)
			(void)close(passed);
		return r;
	}
	*ret_fd = passed;
	return 0;
}

const char *client_strerror(int error)
{
	switch (error) {
	case -ETIMEDOUT:
		return "does not answer";
	case -ECONNRESET:
		return "closed the connection";
	case -EPROTONOSUPPORT:
		return "is of another version than this lithos";
	case -EPROTO:
		return "answered something that is not lithosd's";
	case -EACCES:
	case -EPERM:
		return "does not let this user in";
	case -EAGAIN:
		return "is too busy";
	default:
		return strerror(-error);
	}
}
