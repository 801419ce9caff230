/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the run before has left in the state file, into ledger and daemon.
 *
 * The file may say anything: a disk, another program, another version wrote it. Each row is checked
 * on its own, for kinds and ranges here and against the GPU and the other tenants by the ledger. A
 * row that does not hold is said in the log and left out, and the rest is used: one damaged row
 * must neither end the daemon nor give everybody else's TPCs away.
 *
 * Processes that are gone are gone: a process is its pid and the time it started, and what does not
 * live, the launcher included, is not waited for. A tenant with none left is not put back.
 *
 * Tested by tests/integration/daemon_state.c and daemon_return.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "daemon/state/state_db.h"
#include "daemon/tenant/tenant.h"

#define MAX_PRIORITY 1000u
#define MAX_PERCENT  100u
/* Ids and generations count up from 1 and must have room to go on. */
#define MAX_ID ((uint32_t)INT32_MAX)

/* 0 for a key that is not there or makes no sense. */
static uint32_t read_meta(struct sqlite3 *db, const char *key)
{
	struct query q = query_begin(db, "SELECT value FROM meta WHERE key = ?");
	uint32_t value = 0;

	query_text(&q, key);
	if (query_row(&q) && column_u32(q.stmt, 0, MAX_ID, &value) < 0)
		value = 0;
	query_free(&q);
	return value;
}

/* For people, logs and JSON: printable ASCII, whatever the file says. */
static void take_name(struct tenant *t, const unsigned char *name)
{
	size_t n = 0;

	for (; n < sizeof(t->name) - 1 && name && name[n]; n++)
		t->name[n] = name[n] > 0x20 && name[n] < 0x7f ? (char)name[n] : '_';
	t->name[n] = '\0';
}

/* Columns in the order of the table. */
static int read_numbers(sqlite3_stmt *stmt, struct tenant *t)
{
	int r = column_u32(stmt, 0, MAX_ID, &t->id);

	if (r == 0)
		r = column_u32(stmt, 3, UINT32_MAX, &t->uid);
	if (r == 0)
		r = column_u32(stmt, 4, MAX_PRIORITY, &t->priority);
	if (r == 0)
		r = column_u32(stmt, 5, TPCSET_BITS, &t->quota.tpcs);
	if (r == 0)
		r = column_u32(stmt, 6, MAX_PERCENT, &t->quota.percent);
	if (r == 0)
		r = column_u32(stmt, 8, UINT32_MAX, &t->grant.place);
	if (r == 0)
		r = column_u32(stmt, 9, MAX_ID, &t->grant.generation);
	return r;
}

static int read_tenant(const struct daemon *daemon, sqlite3_stmt *stmt, struct tenant *ret_like)
{
	uint8_t uuid[16];
	int gpu;

	*ret_like = (struct tenant){.admitted_ns = clock_now_ns(), .is_awaited = 1};
	if (read_numbers(stmt, ret_like) < 0 ||
	    column_bytes(stmt, 1, ret_like->token, sizeof(ret_like->token)) < 0 ||
	    column_bytes(stmt, 7, uuid, sizeof(uuid)) < 0 ||
	    column_bytes(stmt, 10, &ret_like->grant.tpcs, sizeof(ret_like->grant.tpcs)) < 0)
		return -EINVAL;
	take_name(ret_like, sqlite3_column_text(stmt, 2));
	gpu = gpu_by_uuid(daemon, uuid);
	ret_like->grant.gpu = gpu < 0 ? 0 : (uint32_t)gpu;
	return gpu < 0 ? -ENODEV : 0;
}

/* Those that still live, and are who they were. */
static void load_processes(struct sqlite3 *db, struct tenant *t)
{
	struct query q = query_begin(db, "SELECT line, pid, start FROM processes WHERE tenant = ?");

	query_number(&q, t->id);
	while (query_row(&q)) {
		uint32_t line, pid;
		uint64_t start;
		struct process *p;

		if (column_u32(q.stmt, 0, SHM_MAX_PROCS - 1, &line) < 0 ||
		    column_u32(q.stmt, 1, INT32_MAX, &pid) < 0 ||
		    column_number(q.stmt, 2, INT64_MAX, &start) < 0 ||
		    process_by_pid(t, (pid_t)pid) || process_new(t, (pid_t)pid, (int)line, &p) < 0)
			continue;
		p->is_awaited = 1;
		if (p->start_time != start || p->line != line)
			process_remove(p);
	}
	query_free(&q);
}

/* The launcher, where the file names one, must live to be waited for. */
static void load_launcher(struct sqlite3 *db, struct tenant *t)
{
	struct query q = query_begin(db, "SELECT pid, start FROM launchers WHERE tenant = ?");
	uint64_t start_now;
	uint64_t start;
	uint32_t pid;
	char state;

	query_number(&q, t->id);
	if (query_row(&q) && column_u32(q.stmt, 0, INT32_MAX, &pid) == 0 &&
	    column_number(q.stmt, 1, INT64_MAX, &start) == 0) {
		t->launcher_pid = (pid_t)pid;
		t->launcher_start = start;
		t->is_awaited = process_stat((pid_t)pid, &start_now, &state) == 0 &&
				start_now == start && state != 'Z' && state != 'X';
	}
	query_free(&q);
}

static int load_tenant(struct daemon *daemon, sqlite3_stmt *stmt)
{
	struct tenant like;
	struct tenant *t;
	int r = read_tenant(daemon, stmt, &like);

	if (r == 0)
		r = ledger_restore(&daemon->ledger, like.id, &like.grant);
	if (r < 0)
		return r;
	t = tenant_new(daemon, &like);
	if (!t) {
		(void)ledger_release(&daemon->ledger, like.id);
		return -ENOMEM;
	}
	if (like.id > daemon->last_tenant_id)
		daemon->last_tenant_id = like.id;
	load_processes(daemon->state.db, t);
	load_launcher(daemon->state.db, t);
	state_touch(t);
	if (!tenant_reap(t))
		return 1;
	log_line(NULL, LOG_INFO, "msg=\"nobody of a tenant of before lives\" id=%u tenant=\"%s\"",
		 like.id, like.name);
	return 0;
}

static void say_damaged(sqlite3_stmt *stmt, int error)
{
	log_line(NULL, LOG_WARN,
		 "msg=\"a tenant of before cannot be put back\" id=%lld reason=\"%s\"",
		 (long long)sqlite3_column_int64(stmt, 0),
		 error == -EINVAL   ? "its row makes no sense"
		 : error == -EBUSY  ? "its TPCs do not exist or are another tenant's"
		 : error == -ENODEV ? "its GPU is not managed"
				    : strerror(-error));
}

int state_load(struct daemon *daemon)
{
	struct state *state = &daemon->state;
	struct query q;
	int nr = 0;

	if (!state->db)
		return 0;
	daemon->ledger.generation = read_meta(state->db, "generation");
	daemon->last_tenant_id = read_meta(state->db, "last_tenant");
	q = query_begin(state->db, "SELECT id, token, name, uid, priority, quota_tpcs,"
				   " quota_percent, gpu, place, generation, tpcs"
				   " FROM tenants ORDER BY id");
	while (query_row(&q)) {
		int r = load_tenant(daemon, q.stmt);

		if (r >= 0)
			nr += r;
		else
			say_damaged(q.stmt, r);
		if (r < 0 && r != -ENODEV)
			state->is_stale = 1;
	}
	query_free(&q);
	if (!query_is_done(&q))
		state_renew(daemon);
	state_flush(daemon);
	return nr;
}
