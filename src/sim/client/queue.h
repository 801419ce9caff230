/* SPDX-License-Identifier: Apache-2.0 */
/* The table of this process' queues of shared GPUs, and their items. The driver's lock protects
 * it. */
#ifndef LITHOS_SIM_CLIENT_QUEUE_H
#define LITHOS_SIM_CLIENT_QUEUE_H

#include "sim/device/device.h"

struct remote_item {
	struct remote_item *next;
	struct sim_task *task; /* one of the two */
	struct sim_grid *grid;
	enum {
		ITEM_QUEUED,
		ITEM_WAITING, /* a task that is first and could not go on yet */
		ITEM_BUSY     /* a task that ran; the server says when its time is over */
	} state;
	uint8_t *runs;       /* of a redirected grid: a bit a block that is to run; NULL: all do */
	uint64_t nr_decided; /* blocks before this one, in the order of placement, are decided */
};

struct remote_queue {
	struct remote_queue *chain; /* of the table */
	struct remote_item *head;
	struct remote_item **tail;
	uint32_t id;
};

/* NULL when memory is short. */
struct remote_queue *remote_queue_add(uint32_t id);
/* Out of the table; the queue is the caller's then. */
void remote_queue_take(struct remote_queue *queue);
struct remote_queue *remote_queue_find(uint32_t id);
/* All of them, in no order. */
struct remote_queue *remote_queue_first(void);
struct remote_queue *remote_queue_after(const struct remote_queue *queue);

int remote_item_push(struct remote_queue *queue, struct sim_task *task, struct sim_grid *grid);
/* The first item: a task is released, a grid freed. */
void remote_item_pop(struct remote_queue *queue);

#endif
