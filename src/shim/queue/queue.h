/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual streams: lithos' queue in front of the driver, for launches that must be held back.
 *
 * Glossary
 *   operation  one call of the program that acts in a stream: launch, copy, event, callback...
 *   lane       a sequence of operations that must reach the driver in the order of the program's
 *              calls: one a stream, one an event, one an executable graph
 *   held       in the queue, not given to the driver yet
 *   dispatcher the thread that gives held operations to the driver, in lane order, when
 *              share_ask() lets them
 *
 * Without held operations nothing is queued and every call goes straight to the driver. Once an
 * operation of a lane is held, what follows it in that lane is held as well, so the driver sees
 * each lane's calls in the program's order, only later: streams, events and graphs keep CUDA's
 * meaning without lithos interpreting them. Calls whose result depends on what is held (queries,
 * waits, anything synchronous) wait for submission, not completion, of what they depend on, and
 * then go to the driver themselves.
 *
 * Any thread may call. One lock, never held across a driver call.
 */
#ifndef LITHOS_SHIM_QUEUE_H
#define LITHOS_SHIM_QUEUE_H

#include <stdint.h>

#include "shim/cuda_api.h"

/* Installs what is needed once the process is a tenant that may have to hold launches back. */
int queue_start(void);

/* Gives up everything held to the driver, and ends the dispatcher. At exit. */
void queue_stop(void);

/* A context is gone: so are its errors, as its handle may soon be another context's. */
void queue_context_gone(CUcontext ctx);

/* 1 when any operation is held or on its way to the driver; one relaxed load. */
int queue_is_busy(void);

void queue_after_fork(void);

#endif
