/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state file: sqlite, one row a tenant, one a process.
 *
 * What it is for: a daemon that was killed or updated comes back and must give nobody's TPCs away.
 * So a row matters only while its processes live, which a power failure ends anyway: synchronous is
 * off (the page cache outlives the daemon), and a file of another boot is emptied.
 *
 * Touched tenants are written at the end of the round, after ledger, board and peers, all in one
 * transaction; an admission writes before it answers. A full disk or a damaged file costs the
 * return after a restart and nothing else: it is counted and logged.
 *
 * Generations and tenant numbers are kept too, so that none is used twice.
 *
 * Tested by tests/integration/daemon_return.c.
 */
#include "daemon/state.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "daemon/tenant/tenant.h"

#define BOOT_ID_BYTES 40

static const char schema[] =
	"PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
	"CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS tenants(id INTEGER PRIMARY KEY, token BLOB, name TEXT,"
	" uid INTEGER, priority INTEGER, quota_tpcs INTEGER, quota_percent INTEGER, gpu BLOB,"
	" place INTEGER, generation INTEGER, tpcs BLOB);"
	"CREATE TABLE IF NOT EXISTS processes(tenant INTEGER, line INTEGER, pid INTEGER,"
	" start INTEGER, PRIMARY KEY(tenant, line)) WITHOUT ROWID;";

/* --- statements ------------------------------------------------------------------------------- */

/* A statement that is prepared, bound and stepped once; errors are gathered in `r`. */
struct query {
	struct sqlite3 *db;
	sqlite3_stmt *stmt;
	int r;
	int next; /* parameter or column */
};

static struct query query_begin(struct sqlite3 *db, const char *sql)
{
	struct query q = {.db = db, .next = 1};

	q.r = sqlite3_prepare_v2(db, sql, -1, &q.stmt, NULL);
	return q;
}

static void bind_number(struct query *q, uint64_t value)
{
	if (q->r == SQLITE_OK)
		q->r = sqlite3_bind_int64(q->stmt, q->next++, (sqlite3_int64)value);
}

static void bind_bytes(struct query *q, const void *bytes, size_t size)
{
	if (q->r == SQLITE_OK)
		q->r = sqlite3_bind_blob(q->stmt, q->next++, bytes, (int)size, SQLITE_STATIC);
}

static void bind_text(struct query *q, const char *text)
{
	if (q->r == SQLITE_OK)
		q->r = sqlite3_bind_text(q->stmt, q->next++, text, -1, SQLITE_STATIC);
}

static int query_end(struct query *q)
{
	if (q->r == SQLITE_OK)
		q->r = sqlite3_step(q->stmt);
	(void)sqlite3_finalize(q->stmt);
	return q->r == SQLITE_DONE || q->r == SQLITE_ROW ? 0 : -EIO;
}

static int run(struct sqlite3 *db, const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
}

static uint64_t column_number(sqlite3_stmt *stmt, int column)
{
	return (uint64_t)sqlite3_column_int64(stmt, column);
}

/* A blob of exactly this size, or nothing. */
static int column_bytes(sqlite3_stmt *stmt, int column, void *ret_bytes, size_t size)
{
	const void *bytes = sqlite3_column_blob(stmt, column);

	if (!bytes || (size_t)sqlite3_column_bytes(stmt, column) != size)
		return -EINVAL;
	memcpy(ret_bytes, bytes, size);
	return 0;
}

/* --- writing ---------------------------------------------------------------------------------- */

static int write_meta(struct sqlite3 *db, const char *key, uint64_t value)
{
	struct query q = query_begin(db, "REPLACE INTO meta VALUES(?, ?)");

	bind_text(&q, key);
	bind_number(&q, value);
	return query_end(&q);
}

static int delete_tenant(struct sqlite3 *db, uint32_t id)
{
	struct query tenants = query_begin(db, "DELETE FROM tenants WHERE id = ?");
	struct query processes = query_begin(db, "DELETE FROM processes WHERE tenant = ?");
	int r;

	bind_number(&tenants, id);
	bind_number(&processes, id);
	r = query_end(&tenants);
	return query_end(&processes) | r;
}

static int write_process(struct sqlite3 *db, const struct process *p)
{
	struct query q = query_begin(db, "INSERT INTO processes VALUES(?, ?, ?, ?)");

	bind_number(&q, p->tenant->id);
	bind_number(&q, p->line);
	bind_number(&q, (uint64_t)p->pid);
	bind_number(&q, p->start_time);
	return query_end(&q);
}

