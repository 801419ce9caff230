/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs' side of a measurement, in C.
 *
 * Looking for a file is a system call, so a program does it between pieces of work and not inside
 * what it times. Results are kept in memory until the end for the same reason. Waiting for an
 * arrival sleeps most of the way and spins the rest, because a sleep ends tens of microseconds
 * late, which would count as latency.
 * Tested by tests/integration/bench.bats.
 */
#include "bench/tenant/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define SPIN_NS 100000
#define LOOK_NS 2000000

static void path_of(const struct session *session, const char *kind, int is_shared, int is_new,
		    char path[SESSION_PATH_MAX])
{
	(void)snprintf(path, SESSION_PATH_MAX, "%s/%s%s%s%s", session->folder, kind,
		       is_shared ? "" : ".", is_shared ? "" : session->name, is_new ? ".new" : "");
}

static void sleep_ns(int64_t ns)
{
	struct timespec time = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

	(void)nanosleep(&time, NULL);
}

FILE *session_create(const struct session *session, const char *kind)
{
	char path[SESSION_PATH_MAX];

	path_of(session, kind, 0, 1, path);
	return fopen(path, "we");
}

int session_publish(const struct session *session, const char *kind, FILE *file)
{
	char path[SESSION_PATH_MAX];
	char new_path[SESSION_PATH_MAX];
	int failed = ferror(file);

	path_of(session, kind, 0, 0, path);
	path_of(session, kind, 0, 1, new_path);
	if (fclose(file) != 0 || failed)
		return -EIO;
	return rename(new_path, path) == 0 ? 0 : -errno;
}

int session_has(const struct session *session, const char *kind)
{
	char path[SESSION_PATH_MAX];

	path_of(session, kind, 0, 0, path);
	return access(path, F_OK) == 0;
}

int session_is_stopped(const struct session *session)
{
	char path[SESSION_PATH_MAX];

	path_of(session, "stop", 1, 0, path);
	return access(path, F_OK) == 0;
}

int session_wait_turn(const struct session *session)
{
	FILE *file = session_create(session, "loaded");
	int r = file != NULL ? session_publish(session, "loaded", file) : -errno;

	while (r == 0 && !session_has(session, "turn")) {
		if (session_is_stopped(session))
			return -ECANCELED;
		sleep_ns(LOOK_NS);
	}
	return r;
}

int session_wait_go(struct session *session)
{
	char path[SESSION_PATH_MAX];
	FILE *file;
	int fields;

	path_of(session, "go", 1, 0, path);
	while ((file = fopen(path, "re")) == NULL) {
		if (session_is_stopped(session))
			return -ECANCELED;
		sleep_ns(LOOK_NS);
	}
	fields = fscanf(file, "%" SCNu64 " %" SCNu64 " %" SCNu64, &session->start_ns,
			&session->begin_ns, &session->end_ns);
	(void)fclose(file);
	return fields == 3 ? 0 : -EPROTO;
}

int64_t session_now(const struct session *session)
{
	return (int64_t)(clock_now_ns() - session->start_ns);
}

void session_sleep_until(const struct session *session, int64_t at_ns)
{
	int64_t left = at_ns - session_now(session);

	if (left > SPIN_NS)
		sleep_ns(left - SPIN_NS);
	while (session_now(session) < at_ns)
		;
}

int session_add(struct session_rows *rows, int64_t first, int64_t second)
{
	if (rows->nr == rows->room) {
		size_t room = rows->room ? 2 * rows->room : 4096;
		int64_t(*row)[2] = realloc(rows->row, room * sizeof(*row));

		if (row == NULL)
			return -ENOMEM;
		rows->row = row;
		rows->room = room;
	}
	rows->row[rows->nr][0] = first;
	rows->row[rows->nr][1] = second;
	rows->nr++;
	return 0;
}

int session_result(const struct session *session, struct session_rows *rows)
{
	FILE *file = session_create(session, "result");
	int r = file != NULL ? 0 : -errno;

	for (size_t i = 0; file != NULL && i < rows->nr; i++)
		(void)fprintf(file, "%" PRId64 " %" PRId64 "\n", rows->row[i][0], rows->row[i][1]);
	if (file != NULL)
		r = session_publish(session, "result", file);
	free(rows->row);
	*rows = (struct session_rows){0};
	return r;
}

int session_arrivals(const struct session *session, int64_t **ret_at_ns, size_t *ret_nr)
{
	struct session_rows rows = {0};
	char path[SESSION_PATH_MAX];
	int64_t at;
	int r = 0;
	FILE *file;

	path_of(session, "arrivals", 0, 0, path);
	file = fopen(path, "re");
	if (file == NULL)
		return -errno;
	while (r == 0 && fscanf(file, "%" SCNd64, &at) == 1)
		r = session_add(&rows, at, 0);
	(void)fclose(file);
	*ret_at_ns = calloc(rows.nr + 1, sizeof(**ret_at_ns));
	if (*ret_at_ns == NULL)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < rows.nr; i++)
		(*ret_at_ns)[i] = rows.row[i][0];
	*ret_nr = rows.nr;
	free(rows.row);
	return r;
}
