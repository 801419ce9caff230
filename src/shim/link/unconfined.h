/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cannot be confined, or not as it should be, is said: on standard error, in the counters, and
 * to the daemon, whose status shows it.
 */
#ifndef LITHOS_SHIM_UNCONFINED_H
#define LITHOS_SHIM_UNCONFINED_H

/*
 * Launches of this process may run anywhere, and `why`, a constant. Any thread; once for each
 * reason, and then it may take 100 ms. 0: nobody wanted the process confined, and nothing was said.
 */
int unconfined_say(const char *why);

/* 1 when one reason or another was said. */
int unconfined_is_said(void);

/* They are masked, but not as those of an attached process are. The same otherwise. */
void confined_otherwise_say(const char *why);

/* The same at load, when the environment of a tenant asks for no lithos at all. */
void unconfined_by_choice(const char *why);

#endif
