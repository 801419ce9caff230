/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes: lines, peers as owners come and go, an owner's activity seen by others, who may
 * attach, regions that cannot be written, and deaths.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon_client.h"

static struct test_daemon d;

/* --- children that attach --------------------------------------------------------------------- */

struct child {
	const struct proto_admitted *tenant;
	int pipe[2];
	pid_t pid;
	uint32_t line;
};

static void child_body(void *cookie)
{
	struct child *child = cookie;
	struct attached a;

	if (client_attach(&d, child->tenant, &a, NULL) != PROTO_ATTACHED)
		_exit(3);
	attached_line(&a)->pid = (uint32_t)getpid();
	attached_line(&a)->active = 1;
	attached_line(&a)->nr_launches = 10;
	CHECK(write(child->pipe[1], &a.line, sizeof(a.line)) == sizeof(a.line));
	for (;;) {
		attached_line(&a)->beat_ns = client_now_ns();
		client_sleep_ms(20);
	}
}

static void child_start(struct child *child, const struct proto_admitted *tenant)
{
	child->tenant = tenant;
	CHECK(pipe2(child->pipe, O_CLOEXEC) == 0);
	child->pid = client_fork(child_body, child);
	(void)close(child->pipe[1]);
	CHECK(read(child->pipe[0], &child->line, sizeof(child->line)) == sizeof(child->line));
}

static void child_kill(struct child *child)
{
	CHECK(kill(child->pid, SIGKILL) == 0);
	CHECK(waitpid(child->pid, NULL, 0) == child->pid);
	(void)close(child->pipe[0]);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void test_peers(void)
{
	struct proto_admitted owner, guest;
	struct attached g;
	struct received r;
	struct child child;
	const volatile struct shm_activity *seen;
	int fd_guest = tenant_admitted(&d, &(struct wish){.name = "guest"}, &guest);
	int fd_owner;
	uint32_t place;

	CHECK(client_attach(&d, &guest, &g, NULL) == PROTO_ATTACHED);
	CHECK(client_receive(g.fd, &r, 50) == -ETIMEDOUT);
	fd_owner = tenant_admitted(&d, &(struct wish){.name = "owner", .tpcs = 9}, &owner);
	client_expect(g.fd, PROTO_PEER, &r);
	place = r.m.peer.owner_index;
	CHECK(r.nr_fds == 1 && place == 0);
	CHECK(g.board->owner[place].generation == r.m.peer.generation);
	CHECK(g.board->owner[place].state == SHM_OWNER_LIVE);
	/* What was given is for reading only. */
	CHECK(mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED, r.fds[0], 0) ==
	      MAP_FAILED);
	seen = mmap(NULL, sizeof(*seen), PROT_READ, MAP_SHARED, r.fds[0], 0);
	CHECK(seen != MAP_FAILED);
	CHECK(seen->proc[0].active == 0);
	child_start(&child, &owner);
	WAIT_UNTIL(seen->proc[child.line].active == 1);
	CHECK(g.board->owner[place].nr_lines == child.line + 1);
	WAIT_UNTIL(tenant_number(&d, "owner", "launches") == 10);
	/* The end of the process clears its line; the end of the reservation the tenant. */
	child_kill(&child);
	WAIT_UNTIL(seen->proc[child.line].active == 0);
	WAIT_UNTIL(tenant_number(&d, "owner", "launches") == 10);
	(void)close(fd_owner);
	client_expect(g.fd, PROTO_PEER_GONE, &r);
	CHECK(r.m.peer.owner_index == place);
	WAIT_UNTIL(g.board->owner[place].state == SHM_OWNER_NONE);
	attached_close(&g);
	(void)close(fd_guest);
}

static void test_all_peers_at_attach(void)
{
	struct proto_admitted owners[5], last;
	int fds[6];
	struct attached a;
	struct received r;
	uint32_t places = 0;

	for (int i = 0; i < 5; i++)
		fds[i] = tenant_admitted(&d, &(struct wish){.tpcs = 4}, &owners[i]);
	fds[5] = tenant_admitted(&d, &(struct wish){.tpcs = 4}, &last);
	CHECK(client_attach(&d, &last, &a, NULL) == PROTO_ATTACHED);
	for (int i = 0; i < 5; i++) {
		client_expect(a.fd, PROTO_PEER, &r);
		places |= 1u << r.m.peer.owner_index;
		received_close(&r);
	}
	CHECK(places == 0x1f);
	CHECK(client_receive(a.fd, &r, 50) == -ETIMEDOUT);
	attached_close(&a);
	for (int i = 0; i < 6; i++)
		(void)close(fds[i]);
}

