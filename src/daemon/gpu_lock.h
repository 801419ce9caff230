/* SPDX-License-Identifier: Apache-2.0 */
/* One lithosd a GPU, whoever's it is and wherever it listens. */
#ifndef LITHOS_DAEMON_GPU_LOCK_H
#define LITHOS_DAEMON_GPU_LOCK_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/loop.h"

struct gpu_lock {
	struct loop *loop;
	struct loop_io io; /* listening; fd is 0 when it is not held */
	const char *socket;
};

/* Where the lock counts. */
struct gpu_lock_place {
	const char *simulation; /* path of the simulated GPU's server; NULL: the machine */
	const char *socket;     /* of this daemon, for whom it is refused */
};

/*
 * Takes the lock until the end of this process or gpu_lock_release(). -EADDRINUSE: another daemon
 * has it; `text` is a sentence about who. -errno: it could not be asked for; text says why. Waits
 * for the other's answer for a second at most.
 */
int gpu_lock_take(struct gpu_lock *lock, struct loop *loop, const uint8_t uuid[16],
		  const struct gpu_lock_place *place, char *text, size_t text_size);

/* May be called for one that is not held. */
void gpu_lock_release(struct gpu_lock *lock);

#endif
