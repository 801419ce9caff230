/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated device: queues of work, and grids that run as their launch descriptor says.
 *
 * Glossary
 *   queue  work in order, one item at a time; a CUDA stream has one.
 *   grid   one submitted descriptor (QMD V04_00, whatever its version byte says).
 *   task   anything else in a queue: a copy, an event, a wait. It runs when it is first in its
 * queue.
 *   gang   a grid whose blocks finish only when all of them are resident: cooperative grids, and
 * kernels with a grid barrier.
 *   hung   a grid that can never start or never finish; it stays first in its queue for ever.
 *   leave  what a block of a redirected launch (hw/prelude/prelude.h) does that is not to run: it
 *          takes no SM and some issue time.
 *   group  queues whose grids may run together: an address space of the GPU, or all clients of one
 * MPS server. Groups with work take turns (slice.c).
 *
 * Pure: no thread, no lock, no system call; time comes in as a parameter and must not go backwards.
 * The caller serialises all calls on one device. Callbacks must not call back into the device.
 */
#ifndef LITHOS_SIM_DEVICE_H
#define LITHOS_SIM_DEVICE_H

#include <stdint.h>

#include "hw/qmd.h"
#include "sim/device/chip.h"

#define SIM_QMD_BYTES 384
#define SIM_NEVER     UINT64_MAX
#define SIM_NO_SM     0xffffu
#define SIM_POLL_NS   5000u    /* how often a task that watches memory is tried again */
#define SIM_WAIT_NS   100000u  /* how often a block that waits for another is asked again */
#define SIM_SLICE_NS  2000000u /* a group's turn when another has work too */

/* What a block that leaves takes of its grid's time, and what a prelude adds to one that runs. */
#define SIM_LEAVE_PS     600u /* measured on H100 */
#define SIM_LEAVE_BIG_PS 1500u
#define SIM_BIG_THREADS  1024u
#define SIM_GATE_NS      50u /* 0.5 % of 10 us blocks, measured on H100 */
#define SIM_CLAIM_NS     120u

struct sim_grid;
struct sim_group;
struct sim_queue;
struct sim_device;

/* What the descriptor's PROGRAM_ADDRESS names. */
enum sim_program {
	SIM_PROGRAM_KERNEL,
	SIM_PROGRAM_GATE,
	SIM_PROGRAM_CLAIM,
	SIM_PROGRAM_GATE_CLUSTER, /* by the cluster's first block */
	SIM_PROGRAM_CLAIM_CLUSTER,
	SIM_PROGRAM_NONE, /* nothing is there */
};

/* What a submission says; copied. */
struct sim_launch {
	const void *qmd;      /* SIM_QMD_BYTES */
	uint32_t grid_dim[3]; /* gridDim as the kernel sees it; on hardware a constant bank holds it
			       */
	uint64_t cost_ns;     /* time of one block */
	int waits_for_all;    /* the kernel has a grid barrier */
	enum sim_program program;
	/* Asked when a block's time is over: 0, ask again SIM_WAIT_NS later; or NULL. */
	int (*may_end)(const struct sim_grid *grid, const uint32_t index[3], uint32_t smid,
		       uint64_t now_ns);
	int ignores_mask; /* a fault, as in struct sim_device_config, of one launch */
	void *cookie;     /* the caller's; handed to the callbacks in struct sim_grid */
};

struct sim_grid {
	struct sim_grid *next_active; /* the device's, by priority then start */
	struct sim_queue *queue;
	void *cookie;
	uint32_t grid_dim[3];
	uint64_t cost_ns;
	int (*may_end)(const struct sim_grid *grid, const uint32_t index[3], uint32_t smid,
		       uint64_t now_ns);
	struct qmd_grid info;    /* what the descriptor says */
	uint32_t extent[3];      /* blocks that run, in each dimension, after truncation */
	uint32_t cluster[3];     /* 1,1,1 without clusters */
	uint32_t cluster_blocks; /* product of cluster[] */
	uint64_t nr_blocks;      /* product of extent[] */
	enum sim_program program;
	uint64_t slot_address; /* of constant bank 6; 0: not bound */
	uint64_t nr_placed;    /* began, or left */
	uint64_t nr_done;      /* ended, or left */
	uint64_t nr_left;
	uint64_t nr_to_leave;  /* blocks before this one leave without being asked about */
	uint64_t leave_ps;     /* issue time of blocks that left, not spent yet */
	uint32_t per_sm;       /* blocks one SM holds */
	uint32_t share;        /* of SM_SHARES, one block */
	struct tpcset allowed; /* TPCs it may run on; real ones only */
	struct tpcset used;    /* TPCs that ran a block */
	uint32_t sms_used[CHIP_MAX_SMS / 32];
	uint16_t *gang_sm; /* SM of each placed block of a gang, or SIM_NO_SM; NULL otherwise */
	uint64_t start_ns; /* first in its queue */
	uint64_t first_ns; /* its first block began, or left; 0: none has */
	uint64_t end_ns;
	int priority;
	int is_gang;
	int all_at_once; /* placed only when every block has room: cooperative */
	int pre_exits;   /* lets the next grid of its queue begin once its last block has */
	int overlaps;    /* begins when the grid before it in its queue lets it */
	int gang_runs;   /* every block of the gang was there */
	int is_issuing;  /* spends leave_ps: no block begins */
	int started;
	const char *hang_reason; /* NULL: not hung */
	uint8_t qmd[SIM_QMD_BYTES];
};

