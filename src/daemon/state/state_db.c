/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements of the state file.
 *
 * A statement has many places where it can fail and one where that matters, so errors are gathered
 * and asked for at the end. What is read is checked here for its kind and range, because sqlite
 * gives any value as any type, and a file that was damaged has any value.
 *
 * Tested by tests/integration/daemon_state.c.
 */
#include "daemon/state/state_db.h"

#include <errno.h>
#include <string.h>

struct query query_begin(struct sqlite3 *db, const char *sql)
{
	struct query q = {.db = db, .next = 1};

	q.r = sqlite3_prepare_v2(db, sql, -1, &q.stmt, NULL);
	return q;
}

void query_number(struct query *q, uint64_t value)
{
	if (q->r == SQLITE_OK)
		q->r = sqlite3_bind_int64(q->stmt, q->next++, (sqlite3_int64)value);
}

void query_bytes(struct query *q, const void *bytes, size_t size)
{
	if (q->r == SQLITE_OK)
		q->r = sqlite3_bind_blob(q->stmt, q->next++, bytes, (int)size, SQLITE_STATIC);
}

void query_text(struct query *q, const char *text)
{
	if (q->r == SQLITE_OK)
		q->r = sqlite3_bind_text(q->stmt, q->next++, text, -1, SQLITE_STATIC);
}

int query_row(struct query *q)
{
	if (q->r == SQLITE_OK || q->r == SQLITE_ROW)
		q->r = sqlite3_step(q->stmt);
	return q->r == SQLITE_ROW;
}

int query_is_done(const struct query *q)
{
	return q->r == SQLITE_DONE;
}

void query_free(struct query *q)
{
	(void)sqlite3_finalize(q->stmt);
	q->stmt = NULL;
}

int query_end(struct query *q)
{
	(void)query_row(q);
	query_free(q);
	return q->r == SQLITE_DONE || q->r == SQLITE_ROW ? 0 : -EIO;
}

int db_run(struct sqlite3 *db, const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
}

int column_number(sqlite3_stmt *stmt, int column, uint64_t max, uint64_t *ret_value)
{
	sqlite3_int64 value = sqlite3_column_int64(stmt, column);

	if (sqlite3_column_type(stmt, column) != SQLITE_INTEGER || value < 0 ||
	    (uint64_t)value > max)
		return -EINVAL;
	*ret_value = (uint64_t)value;
	return 0;
}

int column_u32(sqlite3_stmt *stmt, int column, uint32_t max, uint32_t *ret_value)
{
	uint64_t value;

	if (column_number(stmt, column, max, &value) < 0)
		return -EINVAL;
	*ret_value = (uint32_t)value;
	return 0;
}

int column_bytes(sqlite3_stmt *stmt, int column, void *ret_bytes, size_t size)
{
	const void *bytes = sqlite3_column_blob(stmt, column);

	if (!bytes || sqlite3_column_type(stmt, column) != SQLITE_BLOB ||
	    (size_t)sqlite3_column_bytes(stmt, column) != size)
		return -EINVAL;
	memcpy(ret_bytes, bytes, size);
	return 0;
}
