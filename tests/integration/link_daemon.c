/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's side of include/lithos/proto.h in a thread, without any policy, and with the ways of
 * going wrong that a tenant must survive.
 */
#include "link_daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void need(int condition, const char *what)
{
	if (condition)
		return;
	perror(what);
	_Exit(1);
}

struct tpcset link_bits(unsigned int from, unsigned int to)
{
	struct tpcset set = {{0}};

	for (unsigned int i = from; i <= to && from <= to; i++)
		tpcset_add(&set, i);
	return set;
}

static void *region_make(uint32_t magic, size_t bytes, int is_sealed, int *ret_fd)
{
	int fd = memfd_create("lithos-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct shm_header *header;

	need(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0, "memfd");
	if (is_sealed)
		need(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0, "seals");
	header = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(header != MAP_FAILED, "mmap");
	*header = (struct shm_header){
		.magic = magic, .version = SHM_VERSION, .bytes = (uint32_t)bytes, .sequence = 2};
	*ret_fd = fd;
	return header;
}

void link_daemon_prepare(struct link_daemon *daemon)
{
	int is_sealed = daemon->answer != LINK_NO_SEALS;
	uint32_t wrong = daemon->answer == LINK_WRONG_MAGIC;

	daemon->grant =
		region_make(SHM_GRANT_MAGIC, sizeof(*daemon->grant), is_sealed, &daemon->fd[0]);
	daemon->activity = region_make(SHM_ACTIVITY_MAGIC, sizeof(*daemon->activity), is_sealed,
				       &daemon->fd[1]);
	daemon->board = region_make(SHM_BOARD_MAGIC + wrong, sizeof(*daemon->board), is_sealed,
				    &daemon->fd[2]);
	daemon->line = &daemon->activity->proc[LINK_LINE];
	daemon->grant->owner_index = SHM_NO_OWNER;
	daemon->grant->bound_ns = 1000000;
	daemon->grant->grace_ns = 200000;
	atomic_store(&daemon->connection, -1);
	for (uint32_t i = 0; i < LINK_PEERS; i++)
		daemon->peer[i] = region_make(SHM_ACTIVITY_MAGIC, sizeof(*daemon->peer[i]), 1,
					      &daemon->peer_fd[i]);
}

static void message_send(int to, const void *message, size_t bytes, const int *fd, size_t nr_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(3 * sizeof(int))];
	} control = {.bytes = {0}};
	struct iovec part = {.iov_base = (void *)(uintptr_t)message, .iov_len = bytes};
	struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};

	if (nr_fds) {
		packet.msg_control = control.bytes;
		packet.msg_controllen = CMSG_SPACE(nr_fds * sizeof(int));
		struct cmsghdr *head = CMSG_FIRSTHDR(&packet);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(nr_fds * sizeof(int));
		memcpy(CMSG_DATA(head), fd, nr_fds * sizeof(int));
	}
	(void)sendmsg(to, &packet, MSG_NOSIGNAL);
}

static struct proto_header header_of(uint16_t type, size_t bytes)
{
	return (struct proto_header){.magic = PROTO_MAGIC,
				     .version = PROTO_VERSION,
				     .type = type,
				     .bytes = (uint32_t)bytes};
}

static void answer_attach(struct link_daemon *daemon, int to)
{
	struct proto_attached attached = {.header = header_of(PROTO_ATTACHED, sizeof(attached)),
					  .line = LINK_LINE};

	if (daemon->answer == LINK_WRONG_VERSION)
		attached.header.version++;
	if (daemon->answer == LINK_WRONG_LINE)
		attached.line = SHM_MAX_PROCS;
	if (daemon->topology) {
		attached.flags = PROTO_ATTACHED_VERIFIED;
		attached.topology_bytes = sizeof(*daemon->topology);
		memcpy(attached.topology, daemon->topology, sizeof(*daemon->topology));
	}
	message_send(to, &attached, sizeof(attached), daemon->fd, 3);
}

static void answer(struct link_daemon *daemon, int to)
{
	struct proto_text text = {.header = header_of(PROTO_REFUSED, sizeof(text)),
				  .text = "not \"today\"\n"};

	if (daemon->answer == LINK_REFUSES)
		message_send(to, &text, sizeof(text), NULL, 0);
	else if (daemon->answer != LINK_IS_SILENT && daemon->answer != LINK_HANGS_UP)
		answer_attach(daemon, to);
}

