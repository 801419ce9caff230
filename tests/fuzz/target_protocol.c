/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to the daemon: several clients that send, hang up and come back, through a real socket.
 *
 * The input is a list of steps. A step is a byte: what to do (bits 0-1), which of four clients
 * (2-3), which descriptor goes along (4-6), whether a token that the daemon gave is put in (7).
 *   0  a packet of that many bytes as they are
 *   1  a message: its type, then its body; magic, version and size are right
 *   2  hang up
 *   3  read what came
 * What must hold: the ledger is sound after each step, the end of everybody leaves nothing behind.
 */
#include <lithos/proto.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon_rig.h"
#include "fuzz.h"

#define NR_CLIENTS 4
#define MAX_STEPS  64
#define MAX_FDS    3

static int client[NR_CLIENTS];
static uint8_t token[PROTO_TOKEN_BYTES];
static uint8_t uuid[16];

static int connect_client(const struct daemon *daemon)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", daemon->config.socket);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		fuzz_fail("no connection");
	return fd;
}

static struct daemon *daemon_that_listens(void)
{
	struct daemon *daemon = rig_daemon();

	if (daemon->server.is_listening)
		return daemon;
	(void)snprintf(daemon->config.socket, sizeof(daemon->config.socket), "%s/socket",
		       fuzz_folder());
	if (state_open(daemon, "") < 0 || server_open(daemon) < 0)
		fuzz_fail("no state or socket");
	memcpy(uuid, daemon->ledger.gpu[0].topo.uuid, sizeof(uuid));
	return daemon;
}

/* An activity as a process would bring it, and others that it must not. */
static int make_fd(unsigned int kind)
{
	size_t bytes = kind == 3 ? sizeof(struct shm_activity) / 2 : sizeof(struct shm_activity);
	int fd;

	if (kind == 1)
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	fd = memfd_create("lithos-activity", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		fuzz_fail("no memfd");
	if (kind != 2)
		(void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	return fd;
}

static void send_packet(int fd, const void *bytes, size_t size, unsigned int kind)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * MAX_FDS)] = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	size_t nr = kind == 7 ? MAX_FDS : kind != 0;
	int fds[MAX_FDS] = {-1, -1, -1};
	struct cmsghdr head = {.cmsg_level = SOL_SOCKET,
			       .cmsg_type = SCM_RIGHTS,
			       .cmsg_len = CMSG_LEN(sizeof(int) * nr)};

	for (size_t i = 0; i < nr; i++)
		fds[i] = make_fd(kind);
	if (nr) {
		memcpy(control, &head, sizeof(head));
		memcpy(control + CMSG_LEN(0), fds, sizeof(int) * nr);
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nr);
	}
	(void)sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	for (size_t i = 0; i < nr; i++)
		(void)close(fds[i]);
}

static size_t bytes_of(uint16_t type, size_t otherwise)
{
	switch (type) {
	case PROTO_ADMIT:
		return sizeof(struct proto_admit);
	case PROTO_ATTACH:
	case PROTO_RETURN_RUN:
		return sizeof(struct proto_attach);
	case PROTO_STATUS:
		return sizeof(struct proto_header);
	case PROTO_UNATTACHED:
		return sizeof(struct proto_unattached);
	default:
		return otherwise;
	}
}

/* The body: for each message its length in the input, since texts are short and their room long. */
static void send_message(struct fuzz_input *input, int fd, unsigned int step)
{
	_Alignas(struct proto_attach) uint8_t bytes[PROTO_MAX_BYTES] = {0};
	uint16_t type = fuzz_u8(input);
	size_t given = fuzz_u8(input);
	size_t size = bytes_of(type, sizeof(struct proto_header) + given);
	struct proto_header header = {.magic = PROTO_MAGIC,
				      .version = PROTO_VERSION,
				      .type = type,
				      .bytes = (uint32_t)size};
	struct proto_attach *attach = (struct proto_attach *)bytes;

	(void)fuzz_take(input, bytes + sizeof(header), given);
	memcpy(bytes, &header, sizeof(header));
	if ((step & 0x80) && size >= sizeof(*attach)) {
		memcpy(attach->token, token, sizeof(token));
		if (type != PROTO_UNATTACHED)
			memcpy(attach->gpu_uuid, uuid, sizeof(uuid));
	}
	send_packet(fd, bytes, size, (step >> 4) & 7);
}

static void send_raw(struct fuzz_input *input, int fd, unsigned int step)
{
	uint8_t bytes[PROTO_MAX_BYTES + 64];
	size_t size = fuzz_u16(input) % sizeof(bytes);

	(void)fuzz_take(input, bytes, size);
	send_packet(fd, bytes, size, (step >> 4) & 7);
}

/* Descriptors that came along are closed; a token is kept. 0 when there is no more. */
static int read_one(int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 8)];
	_Alignas(struct proto_admitted) char bytes[PROTO_MAX_BYTES];
	struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct proto_admitted *admitted = (const void *)bytes;

	if (n <= 0)
		return 0;
	for (struct cmsghdr *head = CMSG_FIRSTHDR(&msg); head; head = CMSG_NXTHDR(&msg, head)) {
		size_t nr = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0; head->cmsg_type == SCM_RIGHTS && i < nr; i++) {
			int got;

			memcpy(&got, CMSG_DATA(head) + i * sizeof(int), sizeof(got));
			(void)close(got);
		}
	}
	if ((size_t)n == sizeof(*admitted) && admitted->header.type == PROTO_ADMITTED)
		memcpy(token, admitted->token, sizeof(token));
	return 1;
}

static void read_all(int fd)
{
	while (read_one(fd))
		;
}

static void take_step(struct daemon *daemon, struct fuzz_input *input)
{
	unsigned int step = fuzz_u8(input);
	int *fd = &client[(step >> 2) % NR_CLIENTS];

	if (*fd < 0)
		*fd = connect_client(daemon);
	switch (step % 4) {
	case 0:
		send_raw(input, *fd, step);
		break;
	case 1:
		send_message(input, *fd, step);
		break;
	case 2:
		(void)close(*fd);
		*fd = -1;
		break;
	default:
		read_all(*fd);
	}
	rig_settle(daemon);
	rig_check(daemon);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {.data = data, .size = size};
	struct daemon *daemon = daemon_that_listens();

	rig_begin();
	memset(token, 0, sizeof(token));
	for (size_t i = 0; i < NR_CLIENTS; i++)
		client[i] = -1;
	for (int i = 0; i < MAX_STEPS && input.size; i++)
		take_step(daemon, &input);
	for (size_t i = 0; i < NR_CLIENTS; i++) {
		if (client[i] < 0)
			continue;
		read_all(client[i]);
		(void)close(client[i]);
	}
	rig_settle(daemon);
	rig_reset(daemon);
	return 0;
}
