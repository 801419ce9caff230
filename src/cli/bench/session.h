/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of one measurement; its files are described in bench.h. */
#ifndef LITHOS_CLI_BENCH_SESSION_H
#define LITHOS_CLI_BENCH_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "cli/bench/arrivals.h"
#include "cli/bench/bench.h"
#include "cli/bench/numbers.h"

struct session {
	char folder[BENCH_PATH_MAX / 2];
};

/* Makes the folder; -errno. */
int session_make(struct session *session, const char *parent, const char *name);

int session_has(const struct session *session, const char *kind, const char *name);
int session_write_arrivals(const struct session *session, const char *name,
			   const struct arrivals *arrivals);
/* The program may warm up. */
int session_turn(const struct session *session, const char *name);

/* CLOCK_MONOTONIC. */
struct session_times {
	uint64_t start_ns;
	uint64_t begin_ns;
	uint64_t end_ns;
};
int session_go(const struct session *session, const struct session_times *times);
int session_stop(const struct session *session);

/*
 * Adds what the program said when it was ready to ret_facts: device and versions once, the service
 * time anew. -errno.
 */
int session_read_ready(const struct session *session, const char *name,
		       struct bench_facts *ret_facts);

/* Pairs of numbers of a result file; the caller frees them. -EPROTO for anything else in it. */
int session_read_result(const struct session *session, const char *name, struct span **ret_pairs,
			size_t *ret_nr);

#endif
