/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon is killed and started again: tenants come back with the same TPCs, lines and counters;
 * who does not come back is dropped, and nobody's TPCs were given away meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon_client.h"

#define NR_PROCESSES 5

static struct test_daemon d;

struct survivor {
	struct proto_admitted tenant;
	int go[2];   /* a byte: come back */
	int done[2]; /* the line, after each attach */
	pid_t pid;
};

static void survive(void *cookie)
{
	struct survivor *s = cookie;
	struct attached a;
	char go;

	CHECK(client_attach(&d, &s->tenant, &a, NULL) == PROTO_ATTACHED);
	attached_line(&a)->nr_launches = 100 + a.line;
	for (;;) {
		CHECK(write(s->done[1], &a.line, sizeof(a.line)) == sizeof(a.line));
		if (read(s->go[0], &go, 1) != 1)
			_exit(0);
		if (client_return(&d, &s->tenant, &a) != PROTO_ATTACHED)
			_exit(4);
		CHECK(attached_line(&a)->nr_launches == 100 + a.line);
	}
}

/* Another version of lithos, as the daemon sees it: its activity says so. */
static void survive_older(void *cookie)
{
	struct survivor *s = cookie;
	struct attached a;
	char go;

	CHECK(client_attach(&d, &s->tenant, &a, NULL) == PROTO_ATTACHED);
	CHECK(write(s->done[1], &a.line, sizeof(a.line)) == sizeof(a.line));
	CHECK(read(s->go[0], &go, 1) == 1);
	a.activity->header.version--;
	CHECK(client_return(&d, &s->tenant, &a) == PROTO_REFUSED);
	CHECK(write(s->done[1], &a.line, sizeof(a.line)) == sizeof(a.line));
	(void)read(s->go[0], &go, 1);
}

static uint32_t wait_line(const struct survivor *s)
{
	uint32_t line = UINT32_MAX;

	CHECK(read(s->done[0], &line, sizeof(line)) == sizeof(line));
	return line;
}

static void survivor_begin(struct survivor *s, const struct proto_admitted *tenant,
			   void (*body)(void *cookie))
{
	s->tenant = *tenant;
	CHECK(pipe2(s->go, O_CLOEXEC) == 0 && pipe2(s->done, O_CLOEXEC) == 0);
	s->pid = client_fork(body, s);
	(void)wait_line(s);
}

static void survivor_start(struct survivor *s, const struct proto_admitted *tenant)
{
	survivor_begin(s, tenant, survive);
}

static void survivor_end(struct survivor *s)
{
	(void)kill(s->pid, SIGKILL);
	CHECK(waitpid(s->pid, NULL, 0) == s->pid);
}

/* What must be the same afterwards. */
static char *ledger_text(void)
{
	json_t *status = client_status(&d);
	json_t *picked = json_array();
	json_t *tenant;
	char *text;
	size_t i;

	CHECK(status != NULL);
	json_array_foreach(json_object_get(status, "tenants"), i, tenant)
	{
		static const char *const keys[] = {"id",    "name",     "uid",  "own_set",
						   "quota", "priority", "pids", "launches"};
		json_t *part = json_object();

		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			(void)json_object_set(part, keys[k], json_object_get(tenant, keys[k]));
		(void)json_array_append_new(picked, part);
	}
	text = json_dumps(picked, JSON_SORT_KEYS);
	json_decref(picked);
	json_decref(status);
	return text;
}

static int is_same(const char *before)
{
	char *now = ledger_text();
	int is = strcmp(before, now) == 0;

	free(now);
	return is;
}

static int return_run(const struct proto_admitted *tenant, struct received *ret)
{
	struct proto_attach message = {.flags = PROTO_ATTACH_RETURN};
	int fd = client_connect(&d);

	client_header(&message, PROTO_RETURN_RUN, sizeof(message));
	memcpy(message.token, tenant->token, sizeof(message.token));
	CHECK(client_send(fd, &message, sizeof(message), -1) == 0);
	CHECK(client_receive(fd, ret, CLIENT_WAIT_MS) == 1);
	return fd;
}

static void test_all_come_back(void)
{
	struct proto_admitted one, two, guest;
	struct survivor s[NR_PROCESSES];
	struct received r;
	int fds[3];
	char *before;

	fds[0] =
		tenant_admitted(&d, &(struct wish){.name = "one", .tpcs = 20, .priority = 3}, &one);
	fds[1] = tenant_admitted(&d, &(struct wish){.name = "two", .percent = 30}, &two);
	fds[2] = tenant_admitted(&d, &(struct wish){.name = "guest"}, &guest);
	for (int i = 0; i < NR_PROCESSES; i++)
		survivor_start(&s[i], i < 2 ? &one : i < 4 ? &two : &guest);
	before = ledger_text();
	(void)daemon_stop(&d, SIGKILL);
	for (int i = 0; i < 3; i++)
		(void)close(fds[i]);
	daemon_start(&d);
	/* Before anybody is back nothing is given away. */
	CHECK(daemon_number(&d, "gpus") == -1 && daemon_number(&d, "ledger.is_consistent") == 1);
	CHECK(tenant_number(&d, "one", "own") == 20 && tenant_number(&d, "two", "own") == 19);
	fds[0] = return_run(&one, &r);
	CHECK(r.m.header.type == PROTO_ADMITTED && r.m.admitted.nr_own == 20);
	for (int i = 0; i < NR_PROCESSES; i++)
		CHECK(write(s[i].go[1], "g", 1) == 1);
	for (int i = 0; i < NR_PROCESSES; i++)
		(void)wait_line(&s[i]);
	CHECK(is_same(before));
	/* After the time for returns: the reservations of two and guest are gone, nothing else. */
	client_sleep_ms(5500);
	CHECK(is_same(before));
	free(before);
	survivor_end(&s[0]);
	survivor_end(&s[1]);
	CHECK(tenant_number(&d, "one", "own") == 20);
	(void)close(fds[0]);
	for (int i = 2; i < NR_PROCESSES; i++)
		survivor_end(&s[i]);
	WAIT_UNTIL(daemon_number(&d, "ledger.free") == 66);
	fds[0] = return_run(&two, &r);
	CHECK(r.m.header.type == PROTO_REFUSED);
	(void)close(fds[0]);
}

