/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The option `hold`, a switch for tests: "auto" as share_ask() says, "off" never, "always" or
 * "always:SEED" every launch, for small random times.
 */
#ifndef LITHOS_SHIM_QUEUE_MODE_H
#define LITHOS_SHIM_QUEUE_MODE_H

int queue_never_holds(void);

/* 1 when the option asks for every launch to be held, daemon or not. */
int queue_is_forced(void);

#endif
