/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections: bytes in, bytes out, and what is left when one ends.
 *
 * The server never waits for a client. What it has to say collects in a buffer and goes out when
 * the loop comes round, as one send for all that happened; a client that reads too slowly for too
 * long is dropped. A client that ends, however it ends, is an end of file here: its queues go, so
 * its blocks leave the SMs, and its memory is free.
 *
 * A client found to be bad while the device is in the middle of something is only marked, and
 * closed by the loop. Tested by tests/unit/sim_shared_faults.c.
 */
#include "sim/server/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_OUT_BYTES (256u << 20)
#define READ_BYTES    65536u

static int bytes_reserve(struct bytes *bytes, size_t more)
{
	size_t room = bytes->room ? bytes->room : 4096;
	uint8_t *at;

	if (bytes->nr + more <= bytes->room)
		return 0;
	while (room < bytes->nr + more)
		room *= 2;
	at = realloc(bytes->at, room);
	if (!at)
		return -ENOMEM;
	bytes->at = at;
	bytes->room = room;
	return 0;
}

static void bytes_drop(struct bytes *bytes, size_t nr)
{
	bytes->nr -= nr;
	if (bytes->nr)
		memmove(bytes->at, bytes->at + nr, bytes->nr);
}

static int add(struct client *client, const void *data, size_t nr)
{
	if (client->is_gone)
		return -EPIPE;
	if (client->out.nr > MAX_OUT_BYTES || bytes_reserve(&client->out, nr)) {
		client->is_gone = 1;
		return -ENOMEM;
	}
	memcpy(client->out.at + client->out.nr, data, nr);
	client->out.nr += nr;
	return 0;
}

/* What comes next is a message of its own. */
static void close_open(struct client *client)
{
	client->open_blocks = SIZE_MAX;
	client->open_begin = SIZE_MAX;
}

void client_send(struct client *client, const void *message)
{
	const struct proto_head *head = message;

	close_open(client);
	(void)add(client, message, head->bytes);
}

/* Blocks begin in order, so a message is a range. */
void client_send_begin(struct client_queue *queue, uint64_t block)
{
	struct client *client = queue->client;
	struct proto_begin begin = {
		.head = {sizeof(begin), PROTO_BEGIN, queue->id},
		.grid = queue->nr_over,
		.nr = 1,
		.first = block,
	};
	struct proto_begin last;
	size_t at = client->open_begin;

	if (at != SIZE_MAX) {
		memcpy(&last, client->out.at + at, sizeof(last));
		if (last.head.queue == queue->id && last.grid == begin.grid &&
		    last.first + last.nr == block && last.nr < PROTO_MAX_BEGIN) {
			last.nr++;
			memcpy(client->out.at + at, &last, sizeof(last));
			return;
		}
	}
	close_open(client);
	at = client->out.nr;
	if (!add(client, &begin, sizeof(begin)))
		client->open_begin = at;
}

void client_send_block(struct client_queue *queue, const struct proto_block *block)
{
	struct client *client = queue->client;
	struct proto_head head = {sizeof(head), PROTO_BLOCKS, queue->id};
	size_t at = client->open_blocks;

	if (at != SIZE_MAX)
		memcpy(&head, client->out.at + at, sizeof(head));
	if (at == SIZE_MAX || head.queue != queue->id ||
	    head.bytes + sizeof(*block) > PROTO_MAX_BYTES) {
		close_open(client);
		head = (struct proto_head){sizeof(head), PROTO_BLOCKS, queue->id};
		at = client->out.nr;
		if (add(client, &head, sizeof(head)))
			return;
	}
	if (add(client, block, sizeof(*block)))
		return;
	head.bytes = (uint16_t)(head.bytes + sizeof(*block));
	memcpy(client->out.at + at, &head, sizeof(head));
	client->open_blocks = at;
}

static void want_write(struct client *client, int wants)
{
	struct epoll_event event = {.events = EPOLLIN | (wants ? EPOLLOUT : 0),
				    .data.ptr = &client->watched};

	if (client->wants_write == wants)
		return;
	client->wants_write = wants;
	(void)epoll_ctl(client->server->epoll_fd, EPOLL_CTL_MOD, client->watched.fd, &event);
}

void client_flush(struct client *client)
{
	size_t sent = 0;

	if (!client->out.nr || client->is_gone)
		return;
	close_open(client);
	while (sent < client->out.nr) {
		ssize_t n = send(client->watched.fd, client->out.at + sent, client->out.nr - sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			client->is_gone = 1;
		if (n < 0)
			break;
		sent += (size_t)n;
	}
	bytes_drop(&client->out, sent);
	want_write(client, client->out.nr != 0);
}

/* Handles every whole message. */
static int handle_input(struct client *client)
{
	_Alignas(8) uint8_t message[PROTO_MAX_BYTES];
	struct proto_head head;
	size_t done = 0;
	int r = 0;

	while (!r && client->in.nr - done >= sizeof(head)) {
		memcpy(&head, client->in.at + done, sizeof(head));
		if (head.bytes < sizeof(head) || head.bytes > PROTO_MAX_BYTES)
			return -EPROTO;
		if (client->in.nr - done < head.bytes)
			break;
		memcpy(message, client->in.at + done, head.bytes);
		done += head.bytes;
		r = request_handle(client, (const struct proto_head *)message);
	}
	bytes_drop(&client->in, done);
	return r;
}

static void client_ready(struct server *server, struct watched *watched)
{
	struct client *client = (struct client *)watched;
	ssize_t n;

	(void)server;
	if (client->is_gone)
		return;
	if (bytes_reserve(&client->in, READ_BYTES)) {
		client->is_gone = 1;
		return;
	}
	/* One read a round, so that a busy client does not keep the others waiting. */
	n = recv(watched->fd, client->in.at + client->in.nr, READ_BYTES, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client->is_gone = 1;
		return;
	}
	client->in.nr += (size_t)n;
	if (handle_input(client))
		client->is_gone = 1;
}

void client_accept(struct server *server, int fd)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client) {
		(void)close(fd);
		return;
	}
	client->watched = (struct watched){.ready = client_ready, .fd = fd};
	client->server = server;
	close_open(client);
	if (server_watch(server, &client->watched, EPOLLIN)) {
		(void)close(fd);
		free(client);
		return;
	}
	client->next = server->clients;
	server->clients = client;
}

void client_close(struct client *client)
{
	struct server *server = client->server;

	while (client->nr_queues)
		request_queue_free(client, client->nr_queues - 1);
	for (unsigned int i = 0; i < server->nr_gpus; i++) {
		server->gpu[i].used_bytes -= client->memory[i];
		client->memory[i] = 0;
	}
	if (client->tenancy)
		tenancy_leave(server, client->tenancy);
	client->tenancy = NULL;
}

void client_free(struct client *client)
{
	client_close(client);
	server_unwatch(client->server, &client->watched);
	free(client->queue);
	free(client->in.at);
	free(client->out.at);
	free(client);
}
