/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues of a shared GPU, as seen from the process that fills them.
 *
 * Problem: the server knows when a block ends, but only this process has the memory the block works
 * on. Idea: both keep the same queues. A grid's descriptor goes to the server; its messages, which
 * come in the order of the device's time, are carried out here: a block's body is run, a finished
 * grid's records are written and its line traced, a task that became first is run and its answer
 * sent back. A task that cannot go on yet is tried again when something else completed here.
 *
 * Messages about a queue that is gone are left-overs and are ignored. Anything else that does not
 * fit the queue's first item means the two sides disagree, and the connection is given up.
 *
 * Tested by the programs of tests/unit in shared mode and by tests/unit/sim_shared_faults.c.
 */
#include "sim/client/remote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sim/client/queue.h"
#include "sim/device/internal.h"

#define LONGEST_WATCH_NS 200000u

int remote_init(struct remote *remote, int fd, const struct sim_device_config *config)
{
	memset(remote, 0, sizeof(*remote));
	wire_init(&remote->wire, fd);
	remote->mirror = device_new(config);
	remote->watch_ns = SIM_POLL_NS;
	return remote->mirror ? 0 : -ENOMEM;
}

static void say_time(struct remote *remote, const struct remote_queue *queue, uint64_t ns)
{
	wire_put(&remote->wire,
		 &(struct proto_time){
			 .head = {sizeof(struct proto_time), PROTO_TASK_DONE, queue->id},
			 .ns = ns,
		 });
}

static void item_over(struct remote *remote, struct remote_queue *queue)
{
	remote_item_pop(queue);
	remote->nr_over++;
	remote->dirty = 1;
}

/* The task is first in its queue. 1 when it has run. */
static int task_try(struct remote *remote, struct remote_queue *queue, uint64_t now_ns)
{
	struct remote_item *item = queue->head;
	uint64_t busy_ns = 0;

	if (item->task->run(item->task, now_ns, &busy_ns))
		return 0;
	if (!item->task->never_waits)
		say_time(remote, queue, busy_ns);
	if (busy_ns)
		item->state = ITEM_BUSY;
	else
		item_over(remote, queue);
	return 1;
}

static void count_waiting(struct remote *remote, const struct sim_task *task, int by)
{
	remote->nr_waiting += (unsigned int)by;
	if (task->watches_memory)
		remote->nr_watching += (unsigned int)by;
}

static int on_blocks(struct remote *remote, struct remote_queue *queue,
		     const struct proto_head *message)
{
	const struct proto_blocks *blocks = (const struct proto_blocks *)message;
	size_t nr = (message->bytes - sizeof(*blocks)) / sizeof(blocks->block[0]);
	const struct sim_grid *grid = queue->head ? queue->head->grid : NULL;
	const struct sim_device_ops *ops = &remote->mirror->config.ops;

	if (!grid)
		return -EPROTO;
	for (size_t i = 0; i < nr; i++) {
		if (remote_block_runs(queue, blocks->block[i].index))
			ops->run_block(ops->user, grid, blocks->block[i].index,
				       blocks->block[i].smid, blocks->block[i].at_ns);
	}
	return 0;
}

static int on_begin(struct remote *remote, struct remote_queue *queue,
		    const struct proto_head *message)
{
	return remote_blocks_begin(remote, queue, (const struct proto_begin *)message);
}

static int on_grid_over(struct remote *remote, struct remote_queue *queue,
			const struct proto_head *message)
{
	const struct proto_grid_over *over = (const struct proto_grid_over *)message;
	struct sim_grid *grid = queue->head ? queue->head->grid : NULL;
	const struct sim_device_ops *ops = &remote->mirror->config.ops;

	if (!grid)
		return -EPROTO;
	grid->start_ns = over->start_ns;
	grid->first_ns = over->first_ns;
	grid->end_ns = over->end_ns;
	grid->nr_done = over->nr_done;
	memcpy(grid->used.w, over->used, sizeof(over->used));
	memcpy(grid->sms_used, over->sms_used, sizeof(over->sms_used));
	if (over->is_hung) {
		grid->hang_reason = grid_why_stuck(remote->mirror, grid);
		if (!grid->hang_reason)
			grid->hang_reason = "unknown";
	} else {
		write_releases(remote->mirror, grid);
	}
	ops->grid_over(ops->user, grid);
	if (over->is_hung)
		remote->nr_over++;
	else
		item_over(remote, queue);
	return 0;
}

