/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients ask for, message by message.
 *
 * Nothing a client sends is believed: lengths, numbers of GPUs and queues, and what may be said
 * when. A message that is wrong ends its client and nobody else. Bytes were copied out of the
 * socket, so they do not change while they are looked at. Tested by tests/unit/sim_shared_faults.c.
 */
#include "sim/server/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* CUDA's stream priorities go from -5 to 0; a client's own counts more than all of them. */
#define PRIORITIES_PER_CLIENT 64
#define MAX_STREAM_PRIORITY   31

/* Index of the first queue whose number is not below the id. */
static size_t lower_bound(const struct client *client, uint32_t id)
{
	size_t lo = 0, hi = client->nr_queues;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (client->queue[mid]->id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct client_queue *queue_of(const struct client *client, uint32_t id)
{
	size_t i = lower_bound(client, id);

	return i < client->nr_queues && client->queue[i]->id == id ? client->queue[i] : NULL;
}

static int hello(struct client *client, const struct proto_head *message)
{
	const struct proto_hello *hello = (const struct proto_hello *)message;
	struct server *server = client->server;
	struct proto_welcome welcome = {
		.head = {sizeof(welcome), PROTO_WELCOME, 0},
		.version = PROTO_VERSION,
		.nr_gpus = server->nr_gpus,
	};

	if (client->tenancy || hello->magic != PROTO_MAGIC || hello->version != PROTO_VERSION)
		return -EPROTO;
	client->tenancy = tenancy_join(server, &hello->mps);
	if (!client->tenancy)
		return -ENOMEM;
	client->priority = hello->mps.priority ? PRIORITIES_PER_CLIENT : 0;
	strncpy(welcome.chip, server->chip.name, sizeof(welcome.chip) - 1);
	client_send(client, &welcome);
	return 0;
}

static int queue_new(struct client *client, const struct proto_head *message)
{
	const struct proto_queue_new *new = (const struct proto_queue_new *)message;
	struct client_queue **queues;
	struct client_queue *queue;
	uint32_t last = client->nr_queues ? client->queue[client->nr_queues - 1]->id : 0;

	if (new->gpu >= client->server->nr_gpus || new->head.queue <= last ||
	    new->priority > MAX_STREAM_PRIORITY || new->priority < -MAX_STREAM_PRIORITY)
		return -EPROTO;
	queues = realloc(client->queue, (client->nr_queues + 1) * sizeof(void *));
	if (!queues)
		return -ENOMEM;
	client->queue = queues;
	queue = calloc(1, sizeof(*queue));
	if (!queue)
		return -ENOMEM;
	queue->client = client;
	queue->id = new->head.queue;
	queue->gpu = new->gpu;
	queue->queue = device_queue_new_in(client->server->gpu[queue->gpu].device,
					   client->tenancy->group[queue->gpu],
					   client->priority + new->priority);
	if (!queue->queue) {
		free(queue);
		return -ENOMEM;
	}
	client->queue[client->nr_queues++] = queue;
	return 0;
}

void request_queue_free(struct client *client, size_t index)
{
	struct client_queue *queue = client->queue[index];

	queue->is_closing = 1;
	device_queue_free(client->server->gpu[queue->gpu].device, queue->queue);
	free(queue);
	client->nr_queues--;
	memmove(&client->queue[index], &client->queue[index + 1],
		(client->nr_queues - index) * sizeof(void *));
}

static int queue_free(struct client *client, const struct proto_head *message)
{
	if (!queue_of(client, message->queue))
		return -EPROTO;
	request_queue_free(client, lower_bound(client, message->queue));
	return 0;
}

static int grid(struct client *client, const struct proto_head *message)
{
	struct client_queue *queue = queue_of(client, message->queue);

	return queue ? grid_submit(queue, (const struct proto_grid *)message) : -EPROTO;
}

static int task(struct client *client, const struct proto_head *message)
{
	struct client_queue *queue = queue_of(client, message->queue);

	return queue ? task_submit(queue, (const struct proto_task *)message) : -EPROTO;
}

static int done(struct client *client, const struct proto_head *message)
{
	struct client_queue *queue = queue_of(client, message->queue);

	return queue ? task_done(queue, ((const struct proto_time *)message)->ns) : -EPROTO;
}

static int leave(struct client *client, const struct proto_head *message)
{
	struct client_queue *queue = queue_of(client, message->queue);
	const struct proto_leave *leave = (const struct proto_leave *)message;

	if (!queue || leave->nr > PROTO_MAX_BEGIN ||
	    message->bytes != sizeof(*leave) + (leave->nr + 7) / 8)
		return -EPROTO;
	grid_leave(queue, leave);
	return 0;
}

static int memory_take(struct client *client, const struct proto_head *message)
{
	const struct proto_memory_change *take = (const struct proto_memory_change *)message;
	struct server *server = client->server;
	struct gpu *gpu;
	struct proto_memory answer = {.head = {sizeof(answer), PROTO_MEMORY, 0}};

	if (take->gpu >= server->nr_gpus)
		return -EPROTO;
	gpu = &server->gpu[take->gpu];
	if (take->bytes <= server->chip.memory_bytes - gpu->used_bytes) {
		gpu->used_bytes += take->bytes;
		client->memory[take->gpu] += take->bytes;
		answer.granted = 1;
	}
	answer.used_bytes = gpu->used_bytes;
	client_send(client, &answer);
	return 0;
}

static int memory_give(struct client *client, const struct proto_head *message)
{
	const struct proto_memory_change *give = (const struct proto_memory_change *)message;

	if (give->gpu >= client->server->nr_gpus || give->bytes > client->memory[give->gpu])
		return -EPROTO;
	client->memory[give->gpu] -= give->bytes;
	client->server->gpu[give->gpu].used_bytes -= give->bytes;
	return 0;
}

struct request_row {
	uint16_t type;
	uint16_t bytes;
	int may_be_longer; /* by what the handler checks */
	int (*handle)(struct client *client, const struct proto_head *message);
};

static const struct request_row rows[] = {
	{PROTO_HELLO, sizeof(struct proto_hello), 0, hello},
	{PROTO_QUEUE_NEW, sizeof(struct proto_queue_new), 0, queue_new},
	{PROTO_QUEUE_FREE, sizeof(struct proto_head), 0, queue_free},
	{PROTO_GRID, sizeof(struct proto_grid), 0, grid},
	{PROTO_TASK, sizeof(struct proto_task), 0, task},
	{PROTO_TASK_DONE, sizeof(struct proto_time), 0, done},
	{PROTO_MEMORY_TAKE, sizeof(struct proto_memory_change), 0, memory_take},
	{PROTO_MEMORY_GIVE, sizeof(struct proto_memory_change), 0, memory_give},
	{PROTO_LEAVE, sizeof(struct proto_leave), 1, leave},
};

int request_handle(struct client *client, const struct proto_head *message)
{
	if (!client->tenancy && message->type != PROTO_HELLO)
		return -EPROTO;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct request_row *row = &rows[i];

		if (row->type != message->type)
			continue;
		if (message->bytes < row->bytes ||
		    (message->bytes > row->bytes && !row->may_be_longer))
			return -EPROTO;
		return row->handle(client, message);
	}
	return -EPROTO;
}
