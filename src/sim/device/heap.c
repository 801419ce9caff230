/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pending ends of blocks and tasks, earliest first: a binary heap.
 *
 * An SM holds a bounded number of blocks and a queue at most one busy task, so the room needed is
 * known in advance and a push cannot fail. Removing a grid's events is linear, which only
 * destroying a queue pays. Ties are broken by order of scheduling, so equal inputs give equal runs.
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

void heap_remove(struct sim_device *device, const struct sim_grid *grid,
		 const struct sim_queue *queue)
{
	uint64_t kept = 0;

	for (uint64_t i = 0; i < device->nr_events; i++) {
		const struct sim_event *event = &device->heap[i];

		if (grid && event->grid == grid)
			device->sm[event->smid].free += grid->share;
		else if (!queue || event->queue != queue)
			device->heap[kept++] = *event;
	}
	device->nr_events = kept;
	for (uint64_t i = kept / 2; i-- > 0;)
		sift_down(device->heap, kept, i);
}
