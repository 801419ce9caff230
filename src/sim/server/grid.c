/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grids and tasks of clients on the server's devices.
 *
 * The device here knows when things happen; the client does them, in its own memory. So a block
 * that ends, a grid that is over and a task that is first become messages, in the order of the
 * device's time. A task holds its queue until the client has answered, unless it was submitted as
 * one that never waits: of these the client is told and the queue goes on, which is right because
 * the client reads its messages in order. The blocks of a redirected grid are asked about as they
 * begin and run until the answer comes, so a client that is stopped delays nobody.
 *
 * What it does badly: a task that waits costs a round trip, in which its queue does nothing; a
 * block that leaves holds its room for one, or for the block's whole time if that is shorter.
 * Tested by the programs of tests/unit in shared mode.
 */
#include "sim/server/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Longer than any program runs, and far from an overflow when it is added to a time. */
#define LONGEST_NS (1ull << 60)

struct client_task {
	struct sim_task task; /* first: the device hands this back */
	struct client_queue *queue;
	uint64_t busy_ns;
	int never_waits;
	int is_done;
};

static void run_block(void *user, const struct sim_grid *grid, const uint32_t index[3],
		      uint32_t smid, uint64_t now_ns)
{
	(void)user;
	client_send_block(grid->cookie,
			  &(struct proto_block){.at_ns = now_ns,
						.index = {index[0], index[1], index[2]},
						.smid = smid});
}

/* The client decides; until it has, the block is one that runs. */
static int begin_block(void *user, const struct sim_grid *grid, const uint32_t index[3])
{
	(void)user;
	(void)index;
	client_send_begin(grid->cookie, grid->nr_placed);
	return 1;
}

static void grid_over(void *user, const struct sim_grid *grid)
{
	struct client_queue *queue = grid->cookie;
	struct proto_grid_over message = {
		.head = {sizeof(message), PROTO_GRID_OVER, queue->id},
		.start_ns = grid->start_ns,
		.first_ns = grid->first_ns,
		.end_ns = grid->end_ns,
		.nr_done = grid->nr_done,
		.is_hung = grid->hang_reason != NULL,
	};

	(void)user;
	queue->nr_over++;
	memcpy(message.used, grid->used.w, sizeof(message.used));
	memcpy(message.sms_used, grid->sms_used, sizeof(message.sms_used));
	client_send(queue->client, &message);
}

static void grid_dropped(void *user, const struct sim_grid *grid)
{
	(void)user;
	(void)grid;
}

const struct sim_device_ops server_device_ops = {
	.run_block = run_block,
	.grid_over = grid_over,
	.grid_dropped = grid_dropped,
	.begin_block = begin_block,
};

static uint64_t bounded(uint64_t ns)
{
	return ns < LONGEST_NS ? ns : LONGEST_NS;
}

static enum sim_program program_of(uint32_t flags)
{
	if (flags & PROTO_GRID_GATED)
		return SIM_PROGRAM_GATE;
	return flags & PROTO_GRID_CLAIMED ? SIM_PROGRAM_CLAIM : SIM_PROGRAM_KERNEL;
}

int grid_submit(struct client_queue *queue, const struct proto_grid *message)
{
	struct sim_launch launch = {
		.qmd = message->qmd,
		.cost_ns = bounded(message->cost_ns ? message->cost_ns : 1),
		.waits_for_all = (message->flags & PROTO_GRID_WAITS_FOR_ALL) != 0,
		.ignores_mask = (message->flags & PROTO_GRID_IGNORES_MASK) != 0,
		.program = program_of(message->flags),
		.cookie = queue,
	};

	memcpy(launch.grid_dim, message->grid_dim, sizeof(launch.grid_dim));
	return device_submit(queue->client->server->gpu[queue->gpu].device, queue->queue, &launch);
}

static void say(const struct client_queue *queue, enum proto_type type, uint64_t ns)
{
	client_send(queue->client,
		    &(struct proto_time){
			    .head = {sizeof(struct proto_time), (uint16_t)type, queue->id},
			    .ns = ns,
		    });
}

static int run_task(struct sim_task *task, uint64_t now_ns, uint64_t *ret_ns)
{
	struct client_task *mine = (struct client_task *)task;
	struct client_queue *queue = mine->queue;

	*ret_ns = mine->busy_ns;
	if (mine->is_done)
		return 0;
	if (queue->waiting == mine)
		return -EAGAIN;
	say(queue, PROTO_TASK_FIRST, now_ns);
	if (mine->never_waits)
		return 0;
	queue->waiting = mine;
	return -EAGAIN;
}

static void release_task(struct sim_task *task)
{
	struct client_task *mine = (struct client_task *)task;

	if (mine->is_done && mine->busy_ns && !mine->queue->is_closing)
		say(mine->queue, PROTO_TASK_OVER, 0);
	free(mine);
}

int task_submit(struct client_queue *queue, const struct proto_task *message)
{
	struct client_task *task = calloc(1, sizeof(*task));
	int r;

	if (!task)
		return -ENOMEM;
	task->task.run = run_task;
	task->task.release = release_task;
	task->queue = queue;
	task->never_waits = (message->flags & PROTO_TASK_NEVER_WAITS) != 0;
	r = device_submit_task(queue->client->server->gpu[queue->gpu].device, queue->queue,
			       &task->task);
	if (r)
		free(task);
	return r;
}

int task_done(struct client_queue *queue, uint64_t busy_ns)
{
	if (!queue->waiting)
		return -EPROTO;
	queue->waiting->busy_ns = bounded(busy_ns);
	queue->waiting->is_done = 1;
	queue->waiting = NULL;
	device_kick(queue->client->server->gpu[queue->gpu].device);
	return 0;
}

void grid_leave(struct client_queue *queue, const struct proto_leave *message)
{
	/* An answer that comes after the end of its grid is about nothing. */
	if (message->grid != queue->nr_over)
		return;
	device_blocks_leave(queue->client->server->gpu[queue->gpu].device, queue->queue,
			    &(struct sim_leavers){.first = message->first,
						  .nr = message->nr,
						  .bits = (const uint8_t *)(message + 1),
						  .until = message->until});
}
