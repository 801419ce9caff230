/* SPDX-License-Identifier: Apache-2.0 */
/* lithosd without its program: one daemon in this process that manages one GPU, an H200. */
#ifndef LITHOS_TESTS_FUZZ_DAEMON_RIG_H
#define LITHOS_TESTS_FUZZ_DAEMON_RIG_H

#include "daemon/daemon.h"

/* Made at the first call; without state, sockets and MPS, which a target adds as it needs them. */
struct daemon *rig_daemon(void);

/* An input begins: its descriptors are counted from here. */
void rig_begin(void);

/* Rounds of the loop until one in which nothing happened. */
void rig_settle(struct daemon *daemon);

/* What holds after every input, or fuzz_fail(). */
void rig_check(const struct daemon *daemon);

/* All connections and tenants end, and nothing of them may be left: no TPC, no descriptor. */
void rig_reset(struct daemon *daemon);

#endif
