/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the device share. */
#ifndef LITHOS_SIM_DEVICE_INTERNAL_H
#define LITHOS_SIM_DEVICE_INTERNAL_H

#include "sim/device/device.h"

/* An SM is shared in these units; a block of a grid that fits n times takes 1/n of them. */
#define SM_SHARES (1u << 20)

enum item_kind {
	ITEM_GRID,
	ITEM_TASK
};

struct sim_item {
	struct sim_item *next;
	enum item_kind kind;
	int started; /* tasks: it ran and the queue is busy until its event */
	struct sim_task *task;
	struct sim_grid *grid;
};

/* The end of a block, of a task's busy time, or of the issue time of blocks that left. */
struct sim_event {
	uint64_t at_ns; /* of a frozen block: how long it still runs */
	uint64_t seq;   /* breaks ties, so that a run is reproducible */
	struct sim_grid *grid;
	struct sim_queue *queue;  /* a task's, or of the grid that issues; NULL for blocks */
	struct sim_grid *issuing; /* with the queue; NULL for tasks and blocks */
	uint64_t block;
	uint32_t smid;
};

struct sim_sm {
	uint32_t free; /* of SM_SHARES */
};

/* The SMs as one group sees them: while it runs nobody else is on them. */
struct sim_group {
	struct sim_group *next;
	struct sim_grid *active;  /* started, not all blocks placed; by priority, then start */
	struct sim_event *frozen; /* ends of its blocks while another group runs */
	uint64_t nr_frozen;
	uint64_t nr_resident; /* blocks on the SMs, frozen or not */
	uint32_t next_sm;     /* where the search for a free SM begins */
	struct sim_sm sm[CHIP_MAX_SMS];
};

struct sim_queue {
	struct sim_queue *next;
	struct sim_item *head;
	struct sim_item **tail;
	struct sim_group *group;
	uint64_t nr_queued; /* items not yet over */
	int priority;
};

struct sim_device {
	struct sim_chip chip;
	struct sim_device_config config;
	const struct qmd_layout *layout;
	uint64_t now_ns;
	struct sim_queue *queues;
	struct sim_group *groups;  /* never empty */
	struct sim_group *own;     /* of queues that name none */
	struct sim_group *running; /* whose blocks are on the SMs */
	uint64_t slice_end_ns;     /* SIM_NEVER while no other group has work */
	struct sim_event *heap;
	uint64_t nr_events;
	uint64_t heap_room; /* never less than can be scheduled at once */
	uint64_t next_seq;
	uint64_t nr_over;
	uint64_t nr_hung;
	int dirty;       /* something changed that may let a queue's head go on */
	int has_watcher; /* a queue's head watches memory */
};

/* decode.c: -EINVAL when the descriptor cannot be read. */
int grid_decode(const struct sim_device *device, const struct sim_launch *launch,
		struct sim_grid *grid);
/* The index of the n-th block in the order blocks are placed. */
void grid_block_index(const struct sim_grid *grid, uint64_t n, uint32_t ret_index[3]);
/* NULL, or why the grid can never run on an idle device. */
const char *grid_why_stuck(const struct sim_device *device, const struct sim_grid *grid);

/* place.c: places what fits, highest priority first. */
void place_blocks(struct sim_device *device);
int sm_is_allowed(const struct sim_device *device, const struct sim_grid *grid, uint32_t smid);

/* device.c: blocks have ended; the grid is over when they were the last. 1: it was. */
int grid_settle(struct sim_device *device, struct sim_grid *grid);
/* The grid's blocks can never end. */
void grid_hang(struct sim_device *device, struct sim_grid *grid, const char *reason);

/* slice.c: makes the group run whose turn it is, without and after the end of a slice. */
void slice_update(struct sim_device *device);
void slice_end(struct sim_device *device);

/* heap.c: room was reserved when the queue or the device was made. */
void heap_push(struct sim_device *device, const struct sim_event *event);
struct sim_event heap_pop(struct sim_device *device);
/* begin.c: whether a block is among them. */
int block_leaves(const struct sim_leavers *leavers, uint64_t block);
/* Removes the ends of the blocks that leave, giving their shares back. How many. */
uint64_t heap_leave(struct sim_device *device, const struct sim_grid *grid,
		    const struct sim_leavers *leavers);
/* Removes every event of a grid, giving its shares back, or of a queue. */
void heap_remove(struct sim_device *device, const struct sim_grid *grid,
		 const struct sim_queue *queue);

/* The ends of a group's blocks out of the heap, as time left, and back into it. */
void heap_freeze(struct sim_device *device, struct sim_group *group);
void heap_thaw(struct sim_device *device, struct sim_group *group);

/* release.c: the records a finished grid writes. */
void write_releases(const struct sim_device *device, const struct sim_grid *grid);

#endif
