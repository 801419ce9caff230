/* SPDX-License-Identifier: Apache-2.0 */
/* What the driver is sure to accept. Asks the driver; queue.lock is not held. Any thread. */
#ifndef LITHOS_SHIM_QUEUE_SURE_H
#define LITHOS_SHIM_QUEUE_SURE_H

#include <stdint.h>

#include "shim/cuda_api.h"

struct call_row;

/* Once, before anything is asked. */
void sure_start(void);

/* A call with its arguments: registers, then stack. */
struct sure_call {
	const struct call_row *row;
	const uint64_t *registers, *stack;
	int is_staged; /* what it copies from was read already */
};

/* 1 when the driver would accept it. */
int sure_of_call(const struct sure_call *call);

/* 1 when it is an event that may be recorded and waited for. */
int sure_of_event(CUevent event);

/* 1 when it is an executable graph. */
int sure_of_exec(CUgraphExec exec);

#endif
