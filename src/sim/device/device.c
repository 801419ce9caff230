/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's clockwork: queues, and the events that move them.
 *
 * Problem: tests need a GPU whose behaviour follows from the descriptors it is given, exactly and
 * repeatably. Idea: a discrete-event simulation. Each queue offers its first item; a grid starts,
 * its blocks are placed (place.c) and end after their time; a task runs and may keep its queue
 * busy. Between two events nothing changes, so time jumps from event to event and every block has
 * exact times however late the caller is.
 *
 * What it does badly: grids of one queue never overlap (no programmatic overlap), a launch costs no
 * time of its own, memory bandwidth is not shared. A hung grid keeps the SMs it got until its queue
 * goes.
 *
 * Tested by tests/unit/sim_*.c with invented time; device_check() walks the invariants.
 */
#include "sim/device/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sim_device *device_new(const struct sim_device_config *config)
{
	struct sim_device *device = calloc(1, sizeof(*device));

	if (!device)
		return NULL;
	device->chip = *config->chip;
	device->config = *config;
	device->config.chip = &device->chip;
	device->layout = qmd_layout_by_name("V04_00");
	device->heap_room = (uint64_t)device->chip.nr_sms * device->chip.limits.max_blocks;
	device->heap = calloc(device->heap_room, sizeof(*device->heap));
	for (uint32_t i = 0; i < CHIP_MAX_SMS; i++)
		device->sm[i].free = SM_SHARES;
	if (device->layout && device->heap)
		return device;
	free(device->heap);
	free(device);
	return NULL;
}

void device_free(struct sim_device *device)
{
	if (!device)
		return;
	while (device->queues)
		device_queue_free(device, device->queues);
	free(device->heap);
	free(device);
}

struct sim_queue *device_queue_new(struct sim_device *device, int priority)
{
	struct sim_queue *queue = calloc(1, sizeof(*queue));
	struct sim_event *heap =
		realloc(device->heap, (device->heap_room + 1) * sizeof(*device->heap));

	if (heap) {
		device->heap = heap;
		device->heap_room++;
	}
	if (!queue || !heap) {
		free(queue);
		return NULL;
	}
	queue->tail = &queue->head;
	queue->priority = priority;
	queue->next = device->queues;
	device->queues = queue;
	return queue;
}

static void grid_free(struct sim_grid *grid)
{
	if (grid)
		free(grid->gang_sm);
	free(grid);
}

static void item_free(struct sim_item *item)
{
	if (item->task)
		item->task->release(item->task);
	grid_free(item->grid);
	free(item);
}

static void deactivate(struct sim_device *device, const struct sim_grid *grid)
{
	for (struct sim_grid **link = &device->active; *link; link = &(*link)->next_active) {
		if (*link == grid) {
			*link = grid->next_active;
			return;
		}
	}
}

static int gang_is_waiting(const struct sim_grid *grid)
{
	return grid->is_gang && grid->nr_placed < grid->nr_blocks;
}

/* Frees the SMs of a grid that is given up in the middle. */
static void evict(struct sim_device *device, struct sim_grid *grid)
{
	if (!grid->started)
		return;
	deactivate(device, grid);
	heap_remove(device, grid, NULL);
	for (uint64_t i = 0; gang_is_waiting(grid) && i < grid->nr_placed; i++)
		device->sm[grid->gang_sm[i]].free += grid->share;
}

static void drop_item(struct sim_device *device, struct sim_item *item)
{
	if (item->kind == ITEM_GRID) {
		evict(device, item->grid);
		/* A hung grid was reported already and its cookie is not the device's any more. */
		if (item->grid->hang_reason)
			device->nr_hung--;
		else
			device->config.ops.grid_dropped(device->config.ops.user, item->grid);
	}
	item_free(item);
}

