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

/* Takes one record into the statistics. Under the contexts' lock, as all reading of records is. */
void tracker_read(void *of, const struct launch_note *note, uint64_t end_ns);

/* In the child of a fork the thread does not exist. */
void tracker_after_fork(void);

#endif
