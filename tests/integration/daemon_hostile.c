/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients that do everything wrong: garbage, wrong sizes, too many descriptors, silence, deafness,
 * floods, random activity. The daemon lives, and a tenant beside them notices nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon_client.h"

#define MAX_CONNECTIONS 40

static struct test_daemon d;
static struct proto_admitted good; /* the tenant beside */
static struct attached good_process;
static struct shm_grant good_grant;
static uint64_t seed = 0xbad5eed;

static uint32_t random_u32(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)((seed * 0x2545f4914f6cdd1du) >> 32);
}

static void random_bytes(void *bytes, size_t size)
{
	uint8_t *p = bytes;

	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)random_u32();
}

/* The daemon answers, its ledger is sound, and the tenant beside has what it had. */
static void check_unharmed(void)
{
	struct shm_grant now = grant_now(&good_process);

	CHECK(waitpid(d.pid, NULL, WNOHANG) == 0);
	CHECK(daemon_number(&d, "ledger.is_consistent") == 1);
	CHECK(tenant_number(&d, "good", "own") == 20);
	CHECK(tpcset_equal(&now.own, &good_grant.own));
	CHECK(now.state == SHM_GRANT_LIVE && now.owner_index == good_grant.owner_index);
	CHECK(good_process.board->owner[now.owner_index].state == SHM_OWNER_LIVE);
}

static void test_garbage(void)
{
	uint8_t bytes[PROTO_MAX_BYTES + 16];

	for (int i = 0; i < 300; i++) {
		int fd = client_connect(&d);
		size_t size = 1 + random_u32() % sizeof(bytes);

		random_bytes(bytes, size);
		CHECK(client_send(fd, bytes, size, -1) == 0);
		client_expect_end(fd, CLIENT_WAIT_MS);
		(void)close(fd);
	}
	check_unharmed();
}

/* A sound header in front of every wrong size and type, with and without a descriptor. */
static void test_types_and_sizes(void)
{
	static const size_t sizes[] = {16, 17, 48, 56, 64, 112, 152, 1040, 1120, 4096, 8192};
	uint8_t bytes[PROTO_MAX_BYTES];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (uint16_t type = 0; type < 14; type++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			int fd = client_connect(&d);
			struct received r;

			random_bytes(bytes, sizeof(bytes));
			client_header(bytes, type, sizes[i]);
			CHECK(client_send(fd, bytes, sizes[i], i % 2 ? null : -1) == 0);
			/* An answer or the end: never silence. */
			CHECK(client_receive(fd, &r, CLIENT_WAIT_MS) >= 0);
			received_close(&r);
			(void)close(fd);
		}
	}
	(void)close(null);
	check_unharmed();
}

/* Random packets of which some are right: what the daemon says is right or refused. */
static void test_random_requests(void)
{
	for (int i = 0; i < 600; i++) {
		union any_message m;
		int fd = client_connect(&d);
		struct received r;

		random_bytes(&m, sizeof(m));
		switch (random_u32() % 3) {
		case 0:
			client_header(&m, PROTO_ADMIT, sizeof(m.admit));
			m.admit.tenant[random_u32() % PROTO_NAME_BYTES] = '\0';
			m.admit.gpus[random_u32() % 8] = '\0';
			m.admit.quota_tpcs = random_u32() % 4 ? random_u32() % 80 : random_u32();
			m.admit.quota_percent = random_u32() % 2 ? 0 : random_u32() % 120;
			m.admit.priority %= 1200;
			CHECK(client_send(fd, &m, sizeof(m.admit), -1) == 0);
			break;
		case 1:
			client_header(&m, random_u32() % 2 ? PROTO_ATTACH : PROTO_RETURN_RUN,
				      sizeof(m.attach));
			if (random_u32() % 2)
				memcpy(m.attach.gpu_uuid, good.gpu_uuid, 16);
			CHECK(client_send(fd, &m, sizeof(m.attach), -1) == 0);
			break;
		default:
			client_header(&m, PROTO_STATUS, sizeof(m.header));
			CHECK(client_send(fd, &m, sizeof(m.header), -1) == 0);
		}
		CHECK(client_receive(fd, &r, CLIENT_WAIT_MS) >= 0);
		received_close(&r);
		(void)close(fd);
	}
	check_unharmed();
}

