/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups, and whose turn it is.
 *
 * Problem: processes that share a GPU without MPS do not run at once: the hardware gives the whole
 * chip to one of them after the other. Idea: each group has the SMs for itself, as its own table of
 * free shares. While one group has work it keeps the chip; as soon as a second has some, each gets
 * SIM_SLICE_NS in turn. At the end of a slice the blocks of the group stop where they are: their
 * ends leave the heap as time left (heap_freeze) and come back when it is the group's turn again. A
 * group that has no more work gives the rest of its slice away.
 *
 * Example: A has blocks of 3 ms and B of 1 ms, both submitted at 0, A first. A runs to 2, B from 2
 * to 3, A from 3 to 4: A's blocks took 3 ms of running and ended at 4.
 *
 * A hung gang that holds SMs has work for ever, so it costs the others every second slice, as on
 * hardware until the process is killed. Copies and other tasks are not sliced. What it does badly:
 * a switch takes no time, and slices are equal whatever the priorities.
 *
 * Tested by tests/unit/sim_groups.c.
 */
#include "sim/device/internal.h"

#include <stdlib.h>

struct sim_group *device_group_new(struct sim_device *device)
{
	uint64_t most = (uint64_t)device->chip.nr_sms * device->chip.limits.max_blocks;
	struct sim_group *group = calloc(1, sizeof(*group));

	if (!group)
		return NULL;
	group->frozen = calloc(most, sizeof(*group->frozen));
	if (!group->frozen) {
		free(group);
		return NULL;
	}
	for (uint32_t i = 0; i < CHIP_MAX_SMS; i++)
		group->sm[i].free = SM_SHARES;
	group->next = device->groups;
	device->groups = group;
	return group;
}

void device_group_free(struct sim_device *device, struct sim_group *group)
{
	struct sim_group **link = &device->groups;

	while (*link != group)
		link = &(*link)->next;
	*link = group->next;
	if (device->running == group)
		device->running = device->groups;
	free(group->frozen);
	free(group);
	/* Blocks of whoever runs now have to come back into the heap. */
	if (device->running)
		heap_thaw(device, device->running);
}

static int has_work(const struct sim_group *group)
{
	return group->active || group->nr_resident;
}

/* The group with work after the one that runs, in a circle; NULL when there is no other. */
static struct sim_group *next_with_work(const struct sim_device *device)
{
	struct sim_group *group = device->running;

	do {
		group = group->next ? group->next : device->groups;
	} while (group != device->running && !has_work(group));
	return group != device->running ? group : NULL;
}

static void switch_to(struct sim_device *device, struct sim_group *group)
{
	heap_freeze(device, device->running);
	device->running = group;
	device->slice_end_ns = SIM_NEVER;
	heap_thaw(device, group);
}

void slice_update(struct sim_device *device)
{
	struct sim_group *other;

	if (!device->groups->next)
		return;
	other = next_with_work(device);
	if (other && !has_work(device->running)) {
		switch_to(device, other);
		other = next_with_work(device);
	}
	if (!other)
		device->slice_end_ns = SIM_NEVER;
	else if (device->slice_end_ns == SIM_NEVER)
		device->slice_end_ns = device->now_ns + SIM_SLICE_NS;
}

void slice_end(struct sim_device *device)
{
	struct sim_group *other = next_with_work(device);

	device->slice_end_ns = SIM_NEVER;
	if (other)
		switch_to(device, other);
}
