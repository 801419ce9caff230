/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a simulated driver and the server of a shared simulated GPU say to each other, over a
 * SOCK_STREAM socket of one machine.
 *
 * Every message starts with struct proto_head; its length is exact, so a message of another size is
 * malformed. Numbers are in the machine's byte order. Times are CLOCK_MONOTONIC.
 *
 * The client names queues with numbers it uses once. Items of a queue go in order, so messages
 * about them name the queue only and are about its first item. The server says of a grid: its
 * blocks as they end (PROTO_BLOCKS, several in one message), then that it is over (PROTO_GRID_OVER;
 * a hung grid stays first). Of a grid that was redirected to a prelude, only the client can tell
 * which blocks run: the server says which have begun (PROTO_BEGIN) and goes on as if they all ran;
 * the client answers which of them leave after all, and how far those that come next would leave
 * too (PROTO_LEAVE). A block whose end was told before the answer came has taken its whole time for
 * nothing; the client knows that it did not run. Of a task: that it is first (PROTO_TASK_FIRST);
 * the client answers PROTO_TASK_DONE when it has run, unless the task never waits, which the server
 * then takes for done. A task that keeps its queue busy is over with PROTO_TASK_OVER. Memory is
 * taken with an answer (PROTO_MEMORY) and given back without one.
 */
#ifndef LITHOS_SIM_PROTO_H
#define LITHOS_SIM_PROTO_H

#include <assert.h>
#include <stdint.h>

#include "sim/device/device.h"

#define PROTO_MAGIC     0x4c534756u
#define PROTO_VERSION   3u
#define PROTO_MAX_GPUS  8u
#define PROTO_MAX_BYTES 16384u
#define PROTO_MAX_BEGIN 65536u /* blocks in one PROTO_BEGIN */

enum proto_type {
	/* From the client. */
	PROTO_HELLO = 1,
	PROTO_QUEUE_NEW,
	PROTO_QUEUE_FREE,
	PROTO_GRID,
	PROTO_TASK,
	PROTO_TASK_DONE,
	PROTO_MEMORY_TAKE,
	PROTO_MEMORY_GIVE,
	PROTO_LEAVE,
	/* From the server. */
	PROTO_WELCOME = 64,
	PROTO_BLOCKS,
	PROTO_GRID_OVER,
	PROTO_TASK_FIRST,
	PROTO_TASK_OVER,
	PROTO_MEMORY,
	PROTO_LOST,
	PROTO_BEGIN,
};

struct proto_head {
	uint16_t bytes; /* of the whole message */
	uint16_t type;
	uint32_t queue; /* 0 where the message is about none */
};

/* All zero without MPS. The folder's device and inode tell which MPS a client belongs to. */
struct proto_mps {
	uint64_t folder_device;
	uint64_t folder_inode;
	int32_t control_pid;
	int32_t server_pid; /* 0: none is named */
	uint32_t priority;  /* CUDA_MPS_CLIENT_PRIORITY: 0 is served before 1 */
	uint32_t pad;
};

struct proto_hello {
	struct proto_head head;
	uint32_t magic;
	uint32_t version;
	struct proto_mps mps;
};

struct proto_welcome {
	struct proto_head head;
	uint32_t version;
	uint32_t nr_gpus;
	char chip[16];
};

struct proto_queue_new {
	struct proto_head head;
	uint32_t gpu;
	int32_t priority;
};

#define PROTO_GRID_WAITS_FOR_ALL 1u
#define PROTO_GRID_IGNORES_MASK  2u
#define PROTO_GRID_GATED         4u /* redirected: its blocks may leave */
#define PROTO_GRID_CLAIMED       8u

struct proto_grid {
	struct proto_head head;
	uint64_t cost_ns;
	uint32_t grid_dim[3];
	uint32_t flags;
	uint8_t qmd[SIM_QMD_BYTES];
};

#define PROTO_TASK_NEVER_WAITS 1u

struct proto_task {
	struct proto_head head;
	uint32_t flags;
	uint32_t pad;
};

/* PROTO_TASK_DONE: how long the queue stays busy. PROTO_TASK_FIRST: when the task became first. */
struct proto_time {
	struct proto_head head;
	uint64_t ns;
};

/* PROTO_MEMORY_TAKE, which with 0 bytes only asks, and PROTO_MEMORY_GIVE. */
struct proto_memory_change {
	struct proto_head head;
	uint64_t bytes;
	uint32_t gpu;
	uint32_t pad;
};

struct proto_memory {
	struct proto_head head;
	uint64_t used_bytes; /* by all clients */
	uint32_t granted;
	uint32_t pad;
};

struct proto_block {
	uint64_t at_ns; /* its end */
	uint32_t index[3];
	uint32_t smid;
};

struct proto_blocks {
	struct proto_head head;
	struct proto_block block[]; /* as many as the length says */
};

/* Blocks [first, first + nr), in the order of placement, of the queue's grid number `grid`. */
struct proto_begin {
	struct proto_head head;
	uint32_t grid; /* grids of the queue that were over before it */
	uint32_t nr;
	uint64_t first;
};

/* Followed by `nr` bits, for the blocks from `first`: which leave. */
struct proto_leave {
	struct proto_head head;
	uint32_t grid;
	uint32_t nr;
	uint64_t first;
	uint64_t until; /* blocks before this one that have not begun leave */
};

struct proto_grid_over {
	struct proto_head head;
	uint64_t start_ns;
	uint64_t first_ns;
	uint64_t end_ns;
	uint64_t nr_done;
	uint32_t used[4];
	uint32_t sms_used[CHIP_MAX_SMS / 32];
	uint32_t is_hung;
};

/* The server serves this client no longer: what every later call answers, a CUresult. */
struct proto_lost {
	struct proto_head head;
	uint32_t error;
	uint32_t pad;
};

static_assert(sizeof(struct proto_head) == 8, "on the wire");
static_assert(sizeof(struct proto_hello) == 48, "on the wire");
static_assert(sizeof(struct proto_welcome) == 32, "on the wire");
static_assert(sizeof(struct proto_queue_new) == 16, "on the wire");
static_assert(sizeof(struct proto_grid) == 32 + SIM_QMD_BYTES, "on the wire");
static_assert(sizeof(struct proto_task) == 16, "on the wire");
static_assert(sizeof(struct proto_time) == 16, "on the wire");
static_assert(sizeof(struct proto_memory_change) == 24, "on the wire");
static_assert(sizeof(struct proto_memory) == 24, "on the wire");
static_assert(sizeof(struct proto_block) == 24, "on the wire");
static_assert(sizeof(struct proto_begin) == 24, "on the wire");
static_assert(sizeof(struct proto_leave) == 32, "on the wire");
static_assert(sizeof(struct proto_grid_over) == 80, "on the wire");
static_assert(sizeof(struct proto_lost) == 16, "on the wire");

#endif