static int write_tenant(struct sqlite3 *db, const struct tenant *t)
{
	const struct topology *topo = &t->daemon->ledger.gpu[t->grant.gpu].topo;
	int r = delete_tenant(db, t->id);
	struct query q =
		query_begin(db, "INSERT INTO tenants VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");

	bind_number(&q, t->id);
	bind_bytes(&q, t->token, sizeof(t->token));
	bind_text(&q, t->name);
	bind_number(&q, t->uid);
	bind_number(&q, t->priority);
	bind_number(&q, t->quota.tpcs);
	bind_number(&q, t->quota.percent);
	bind_bytes(&q, topo->uuid, sizeof(topo->uuid));
	bind_number(&q, t->grant.place);
	bind_number(&q, t->grant.generation);
	bind_bytes(&q, &t->grant.tpcs, sizeof(t->grant.tpcs));
	r |= query_end(&q);
	for (uint32_t i = 0; i < SHM_MAX_PROCS; i++) {
		if (t->process[i])
			r |= write_process(db, t->process[i]);
	}
	return r;
}

static int write_all(struct daemon *daemon)
{
	struct state *state = &daemon->state;
	int r = run(state->db, "BEGIN");

	for (uint32_t i = 0; i < state->nr_ended; i++)
		r |= delete_tenant(state->db, state->ended[i]);
	for (struct tenant *t = daemon->tenants; t; t = t->next) {
		if (t->is_dirty)
			r |= write_tenant(state->db, t);
		t->is_dirty = 0;
	}
	r |= write_meta(state->db, "generation", daemon->ledger.generation);
	r |= write_meta(state->db, "last_tenant", daemon->last_tenant_id);
	r |= run(state->db, "COMMIT");
	if (r)
		(void)run(state->db, "ROLLBACK");
	return r;
}

void state_flush(struct daemon *daemon)
{
	static struct log_site site;
	struct state *state = &daemon->state;

	loop_task_cancel(&daemon->loop, &state->task);
	if (!state->db)
		return;
	state->nr_writes++;
	if (write_all(daemon)) {
		state->nr_failed++;
		log_line(&site, LOG_ERROR, "msg=\"state was not written\" reason=\"%s\"",
			 sqlite3_errmsg(state->db));
	}
	state->nr_ended = 0;
}

static void flush_task(void *cookie)
{
	state_flush(cookie);
}

void state_touch(struct tenant *t)
{
	t->is_dirty = 1;
	loop_defer(&t->daemon->loop, &t->daemon->state.task);
}

void state_tenant_ended(const struct tenant *t)
{
	struct state *state = &t->daemon->state;

	if (state->nr_ended == STATE_MAX_ENDED)
		state_flush(t->daemon);
	state->ended[state->nr_ended++] = t->id;
	loop_defer(&t->daemon->loop, &state->task);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void boot_id(char ret_id[BOOT_ID_BYTES])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret_id, BOOT_ID_BYTES - 1);

	ret_id[n > 0 ? n : 0] = '\0';
	ret_id[strcspn(ret_id, "\n")] = '\0';
	if (fd >= 0)
		(void)close(fd);
}

/* What another boot has left is about processes that are no more. */
static int keep_only_this_boot(struct sqlite3 *db)
{
	char id[BOOT_ID_BYTES];
	struct query q;
	int is_same;

	boot_id(id);
	q = query_begin(db, "SELECT 1 FROM meta WHERE key = 'boot' AND value = ?");
	bind_text(&q, id);
	is_same = query_end(&q) == 0 && q.r == SQLITE_ROW;
	if (is_same)
		return 0;
	q = query_begin(db, "REPLACE INTO meta VALUES('boot', ?)");
	bind_text(&q, id);
	return run(db, "DELETE FROM tenants; DELETE FROM processes;") | query_end(&q);
}

static struct sqlite3 *try_open(const char *path)
{
	struct sqlite3 *db = NULL;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) ==
		    SQLITE_OK &&
	    run(db, schema) == 0 && keep_only_this_boot(db) == 0)
		return db;
	(void)sqlite3_close(db);
	return NULL;
}

static void set_aside(const char *path)
{
	char aside[CONFIG_PATH_BYTES + 16];
	char journal[CONFIG_PATH_BYTES + 16];

	(void)snprintf(aside, sizeof(aside), "%s.damaged", path);
	(void)rename(path, aside);
	(void)snprintf(journal, sizeof(journal), "%s-wal", path);
	(void)unlink(journal);
	(void)snprintf(journal, sizeof(journal), "%s-shm", path);
	(void)unlink(journal);
	log_line(NULL, LOG_WARN, "msg=\"damaged state set aside\" path=\"%s\"", aside);
}