static void test_who_may(void)
{
	struct proto_admitted good, bad;
	struct attached a;
	char text[PROTO_TEXT_BYTES];
	int fd = tenant_admitted(&d, &(struct wish){.tpcs = 4}, &good);

	bad = good;
	bad.token[3] ^= 1;
	CHECK(client_attach(&d, &bad, &a, text) == PROTO_REFUSED);
	CHECK(strstr(text, "no such tenant") != NULL);
	bad = good;
	bad.gpu_uuid[3] ^= 1;
	CHECK(client_attach(&d, &bad, &a, text) == PROTO_REFUSED);
	CHECK(strstr(text, "the tenant is on GPU-") != NULL);
	(void)close(fd);
}

static void other_user(void *cookie)
{
	struct attached a;
	char text[PROTO_TEXT_BYTES];

	CHECK(setgid(65534) == 0 && setuid(65534) == 0);
	CHECK(client_attach(&d, cookie, &a, text) == PROTO_REFUSED);
	CHECK(strstr(text, "belongs to another user") != NULL);
}

static void test_other_user(void)
{
	struct proto_admitted tenant;
	int status = 0;
	int fd;
	pid_t pid;

	/* Only root can become somebody else; the folder must let them reach the socket. */
	if (geteuid() != 0)
		return;
	fd = tenant_admitted(&d, &(struct wish){.tpcs = 4}, &tenant);
	CHECK(chmod(d.folder, 0755) == 0);
	pid = client_fork(other_user, &tenant);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	(void)close(fd);
}

static void test_seals(void)
{
	struct proto_admitted tenant;
	struct attached a;
	char path[64];
	int fd = tenant_admitted(&d, &(struct wish){.tpcs = 4}, &tenant);

	CHECK(client_attach(&d, &tenant, &a, NULL) == PROTO_ATTACHED);
	for (int i = 0; i < 3; i++) {
		int seals = fcntl(a.fds[i], F_GET_SEALS);

		CHECK((seals & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) ==
		      (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
		CHECK(ftruncate(a.fds[i], 4096) < 0);
	}
	/* Grant and board, opened again for writing (the same user may), still cannot be
	 * written. */
	for (int i = 0; i < 3; i += 2) {
		int again;

		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", a.fds[i]);
		again = open(path, O_RDWR | O_CLOEXEC);
		CHECK(again >= 0 && write(again, "x", 1) < 0);
		CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0) == MAP_FAILED);
		(void)close(again);
	}
	attached_close(&a);
	(void)close(fd);
}

static void test_lines(void)
{
	struct proto_admitted tenant;
	struct child children[3];
	struct attached a, b;
	int fd = tenant_admitted(&d, &(struct wish){.name = "lines", .tpcs = 4}, &tenant);

	for (int i = 0; i < 3; i++) {
		child_start(&children[i], &tenant);
		CHECK(children[i].line == (uint32_t)i);
	}
	CHECK(tenant_number(&d, "lines", "launches") == 30);
	child_kill(&children[1]);
	WAIT_UNTIL(daemon_number(&d, "daemon.nr_connections") == 4);
	CHECK(client_attach(&d, &tenant, &a, NULL) == PROTO_ATTACHED);
	CHECK(a.line == 1 && attached_line(&a)->active == 0);
	attached_line(&a)->active = 1;
	/* The same process anew (after an exec): the line starts from nothing. */
	CHECK(client_attach(&d, &tenant, &b, NULL) == PROTO_ATTACHED);
	CHECK(b.line == 1 && attached_line(&b)->active == 0);
	client_expect_end(a.fd, CLIENT_WAIT_MS);
	/* Its reservation gone, the tenant lives on in its processes. */
	(void)close(fd);
	child_kill(&children[0]);
	CHECK(tenant_number(&d, "lines", "own") == 4);
	child_kill(&children[2]);
	attached_close(&a);
	attached_close(&b);
	/* This process lives, so the tenant does, although its connection is closed. */
	CHECK(tenant_number(&d, "lines", "own") == 4);
	CHECK(tenant_number(&d, "lines", "launches") == 30);
}

int main(void)
{
	daemon_prepare(&d, "version: v1\n");
	daemon_start(&d);
	test_peers();
	WAIT_UNTIL(daemon_number(&d, "ledger.free") == 66);
	test_all_peers_at_attach();
	test_who_may();
	test_other_user();
	test_seals();
	test_lines();
	CHECK(daemon_number(&d, "ledger.is_consistent") == 1);
	daemon_remove(&d);
	return 0;
}
