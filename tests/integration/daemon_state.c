/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state file when it is not as the daemon wrote it, cannot be written, or is not there at all:
 * the daemon lives, the rows that hold are used, and nobody's TPCs are given away for a write that
 * failed once.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "daemon_client.h"

static struct test_daemon d;

static void sql(const char *text)
{
	sqlite3 *db;
	char *error = NULL;

	CHECK(sqlite3_open(d.state, &db) == SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, &error) != SQLITE_OK)
		(void)fprintf(stderr, "%s: %s\n", text, error);
	CHECK(error == NULL);
	CHECK(sqlite3_close(db) == SQLITE_OK);
}

static int log_has(const char *text)
{
	char command[CLIENT_PATH_BYTES + 128];

	(void)snprintf(command, sizeof(command), "grep -q '%s' '%s'", text, d.log);
	return system(command) == 0; /* NOLINT: paths this file made */
}

/* Each of these makes one row senseless: of those, none is believed. */
static const char *const damages[] = {
	"id = -5",
	"id = 0",
	"id = 4294967295",
	"place = 400",
	"place = 4294967296",
	"place = 4294967295",
	"place = 0",
	"tpcs = x'ff'",
	"tpcs = (SELECT tpcs FROM tenants WHERE name = 'good')",
	"tpcs = zeroblob(length(tpcs))",
	"tpcs = CAST(replace(hex(zeroblob(length(tpcs) / 2)), '0', 'z') AS BLOB)",
	"priority = 99999",
	"priority = 'high'",
	"quota_percent = 300",
	"generation = -1",
	"token = NULL",
	"gpu = zeroblob(16)",
};
#define NR_DAMAGES (sizeof(damages) / sizeof(damages[0]))

/* Everything that may stand beside the rows: none of it costs a tenant. */
static const char *const oddities[] = {
	"UPDATE meta SET value = 4294967295 WHERE key = 'last_tenant'",
	"UPDATE meta SET value = -1 WHERE key = 'generation'",
	"INSERT INTO processes VALUES((SELECT id FROM tenants WHERE name = 'good'), 70, 1, 1)",
	"INSERT INTO processes VALUES((SELECT id FROM tenants WHERE name = 'good'), 3, -1, 'x')",
	"INSERT INTO processes VALUES(77777, 0, 1, 1)",
	"UPDATE launchers SET start = 'x'",
	"UPDATE tenants SET name = x'ff00ff' WHERE name = 'strange'",
};

/* The tenants of before, whose launcher is this test, are forgotten. */
static void start_anew(void)
{
	(void)daemon_stop(&d, SIGTERM);
	sql("DELETE FROM tenants");
	daemon_start(&d);
	CHECK(daemon_number(&d, "ledger.free") == 66);
}

static void test_rows(void)
{
	struct proto_admitted tenant;
	int fds[NR_DAMAGES + 2];
	char text[256];

	fds[0] = tenant_admitted(&d, &(struct wish){.name = "good", .tpcs = 20}, &tenant);
	for (size_t i = 0; i < NR_DAMAGES; i++) {
		(void)snprintf(text, sizeof(text), "bad%zu", i);
		fds[i + 1] = tenant_admitted(&d, &(struct wish){.name = text, .tpcs = 1}, &tenant);
	}
	(void)daemon_stop(&d, SIGKILL);
	for (size_t i = 0; i < NR_DAMAGES; i++) {
		(void)snprintf(text, sizeof(text), "UPDATE tenants SET %s WHERE name = 'bad%zu'",
			       damages[i], i);
		sql(text);
	}
	daemon_start(&d);
	for (size_t i = 0; i < NR_DAMAGES; i++) {
		(void)snprintf(text, sizeof(text), "bad%zu", i);
		CHECK(tenant_number(&d, text, "own") == -1);
	}
	CHECK(tenant_number(&d, "good", "own") == 20);
	CHECK(daemon_number(&d, "ledger.free") == 46);
	CHECK(log_has("cannot be put back"));
	fds[NR_DAMAGES + 1] =
		tenant_admitted(&d, &(struct wish){.name = "extra", .tpcs = 46}, &tenant);
	CHECK(daemon_number(&d, "ledger.is_consistent") == 1);
	for (size_t i = 0; i < NR_DAMAGES + 2; i++)
		(void)close(fds[i]);
	start_anew();
}