static int on_task_first(struct remote *remote, struct remote_queue *queue,
			 const struct proto_head *message)
{
	struct remote_item *item = queue->head;

	if (!item || !item->task || item->state != ITEM_QUEUED)
		return -EPROTO;
	if (task_try(remote, queue, ((const struct proto_time *)message)->ns))
		return 0;
	item->state = ITEM_WAITING;
	count_waiting(remote, item->task, 1);
	remote->watch_ns = SIM_POLL_NS;
	return 0;
}

static int on_task_over(struct remote *remote, struct remote_queue *queue,
			const struct proto_head *message)
{
	(void)message;
	if (!queue->head || queue->head->state != ITEM_BUSY)
		return -EPROTO;
	item_over(remote, queue);
	return 0;
}

static int on_memory(struct remote *remote, const struct proto_head *message)
{
	if (message->bytes != sizeof(remote->memory))
		return -EPROTO;
	memcpy(&remote->memory, message, sizeof(remote->memory));
	remote->has_memory = 1;
	return 0;
}

struct message_row {
	uint16_t type;
	uint16_t bytes;
	uint16_t step; /* the length is `bytes` and any number of these; 0: just `bytes` */
	int (*handle)(struct remote *remote, struct remote_queue *queue,
		      const struct proto_head *message);
};

static const struct message_row rows[] = {
	{PROTO_BEGIN, sizeof(struct proto_begin), 0, on_begin},
	{PROTO_BLOCKS, sizeof(struct proto_blocks), sizeof(struct proto_block), on_blocks},
	{PROTO_GRID_OVER, sizeof(struct proto_grid_over), 0, on_grid_over},
	{PROTO_TASK_FIRST, sizeof(struct proto_time), 0, on_task_first},
	{PROTO_TASK_OVER, sizeof(struct proto_time), 0, on_task_over},
};

static int handle(struct remote *remote, const struct proto_head *message)
{
	struct remote_queue *queue = remote_queue_find(message->queue);

	if (message->type == PROTO_MEMORY)
		return on_memory(remote, message);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct message_row *row = &rows[i];
		uint32_t more = message->bytes - row->bytes;

		if (row->type != message->type)
			continue;
		if (message->bytes < row->bytes || (row->step ? more % row->step : more))
			return -EPROTO;
		return queue ? row->handle(remote, queue, message) : 0;
	}
	return -EPROTO;
}

static void hear(struct remote *remote)
{
	const struct proto_head *message;

	while ((message = wire_next(&remote->wire)) != NULL) {
		if (handle(remote, message) && !remote->wire.lost)
			remote->wire.lost = 719;
	}
}

static void try_waiting(struct remote *remote)
{
	struct remote_queue *next;

	for (struct remote_queue *queue = remote_queue_first(); queue; queue = next) {
		struct remote_item *item = queue->head;

		next = remote_queue_after(queue);
		if (!item || item->state != ITEM_WAITING)
			continue;
		count_waiting(remote, item->task, -1);
		item->state = ITEM_QUEUED;
		if (task_try(remote, queue, clock_now_ns()))
			continue;
		item->state = ITEM_WAITING;
		count_waiting(remote, item->task, 1);
	}
}

uint64_t remote_advance(struct remote *remote)
{
	uint64_t nr;

	wire_flush(&remote->wire);
	hear(remote);
	/* What watches memory is tried at every look, so each look counts as something
	 * happening. */
	if (remote->nr_watching)
		remote->dirty = 1;
	while (remote->dirty && remote->nr_waiting) {
		remote->dirty = 0;
		try_waiting(remote);
	}
	wire_flush(&remote->wire);
	nr = remote->nr_over - remote->nr_reported;
	remote->nr_reported = remote->nr_over;
	if (nr)
		remote->watch_ns = SIM_POLL_NS;
	else if (remote->watch_ns < LONGEST_WATCH_NS)
		remote->watch_ns += remote->watch_ns / 8;
	return nr;
}

void remote_kick(struct remote *remote)
{
	remote->dirty = 1;
}

uint64_t remote_pause_ns(const struct remote *remote)
{
	return remote->nr_watching ? remote->watch_ns : SIM_NEVER;
}

struct remote_queue *remote_queue_new(struct remote *remote, unsigned int gpu, int priority)
{
	struct remote_queue *queue = remote_queue_add(++remote->next_id);

