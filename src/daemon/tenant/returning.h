/* SPDX-License-Identifier: Apache-2.0 */
/* After a restart: the time in which tenants of the run before come back. */
#ifndef LITHOS_DAEMON_RETURNING_H
#define LITHOS_DAEMON_RETURNING_H

struct daemon;

/* State was loaded and the socket listens: the time begins. 0 or -errno. */
int returning_begin(struct daemon *daemon);

#endif
