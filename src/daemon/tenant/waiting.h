/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants that have work and no TPC to run it on, and why. The daemon's thread only. */
#ifndef LITHOS_DAEMON_WAITING_H
#define LITHOS_DAEMON_WAITING_H

#include <stdint.h>

#define WAITING_BYTES 256

struct tenant;

/* TPCs of others, or nobody's, that are its turn and that no owner needs now. */
uint32_t waiting_nr_borrowed(const struct tenant *t);

/* 1 when the tenant owns nothing, has work, and may use nothing at the moment. */
int waiting_is(const struct tenant *t);

/* What it waits for, as a sentence: `text`. */
const char *waiting_for(const struct tenant *t, char text[WAITING_BYTES]);

#endif
