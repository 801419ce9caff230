/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a packet to what it asks for.
 *
 * The header was found sound (server.c). Here: a type that clients may send, the size of exactly
 * that type, texts that end, a descriptor only where one belongs. Anything else is -EPROTO, and the
 * connection is closed. What comes out is a copy in the daemon's own memory; nothing is read twice.
 *
 * Tested by tests/integration/daemon_hostile.c with every type, every size and random bytes.
 */
#include <errno.h>
#include <string.h>

#include <lithos/proto.h>

#include "daemon/server/closer.h"
#include "daemon/server/server.h"
#include "daemon/status.h"
#include "daemon/tenant/unattached.h"

static size_t size_of_type(uint16_t type)
{
	switch (type) {
	case PROTO_ADMIT:
		return sizeof(struct proto_admit);
	case PROTO_ATTACH:
	case PROTO_RETURN_RUN:
		return sizeof(struct proto_attach);
	case PROTO_UNATTACHED:
		return sizeof(struct proto_unattached);
	case PROTO_STATUS:
		return sizeof(struct proto_header);
	default:
		return 0;
	}
}

static int text_ends(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static int handle_admit(struct connection *c, const struct proto_header *message)
{
	struct proto_admit admit;

	memcpy(&admit, message, sizeof(admit));
	if (!text_ends(admit.tenant, sizeof(admit.tenant)) ||
	    !text_ends(admit.gpus, sizeof(admit.gpus)))
		return -EPROTO;
	return admit_request(c, &admit);
}

static int handle_unattached(struct connection *c, const struct proto_header *message)
{
	struct proto_unattached said;

	memcpy(&said, message, sizeof(said));
	if (!text_ends(said.reason, sizeof(said.reason)) ||
	    (said.confinement != PROTO_UNCONFINED && said.confinement != PROTO_CONFINED))
		return -EPROTO;
	unattached_said(c, &said);
	return 0;
}

int request_handle(struct connection *c, const struct proto_header *message, int fd)
{
	struct proto_attach attach;

	if (message->bytes != size_of_type(message->type) ||
	    (fd >= 0 && message->type != PROTO_ATTACH)) {
		if (fd >= 0)
			closer_close(fd, c->uid);
		return -EPROTO;
	}
	switch (message->type) {
	case PROTO_ADMIT:
		return handle_admit(c, message);
	case PROTO_ATTACH:
		memcpy(&attach, message, sizeof(attach));
		return attach_request(c, &attach, fd);
	case PROTO_RETURN_RUN:
		memcpy(&attach, message, sizeof(attach));
		return admit_return(c, &attach);
	case PROTO_UNATTACHED:
		return handle_unattached(c, message);
	default:
		status_send(c);
		return 0;
	}
}