/* After a return the process' own activity is the one to use, as a restarted daemon does. */
static void activity_take(struct link_daemon *daemon, struct msghdr *packet)
{
	struct cmsghdr *head = CMSG_FIRSTHDR(packet);
	void *memory;

	if (!head || head->cmsg_len != CMSG_LEN(sizeof(int))) {
		daemon->nr_wrong++;
		return;
	}
	memcpy(&daemon->fd[1], CMSG_DATA(head), sizeof(int));
	memory = mmap(NULL, sizeof(*daemon->activity), PROT_READ | PROT_WRITE, MAP_SHARED,
		      daemon->fd[1], 0);
	need(memory != MAP_FAILED, "activity");
	daemon->activity = memory;
	daemon->line = &daemon->activity->proc[LINK_LINE];
}

static void attach_read(struct link_daemon *daemon, int from)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct proto_attach attach = {0};
	struct iovec part = {.iov_base = &attach, .iov_len = sizeof(attach)};
	struct msghdr packet = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = control.bytes,
				.msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(from, &packet, MSG_CMSG_CLOEXEC);

	if (n != sizeof(attach) || attach.header.type != PROTO_ATTACH || attach.token[1] != 0x11) {
		daemon->nr_wrong++;
		return;
	}
	memcpy(daemon->board->uuid, attach.gpu_uuid, sizeof(attach.gpu_uuid));
	if (attach.flags & PROTO_ATTACH_RETURN) {
		daemon->nr_wrong += attach.line != LINK_LINE;
		activity_take(daemon, &packet);
		daemon->nr_returned++;
	}
	answer(daemon, from);
	daemon->nr_attached++;
	atomic_store(&daemon->connection, from);
}

static void *daemon_main(void *of)
{
	struct link_daemon *daemon = of;

	for (;;) {
		struct pollfd watched[2] = {{.fd = daemon->stop[0], .events = POLLIN},
					    {.fd = daemon->listener, .events = POLLIN}};
		(void)poll(watched, 2, -1);
		if (watched[0].revents)
			return NULL;
		int from = accept4(daemon->listener, NULL, NULL, SOCK_CLOEXEC);
		if (from < 0)
			continue;
		if (daemon->answer == LINK_HANGS_UP)
			(void)close(from);
		else
			attach_read(daemon, from);
	}
}

void link_daemon_start(struct link_daemon *daemon, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)snprintf(daemon->path, sizeof(daemon->path), "%s", path);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	(void)unlink(path);
	if (!daemon->grant)
		link_daemon_prepare(daemon);
	atomic_store(&daemon->connection, -1);
	daemon->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	need(bind(daemon->listener, (struct sockaddr *)&address, sizeof(address)) == 0, path);
	need(listen(daemon->listener, 8) == 0, "listen");
	need(pipe2(daemon->stop, O_CLOEXEC) == 0, "pipe");
	need(pthread_create(&daemon->thread, NULL, daemon_main, daemon) == 0, "thread");
}

void link_daemon_kill(struct link_daemon *daemon)
{
	(void)!write(daemon->stop[1], "x", 1);
	(void)pthread_join(daemon->thread, NULL);
	(void)close(daemon->listener);
	if (daemon->connection >= 0)
		(void)close(daemon->connection);
	(void)close(daemon->stop[0]);
	(void)close(daemon->stop[1]);
	atomic_store(&daemon->connection, -1);
}

static void begin(struct shm_header *header)
{
	__atomic_store_n(&header->sequence, header->sequence + 1, __ATOMIC_SEQ_CST);
}

static void end(struct shm_header *header)
{
	__atomic_store_n(&header->sequence, header->sequence + 1, __ATOMIC_SEQ_CST);
}

void link_daemon_grant(struct link_daemon *daemon, struct tpcset own, struct tpcset borrow)
{
	begin(&daemon->grant->header);
	daemon->grant->state = SHM_GRANT_LIVE;
	daemon->grant->own = own;
	daemon->grant->borrow = borrow;
	end(&daemon->grant->header);
}

void link_daemon_partitioned(struct link_daemon *daemon, int is_partitioned)
{
	begin(&daemon->board->header);
	daemon->board->is_partitioned = (uint32_t)is_partitioned;
	end(&daemon->board->header);
}

void link_daemon_owner(struct link_daemon *daemon, uint32_t place, struct tpcset tpcs,
		       enum shm_owner_state state, int is_told)
{
	struct shm_owner *owner = &daemon->board->owner[place];

	begin(&daemon->board->header);
	owner->state = state;
	owner->generation++;
	owner->nr_lines = 2;
	owner->tpcs = tpcs;
	if (daemon->board->nr_owners <= place)
		daemon->board->nr_owners = place + 1;
	end(&daemon->board->header);
	if (is_told && daemon->connection >= 0)
		message_send(daemon->connection,
			     &(struct proto_peer){
				     .header = header_of(PROTO_PEER, sizeof(struct proto_peer)),
				     .owner_index = place,
				     .generation = owner->generation},
			     sizeof(struct proto_peer), &daemon->peer_fd[place], 1);
}
