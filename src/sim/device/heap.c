/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pending ends of blocks and tasks, earliest first: a binary heap.
 *
 * An SM holds a bounded number of blocks and a queue at most one busy task, so the room needed is
 * known in advance and a push cannot fail: only the group whose turn it is has blocks here, the
 * others keep theirs apart, with the time they have left. Removing a grid's events is linear, which
 * only destroying a queue pays. Ties are broken by order of scheduling, so equal inputs give equal
 * runs.
 */
#include "sim/device/internal.h"

#include <assert.h>

static int event_before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->seq < b->seq;
}

static void sift_up(struct sim_event *heap, uint64_t i)
{
	struct sim_event event = heap[i];

	while (i && event_before(&event, &heap[(i - 1) / 2])) {
		heap[i] = heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap[i] = event;
}

static void sift_down(struct sim_event *heap, uint64_t n, uint64_t i)
{
	struct sim_event event = heap[i];

	for (uint64_t child = 2 * i + 1; child < n; child = 2 * i + 1) {
		if (child + 1 < n && event_before(&heap[child + 1], &heap[child]))
			child++;
		if (!event_before(&heap[child], &event))
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = event;
}

void heap_push(struct sim_device *device, const struct sim_event *event)
{
	assert(device->nr_events < device->heap_room);
	device->heap[device->nr_events] = *event;
	device->heap[device->nr_events].seq = device->next_seq++;
	sift_up(device->heap, device->nr_events++);
}

struct sim_event heap_pop(struct sim_device *device)
{
	struct sim_event first = device->heap[0];

	device->heap[0] = device->heap[--device->nr_events];
	if (device->nr_events)
		sift_down(device->heap, device->nr_events, 0);
	return first;
}

static void keep(struct sim_device *device, uint64_t nr_kept)
{
	device->nr_events = nr_kept;
	for (uint64_t i = nr_kept / 2; i-- > 0;)
		sift_down(device->heap, nr_kept, i);
}

static void give_back(const struct sim_event *event)
{
	struct sim_group *group = event->grid->queue->group;

	group->sm[event->smid].free += event->grid->share;
	group->nr_resident--;
}

/* Those of n events that do not belong to a leaving block of the grid; returns how many. */
static uint64_t sort_out(struct sim_event *event, uint64_t n, const struct sim_grid *grid,
			 const struct sim_leavers *leavers)
{
	uint64_t kept = 0;

	for (uint64_t i = 0; i < n; i++) {
		if (event[i].grid == grid && block_leaves(leavers, event[i].block))
			give_back(&event[i]);
		else
			event[kept++] = event[i];
	}
	return kept;
}

uint64_t heap_leave(struct sim_device *device, const struct sim_grid *grid,
		    const struct sim_leavers *leavers)
{
	struct sim_group *group = grid->queue->group;
	uint64_t before = device->nr_events + group->nr_frozen;

	group->nr_frozen = sort_out(group->frozen, group->nr_frozen, grid, leavers);
	keep(device, sort_out(device->heap, device->nr_events, grid, leavers));
	return before - device->nr_events - group->nr_frozen;
}

static void remove_frozen(const struct sim_grid *grid)
{
	struct sim_group *group = grid->queue->group;
	uint64_t kept = 0;

	for (uint64_t i = 0; i < group->nr_frozen; i++) {
		if (group->frozen[i].grid == grid)
			give_back(&group->frozen[i]);
		else
			group->frozen[kept++] = group->frozen[i];
	}
	group->nr_frozen = kept;
}

void heap_remove(struct sim_device *device, const struct sim_grid *grid,
		 const struct sim_queue *queue)
{
	uint64_t kept = 0;

	for (uint64_t i = 0; i < device->nr_events; i++) {
		const struct sim_event *event = &device->heap[i];

		if (grid && event->grid == grid)
			give_back(event);
		else if (!queue || event->queue != queue)
			device->heap[kept++] = *event;
	}
	keep(device, kept);
	if (grid)
		remove_frozen(grid);
}

void heap_freeze(struct sim_device *device, struct sim_group *group)
{
	uint64_t kept = 0;

	for (uint64_t i = 0; i < device->nr_events; i++) {
		const struct sim_event *event = &device->heap[i];

		if (!event->grid) {
			device->heap[kept++] = *event;
			continue;
		}
		/* Blocks that are in the heap are those of the group that runs. */
		group->frozen[group->nr_frozen] = *event;
		group->frozen[group->nr_frozen++].at_ns -= device->now_ns;
	}
	keep(device, kept);
}

void heap_thaw(struct sim_device *device, struct sim_group *group)
{
	for (uint64_t i = 0; i < group->nr_frozen; i++) {
		group->frozen[i].at_ns += device->now_ns;
		heap_push(device, &group->frozen[i]);
	}
	group->nr_frozen = 0;
}