static void test_oddities(void)
{
	struct proto_admitted good, strange, extra;
	int fds[3];

	fds[0] = tenant_admitted(&d, &(struct wish){.name = "good", .tpcs = 20}, &good);
	fds[1] = tenant_admitted(&d, &(struct wish){.name = "strange", .tpcs = 30}, &strange);
	(void)daemon_stop(&d, SIGKILL);
	for (size_t i = 0; i < sizeof(oddities) / sizeof(oddities[0]); i++)
		sql(oddities[i]);
	daemon_start(&d);
	CHECK(tenant_number(&d, "good", "own") == 20);
	CHECK(daemon_number(&d, "ledger.free") == 16);
	/* What is admitted now has a number and a generation of its own. */
	fds[2] = tenant_admitted(&d, &(struct wish){.name = "extra", .tpcs = 10}, &extra);
	CHECK(tenant_number(&d, "extra", "id") > tenant_number(&d, "good", "id"));
	CHECK(daemon_number(&d, "ledger.is_consistent") == 1);
	for (int k = 0; k < 3; k++)
		(void)close(fds[k]);
	start_anew();
}

/* A guest with TPCs: the daemon's division of what may be borrowed must not meet it. */
static void test_guest_with_tpcs(void)
{
	struct proto_admitted good, guest;
	struct attached a;
	int fds[2];

	fds[0] = tenant_admitted(&d, &(struct wish){.name = "good", .tpcs = 20}, &good);
	fds[1] = tenant_admitted(&d, &(struct wish){.name = "guest"}, &guest);
	(void)daemon_stop(&d, SIGKILL);
	sql("UPDATE tenants SET tpcs = (SELECT tpcs FROM tenants WHERE name = 'good')"
	    " WHERE name = 'guest'");
	daemon_start(&d);
	CHECK(tenant_number(&d, "good", "own") == 20 && tenant_number(&d, "guest", "own") == -1);
	(void)close(fds[1]);
	fds[1] = tenant_admitted(&d, &(struct wish){.name = "other"}, &guest);
	CHECK(client_attach(&d, &guest, &a, NULL) == PROTO_ATTACHED);
	attached_line(&a)->wants = 1;
	WAIT_UNTIL(tenant_number(&d, "other", "borrow") > 0);
	attached_close(&a);
	(void)close(fds[0]);
	(void)close(fds[1]);
	start_anew();
}

/* Bytes of the file and of its journal changed, anywhere: the daemon starts and serves. */
static void damage_file(const char *path, unsigned int seed)
{
	struct stat st;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	CHECK(fstat(fd, &st) == 0);
	for (unsigned int i = 0; i < 40 && st.st_size; i++) {
		uint8_t byte;

		seed = seed * 1103515245u + 12345u;
		byte = (uint8_t)(seed >> 16);
		CHECK(pwrite(fd, &byte, 1, (off_t)((seed >> 3) % (unsigned int)st.st_size)) == 1);
	}
	(void)close(fd);
}

static void test_bytes(void)
{
	char journal[CLIENT_PATH_BYTES + 8];
	struct proto_admitted one;

	(void)snprintf(journal, sizeof(journal), "%s-wal", d.state);
	for (unsigned int i = 0; i < 12; i++) {
		int fd = tenant_admitted(&d, &(struct wish){.name = "one", .tpcs = 9}, &one);

		(void)daemon_stop(&d, SIGKILL);
		damage_file(i % 3 ? d.state : journal, i);
		daemon_start(&d);
		CHECK(daemon_number(&d, "ledger.is_consistent") == 1);
		(void)close(fd);
		fd = tenant_admitted(&d, &(struct wish){.name = "two", .tpcs = 9}, &one);
		/* Whatever was found, it is a file that is written now. */
		CHECK(daemon_number(&d, "ledger.is_consistent") == 1);
		(void)close(fd);
		(void)daemon_stop(&d, SIGTERM);
		(void)unlink(d.state);
		(void)unlink(journal);
		daemon_start(&d);
	}
}

