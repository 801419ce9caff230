/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues by number, in a table of chains, and their items in order.
 *
 * Numbers are given out rising, so consecutive ones fall into different chains.
 */
#include "sim/client/queue.h"

#include <errno.h>
#include <stdlib.h>

#include "sim/client/remote.h"

#define NR_CHAINS 256u

static struct remote_queue *chains[NR_CHAINS];

struct remote_queue *remote_queue_add(uint32_t id)
{
	struct remote_queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return NULL;
	queue->tail = &queue->head;
	queue->id = id;
	queue->chain = chains[id % NR_CHAINS];
	chains[id % NR_CHAINS] = queue;
	return queue;
}

void remote_queue_take(struct remote_queue *queue)
{
	struct remote_queue **link = &chains[queue->id % NR_CHAINS];

	while (*link != queue)
		link = &(*link)->chain;
	*link = queue->chain;
}

struct remote_queue *remote_queue_find(uint32_t id)
{
	struct remote_queue *queue = chains[id % NR_CHAINS];

	while (queue && queue->id != id)
		queue = queue->chain;
	return queue;
}

static struct remote_queue *first_from(uint32_t i)
{
	while (i < NR_CHAINS && !chains[i])
		i++;
	return i < NR_CHAINS ? chains[i] : NULL;
}

struct remote_queue *remote_queue_first(void)
{
	return first_from(0);
}

struct remote_queue *remote_queue_after(const struct remote_queue *queue)
{
	return queue->chain ? queue->chain : first_from(queue->id % NR_CHAINS + 1);
}

int remote_queue_is_idle(const struct remote_queue *queue)
{
	const struct remote_item *item = queue->head;

	while (item && item->task && item->task->is_aside)
		item = item->next;
	return !item;
}

int remote_item_push(struct remote_queue *queue, struct sim_task *task, struct sim_grid *grid)
{
	struct remote_item *item = calloc(1, sizeof(*item));

	if (!item)
		return -ENOMEM;
	item->task = task;
	item->grid = grid;
	*queue->tail = item;
	queue->tail = &item->next;
	return 0;
}

void remote_item_pop(struct remote_queue *queue)
{
	struct remote_item *item = queue->head;

	queue->head = item->next;
	if (!queue->head)
		queue->tail = &queue->head;
	if (item->task)
		item->task->release(item->task);
	free(item->runs);
	free(item->grid);
	free(item);
}
