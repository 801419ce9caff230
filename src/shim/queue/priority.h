/* SPDX-License-Identifier: Apache-2.0 */
/* Priorities: what the program asks for, and what the driver gets. Any thread. */
#ifndef LITHOS_SHIM_QUEUE_PRIORITY_H
#define LITHOS_SHIM_QUEUE_PRIORITY_H

#include "shim/cuda_api.h"

/* Looks up the driver's functions behind the calls of this file. Once, before any is called. */
void priority_start(void);

/* What the program asked for a stream that the driver says has the priority `given`. */
int priority_told(CUstream stream, int given);

/* The stream is being destroyed: its handle may be another one's soon. */
void priority_forget(const void *handle);

#define PRIORITY_ATTRS 32u

/*
 * The attributes of a launch with the priority that it may have: copied to `room` where one asks
 * for a priority, else left where they are.
 */
void priority_limit(CUlaunchConfig *config, CUlaunchAttribute room[PRIORITY_ATTRS]);

void priority_after_fork(void);

#endif