int state_open(struct daemon *daemon, const char *path)
{
	struct state *state = &daemon->state;
	mode_t old;

	state->task = (struct loop_task){.run = flush_task, .cookie = daemon};
	if (!path[0])
		return 0;
	/* Tokens are in it. */
	old = umask(077);
	state->db = try_open(path);
	if (!state->db && access(path, F_OK) == 0) {
		set_aside(path);
		state->db = try_open(path);
	}
	(void)umask(old);
	return state->db ? 0 : -EIO;
}

void state_close(struct daemon *daemon)
{
	loop_task_cancel(&daemon->loop, &daemon->state.task);
	(void)sqlite3_close(daemon->state.db);
	daemon->state.db = NULL;
}

/* --- reading ---------------------------------------------------------------------------------- */

static uint64_t read_meta(struct sqlite3 *db, const char *key)
{
	struct query q = query_begin(db, "SELECT value FROM meta WHERE key = ?");
	uint64_t value = 0;

	bind_text(&q, key);
	if (q.r == SQLITE_OK && sqlite3_step(q.stmt) == SQLITE_ROW)
		value = column_number(q.stmt, 0);
	(void)sqlite3_finalize(q.stmt);
	return value;
}

/* Columns in the order of the table. */
static int read_tenant(const struct daemon *daemon, sqlite3_stmt *stmt, struct tenant *ret_like)
{
	const unsigned char *name = sqlite3_column_text(stmt, 2);
	uint8_t uuid[16];
	int gpu;

	*ret_like = (struct tenant){
		.id = (uint32_t)column_number(stmt, 0),
		.uid = (uid_t)column_number(stmt, 3),
		.priority = (uint32_t)column_number(stmt, 4),
		.quota = {.tpcs = (uint32_t)column_number(stmt, 5),
			  .percent = (uint32_t)column_number(stmt, 6)},
		.grant = {.place = (uint32_t)column_number(stmt, 8),
			  .generation = (uint32_t)column_number(stmt, 9)},
		.admitted_ns = clock_now_ns(),
		.is_awaited = 1,
	};
	(void)snprintf(ret_like->name, sizeof(ret_like->name), "%s",
		       name ? (const char *)name : "");
	if (column_bytes(stmt, 1, ret_like->token, sizeof(ret_like->token)) < 0 ||
	    column_bytes(stmt, 7, uuid, sizeof(uuid)) < 0 ||
	    column_bytes(stmt, 10, &ret_like->grant.tpcs, sizeof(ret_like->grant.tpcs)) < 0)
		return -EINVAL;
	gpu = gpu_by_uuid(daemon, uuid);
	ret_like->grant.gpu = gpu < 0 ? 0 : (uint32_t)gpu;
	return gpu < 0 ? -ENODEV : 0;
}

/* Those that still live, and are who they were. */
static void load_processes(struct sqlite3 *db, struct tenant *t)
{
	struct query q = query_begin(db, "SELECT line, pid, start FROM processes WHERE tenant = ?");

	bind_number(&q, t->id);
	while (q.r == SQLITE_OK && sqlite3_step(q.stmt) == SQLITE_ROW) {
		uint64_t line = column_number(q.stmt, 0);
		struct process *p;

		if (line >= SHM_MAX_PROCS ||
		    process_new(t, (pid_t)column_number(q.stmt, 1), (int)line, &p) < 0)
			continue;
		p->is_awaited = 1;
		if (p->start_time != column_number(q.stmt, 2))
			process_remove(p);
	}
	(void)sqlite3_finalize(q.stmt);
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
	load_processes(daemon->state.db, t);
	state_touch(t);
	return 0;
}

int state_load(struct daemon *daemon)
{
	struct sqlite3 *db = daemon->state.db;
	struct query q;
	int nr = 0;

	if (!db)
		return 0;
	daemon->ledger.generation = (uint32_t)read_meta(db, "generation");
	daemon->last_tenant_id = (uint32_t)read_meta(db, "last_tenant");
	q = query_begin(db, "SELECT * FROM tenants ORDER BY id");
	while (q.r == SQLITE_OK && sqlite3_step(q.stmt) == SQLITE_ROW) {
		int r = load_tenant(daemon, q.stmt);

		if (r == 0)
			nr++;
		else
			log_line(NULL, LOG_WARN,
				 "msg=\"a tenant of before cannot be put back\" "
				 "id=%u reason=\"%s\"",
				 (uint32_t)column_number(q.stmt, 0), strerror(-r));
	}
	(void)sqlite3_finalize(q.stmt);
	return nr;
}
