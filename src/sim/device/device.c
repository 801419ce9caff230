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
 * Programmatic overlap: a grid whose descriptor says so begins when the last block of the grid
 * before it in its queue has begun, if that one's descriptor lets it; whatever comes next waits for
 * both.
 *
 * What it does badly: a kernel cannot let its successor begin earlier, a launch costs no
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
	device->slice_end_ns = SIM_NEVER;
	device->own = device_group_new(device);
	device->running = device->own;
	if (device->layout && device->heap && device->own)
		return device;
	device_free(device);
	return NULL;
}

void device_free(struct sim_device *device)
{
	if (!device)
		return;
	while (device->queues)
		device_queue_free(device, device->queues);
	while (device->groups)
		device_group_free(device, device->groups);
	free(device->heap);
	free(device);
}

struct sim_queue *device_queue_new(struct sim_device *device, int priority)
{
	return device_queue_new_in(device, device->own, priority);
}

struct sim_queue *device_queue_new_in(struct sim_device *device, struct sim_group *group,
				      int priority)
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
	queue->group = group;
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

static void deactivate(const struct sim_grid *grid)
{
	for (struct sim_grid **link = &grid->queue->group->active; *link;
	     link = &(*link)->next_active) {
		if (*link == grid) {
			*link = grid->next_active;
			return;
		}
	}
}

static int gang_is_waiting(const struct sim_grid *grid)
{
	return grid->is_gang && !grid->gang_runs;
}

