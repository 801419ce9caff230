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

struct sim_queue {
	struct sim_queue *next;
	struct sim_item *head;
	struct sim_item **tail;
	uint64_t nr_queued; /* items not yet over */
	int priority;
};

/* The end of a block or of a task's busy time. */
struct sim_event {
	uint64_t at_ns;
	uint64_t seq; /* breaks ties, so that a run is reproducible */
	struct sim_grid *grid;
	struct sim_queue *queue; /* a task's; NULL for blocks */
	uint64_t block;
	uint32_t smid;
};

struct sim_sm {
	uint32_t free; /* of SM_SHARES */
};

struct sim_device {
	struct sim_chip chip;
	struct sim_device_config config;
	const struct qmd_layout *layout;
	uint64_t now_ns;
	struct sim_queue *queues;
	struct sim_grid *active; /* started, not all blocks placed; by priority, then start */
	struct sim_event *heap;
	uint64_t nr_events;
	uint64_t heap_room; /* never less than can be scheduled at once */
	uint64_t next_seq;
	uint64_t nr_over;
	uint64_t nr_hung;
	uint32_t next_sm; /* where the search for a free SM begins */
	int dirty;        /* something changed that may let a queue's head go on */
	int has_watcher;  /* a queue's head watches memory */
	struct sim_sm sm[CHIP_MAX_SMS];
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

/* heap.c: room was reserved when the queue or the device was made. */
void heap_push(struct sim_device *device, const struct sim_event *event);
struct sim_event heap_pop(struct sim_device *device);
/* Removes every event of a grid, giving its shares back, or of a queue. */
void heap_remove(struct sim_device *device, const struct sim_grid *grid,
		 const struct sim_queue *queue);

/* release.c: the records a finished grid writes. */
void write_releases(const struct sim_device *device, const struct sim_grid *grid);

#endif
