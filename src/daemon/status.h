/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's state as JSON, for `lithos status` and `top`. */
#ifndef LITHOS_DAEMON_STATUS_H
#define LITHOS_DAEMON_STATUS_H

struct connection;

/* Answers with a report, or drops the connection. */
void status_send(struct connection *c);

#endif
