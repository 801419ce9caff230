/* SPDX-License-Identifier: Apache-2.0 */
/* Telling the service manager how the daemon is: what sd_notify() does, see sd_notify(3). */
#ifndef LITHOS_DAEMON_NOTIFY_H
#define LITHOS_DAEMON_NOTIFY_H

#include <stdint.h>

/* "READY=1", "STATUS=...", "STOPPING=1", "WATCHDOG=1". Does nothing where nobody listens. */
void notify_send(const char *text);
/* How often WATCHDOG=1 is expected at the latest; 0: not at all. */
uint64_t notify_watchdog_ns(void);

#endif
