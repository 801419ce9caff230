/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of a tenant that are not attached, found by the token in their environment: as long as
 * one lives, the tenant does, launcher or not.
 */
#ifndef LITHOS_DAEMON_KIN_H
#define LITHOS_DAEMON_KIN_H

struct tenant;

/*
 * 1 when a process lives that was started with the tenant's token. It is watched then, and the
 * tenant reaped when it ends. Looks at all of /proc where none is being watched.
 */
int kin_lives(struct tenant *t);

/* Watches nobody any more. */
void kin_forget(struct tenant *t);

#endif
