/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to lithosd: whole messages of include/lithos/proto.h, each with a time limit.
 *
 * Descriptors are close-on-exec and non-blocking. What arrives is checked: magic, version, size,
 * and that texts end, so that a caller may read the member its type names.
 */
#ifndef LITHOS_CLI_DAEMON_CLIENT_H
#define LITHOS_CLI_DAEMON_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include <lithos/proto.h>

union client_message {
	struct proto_header header;
	struct proto_admit admit;
	struct proto_admitted admitted;
	struct proto_attach attach;
	struct proto_unattached unattached;
	struct proto_report report;
	struct proto_text text;
	unsigned char bytes[PROTO_MAX_BYTES];
};

/* 0, or -errno: -ENOENT and -ECONNREFUSED mean that nobody listens. */
int client_connect(const char *path, int *ret_fd);

/* The user a connection's other side runs as; -errno. */
int client_peer_uid(int fd, uint32_t *ret_uid);

/* Makes an empty message of the type: zeroes, and the header. */
void client_message_init(union client_message *message, enum proto_type type, size_t bytes);

/* The whole message by its header's size, within timeout_ms; 0, -ETIMEDOUT or -errno. */
int client_send(int fd, const union client_message *message, int timeout_ms);

/*
 * The next message. ret_fd: the descriptor that came with it, -1 for none; the caller closes it.
 * More than one are closed. 0; -ETIMEDOUT; -ECONNRESET when the other side has gone; -EPROTO for
 * anything that is not a message; -EPROTONOSUPPORT for one of another version.
 */
int client_receive(int fd, int timeout_ms, union client_message *ret_message, int *ret_fd);

/* What an error of the functions above means, as a part of a sentence. */
const char *client_strerror(int error);

#endif