void device_queue_free(struct sim_device *device, struct sim_queue *queue)
{
	struct sim_queue **link = &device->queues;

	if (!queue)
		return;
	heap_remove(device, NULL, queue);
	while (queue->head) {
		struct sim_item *item = queue->head;

		queue->head = item->next;
		drop_item(device, item);
	}
	while (*link != queue)
		link = &(*link)->next;
	*link = queue->next;
	device->heap_room--;
	device->dirty = 1;
	free(queue);
}

int device_queue_is_idle(const struct sim_queue *queue)
{
	return !queue->head;
}

uint64_t device_nr_queued(const struct sim_queue *queue)
{
	return queue->nr_queued;
}

static void enqueue(struct sim_device *device, struct sim_queue *queue, struct sim_item *item)
{
	*queue->tail = item;
	queue->tail = &item->next;
	queue->nr_queued++;
	if (queue->head == item)
		device->dirty = 1;
}

int device_submit(struct sim_device *device, struct sim_queue *queue,
		  const struct sim_launch *launch)
{
	struct sim_item *item = calloc(1, sizeof(*item));
	int r = -ENOMEM;

	if (!item)
		return r;
	item->kind = ITEM_GRID;
	item->grid = malloc(sizeof(*item->grid));
	if (!item->grid)
		goto out;
	r = grid_decode(device, launch, item->grid);
	if (r)
		goto out;
	item->grid->queue = queue;
	item->grid->priority = queue->priority;
	if (item->grid->is_gang) {
		uint64_t most = (uint64_t)device->chip.nr_sms * device->chip.limits.max_blocks;

		item->grid->gang_sm = calloc(most, sizeof(*item->grid->gang_sm));
		r = item->grid->gang_sm ? 0 : -ENOMEM;
	}
	if (r)
		goto out;
	enqueue(device, queue, item);
	return 0;
out:
	grid_free(item->grid);
	free(item);
	return r;
}

int device_submit_task(struct sim_device *device, struct sim_queue *queue, struct sim_task *task)
{
	struct sim_item *item = calloc(1, sizeof(*item));

	if (!item)
		return -ENOMEM;
	item->kind = ITEM_TASK;
	item->task = task;
	enqueue(device, queue, item);
	return 0;
}

/* The first item of a queue is over. */
static void item_over(struct sim_device *device, struct sim_queue *queue)
{
	struct sim_item *item = queue->head;

	queue->head = item->next;
	if (!queue->head)
		queue->tail = &queue->head;
	queue->nr_queued--;
	device->nr_over++;
	device->dirty = 1;
	item_free(item);
}

static void grid_finish(struct sim_device *device, struct sim_grid *grid)
{
	grid->end_ns = device->now_ns;
	write_releases(device, grid);
	device->config.ops.grid_over(device->config.ops.user, grid);
	item_over(device, grid->queue);
}

static void activate(struct sim_device *device, struct sim_grid *grid)
{
	struct sim_grid **link = &device->active;

	while (*link && (*link)->priority <= grid->priority)
		link = &(*link)->next_active;
	grid->next_active = *link;
	*link = grid;
}

static void grid_start(struct sim_device *device, struct sim_grid *grid)
{
	grid->started = 1;
	grid->start_ns = device->now_ns;
	if (!grid->nr_blocks) {
		grid_finish(device, grid);
		return;
	}
	grid->hang_reason = grid_why_stuck(device, grid);
	/* Blocks of a hung gang occupy what they can get; other hung grids have none that could
	 * start. */
	if (!grid->hang_reason || (grid->is_gang && grid->share))
		activate(device, grid);
	if (!grid->hang_reason)
		return;
	device->nr_hung++;
	device->dirty = 1;
	place_blocks(device);
	grid->end_ns = device->now_ns;
	device->config.ops.grid_over(device->config.ops.user, grid);
}

/* 1 when the queue may have more to offer at once. */
static int task_try(struct sim_device *device, struct sim_queue *queue)
{
	struct sim_item *item = queue->head;
	uint64_t busy_ns = 0;

	if (item->started)
		return 0;
	if (item->task->run(item->task, device->now_ns, &busy_ns)) {
		device->has_watcher |= item->task->watches_memory;
		return 0;
	}
	item->started = 1;
	if (busy_ns) {
		heap_push(device,
			  &(struct sim_event){.at_ns = device->now_ns + busy_ns, .queue = queue});
		return 0;
	}
	item_over(device, queue);
	return 1;
}

