/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state file: sqlite, one row a tenant, one a process.
 *
 * What it is for: a daemon that was killed or updated comes back and must give nobody's TPCs away.
 * So a row matters only while its processes live, which a power failure ends anyway: synchronous is
 * off (the page cache outlives the daemon), and a file of another boot is emptied.
 *
 * Touched tenants are written at the end of the round, after ledger, board and peers, all in one
 * transaction; an admission writes before it answers. A write that fails (a full disk, a lock of
 * somebody else's) leaves the file stale: everything is written anew with the next change, and
 * every second until that succeeds. A file that is found damaged is set aside with its journal, and
 * a new one is written. All of that costs the return after a restart and nothing else: it is
 * counted and logged.
 *
 * The journal (-wal) is part of the file: it has what was not copied back yet when the daemon was
 * killed, and moves with it. It is cut to 1 MiB after each copying back.
 *
 * Generations and tenant numbers are kept too, so that none is used twice. Reading is in
 * state_load.c.
 *
 * Tested by tests/integration/daemon_state.c and daemon_return.c.
 */
#include "daemon/state/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "daemon/state/state_db.h"
#include "daemon/tenant/tenant.h"

#define BOOT_ID_BYTES 40
#define RETRY_NS      1000000000u

static const char schema[] =
	"PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA journal_size_limit=1048576;"
	"CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS tenants(id INTEGER PRIMARY KEY, token BLOB, name TEXT,"
	" uid INTEGER, priority INTEGER, quota_tpcs INTEGER, quota_percent INTEGER, gpu BLOB,"
	" place INTEGER, generation INTEGER, tpcs BLOB);"
	"CREATE TABLE IF NOT EXISTS processes(tenant INTEGER, line INTEGER, pid INTEGER,"
	" start INTEGER, PRIMARY KEY(tenant, line)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS launchers(tenant INTEGER PRIMARY KEY, pid INTEGER,"
	" start INTEGER);";

static const char empty[] = "DELETE FROM tenants; DELETE FROM processes; DELETE FROM launchers;";

/* --- writing ---------------------------------------------------------------------------------- */

static int write_meta(struct sqlite3 *db, const char *key, uint64_t value)
{
	struct query q = query_begin(db, "REPLACE INTO meta VALUES(?, ?)");

	query_text(&q, key);
	query_number(&q, value);
	return query_end(&q);
}

static int delete_tenant(struct sqlite3 *db, uint32_t id)
{
	struct query tenants = query_begin(db, "DELETE FROM tenants WHERE id = ?");
	struct query processes = query_begin(db, "DELETE FROM processes WHERE tenant = ?");
	struct query launchers = query_begin(db, "DELETE FROM launchers WHERE tenant = ?");
	int r;

	query_number(&tenants, id);
	query_number(&processes, id);
	query_number(&launchers, id);
	r = query_end(&tenants);
	r |= query_end(&processes);
	return query_end(&launchers) | r;
}

static int write_process(struct sqlite3 *db, const struct process *p)
{
	struct query q = query_begin(db, "INSERT INTO processes VALUES(?, ?, ?, ?)");

	query_number(&q, p->tenant->id);
	query_number(&q, p->line);
	query_number(&q, (uint64_t)p->pid);
	query_number(&q, p->start_time);
	return query_end(&q);
}

static int write_launcher(struct sqlite3 *db, const struct tenant *t)
{
	struct query q = query_begin(db, "INSERT INTO launchers VALUES(?, ?, ?)");

	query_number(&q, t->id);
	query_number(&q, (uint64_t)t->launcher_pid);
	query_number(&q, t->launcher_start);
	return query_end(&q);
}

static int write_tenant(struct sqlite3 *db, const struct tenant *t)
{
	const struct topology *topo = &t->daemon->ledger.gpu[t->grant.gpu].topo;
	int r = delete_tenant(db, t->id);
	struct query q =
		query_begin(db, "INSERT INTO tenants VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");

	query_number(&q, t->id);
	query_bytes(&q, t->token, sizeof(t->token));
	query_text(&q, t->name);
	query_number(&q, t->uid);
	query_number(&q, t->priority);
	query_number(&q, t->quota.tpcs);
	query_number(&q, t->quota.percent);
	query_bytes(&q, topo->uuid, sizeof(topo->uuid));
	query_number(&q, t->grant.place);
	query_number(&q, t->grant.generation);
	query_bytes(&q, &t->grant.tpcs, sizeof(t->grant.tpcs));
	r |= query_end(&q);
	if (t->launcher_pid)
		r |= write_launcher(db, t);
	for (uint32_t i = 0; i < SHM_MAX_PROCS; i++) {
		if (t->process[i])
			r |= write_process(db, t->process[i]);
	}
	return r;
}

static int write_all(struct daemon *daemon)
{
	struct state *state = &daemon->state;
	int r = db_run(state->db, "BEGIN");

	if (state->is_stale)
		r |= db_run(state->db, empty);
	for (uint32_t i = 0; i < state->nr_ended && !state->is_stale; i++)
		r |= delete_tenant(state->db, state->ended[i]);
	for (const struct tenant *t = daemon->tenants; t; t = t->next) {
		if (t->is_dirty || state->is_stale)
			r |= write_tenant(state->db, t);
	}
	r |= write_meta(state->db, "generation", daemon->ledger.generation);
	r |= write_meta(state->db, "last_tenant", daemon->last_tenant_id);
	if (r == 0)
		r = db_run(state->db, "COMMIT");
	return r;
}

/* Said once for each time that it begins. */
static void write_failed(struct daemon *daemon)
{
	struct state *state = &daemon->state;
	int error = sqlite3_errcode(state->db);

	if (!state->nr_failed_since++)
		log_line(NULL, LOG_ERROR, "msg=\"state was not written\" path=\"%s\" reason=\"%s\"",
			 state->path, sqlite3_errmsg(state->db));
	(void)db_run(state->db, "ROLLBACK");
	state->nr_failed++;
	state->is_stale = 1;
	if (error == SQLITE_CORRUPT || error == SQLITE_NOTADB)
		state_renew(daemon);
	(void)loop_timer_set(&state->retry, RETRY_NS, 0);
}

/* What is in the file now is what the daemon knows. */
static void write_succeeded(struct daemon *daemon)
{
	struct state *state = &daemon->state;

	for (struct tenant *t = daemon->tenants; t; t = t->next)
		t->is_dirty = 0;
	if (state->nr_failed_since)
		log_line(NULL, LOG_INFO, "msg=\"state is written again\" path=\"%s\"", state->path);
	state->nr_failed_since = 0;
	state->is_stale = 0;
}

void state_flush(struct daemon *daemon)
{
	struct state *state = &daemon->state;

	loop_task_cancel(&daemon->loop, &state->task);
	if (state->db) {
		state->nr_writes++;
		if (write_all(daemon))
			write_failed(daemon);
		else
			write_succeeded(daemon);
	}
	/* Written, or made up for by writing everything, or without a file. */
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

	if (!state->db)
		return;
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
	query_text(&q, id);
	is_same = query_end(&q) == 0 && q.r == SQLITE_ROW;
	if (is_same)
		return 0;
	q = query_begin(db, "REPLACE INTO meta VALUES('boot', ?)");
	query_text(&q, id);
	return db_run(db, empty) | query_end(&q);
}

static struct sqlite3 *try_open(const char *path)
{
	struct sqlite3 *db = NULL;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) ==
		    SQLITE_OK &&
	    db_run(db, schema) == 0 && keep_only_this_boot(db) == 0)
		return db;
	log_line(NULL, LOG_WARN, "msg=\"state cannot be read\" path=\"%s\" reason=\"%s\"", path,
		 db ? sqlite3_errmsg(db) : "no memory");
	(void)sqlite3_close(db);
	return NULL;
}