	if (!queue)
		return NULL;
	wire_put(&remote->wire,
		 &(struct proto_queue_new){
			 .head = {sizeof(struct proto_queue_new), PROTO_QUEUE_NEW, queue->id},
			 .gpu = gpu,
			 .priority = priority,
		 });
	return queue;
}

void remote_queue_free(struct remote *remote, struct remote_queue *queue)
{
	const struct sim_device_ops *ops = &remote->mirror->config.ops;

	wire_put(&remote->wire,
		 &(struct proto_head){sizeof(struct proto_head), PROTO_QUEUE_FREE, queue->id});
	remote_queue_take(queue);
	while (queue->head) {
		struct remote_item *item = queue->head;

		if (item->state == ITEM_WAITING)
			count_waiting(remote, item->task, -1);
		/* The cookie of a hung grid went when it was reported. */
		if (item->grid && !item->grid->hang_reason)
			ops->grid_dropped(ops->user, item->grid);
		remote_item_pop(queue);
	}
	free(queue);
	remote->dirty = 1;
}

static uint32_t program_flag(enum sim_program program)
{
	if (program == SIM_PROGRAM_KERNEL)
		return 0;
	return program_is_claim(program) ? PROTO_GRID_CLAIMED : PROTO_GRID_GATED;
}

int remote_submit(struct remote *remote, struct remote_queue *queue,
		  const struct sim_launch *launch)
{
	struct proto_grid message = {
		.head = {sizeof(message), PROTO_GRID, queue->id},
		.cost_ns = launch->cost_ns,
		.flags = (launch->waits_for_all ? PROTO_GRID_WAITS_FOR_ALL : 0) |
			 (remote->mirror->config.ignores_masks ? PROTO_GRID_IGNORES_MASK : 0) |
			 program_flag(launch->program),
	};
	struct sim_grid *grid = malloc(sizeof(*grid));
	int r = grid ? grid_decode(remote->mirror, launch, grid) : -ENOMEM;

	if (!r)
		r = remote_item_push(queue, NULL, grid);
	if (r) {
		free(grid);
		return r;
	}
	memcpy(message.grid_dim, launch->grid_dim, sizeof(message.grid_dim));
	memcpy(message.qmd, launch->qmd, sizeof(message.qmd));
	wire_put(&remote->wire, &message);
	return 0;
}

int remote_submit_task(struct remote *remote, struct remote_queue *queue, struct sim_task *task)
{
	int r = remote_item_push(queue, task, NULL);

	if (r)
		return r;
	wire_put(&remote->wire, &(struct proto_task){
					.head = {sizeof(struct proto_task), PROTO_TASK, queue->id},
					.flags = task->never_waits ? PROTO_TASK_NEVER_WAITS : 0,
				});
	return 0;
}

static void say_memory(struct remote *remote, enum proto_type type, unsigned int gpu,
		       uint64_t bytes)
{
	wire_put(&remote->wire,
		 &(struct proto_memory_change){
			 .head = {sizeof(struct proto_memory_change), (uint16_t)type, 0},
			 .bytes = bytes,
			 .gpu = gpu,
		 });
}

/* What else the server says meanwhile is done meanwhile. */
static int ask_memory(struct remote *remote, unsigned int gpu, uint64_t bytes)
{
	remote->has_memory = 0;
	say_memory(remote, PROTO_MEMORY_TAKE, gpu, bytes);
	wire_flush(&remote->wire);
	for (;;) {
		hear(remote);
		if (remote->has_memory)
			return 0;
		if (remote->wire.lost)
			return -EPIPE;
		wire_wait(&remote->wire);
	}
}

int remote_memory_take(struct remote *remote, unsigned int gpu, uint64_t bytes)
{
	int r = ask_memory(remote, gpu, bytes);

	if (r)
		return r;
	return remote->memory.granted ? 0 : -ENOMEM;
}

void remote_memory_give(struct remote *remote, unsigned int gpu, uint64_t bytes)
{
	say_memory(remote, PROTO_MEMORY_GIVE, gpu, bytes);
}

int remote_memory_used(struct remote *remote, unsigned int gpu, uint64_t *ret_bytes)
{
	int r = ask_memory(remote, gpu, 0);

	if (!r)
		*ret_bytes = remote->memory.used_bytes;
	return r;
}
