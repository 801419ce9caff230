/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This process' part of shared GPUs: queues as the server has them, with what their items do here.
 *
 * Everything is called with the driver's lock held. Times are the server's devices'.
 */
#ifndef LITHOS_SIM_REMOTE_H
#define LITHOS_SIM_REMOTE_H

#include "sim/client/wire.h"
#include "sim/device/device.h"

struct remote_queue;

struct remote {
	struct wire wire;
	struct sim_device *mirror; /* reads descriptors and writes records; no time passes in it */
	uint64_t watch_ns;         /* pause between two looks at watched memory */
	uint32_t next_id;
	unsigned int nr_waiting;  /* tasks that were first and could not go on */
	unsigned int nr_watching; /* those that watch memory */
	int dirty;                /* something happened that may let one go on */
	uint64_t nr_over;
	uint64_t nr_reported; /* of them, by remote_advance */
	int has_memory;       /* an answer came */
	struct proto_memory memory;
};

/* The connection becomes the remote's. 0 or -ENOMEM. */
int remote_init(struct remote *remote, int fd, const struct sim_device_config *config);

struct remote_queue *remote_queue_new(struct remote *remote, unsigned int gpu, int priority);
void remote_queue_free(struct remote *remote, struct remote_queue *queue);
int remote_queue_is_idle(const struct remote_queue *queue);

/* begin.c: blocks of the queue's redirected grid have begun. 0, -EPROTO or -ENOMEM. */
int remote_blocks_begin(struct remote *remote, struct remote_queue *queue,
			const struct proto_begin *asked);
/* Whether a block of the queue's first item was decided to run. */
int remote_block_runs(const struct remote_queue *queue, const uint32_t index[3]);

/* As device_submit and device_submit_task. */
int remote_submit(struct remote *remote, struct remote_queue *queue,
		  const struct sim_launch *launch);
int remote_submit_task(struct remote *remote, struct remote_queue *queue, struct sim_task *task);

/* Says what is to be said and does what the server has said. How many items completed since the
 * last call, also in calls that waited for an answer. */
uint64_t remote_advance(struct remote *remote);
void remote_kick(struct remote *remote);

/* For the thread that waits for the server, without the lock: for how long; SIM_NEVER: until it
 * speaks. */
uint64_t remote_pause_ns(const struct remote *remote);

/* Memory of a GPU, counted over all processes. 0, -ENOMEM, or -EPIPE without a server. */
int remote_memory_take(struct remote *remote, unsigned int gpu, uint64_t bytes);
void remote_memory_give(struct remote *remote, unsigned int gpu, uint64_t bytes);
int remote_memory_used(struct remote *remote, unsigned int gpu, uint64_t *ret_bytes);

#endif
