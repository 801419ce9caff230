/* SPDX-License-Identifier: Apache-2.0 */
/* Statements of the state file, as short as they can be written (state.c and state_load.c). */
#ifndef LITHOS_DAEMON_STATE_DB_H
#define LITHOS_DAEMON_STATE_DB_H

#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

/* A statement that is prepared, bound and stepped; errors are gathered in `r`. */
struct query {
	struct sqlite3 *db;
	sqlite3_stmt *stmt;
	int r;
	int next; /* parameter */
};

struct query query_begin(struct sqlite3 *db, const char *sql);
void query_number(struct query *q, uint64_t value);
void query_bytes(struct query *q, const void *bytes, size_t size);
void query_text(struct query *q, const char *text);

/* 1 when there is a row to read; once 0, `r` says whether that was the end or an error. */
int query_row(struct query *q);
/* 1 when the rows ended as they should. */
int query_is_done(const struct query *q);
void query_free(struct query *q);

/* One step, and the end. 0 or -EIO. */
int query_end(struct query *q);

/* Statements without parameters. 0 or -EIO. */
int db_run(struct sqlite3 *db, const char *sql);

/* A number of the row that lies in 0..max, or -EINVAL: anything may stand in a damaged file. */
int column_number(sqlite3_stmt *stmt, int column, uint64_t max, uint64_t *ret_value);
int column_u32(sqlite3_stmt *stmt, int column, uint32_t max, uint32_t *ret_value);
/* A blob of exactly this size, or -EINVAL. */
int column_bytes(sqlite3_stmt *stmt, int column, void *ret_bytes, size_t size);

#endif