/* The file, its journal, and the journal's index, which is made anew. */
static void set_aside(const char *path)
{
	char from[CONFIG_PATH_BYTES + 16];
	char to[CONFIG_PATH_BYTES + 16];

	(void)snprintf(to, sizeof(to), "%s.damaged", path);
	(void)rename(path, to);
	log_line(NULL, LOG_WARN, "msg=\"damaged state set aside\" path=\"%s\"", to);
	(void)snprintf(from, sizeof(from), "%s-wal", path);
	(void)snprintf(to, sizeof(to), "%s.damaged-wal", path);
	(void)rename(from, to);
	(void)snprintf(from, sizeof(from), "%s-shm", path);
	(void)remove(from);
}

static void open_or_renew(struct state *state)
{
	/* Tokens are in it. */
	mode_t old = umask(077);

	state->db = try_open(state->path);
	if (!state->db && access(state->path, F_OK) == 0) {
		set_aside(state->path);
		state->db = try_open(state->path);
	}
	(void)umask(old);
}

void state_renew(struct daemon *daemon)
{
	struct state *state = &daemon->state;

	(void)sqlite3_close(state->db);
	state->db = NULL;
	set_aside(state->path);
	open_or_renew(state);
	state->is_stale = 1;
}

int state_open(struct daemon *daemon, const char *path)
{
	struct state *state = &daemon->state;
	int r;

	state->task = (struct loop_task){.run = flush_task, .cookie = daemon};
	if (!path[0])
		return 0;
	state->path = path;
	state->retry = (struct loop_timer){.on_time = flush_task, .cookie = daemon};
	r = loop_timer_add(&daemon->loop, &state->retry);
	if (r < 0)
		return r;
	open_or_renew(state);
	return state->db ? 0 : -EIO;
}

void state_close(struct daemon *daemon)
{
	loop_task_cancel(&daemon->loop, &daemon->state.task);
	loop_timer_remove(&daemon->loop, &daemon->state.retry);
	(void)sqlite3_close(daemon->state.db);
	daemon->state.db = NULL;
}
