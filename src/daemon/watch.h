/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at what the processes of tenants say, and telling all what comes of it: borrow sets into
 * the grants, timers and stalled owners onto the board.
 */
#ifndef LITHOS_DAEMON_WATCH_H
#define LITHOS_DAEMON_WATCH_H

#include <stdint.h>

#include "daemon/loop.h"

struct daemon;

struct watch {
	struct loop_timer tick;
	struct loop_timer beat;
	uint64_t every_ns; /* of the tick; 0 = it does not run */
	uint32_t nr_quiet; /* ticks in a row in which nobody did anything */
	uint64_t nr_ticks;
	uint64_t nr_divisions;
};

int watch_open(struct daemon *daemon);
void watch_close(struct daemon *daemon);

/* Tenants, owners or processes of the GPU have changed: divide now, and run as often as needed. */
void watch_changed(struct daemon *daemon, uint32_t gpu);

#endif
