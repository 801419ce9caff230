/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients that want the daemon to wait or to fill up: sockets whose close() blocks, passed in every
 * way there is; descriptors beside packets of no length; reports that nobody reads. The daemon goes
 * on answering others while all of that is there.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon_client.h"

#define LINGER_S      600 /* longer than this test takes */
#define NR_WAYS       6
#define REPORTS_LIMIT 32

static struct test_daemon d;

/* --- files whose close() blocks --------------------------------------------------------------- */

struct blocker {
	int fd;   /* has unsent data and lingers */
	int peer; /* never reads; its end ends the wait */
};

static void blocker_make(struct blocker *b)
{
	static const char bytes[65536];
	struct linger linger = {.l_onoff = 1, .l_linger = LINGER_S};
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(listener >= 0);
	CHECK(bind(listener, (const struct sockaddr *)&address, sizeof(address)) == 0);
	CHECK(listen(listener, 1) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
	b->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(connect(b->fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
	b->peer = accept(listener, NULL, NULL);
	CHECK(b->peer >= 0);
	(void)close(listener);
	CHECK(setsockopt(b->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
	while (send(b->fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	CHECK(errno == EAGAIN);
}

static void send_with(int to, const void *bytes, size_t size, const int *fds, size_t nr)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 8)] = {0};
	struct iovec iov = {.iov_len = size};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = CMSG_SPACE(sizeof(int) * nr)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	memcpy(&iov.iov_base, &bytes, sizeof(bytes));
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int) * nr);
	memcpy(CMSG_DATA(head), fds, sizeof(int) * nr);
	CHECK(sendmsg(to, &msg, MSG_NOSIGNAL) == (ssize_t)size);
}

/* What the daemon is given is the last reference to the blocker. */
static void pass(int to, int way, struct blocker *b)
{
	struct proto_header header;
	struct proto_attach attach = {.flags = PROTO_ATTACH_RETURN};
	int many[8];

	client_header(&header, PROTO_STATUS, sizeof(header));
	client_header(&attach, PROTO_ATTACH, sizeof(attach));
	for (size_t i = 0; i < 8; i++)
		many[i] = b->fd;
	switch (way) {
	case 0: /* beside a message that takes none */
		send_with(to, &header, sizeof(header), &b->fd, 1);
		break;
	case 1: /* beside one that takes one, of another kind */
		send_with(to, &attach, sizeof(attach), &b->fd, 1);
		break;
	case 2: /* beside a packet of no length */
		send_with(to, &header, 0, &b->fd, 1);
		break;
	case 3: /* more than there is room for */
		send_with(to, &header, sizeof(header), many, 8);
		break;
	case 4: /* in the queue behind a malformed message */
		CHECK(client_send(to, &header, 3, -1) == 0);
		send_with(to, &header, sizeof(header), &b->fd, 1);
		break;
	default: /* the same with the client's end closed */
		CHECK(client_send(to, &header, 3, -1) == 0);
		send_with(to, &header, 0, &b->fd, 1);
	}
	(void)close(b->fd);
}

static void test_blockers(void)
{
	struct blocker blocker[NR_WAYS];
	int fds[NR_WAYS];

	for (int way = 0; way < NR_WAYS; way++) {
		blocker_make(&blocker[way]);
		/* Stopped, so that what lies in its queue is the last reference. */
		CHECK(kill(d.pid, SIGSTOP) == 0);
		fds[way] = client_connect(&d);
		pass(fds[way], way, &blocker[way]);
		if (way == NR_WAYS - 1)
			(void)close(fds[way]);
		CHECK(kill(d.pid, SIGCONT) == 0);
		CHECK(daemon_number(&d, "ledger.is_consistent") == 1);
	}
	/* All are blocked now, and none of the connections is there any more. */
	for (int way = 0; way < NR_WAYS - 1; way++) {
		if (way != 1)
			client_expect_end(fds[way], CLIENT_WAIT_MS);
		(void)close(fds[way]);
	}
	WAIT_UNTIL(daemon_number(&d, "daemon.nr_connections") == 1);
	for (int way = 0; way < NR_WAYS; way++)
		(void)close(blocker[way].peer);
}

/* --- descriptors that are left ---------------------------------------------------------------- */

static int nr_daemon_fds(void)
{
	char command[64];
	FILE *pipe;
	int nr = -1;

	(void)snprintf(command, sizeof(command), "ls /proc/%d/fd | wc -l", (int)d.pid);
	pipe = popen(command, "re");                         /* NOLINT: a number this file made */
	CHECK(pipe != NULL && fscanf(pipe, "%d", &nr) == 1); /* NOLINT */
	(void)pclose(pipe);
	return nr;
}

static void test_no_length(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const int two[2] = {null, null};
	int nr;

	WAIT_UNTIL(daemon_number(&d, "daemon.nr_connections") == 1);
	nr = nr_daemon_fds();
	for (int i = 0; i < 100; i++) {
		int fd = client_connect(&d);

		send_with(fd, "", 0, two, 2);
		client_expect_end(fd, CLIENT_WAIT_MS);
		(void)close(fd);
	}
	WAIT_UNTIL(nr_daemon_fds() <= nr);
	(void)close(null);
}

/* --- reports ---------------------------------------------------------------------------------- */

static void ask(int fd)
{
	struct proto_header header;

	client_header(&header, PROTO_STATUS, sizeof(header));
	CHECK(client_send(fd, &header, sizeof(header), -1) == 0);
}

/* Half of those that do not read lose their connection; their reports count all the same. */
static void test_unread_reports(void)
{
	int fds[REPORTS_LIMIT];
	struct received answer;

	for (int i = 0; i < REPORTS_LIMIT; i++) {
		fds[i] = client_connect(&d);
		ask(fds[i]);
		if (i % 2)
			ask(fds[i]);
	}
	for (int i = 0; i < 3; i++) {
		int fd = client_connect(&d);

		ask(fd);
		client_expect(fd, PROTO_REFUSED, &answer);
		CHECK(strstr(answer.m.text.text, "not read") != NULL);
		(void)close(fd);
	}
	/* One is read, one lets go: there is room for two. */
	client_expect(fds[0], PROTO_REPORT, &answer);
	received_close(&answer);
	(void)close(fds[0]);
	(void)close(fds[1]);
	for (int i = 0; i < 2; i++) {
		fds[i] = client_connect(&d);
		ask(fds[i]);
		client_expect(fds[i], PROTO_REPORT, &answer);
		received_close(&answer);
	}
	for (int i = 0; i < REPORTS_LIMIT; i++)
		(void)close(fds[i]);
	WAIT_UNTIL(daemon_number(&d, "daemon.nr_connections") == 1);
}

int main(void)
{
	daemon_prepare(&d, "version: v1\n");
	daemon_start(&d);
	test_no_length();
	test_unread_reports();
	test_blockers();
	daemon_remove(&d);
	return 0;
}
