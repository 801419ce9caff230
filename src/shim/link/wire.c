/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets to and from the daemon.
 *
 * SOCK_SEQPACKET keeps the borders of messages, so one recvmsg is one message and there is nothing
 * to reassemble. The socket never blocks: whoever waits does so with poll and a time of its own,
 * because a context's creation waits for the handshake and must not wait for a daemon that hangs.
 *
 * The daemon is trusted with what it says, not with saying it in the right form: length, version
 * and type are checked, and descriptors that nobody asked for are closed.
 *
 * Tested by tests/integration/link_shim.c, with a daemon that answers wrong in each way.
 */
#include "shim/link/wire.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define RETRY_NS 5000000u

static int left_ms(uint64_t deadline_ns)
{
	uint64_t now = clock_now_ns();

	return time_before(now, deadline_ns) ? (int)((deadline_ns - now) / 1000000u) + 1 : 0;
}

/* The daemon's queue of connections is full: a unix socket does not wait for that in poll. */
static int connect_until(int fd, const struct sockaddr_un *address, uint64_t deadline_ns)
{
	while (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (!left_ms(deadline_ns))
			return -ETIMEDOUT;
		(void)poll(NULL, 0, RETRY_NS / 1000000);
	}
	return 0;
}

int wire_connect(const char *path, uint64_t deadline_ns)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, err;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	err = connect_until(fd, &address, deadline_ns);
	if (!err)
		return fd;
	(void)close(fd);
	return err;
}

int wire_send(int socket, const void *message, uint32_t bytes, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	/* sendmsg() only reads, but its struct is the one of recvmsg(). */
	struct iovec part = {.iov_base = (void *)(uintptr_t)message, .iov_len = bytes};
	struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};

	if (fd >= 0) {
		packet.msg_control = control.bytes;
		packet.msg_controllen = sizeof(control.bytes);
		struct cmsghdr *head = CMSG_FIRSTHDR(&packet);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	}
	if (sendmsg(socket, &packet, MSG_NOSIGNAL) != (ssize_t)bytes)
		return errno ? -errno : -EIO;
	return 0;
}

static void fd_keep(struct wire_message *message, int fd)
{
	if (message->nr_fds < WIRE_MAX_FDS)
		message->fd[message->nr_fds++] = fd;
	else
		(void)close(fd);
}

static void fds_take(struct msghdr *packet, struct wire_message *message)
{
	for (struct cmsghdr *head = CMSG_FIRSTHDR(packet); head; head = CMSG_NXTHDR(packet, head)) {
		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(fd));
			fd_keep(message, fd);
		}
	}
}

static uint32_t bytes_of_type(uint16_t type)
{
	switch (type) {
	case PROTO_ATTACHED:
		return sizeof(struct proto_attached);
	case PROTO_PEER:
	case PROTO_PEER_GONE:
		return sizeof(struct proto_peer);
	case PROTO_REFUSED:
	case PROTO_NOTICE:
		return sizeof(struct proto_text);
	default:
		return 0;
	}
}

/* Said, because it lasts until somebody starts another lithosd or another program. */
static int message_is_of_another_version(const struct wire_message *message, size_t bytes)
{
	static struct log_site site;
	const struct proto_header *header = &message->header;

	if (bytes < sizeof(*header) || header->magic != PROTO_MAGIC ||
	    header->version == PROTO_VERSION)
		return 0;
	log_line(&site, LOG_WARN,
		 "msg=\"lithosd is of another version than this program's lithos\" "
		 "lithosd_protocol=%u protocol=%u",
		 (unsigned int)header->version, PROTO_VERSION);
	return 1;
}

static int message_is_good(const struct wire_message *message, size_t bytes)
{
	const struct proto_header *header = &message->header;

	return bytes >= sizeof(*header) && header->magic == PROTO_MAGIC &&
	       header->version == PROTO_VERSION && header->bytes == bytes &&
	       bytes_of_type(header->type) == bytes;
}

void wire_close_fds(struct wire_message *message)
{
	for (uint32_t i = 0; i < message->nr_fds; i++)
		(void)close(message->fd[i]);
	message->nr_fds = 0;
}

int wire_receive(int socket, struct wire_message *ret_message)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(16 * sizeof(int))];
	} control;
	struct iovec part = {.iov_base = ret_message->bytes, .iov_len = sizeof(ret_message->bytes)};
	struct msghdr packet = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n = recvmsg(socket, &packet, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	ret_message->nr_fds = 0;
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? -EAGAIN : -ECONNRESET;
	fds_take(&packet, ret_message);
	if (n > 0 && !(packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
	    message_is_good(ret_message, (size_t)n))
		return 0;
	wire_close_fds(ret_message);
	if (n == 0)
		return -ECONNRESET;
	return message_is_of_another_version(ret_message, (size_t)n) ? -EPROTONOSUPPORT : -EPROTO;
}

int wire_wait(int socket, uint64_t deadline_ns)
{
	struct pollfd watched = {.fd = socket, .events = POLLIN};

	for (;;) {
		int ms = left_ms(deadline_ns);
		int n = poll(&watched, 1, ms);

		if (n > 0)
			return 0;
		if (!ms || (n < 0 && errno != EINTR))
			return n < 0 ? -errno : -ETIMEDOUT;
	}
}