/* Frees the SMs of a grid that is given up in the middle. */
static void evict(struct sim_device *device, struct sim_grid *grid)
{
	if (!grid->started)
		return;
	deactivate(grid);
	heap_remove(device, grid, NULL);
	for (uint64_t i = 0; gang_is_waiting(grid) && i < grid->nr_placed; i++) {
		if (grid->gang_sm[i] == SIM_NO_SM)
			continue;
		grid->queue->group->sm[grid->gang_sm[i]].free += grid->share;
		grid->queue->group->nr_resident--;
	}
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
	const struct sim_item *item = queue->head;

	while (item && item->task && item->task->is_aside)
		item = item->next;
	return !item;
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
	/* The grid in front of it may have let it begin long ago. */
	if (queue->head == item || (item->grid && item->grid->overlaps))
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

/* An item of a queue is over: the first one, or a grid that overlapped those before it. */
static void item_over(struct sim_device *device, struct sim_queue *queue,
		      const struct sim_grid *grid)
{
	struct sim_item **link = &queue->head;
	struct sim_item *item;

	while (grid && (*link)->grid != grid)
		link = &(*link)->next;
	item = *link;
	*link = item->next;
	if (!item->next)
		queue->tail = link;
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
	item_over(device, grid->queue, grid);
}

int grid_settle(struct sim_device *device, struct sim_grid *grid)
{
	if (grid->nr_done < grid->nr_blocks || grid->is_issuing || grid->hang_reason)
		return 0;
	grid_finish(device, grid);
	return 1;
}

void grid_hang(struct sim_device *device, struct sim_grid *grid, const char *reason)
{
	grid->hang_reason = reason;
	grid->end_ns = device->now_ns;
	device->nr_hung++;
	device->dirty = 1;
	device->config.ops.grid_over(device->config.ops.user, grid);
}

static void activate(struct sim_grid *grid)
{
	struct sim_grid **link = &grid->queue->group->active;

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
		activate(grid);
	if (!grid->hang_reason)
		return;
	place_blocks(device);
	grid_hang(device, grid, grid->hang_reason);
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
	item_over(device, queue, NULL);
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

/* Whether the item behind this one is a grid that need not wait for its end. */
static int lets_next_begin(const struct sim_device *device, const struct sim_item *item)
{
	const struct sim_grid *grid = item->grid;
	const struct sim_grid *next = item->next ? item->next->grid : NULL;

	if (!grid || !next || device->config.never_overlaps)
		return 0;
	return grid->started && grid->pre_exits && grid->nr_placed == grid->nr_blocks &&
	       !grid->is_issuing && !grid->is_gang && !grid->hang_reason && next->overlaps &&
	       next->nr_blocks && !next->is_gang;
}

static void overlap_queue(struct sim_device *device, const struct sim_queue *queue)
{
	for (struct sim_item *item = queue->head; item && lets_next_begin(device, item);
	     item = item->next) {
		if (!item->next->grid->started)
			grid_start(device, item->next->grid);
	}
}

static void pump_queues(struct sim_device *device)
{
	device->dirty = 0;
	device->has_watcher = 0;
	for (struct sim_queue *queue = device->queues; queue; queue = queue->next) {
		pump_queue(device, queue);
		overlap_queue(device, queue);
	}
}

/* Lets every queue go as far as it can at this instant. */
static void pump(struct sim_device *device)
{
	do {
		while (device->dirty)
			pump_queues(device);
		place_blocks(device);
	} while (device->dirty);
}

static void event_happens(struct sim_device *device, const struct sim_event *event)
{
	struct sim_grid *grid = event->grid;
	uint32_t index[3];

	if (event->issuing) {
		event->issuing->is_issuing = 0;
		device->dirty = 1; /* the next grid of the queue may overlap it */
		(void)grid_settle(device, event->issuing);
		return;
	}
	if (event->queue) {
		item_over(device, event->queue, NULL);
		return;
	}
	grid_block_index(grid, event->block, index);
	if (grid->may_end && !grid->may_end(grid, index, event->smid, device->now_ns)) {
		struct sim_event later = *event;

		later.at_ns = device->now_ns + SIM_WAIT_NS;
		heap_push(device, &later);
		return;
	}
	device->config.ops.run_block(device->config.ops.user, grid, index, event->smid,
				     device->now_ns);
	grid->queue->group->sm[event->smid].free += grid->share;
	grid->queue->group->nr_resident--;
	grid->nr_done++;
	(void)grid_settle(device, grid);
}

static uint64_t next_event_ns(const struct sim_device *device)
{
	uint64_t at_ns = device->nr_events ? device->heap[0].at_ns : SIM_NEVER;

	return at_ns < device->slice_end_ns ? at_ns : device->slice_end_ns;
}

/* What happens next: blocks that end with their slice do end. */
static void step(struct sim_device *device)
{
	struct sim_event event;

	if (!device->nr_events || device->slice_end_ns < device->heap[0].at_ns) {
		device->now_ns = device->slice_end_ns;
		slice_end(device);
		pump(device);
		return;
	}
	event = heap_pop(device);
	device->now_ns = event.at_ns;
	event_happens(device, &event);
	/* Ends at one instant belong together: their slots are given out by priority. */
	if (!device->nr_events || device->heap[0].at_ns != device->now_ns)
		pump(device);
}

uint64_t device_advance(struct sim_device *device, uint64_t now_ns)
{
	uint64_t before = device->nr_over + device->nr_hung;

	/* Memory may have changed since the last call, so watchers are asked again. */
	if (device->has_watcher)
		device->dirty = 1;
	if (next_event_ns(device) == SIM_NEVER && device->now_ns < now_ns)
		device->now_ns = now_ns;
	pump(device);
	while (next_event_ns(device) <= now_ns)
		step(device);
	if (device->now_ns < now_ns)
		device->now_ns = now_ns;
	return device->nr_over + device->nr_hung - before;
}

uint64_t device_next_event_ns(const struct sim_device *device)
{
	uint64_t next = next_event_ns(device);

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

uint64_t device_nr_resident(const struct sim_device *device)
{
	return device->running->nr_resident;
}

/* Shares and blocks of one group, counted from where they come from. */
struct group_count {
	uint64_t taken[CHIP_MAX_SMS];
	uint64_t nr_resident;
};

static void count_block(struct group_count *count, const struct sim_grid *grid, uint32_t smid)
{
	count->taken[smid] += grid->share;
	count->nr_resident++;
}

static void count_gang(struct group_count *count, const struct sim_grid *grid)
{
	for (uint64_t i = 0; i < grid->nr_placed; i++) {
		if (grid->gang_sm[i] != SIM_NO_SM)
			count_block(count, grid, grid->gang_sm[i]);
	}
}

static void count_group(const struct sim_device *device, const struct sim_group *group,
			struct group_count *count)
{
	for (uint64_t i = 0; i < device->nr_events; i++) {
		const struct sim_event *event = &device->heap[i];

		if (event->grid && event->grid->queue->group == group)
			count_block(count, event->grid, event->smid);
	}
	for (uint64_t i = 0; i < group->nr_frozen; i++)
		count_block(count, group->frozen[i].grid, group->frozen[i].smid);
	for (const struct sim_queue *queue = device->queues; queue; queue = queue->next) {
		const struct sim_grid *grid = queue->head ? queue->head->grid : NULL;

		if (grid && queue->group == group && gang_is_waiting(grid))
			count_gang(count, grid);
	}
}

static int group_check(const struct sim_device *device, const struct sim_group *group)
{
	struct group_count count = {0};

	count_group(device, group, &count);
	if (count.nr_resident != group->nr_resident)
		return -EPROTO;
	if (group == device->running && group->nr_frozen)
		return -EPROTO;
	for (uint32_t sm = 0; sm < device->chip.nr_sms; sm++) {
		if (count.taken[sm] + group->sm[sm].free != SM_SHARES)
			return -EPROTO;
	}
	return 0;
}

int device_check(const struct sim_device *device)
{
	int r = 0;

	for (uint64_t i = 0; i < device->nr_events; i++) {
		const struct sim_event *event = &device->heap[i];

		if (i && device->heap[(i - 1) / 2].at_ns > event->at_ns)
			return -EPROTO;
		if (event->grid && event->grid->queue->group != device->running)
			return -EPROTO;
	}
	for (const struct sim_group *group = device->groups; group && !r; group = group->next)
		r = group_check(device, group);
	return r;
}