/* While somebody else has the file locked a tenant is admitted; the kill comes after the lock. */
static void test_write_made_up_for(void)
{
	struct proto_admitted tenant;
	sqlite3 *db;
	int64_t nr_failed;
	int fd;

	CHECK(sqlite3_open(d.state, &db) == SQLITE_OK);
	CHECK(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK);
	fd = tenant_admitted(&d, &(struct wish){.name = "late", .tpcs = 30}, &tenant);
	nr_failed = daemon_number(&d, "daemon.nr_state_failed");
	CHECK(nr_failed > 0);
	CHECK(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK);
	CHECK(sqlite3_close(db) == SQLITE_OK);
	WAIT_UNTIL(log_has("written again"));
	(void)daemon_stop(&d, SIGKILL);
	daemon_start(&d);
	CHECK(tenant_number(&d, "late", "own") == 30);
	(void)close(fd);
}

static void launch(void *cookie)
{
	(void)tenant_admitted(&d, &(struct wish){.name = "gone", .tpcs = 36}, cookie);
	for (;;)
		(void)pause();
}

/* Daemon and tenant died together: the TPCs are free at once, not when nobody has come back. */
static void test_gone_is_gone(void)
{
	struct proto_admitted gone, next;
	pid_t pid = client_fork(launch, &gone);
	int fd;

	WAIT_UNTIL(tenant_number(&d, "gone", "own") == 36);
	(void)daemon_stop(&d, SIGKILL);
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	daemon_start(&d);
	CHECK(tenant_number(&d, "gone", "own") == -1);
	fd = tenant_admitted(&d, &(struct wish){.name = "next", .tpcs = 36}, &next);
	(void)close(fd);
}

/* Without a file: more tenants end than the list of the ended has room for. */
static void test_no_file(void)
{
	struct test_daemon with_file = d;
	struct proto_admitted tenant;

	CHECK(chmod(d.folder, 0700) == 0);
	(void)snprintf(d.state, sizeof(d.state), "%s/nowhere/state.db", d.folder);
	daemon_start(&d);
	for (int i = 0; i < 300; i++)
		(void)close(tenant_admitted(&d, &(struct wish){.name = "t", .tpcs = 1}, &tenant));
	WAIT_UNTIL(daemon_number(&d, "ledger.free") == 66);
	CHECK(log_has("no state is kept"));
	(void)daemon_stop(&d, SIGTERM);
	memcpy(d.state, with_file.state, sizeof(d.state));
}

/* Descriptors 0 to 2 closed: nothing of the daemon's gets their numbers. */
static void test_closed_descriptors(void)
{
	char path[64];
	char target[CLIENT_PATH_BYTES];

	d.closes_descriptors = 1;
	daemon_start(&d);
	for (int fd = 0; fd < 3; fd++) {
		ssize_t n;

		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)d.pid, fd);
		n = readlink(path, target, sizeof(target) - 1);
		CHECK(n > 0);
		target[n] = '\0';
		CHECK(strcmp(target, "/dev/null") == 0);
	}
	(void)daemon_stop(&d, SIGTERM);
	d.closes_descriptors = 0;
}

int main(void)
{
	daemon_prepare(&d, "version: v1\n");
	daemon_start(&d);
	test_rows();
	test_oddities();
	test_guest_with_tpcs();
	test_bytes();
	test_write_made_up_for();
	test_gone_is_gone();
	(void)daemon_stop(&d, SIGTERM);
	test_no_file();
	test_closed_descriptors();
	daemon_remove(&d);
	return 0;
}
