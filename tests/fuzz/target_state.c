/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of the state database: whatever is in them, the daemon starts, uses what is right, and does
 * not give a TPC to two.
 *
 * sqlite is not what is tried, so the database is sound and in memory; its rows are the input's. A
 * row is a byte (processes, tenants, launchers), then its columns. A column is a byte: NULL, a
 * number, a small one, a text, bytes, or what would be right in that place.
 */
#include <sqlite3.h>
#include <unistd.h>

#include "daemon/tenant/tenant.h"
#include "daemon_rig.h"
#include "fuzz.h"

#define MAX_ROWS 24

enum {
	IS_NULL,
	IS_NUMBER,
	IS_SMALL,
	IS_TEXT,
	IS_BYTES,
	IS_RIGHT,
	NR_KINDS
};

/* Bytes that are right by their size: a token, a set of TPCs; or the GPU's own name. */
static void bind_right(sqlite3_stmt *stmt, int column, struct fuzz_input *input,
		       const struct daemon *daemon)
{
	const struct topology *topo = &daemon->ledger.gpu[0].topo;
	uint8_t bytes[64] = {0};
	struct tpcset tpcs;

	if (column == 8) {
		(void)sqlite3_bind_blob(stmt, column, topo->uuid, 16, SQLITE_TRANSIENT);
	} else if (column == 2) {
		bytes[0] = fuzz_u8(input);
		(void)sqlite3_bind_blob(stmt, column, bytes, 16, SQLITE_TRANSIENT);
	} else if (column == 11) {
		(void)fuzz_take(input, &tpcs, sizeof(tpcs));
		for (int i = 0; i < TPCSET_WORDS; i++)
			tpcs.w[i] &= topo->present.w[i];
		(void)sqlite3_bind_blob(stmt, column, &tpcs, sizeof(tpcs), SQLITE_TRANSIENT);
	} else {
		(void)sqlite3_bind_int64(stmt, column, (sqlite3_int64)SHM_NO_OWNER);
	}
}

static void bind_column(sqlite3_stmt *stmt, int column, struct fuzz_input *input,
			const struct daemon *daemon)
{
	uint8_t bytes[256];
	size_t n;

	switch (fuzz_u8(input) % NR_KINDS) {
	case IS_NULL:
		(void)sqlite3_bind_null(stmt, column);
		break;
	case IS_NUMBER:
		(void)sqlite3_bind_int64(stmt, column, (sqlite3_int64)fuzz_u64(input));
		break;
	case IS_SMALL:
		(void)sqlite3_bind_int64(stmt, column, fuzz_u8(input));
		break;
	case IS_TEXT:
		n = fuzz_take(input, bytes, fuzz_u8(input));
		(void)sqlite3_bind_text(stmt, column, (const char *)bytes, (int)n,
					SQLITE_TRANSIENT);
		break;
	case IS_BYTES:
		n = fuzz_take(input, bytes, fuzz_u8(input));
		(void)sqlite3_bind_blob(stmt, column, bytes, (int)n, SQLITE_TRANSIENT);
		break;
	default:
		bind_right(stmt, column, input, daemon);
	}
}

static void add_row(const struct daemon *daemon, struct fuzz_input *input)
{
	static const struct {
		const char *sql;
		int nr_columns;
		int pid_column; /* 0: none */
	} tables[] = {
		{"REPLACE INTO processes VALUES(?, ?, ?, ?)", 4, 3},
		{"REPLACE INTO tenants VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", 11, 0},
		{"REPLACE INTO launchers VALUES(?, ?, ?)", 3, 2},
	};
	size_t table = fuzz_u8(input) % 3;
	int pid_column = tables[table].pid_column;
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(daemon->state.db, tables[table].sql, -1, &stmt, NULL) != SQLITE_OK)
		fuzz_fail(sqlite3_errmsg(daemon->state.db));
	for (int i = 1; i <= tables[table].nr_columns; i++)
		bind_column(stmt, i, input, daemon);
	/* This process lives: a row may be about it. */
	if (pid_column && fuzz_u8(input) % 2)
		(void)sqlite3_bind_int64(stmt, pid_column, getpid());
	(void)sqlite3_step(stmt);
	(void)sqlite3_finalize(stmt);
}

static void add_meta(const struct daemon *daemon, struct fuzz_input *input)
{
	static const char *const keys[] = {"generation", "last_tenant"};

	for (size_t i = 0; i < 2; i++) {
		sqlite3_stmt *stmt = NULL;

		(void)sqlite3_prepare_v2(daemon->state.db, "REPLACE INTO meta VALUES(?, ?)", -1,
					 &stmt, NULL);
		(void)sqlite3_bind_text(stmt, 1, keys[i], -1, SQLITE_STATIC);
		bind_column(stmt, 2, input, daemon);
		(void)sqlite3_step(stmt);
		(void)sqlite3_finalize(stmt);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {.data = data, .size = size};
	struct daemon *daemon = rig_daemon();
	int nr;

	if (state_open(daemon, ":memory:") < 0)
		fuzz_fail("no database");
	rig_begin();
	add_meta(daemon, &input);
	for (int i = 0; i < MAX_ROWS && input.size; i++)
		add_row(daemon, &input);
	nr = state_load(daemon);
	if (nr < 0 || (uint32_t)nr != daemon->nr_tenants)
		fuzz_fail("tenants that were put back are not there");
	rig_check(daemon);
	watch_changed(daemon, 0);
	rig_settle(daemon);
	state_flush(daemon);
	rig_check(daemon);
	rig_reset(daemon);
	state_close(daemon);
	daemon->ledger.generation = 0;
	return 0;
}
