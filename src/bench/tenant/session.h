/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs' side of a measurement, in C. The other side and the files are described in
 * src/cli/bench/bench.h; src/bench/programs/session.py is the same in Python.
 *
 * One thread. Times are CLOCK_MONOTONIC.
 */
#ifndef LITHOS_BENCH_SESSION_H
#define LITHOS_BENCH_SESSION_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SESSION_PATH_MAX 1024

struct session {
	const char *folder;
	const char *name;
	uint64_t start_ns; /* the schedule's zero; this and the next two from session_wait_go() */
	uint64_t begin_ns; /* of the window */
	uint64_t end_ns;
};

/* Two columns of numbers that become the result file. All zero is empty. */
struct session_rows {
	int64_t (*row)[2];
	size_t nr;
	size_t room;
};

/* A file that appears under its name when session_publish() closes it. NULL: errno. */
FILE *session_create(const struct session *session, const char *kind);
int session_publish(const struct session *session, const char *kind, FILE *file);

/* Says that the program can begin to warm up, and waits until it shall; -ECANCELED as below. */
int session_wait_turn(const struct session *session);
/* Waits for `go`, or for `stop` (-ECANCELED). */
int session_wait_go(struct session *session);
/* Whether KIND.NAME is there. */
int session_has(const struct session *session, const char *kind);
int session_is_stopped(const struct session *session);

/* ns since the schedule's zero; negative before it. */
int64_t session_now(const struct session *session);
/* Sleeps, and for the last moment spins, until so many ns after the zero. */
void session_sleep_until(const struct session *session, int64_t at_ns);

/* The schedule: `*ret_nr` arrivals, the caller's to free. -errno. */
int session_arrivals(const struct session *session, int64_t **ret_at_ns, size_t *ret_nr);

/* -ENOMEM */
int session_add(struct session_rows *rows, int64_t first, int64_t second);
/* Writes result.NAME and frees the rows. */
int session_result(const struct session *session, struct session_rows *rows);

#endif