/* One process dies while there is no daemon, one is stopped, one never comes back, one comes back
 * as another version: it cannot attach, and keeps its TPCs. */
static void test_some_do_not(void)
{
	struct proto_admitted dead, stopped, lost, older;
	struct survivor s[4];
	int fds[4];

	fds[0] = tenant_admitted(&d, &(struct wish){.name = "dead", .tpcs = 10}, &dead);
	fds[1] = tenant_admitted(&d, &(struct wish){.name = "stopped", .tpcs = 11}, &stopped);
	fds[2] = tenant_admitted(&d, &(struct wish){.name = "lost", .tpcs = 12}, &lost);
	survivor_start(&s[0], &dead);
	survivor_start(&s[1], &stopped);
	survivor_start(&s[2], &lost);
	fds[3] = tenant_admitted(&d, &(struct wish){.name = "older", .tpcs = 13}, &older);
	survivor_begin(&s[3], &older, survive_older);
	for (int i = 0; i < 4; i++)
		(void)close(fds[i]);
	(void)daemon_stop(&d, SIGTERM);
	survivor_end(&s[0]);
	CHECK(kill(s[1].pid, SIGSTOP) == 0);
	daemon_start(&d);
	CHECK(tenant_number(&d, "stopped", "own") == 11);
	CHECK(write(s[3].go[1], "g", 1) == 1);
	(void)wait_line(&s[3]);
	WAIT_UNTIL(tenant_number(&d, "lost", "own") == -1);
	CHECK(tenant_number(&d, "dead", "own") == -1);
	CHECK(tenant_number(&d, "stopped", "own") == 11);
	CHECK(write(s[1].go[1], "g", 1) == 1);
	CHECK(kill(s[1].pid, SIGCONT) == 0);
	(void)wait_line(&s[1]);
	CHECK(tenant_number(&d, "stopped", "launches") == 100);
	survivor_end(&s[1]);
	survivor_end(&s[2]);
	CHECK(tenant_number(&d, "older", "own") == 13);
	CHECK(tenant_number(&d, "older", "unattached") == 1);
	CHECK(tenant_number(&d, "older", "unconfined") == 0);
	survivor_end(&s[3]);
	WAIT_UNTIL(daemon_number(&d, "ledger.free") == 66);
}

/* The daemon is there all the time, only the connection was lost. And what is no activity. */
static void test_reconnect_and_lies(void)
{
	struct proto_admitted tenant;
	struct attached a;
	int fd = tenant_admitted(&d, &(struct wish){.name = "again", .tpcs = 5}, &tenant);
	int real, fake;

	CHECK(client_attach(&d, &tenant, &a, NULL) == PROTO_ATTACHED);
	attached_line(&a)->nr_launches = 77;
	CHECK(client_return(&d, &tenant, &a) == PROTO_ATTACHED);
	CHECK(attached_line(&a)->nr_launches == 77);
	CHECK(tenant_number(&d, "again", "launches") == 77);
	(void)daemon_stop(&d, SIGKILL);
	daemon_start(&d);
	real = a.fds[1];
	fake = open("/dev/zero", O_RDWR | O_CLOEXEC);
	a.fds[1] = fake;
	CHECK(client_return(&d, &tenant, &a) == PROTO_REFUSED);
	(void)close(fake);
	fake = memfd_create("fake", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CHECK(ftruncate(fake, sizeof(struct shm_activity)) == 0);
	a.fds[1] = fake;
	CHECK(client_return(&d, &tenant, &a) == PROTO_REFUSED);
	CHECK(fcntl(fake, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) ==
	      0);
	CHECK(client_return(&d, &tenant, &a) == PROTO_REFUSED);
	(void)close(fake);
	fake = memfd_create("fake", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CHECK(ftruncate(fake, 4096) == 0);
	CHECK(fcntl(fake, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
	a.fds[1] = fake;
	CHECK(client_return(&d, &tenant, &a) == PROTO_REFUSED);
	(void)close(fake);
	a.fds[1] = real;
	CHECK(client_return(&d, &tenant, &a) == PROTO_ATTACHED);
	CHECK(attached_line(&a)->nr_launches == 77);
	attached_close(&a);
	(void)close(fd);
}

/* A file that is no database costs a line of log. */
static void test_damaged_state(void)
{
	FILE *file;

	(void)daemon_stop(&d, SIGTERM);
	file = fopen(d.state, "we");
	CHECK(file != NULL &&
	      fputs("this is no database, but long enough for a header", file) >= 0);
	CHECK(fclose(file) == 0);
	daemon_start(&d);
	CHECK(daemon_number(&d, "ledger.free") == 66);
	CHECK(daemon_number(&d, "daemon.nr_state_failed") == 0);
}

int main(void)
{
	daemon_prepare(&d, "version: v1\n");
	daemon_start(&d);
	test_all_come_back();
	test_some_do_not();
	test_reconnect_and_lies();
	test_damaged_state();
	daemon_remove(&d);
	return 0;
}
