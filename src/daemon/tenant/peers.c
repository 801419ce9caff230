/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling the processes of a GPU about its owners.
 *
 * A borrower must read each owner's activity, so every attached process gets a descriptor of every
 * other tenant's that owns TPCs there: all of them when it attaches, then as they come and go. The
 * board alone says what counts; a borrower that has not got a message yet takes the owner for
 * active, so messages may be late. They are never lost without the connection being lost, too.
 *
 * 32 owners and 300 processes are 9,600 messages of 24 bytes over a start; one that does not read
 * has room for a few hundred before it is dropped. Tested by tests/integration/daemon_attach.c.
 */
#include <lithos/proto.h>

#include "daemon/daemon.h"
#include "daemon/tenant/tenant.h"

static struct proto_peer peer_of(const struct tenant *t)
{
	return (struct proto_peer){.owner_index = t->grant.place,
				   .generation = t->grant.generation};
}

static int is_visible_owner(const struct tenant *t)
{
	return t->grant.place != SHM_NO_OWNER && t->activity.map;
}

/* The connection's tenant has a use for what is said of t. */
static int is_concerned(const struct connection *c, const struct tenant *t)
{
	return !c->is_dropped && c->process && c->process->tenant != t &&
	       c->process->tenant->grant.gpu == t->grant.gpu;
}

void peers_tell_all(struct connection *c)
{
	for (const struct tenant *t = c->daemon->tenants; t; t = t->next) {
		struct proto_peer peer = peer_of(t);

		if (is_visible_owner(t) && is_concerned(c, t))
			(void)connection_send(c, &peer, PROTO_PEER, sizeof(peer), 1,
					      &t->activity.fd_read);
	}
}

static void tell_everybody(const struct tenant *t, uint16_t type, int nr_fds)
{
	for (struct connection *c = t->daemon->server.connections; c; c = c->next) {
		struct proto_peer peer = peer_of(t);

		if (is_concerned(c, t))
			(void)connection_send(c, &peer, type, sizeof(peer), nr_fds,
					      &t->activity.fd_read);
	}
}

void peers_announce(const struct tenant *t)
{
	if (is_visible_owner(t))
		tell_everybody(t, PROTO_PEER, 1);
}

void peers_retract(const struct tenant *t)
{
	if (is_visible_owner(t))
		tell_everybody(t, PROTO_PEER_GONE, 0);
}
