/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that use the GPU without being attached: they say so, or the daemon has refused them;
 * the status shows how many of each tenant, who, and why, until they attach or end.
 */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon_client.h"

static struct test_daemon d;

/* What a child says, and for whom. */
struct word {
	struct proto_admitted tenant;
	uint32_t confinement;
	const char *reason;
};

static void say(const struct word *word)
{
	struct proto_unattached said = {.confinement = word->confinement};
	int fd = client_connect(&d);

	client_header(&said, PROTO_UNATTACHED, sizeof(said));
	memcpy(said.token, word->tenant.token, sizeof(said.token));
	(void)snprintf(said.reason, sizeof(said.reason), "%s", word->reason);
	CHECK(client_send(fd, &said, sizeof(said), -1) == 0);
	(void)close(fd);
}

static void say_and_stay(void *cookie)
{
	say(cookie);
	for (;;)
		(void)pause();
}

static void end(pid_t pid)
{
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
}

/* The reason of a process in the list, "" when it is not there. */
static void reason_of(pid_t pid, char text[PROTO_REASON_BYTES])
{
	json_t *status = client_status(&d);
	const json_t *list = json_object_get(status, "unattached");

	CHECK(json_is_array(list));
	text[0] = '\0';
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *u = json_array_get(list, i);

		if (json_integer_value(json_object_get(u, "pid")) == pid)
			(void)snprintf(text, PROTO_REASON_BYTES, "%s",
				       json_string_value(json_object_get(u, "reason")));
	}
	json_decref(status);
}

/* Two words of one tenant, the later word of a process counts, the end of a process ends it. */
static void test_said(void)
{
	struct word free_word = {.confinement = PROTO_UNCONFINED, .reason = "no \"daemon\"\n"};
	struct word held_word = {.confinement = PROTO_CONFINED, .reason = "waits"};
	char reason[PROTO_REASON_BYTES];
	int fd = tenant_admitted(&d, &(struct wish){.name = "said", .tpcs = 5}, &free_word.tenant);
	pid_t pid[2];

	held_word.tenant = free_word.tenant;
	pid[0] = client_fork(say_and_stay, &free_word);
	pid[1] = client_fork(say_and_stay, &held_word);
	WAIT_UNTIL(tenant_number(&d, "said", "unattached") == 2);
	CHECK(tenant_number(&d, "said", "unconfined") == 1);
	reason_of(pid[0], reason);
	CHECK(strcmp(reason, "no 'daemon''") == 0);
	/* They are processes of the tenant: it lives as long as they do. */
	(void)close(fd);
	end(pid[0]);
	WAIT_UNTIL(tenant_number(&d, "said", "unattached") == 1);
	CHECK(tenant_number(&d, "said", "own") == 5);
	end(pid[1]);
	WAIT_UNTIL(tenant_number(&d, "said", "own") == -1);
	CHECK(daemon_number(&d, "ledger.free") == 66);
}

/* It has said so, and attaches later. */
static void test_attaches_later(void)
{
	struct word word = {.confinement = PROTO_CONFINED, .reason = "later"};
	struct attached a;
	int fd = tenant_admitted(&d, &(struct wish){.name = "later", .tpcs = 5}, &word.tenant);

	say(&word);
	WAIT_UNTIL(tenant_number(&d, "later", "unattached") == 1);
	CHECK(client_attach(&d, &word.tenant, &a, NULL) == PROTO_ATTACHED);
	CHECK(tenant_number(&d, "later", "unattached") == 0);
	attached_close(&a);
	(void)close(fd);
}

static void attach_and_stay(void *cookie)
{
	struct attached a;

	(void)client_attach(&d, cookie, &a, NULL);
	for (;;)
		(void)pause();
}

static size_t nr_attached(const char *name)
{
	json_t *status = client_status(&d);
	size_t nr = json_array_size(json_object_get(status_tenant(status, name), "pids"));

	json_decref(status);
	return nr;
}

/* Beyond what a tenant may have attached: the answer says why, the status shows how many. */
static void test_too_many(void)
{
	struct proto_admitted tenant;
	int fd = tenant_admitted(&d, &(struct wish){.name = "many", .tpcs = 5}, &tenant);
	pid_t pid[SHM_MAX_PROCS + 3];
	char reason[PROTO_REASON_BYTES];
	char text[PROTO_TEXT_BYTES];
	struct attached a;

	for (uint32_t i = 0; i < SHM_MAX_PROCS; i++)
		pid[i] = client_fork(attach_and_stay, &tenant);
	WAIT_UNTIL(nr_attached("many") == SHM_MAX_PROCS);
	for (uint32_t i = SHM_MAX_PROCS; i < SHM_MAX_PROCS + 3; i++)
		pid[i] = client_fork(attach_and_stay, &tenant);
	WAIT_UNTIL(tenant_number(&d, "many", "unconfined") == 3);
	reason_of(pid[SHM_MAX_PROCS], reason);
	CHECK(strstr(reason, "64 processes") != NULL);
	CHECK(client_attach(&d, &tenant, &a, text) == PROTO_REFUSED);
	CHECK(strcmp(text, reason) == 0);
	for (uint32_t i = 0; i < SHM_MAX_PROCS + 3; i++)
		end(pid[i]);
	WAIT_UNTIL(tenant_number(&d, "many", "unattached") == 1);
	/* This process was refused; now there is room. */
	CHECK(client_attach(&d, &tenant, &a, text) == PROTO_ATTACHED);
	CHECK(tenant_number(&d, "many", "unattached") == 0);
	attached_close(&a);
	(void)close(fd);
}