struct sim_task {
	/*
	 * Called when the task is first in its queue. 0: done, and the queue stays busy for *ret_ns
	 * more. -EAGAIN: not yet, call again when something happened.
	 */
	int (*run)(struct sim_task *task, uint64_t now_ns, uint64_t *ret_ns);
	/* The task is over, or was dropped with its queue before it ran. */
	void (*release)(struct sim_task *task);
	int never_waits;    /* run always answers 0 and 0 ns */
	int watches_memory; /* -EAGAIN may end without anything happening on the device */
	int is_aside;       /* the queue is idle although it is not over */
};

struct sim_device_ops {
	void (*run_block)(void *user, const struct sim_grid *grid, const uint32_t index[3],
			  uint32_t smid, uint64_t now_ns);
	/* Finished, or found to hang (hang_reason); the cookie is not used by the device
	 * afterwards. */
	void (*grid_over)(void *user, const struct sim_grid *grid);
	/* Dropped with its queue before it was over. */
	void (*grid_dropped)(void *user, const struct sim_grid *grid);
	void *user;
	/*
	 * A block of a launch with a program other than the kernel begins; it is block number
	 * grid->nr_placed in the order of placement. 1: it runs; 0: it leaves. May be NULL: all
	 * run.
	 */
	int (*begin_block)(void *user, const struct sim_grid *grid, const uint32_t index[3]);
	/* Whether it would leave if it began now; nothing changes. For those who ask ahead. */
	int (*would_leave)(void *user, const struct sim_grid *grid, const uint32_t index[3]);
};

struct sim_device_config {
	const struct sim_chip *chip;
	struct sim_device_ops ops;
	int ignores_masks; /* faults, for tests of what a program does about them */
	int ignores_records;
	int never_overlaps; /* grids of a queue end in order */
};

/* NULL when memory is short. */
struct sim_device *device_new(const struct sim_device_config *config);
void device_free(struct sim_device *device);

/* NULL when memory is short. A group is freed after its queues; the device frees what is left. */
struct sim_group *device_group_new(struct sim_device *device);
void device_group_free(struct sim_device *device, struct sim_group *group);

/* Lower numbers are served first, as in CUDA. The first form is for the group every device has. */
struct sim_queue *device_queue_new(struct sim_device *device, int priority);
struct sim_queue *device_queue_new_in(struct sim_device *device, struct sim_group *group,
				      int priority);
/* Drops what is queued, frees what runs. */
void device_queue_free(struct sim_device *device, struct sim_queue *queue);
/* 1 when nothing is left that is not aside. */
int device_queue_is_idle(const struct sim_queue *queue);
uint64_t device_nr_queued(const struct sim_queue *queue);

/* 0, -ENOMEM, or -EINVAL for a descriptor that cannot be decoded. Call device_advance afterwards.
 */
int device_submit(struct sim_device *device, struct sim_queue *queue,
		  const struct sim_launch *launch);
int device_submit_task(struct sim_device *device, struct sim_queue *queue, struct sim_task *task);

/* Does everything that happens up to now_ns. Returns how many items completed. */
uint64_t device_advance(struct sim_device *device, uint64_t now_ns);

/*
 * Blocks of the grid that is first in the queue leave after all, those that have not ended: block
 * first + i when bit i is set, and every block before number `until` that has not begun. For
 * callers whose begin_block says "runs" before they know. Ends the grid when nothing is left of it.
 */
struct sim_leavers {
	uint64_t first;
	uint64_t nr;
	const uint8_t *bits;
	uint64_t until;
};
void device_blocks_leave(struct sim_device *device, struct sim_queue *queue,
			 const struct sim_leavers *leavers);

struct prelude_slot;

int program_is_claim(enum sim_program program);
/*
 * The number a prelude knows a block by: its flat one in gridDim, in 32 bits, or that of the first
 * block of its cluster.
 */
uint32_t grid_prelude_block(const struct sim_grid *grid, const uint32_t index[3]);
/*
 * The rule of a gate or a claim, for a block by that number. 1: it runs. Of a claim, reads the
 * epochs, swaps the words and writes the report, at the addresses in the slot.
 */
int prelude_runs(enum sim_program program, const struct prelude_slot *slot, uint32_t block);
/* 1: it would leave now. Only reads. */
int prelude_would_leave(enum sim_program program, const struct prelude_slot *slot, uint32_t block);

/* When device_advance has something to do next; SIM_NEVER when only a submission can change that.
 */
uint64_t device_next_event_ns(const struct sim_device *device);

/* Blocks on SMs, the frozen ones of groups that wait for their turn left out. */
uint64_t device_nr_resident(const struct sim_device *device);

/* Something a task waits for has changed. */
void device_kick(struct sim_device *device);

uint64_t device_nr_hung(const struct sim_device *device);
/* -EPROTO when an invariant is broken: shares add up, counters agree. For tests. */
int device_check(const struct sim_device *device);

#endif