/* Many descriptors beside a message: closed, not kept. */
static void test_many_fds(void)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 64)] = {0};
	struct proto_header header;
	struct iovec iov = {.iov_base = &header, .iov_len = sizeof(header)};
	int fds[64];

	client_header(&header, PROTO_STATUS, sizeof(header));
	for (int i = 0; i < 64; i++)
		fds[i] = STDERR_FILENO;
	for (int i = 0; i < 100; i++) {
		struct msghdr msg = {.msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = control,
				     .msg_controllen = sizeof(control)};
		struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
		int fd = client_connect(&d);

		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(fds));
		memcpy(CMSG_DATA(head), fds, sizeof(fds));
		/* One more than a user may have: those before it may still be being closed. */
		CHECK(sendmsg(fd, &msg, MSG_NOSIGNAL) == (ssize_t)sizeof(header) || errno == EPIPE);
		client_expect_end(fd, CLIENT_WAIT_MS);
		(void)close(fd);
	}
	check_unharmed();
}

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

/* Silence is over after a second; too many connections of one user end at once. */
static void test_silence_and_limit(void)
{
	int fds[MAX_CONNECTIONS + 10];
	int nr_closed = 0;

	for (int i = 0; i < MAX_CONNECTIONS + 10; i++)
		fds[i] = client_connect(&d);
	for (int i = 0; i < MAX_CONNECTIONS + 10; i++) {
		struct pollfd p = {.fd = fds[i], .events = POLLIN};

		nr_closed += poll(&p, 1, 100) == 1;
	}
	/* One connection of the limit is the good process'. */
	CHECK(nr_closed >= 11);
	for (int i = 0; i < MAX_CONNECTIONS + 10; i++) {
		client_expect_end(fds[i], CLIENT_WAIT_MS);
		(void)close(fds[i]);
	}
	check_unharmed();
}

/* Never reads, always asks. */
static void test_deaf(void)
{
	struct proto_header header;
	int fd = client_connect(&d);
	int r = 0;

	client_header(&header, PROTO_STATUS, sizeof(header));
	for (int i = 0; i < 100000 && r == 0; i++)
		r = client_send(fd, &header, sizeof(header), -1);
	CHECK(r == -EPIPE || r == -ECONNRESET);
	(void)close(fd);
	check_unharmed();
}

/* A process that writes random bytes over its activity, again and again. */
static void scribble(void *cookie)
{
	struct proto_admitted tenant;
	struct attached a;
	uint8_t bytes[sizeof(struct shm_activity)];

	(void)cookie;
	(void)tenant_admitted(&d, &(struct wish){.name = "bad", .tpcs = 10, .priority = 1000},
			      &tenant);
	CHECK(client_attach(&d, &tenant, &a, NULL) == PROTO_ATTACHED);
	for (;;) {
		random_bytes(bytes, sizeof(bytes));
		for (size_t i = 0; i < sizeof(bytes); i++)
			((volatile uint8_t *)a.activity)[i] = bytes[i];
	}
}

static void test_random_activity(void)
{
	pid_t pid = client_fork(scribble, NULL);
	uint64_t until_ns;

	WAIT_UNTIL(tenant_number(&d, "bad", "own") == 10);
	until_ns = client_now_ns() + 1500000000u;
	while (client_now_ns() < until_ns) {
		struct shm_grant now = grant_now(&good_process);

		attached_line(&good_process)->beat_ns = client_now_ns();
		/* Its own TPCs are never kept from it: no timer of others' is on them. */
		for (unsigned int bit = 0; bit < TPCSET_BITS; bit++)
			CHECK(!tpcset_has(&now.own, bit) ||
			      !good_process.activity->proc[0].active ||
			      good_process.board->owner[now.owner_index].state == SHM_OWNER_LIVE);
		check_unharmed();
		client_sleep_ms(10);
	}
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	WAIT_UNTIL(daemon_number(&d, "ledger.free") == 46);
	for (unsigned int bit = 0; bit < TPCSET_BITS; bit++)
		WAIT_UNTIL(good_process.board->timer_ns[bit] == 0);
	check_unharmed();
}

int main(void)
{
	int fd, nr_fds;

	daemon_prepare(&d, "version: v1\nlimits:\n  connections_per_user: 40\n");
	daemon_start(&d);
	fd = tenant_admitted(&d, &(struct wish){.name = "good", .tpcs = 20}, &good);
	CHECK(client_attach(&d, &good, &good_process, NULL) == PROTO_ATTACHED);
	(void)close(fd);
	WAIT_UNTIL(daemon_number(&d, "daemon.nr_connections") == 2);
	good_grant = grant_now(&good_process);
	nr_fds = nr_daemon_fds();
	test_garbage();
	test_types_and_sizes();
	test_random_requests();
	test_many_fds();
	test_silence_and_limit();
	test_deaf();
	test_random_activity();
	CHECK(daemon_number(&d, "daemon.nr_malformed") > 400);
	/*
	 * Nothing that was passed or opened is left, but for the pidfd that watches this process,
	 * which has been refused as one of no tenant.
	 */
	WAIT_UNTIL(nr_daemon_fds() <= nr_fds + 1);
	daemon_remove(&d);
	return 0;
}
