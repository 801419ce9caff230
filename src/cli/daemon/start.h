/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a private lithosd. Those that end with an error have said on stderr what it is, but for
 * start_wait(). */
#ifndef LITHOS_CLI_DAEMON_START_H
#define LITHOS_CLI_DAEMON_START_H

#include <stdint.h>

struct place;

struct start {
	int lock;           /* the lock file's descriptor, held */
	int pidfd;          /* of the daemon, -1 before it was started */
	int64_t since_ms;   /* CLOCK_MONOTONIC */
	int shows_progress; /* something is on the terminal's line */
};

/* Waits until nobody else is starting the daemon of this place. 0 or -errno. */
int start_lock(const struct place *place, struct start *ret_start);

/* Runs lithosd, detached. 0 or -errno. */
int start_daemon(const struct place *place, struct start *start);

/* Waits a moment for it to listen. 0: look again; -ECHILD: it has ended; -ETIMEDOUT: too long. */
int start_wait(struct start *start);

/* Says on stderr what start_wait() found, with the last words of the daemon. */
void start_complain(const struct place *place, struct start *start, int error);

/* Takes what start_wait() wrote off the terminal's line. */
void start_end_progress(struct start *start);

/* Lets others look. The daemon, if it was started, stays. */
void start_unlock(struct start *start);

#endif
