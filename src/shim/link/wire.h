/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of include/lithos/proto.h on a socket of the shim: no state, one packet at a time. */
#ifndef LITHOS_SHIM_WIRE_H
#define LITHOS_SHIM_WIRE_H

#include <stdint.h>

#include <lithos/proto.h>

#define WIRE_MAX_FDS 4u

/* One message that arrived, checked: header, length, and the length that its type needs. */
struct wire_message {
	union {
		struct proto_header header;
		struct proto_attached attached;
		struct proto_peer peer;
		struct proto_text text;
		uint8_t bytes[PROTO_MAX_BYTES];
	};
	int fd[WIRE_MAX_FDS];
	uint32_t nr_fds;
};

/* A connected, non-blocking socket, or -errno; -ETIMEDOUT past `deadline_ns` (CLOCK_MONOTONIC). */
int wire_connect(const char *path, uint64_t deadline_ns);

/* Sends one message, with `fd` beside it unless it is negative. 0 or -errno. */
int wire_send(int socket, const void *message, uint32_t bytes, int fd);

/*
 * Takes one message. 0; -EAGAIN none there; -ECONNRESET the other side is gone; -EPROTO it makes no
 * sense; -EPROTONOSUPPORT it is of another version, which is logged. On error no descriptor is left
 * open; else they are the caller's to close.
 */
int wire_receive(int socket, struct wire_message *ret_message);

/* Waits until the socket can be read: 0, or -ETIMEDOUT, -ECONNRESET. */
int wire_wait(int socket, uint64_t deadline_ns);

void wire_close_fds(struct wire_message *message);

#endif
