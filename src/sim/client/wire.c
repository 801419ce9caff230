/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two directions of the socket.
 *
 * What the driver says collects until it is flushed, which every submission does once, so a launch
 * is one send. Sending may wait, because the server never waits for a client and so always comes to
 * read. Receiving never waits. A connection that ends is remembered as the error every later call
 * answers: what the server said last, or CUDA_ERROR_LAUNCH_FAILED.
 */
#include "sim/client/wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define LAUNCH_FAILED 719u /* CUDA_ERROR_LAUNCH_FAILED: the context cannot be used any more */

void wire_init(struct wire *wire, int fd)
{
	wire->fd = fd;
	wire->lost = 0;
	wire->nr_out = 0;
	wire->in_begin = 0;
	wire->in_end = 0;
}

static void lose(struct wire *wire)
{
	if (!wire->lost)
		wire->lost = LAUNCH_FAILED;
}

void wire_flush(struct wire *wire)
{
	size_t sent = 0;

	while (sent < wire->nr_out) {
		ssize_t n = send(wire->fd, wire->out + sent, wire->nr_out - sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		/* What the server said before it went is still there to be read, and says why. */
		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	wire->nr_out = 0;
}

void wire_put(struct wire *wire, const void *message)
{
	const struct proto_head *head = message;

	if (wire->nr_out + head->bytes > sizeof(wire->out))
		wire_flush(wire);
	memcpy(wire->out + wire->nr_out, message, head->bytes);
	wire->nr_out += head->bytes;
}

/* 0 when nothing more has come. */
static int receive(struct wire *wire)
{
	ssize_t n;

	memmove(wire->in, wire->in + wire->in_begin, wire->in_end - wire->in_begin);
	wire->in_end -= wire->in_begin;
	wire->in_begin = 0;
	do
		n = recv(wire->fd, wire->in + wire->in_end, sizeof(wire->in) - wire->in_end,
			 MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		lose(wire);
	if (n > 0)
		wire->in_end += (size_t)n;
	return n > 0;
}

/* Whether the buffer begins with a whole message; a length that cannot be loses the connection. */
static int has_message(struct wire *wire, struct proto_head *ret_head)
{
	size_t nr = wire->in_end - wire->in_begin;

	if (nr < sizeof(*ret_head))
		return 0;
	memcpy(ret_head, wire->in + wire->in_begin, sizeof(*ret_head));
	if (ret_head->bytes < sizeof(*ret_head) || ret_head->bytes > PROTO_MAX_BYTES) {
		lose(wire);
		return 0;
	}
	return nr >= ret_head->bytes;
}

const struct proto_head *wire_next(struct wire *wire)
{
	struct proto_head head;

	while (!wire->lost && !has_message(wire, &head)) {
		if (wire->lost || !receive(wire))
			return NULL;
	}
	if (wire->lost)
		return NULL;
	memcpy(wire->message, wire->in + wire->in_begin, head.bytes);
	wire->in_begin += head.bytes;
	if (head.type == PROTO_LOST && head.bytes == sizeof(struct proto_lost)) {
		wire->lost = ((const struct proto_lost *)wire->message)->error;
		lose(wire);
		return NULL;
	}
	return (const struct proto_head *)wire->message;
}

void wire_wait(const struct wire *wire)
{
	struct pollfd ready = {.fd = wire->fd, .events = POLLIN};

	/* An interrupted wait is as good as one that found something. */
	(void)poll(&ready, 1, -1);
}