static void pump_queue(struct sim_device *device, struct sim_queue *queue)
{
	int more = 1;

	while (more && queue->head) {
		struct sim_item *item = queue->head;

		more = 0;
		if (item->kind == ITEM_TASK) {
			more = task_try(device, queue);
		} else if (!item->grid->started) {
			more = item->grid->nr_blocks == 0;
			grid_start(device, item->grid);
		}
	}
}

/* Lets every queue go as far as it can at this instant. */
static void pump(struct sim_device *device)
{
	while (device->dirty) {
		device->dirty = 0;
		device->has_watcher = 0;
		for (struct sim_queue *queue = device->queues; queue; queue = queue->next)
			pump_queue(device, queue);
	}
	if (device->active)
		place_blocks(device);
}

static void event_happens(struct sim_device *device, const struct sim_event *event)
{
	struct sim_grid *grid = event->grid;
	uint32_t index[3];

	if (event->queue) {
		item_over(device, event->queue);
		return;
	}
	grid_block_index(grid, event->block, index);
	device->config.ops.run_block(device->config.ops.user, grid, index, event->smid,
				     device->now_ns);
	device->sm[event->smid].free += grid->share;
	if (++grid->nr_done == grid->nr_blocks)
		grid_finish(device, grid);
}

uint64_t device_advance(struct sim_device *device, uint64_t now_ns)
{
	uint64_t before = device->nr_over + device->nr_hung;

	/* Memory may have changed since the last call, so watchers are asked again. */
	if (device->has_watcher)
		device->dirty = 1;
	if (!device->nr_events && device->now_ns < now_ns)
		device->now_ns = now_ns;
	pump(device);
	while (device->nr_events && device->heap[0].at_ns <= now_ns) {
		struct sim_event event = heap_pop(device);

		device->now_ns = event.at_ns;
		event_happens(device, &event);
		/* Ends at one instant belong together: their slots are given out by priority. */
		if (!device->nr_events || device->heap[0].at_ns != device->now_ns)
			pump(device);
	}
	if (device->now_ns < now_ns)
		device->now_ns = now_ns;
	return device->nr_over + device->nr_hung - before;
}

uint64_t device_next_event_ns(const struct sim_device *device)
{
	uint64_t next = device->nr_events ? device->heap[0].at_ns : SIM_NEVER;

	if (device->has_watcher && next > device->now_ns + SIM_POLL_NS)
		next = device->now_ns + SIM_POLL_NS;
	return next;
}

void device_kick(struct sim_device *device)
{
	device->dirty = 1;
}

uint64_t device_nr_hung(const struct sim_device *device)
{
	return device->nr_hung;
}

/* Shares a grid holds on SMs at this moment, added to taken[]. */
static void count_shares(const struct sim_grid *grid, uint64_t *taken)
{
	for (uint64_t i = 0; gang_is_waiting(grid) && i < grid->nr_placed; i++)
		taken[grid->gang_sm[i]] += grid->share;
}

int device_check(const struct sim_device *device)
{
	uint64_t taken[CHIP_MAX_SMS] = {0};

	for (uint64_t i = 0; i < device->nr_events; i++) {
		const struct sim_event *event = &device->heap[i];

		if (event->grid)
			taken[event->smid] += event->grid->share;
		if (i && device->heap[(i - 1) / 2].at_ns > event->at_ns)
			return -EPROTO;
	}
	for (const struct sim_queue *queue = device->queues; queue; queue = queue->next) {
		if (queue->head && queue->head->kind == ITEM_GRID)
			count_shares(queue->head->grid, taken);
	}
	for (uint32_t sm = 0; sm < device->chip.nr_sms; sm++) {
		if (taken[sm] + device->sm[sm].free != SM_SHARES)
			return -EPROTO;
	}
	return 0;
}
