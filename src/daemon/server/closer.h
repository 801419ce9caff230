/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Closing what a client chose: descriptors that it passed, and connections with descriptors in
 * their queue. Never on the daemon's own thread.
 */
#ifndef LITHOS_DAEMON_CLOSER_H
#define LITHOS_DAEMON_CLOSER_H

#include <stdint.h>
#include <sys/types.h>

/* Closes a descriptor that came from a client of this user. Returns at once, whatever it is. */
void closer_close(int fd, uid_t uid);

/*
 * Closes a connection: here when nothing is left in its queue, as with every client that behaves,
 * and elsewhere when something is. Nobody can send on it any more when this returns.
 */
void closer_close_connection(int fd, uid_t uid);

/* How many of the user's are not closed yet. */
uint32_t closer_pending(uid_t uid);

#endif
