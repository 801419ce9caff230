/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that reads completion records and keeps the statistics file.
 *
 * It makes no CUDA call: it reads memory. It looks every 200 us while work completes and backs off
 * to 20 ms when nothing does; the pools hold what a busy process launches in that time.
 */
#ifndef LITHOS_SHIM_TRACK_TRACKER_H
#define LITHOS_SHIM_TRACK_TRACKER_H

#include <stdint.h>

struct stats_region;

/* Starts the thread once; later calls do nothing. 0, or -errno when it cannot be created. */
int tracker_start(struct stats_region *region);

/* Reads what there is a last time and ends the thread. Called at exit, before the driver's own
 * clean-up. */
void tracker_stop(void);

struct launch_note;

/* What a process that shares its GPU wants to know of each pass (link/activity.c). */
struct tracker_ops {
	/* Before anything is read. */
	void (*before)(void);
	/*
	 * One launch ended, at end_ns of CLOCK_MONOTONIC; duration 0 = cannot be told, also when it
	 * is lost.
	 */
	void (*ended)(const struct launch_note *note, uint64_t duration_ns, uint64_t end_ns);
	/* After the pass: how long to sleep, or 0 to sleep as usual. */
	uint64_t (*after)(void);
};

/* Who is told when the record of a split launch was read (shim/split/arena.h); before any is
 * launched. */
typedef void (*tracker_run_fn)(uint32_t run);
void tracker_set_run_ended(tracker_run_fn ended);

/* From the next pass on; NULL: nobody. The table is constant. Any thread. */
void tracker_set_ops(const struct tracker_ops *ops);

/* A pass soon, although nothing completed lately. Only where there are tracker_ops. Any thread. */
void tracker_kick(void);

/* Takes one record into the statistics. Under the contexts' lock, as all reading of records is. */
void tracker_read(void *of, const struct launch_note *note, uint64_t end_ns);

/* In the child of a fork the thread does not exist. */
void tracker_after_fork(void);

#endif