/* Who was refused and has said that it is confined stays so, however often it is refused again. */
static void refused_and_say(void *cookie)
{
	struct attached a;

	for (;;) {
		(void)client_attach(&d, &((struct word *)cookie)->tenant, &a, NULL);
		say(cookie);
	}
}

static void test_refused_again(void)
{
	struct word word = {.confinement = PROTO_CONFINED, .reason = "as at the start"};
	pid_t pid = client_fork(refused_and_say, &word);
	char reason[PROTO_REASON_BYTES];

	do {
		reason_of(pid, reason);
	} while (strcmp(reason, word.reason) != 0);
	for (int i = 0; i < 50; i++) {
		reason_of(pid, reason);
		CHECK(strcmp(reason, word.reason) == 0);
	}
	end(pid);
}

static void stay(void *cookie)
{
	(void)cookie;
	for (;;)
		(void)pause();
}

static void say_of(int fd, const struct proto_admitted *tenant, pid_t pid)
{
	struct proto_unattached said = {.confinement = PROTO_UNCONFINED,
					.pid = (uint32_t)pid,
					.reason = "it has the driver itself"};

	client_header(&said, PROTO_UNATTACHED, sizeof(said));
	memcpy(said.token, tenant->token, sizeof(said.token));
	CHECK(client_send(fd, &said, sizeof(said), -1) == 0);
}

/* Of others only the reservation may speak, and only of this user's. */
static void test_of_others(void)
{
	struct proto_admitted tenant;
	char reason[PROTO_REASON_BYTES];
	int fd = tenant_admitted(&d, &(struct wish){.name = "others", .tpcs = 5}, &tenant);
	int stranger = client_connect(&d);
	pid_t pid = client_fork(stay, NULL);

	say_of(stranger, &tenant, pid);
	say_of(fd, &tenant, INT_MAX);
	CHECK(tenant_number(&d, "others", "unattached") == 0);
	say_of(fd, &tenant, pid);
	WAIT_UNTIL(tenant_number(&d, "others", "unconfined") == 1);
	reason_of(pid, reason);
	CHECK(strcmp(reason, "it has the driver itself") == 0);
	end(pid);
	WAIT_UNTIL(tenant_number(&d, "others", "unconfined") == 0);
	(void)close(stranger);
	(void)close(fd);
}

/* A token that the daemon does not know: shown all the same, under no tenant. */
static void test_no_tenant(void)
{
	struct word word = {.confinement = PROTO_UNCONFINED, .reason = "its launcher has ended"};
	char reason[PROTO_REASON_BYTES];
	pid_t pid = client_fork(say_and_stay, &word);

	do {
		reason_of(pid, reason);
	} while (!reason[0]);
	CHECK(strcmp(reason, word.reason) == 0);
	end(pid);
	do {
		reason_of(pid, reason);
	} while (reason[0]);
}

/* A program of another version: told so in its own version, and shown. */
static void test_other_version(void)
{
	struct proto_attach attach = {0};
	char reason[PROTO_REASON_BYTES];
	struct received answer;
	int fd = client_connect(&d);

	client_header(&attach, PROTO_ATTACH, sizeof(attach));
	attach.header.version = PROTO_VERSION + 1;
	CHECK(client_send(fd, &attach, sizeof(attach), -1) == 0);
	client_expect(fd, PROTO_REFUSED, &answer);
	CHECK(answer.m.header.version == PROTO_VERSION + 1);
	CHECK(strstr(answer.m.text.text, "version 2") != NULL);
	client_expect_end(fd, CLIENT_WAIT_MS);
	(void)close(fd);
	reason_of(getpid(), reason);
	CHECK(strstr(reason, "version 2") != NULL);
}

int main(void)
{
	daemon_prepare(&d, "version: v1\n");
	daemon_start(&d);
	test_said();
	test_attaches_later();
	test_too_many();
	test_no_tenant();
	test_refused_again();
	test_of_others();
	test_other_version();
	daemon_remove(&d);
	return 0;
}
