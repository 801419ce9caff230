/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process joins its tenant, or comes back to it.
 *
 * Who it is comes from the kernel (pid, uid); what it wants to be from the token. Three ways:
 *
 *   new      it gets a line. A pid that has one already has executed another program, or attaches
 *            anew: it keeps the line, which starts from nothing.
 *   back     its connection was lost, the daemon knows it: same line, same regions.
 *   return   the daemon was started anew and the tenant's activity is somewhere among its
 *            processes: the first that comes back brings it. It is checked like anything a tenant
 *            says (a memfd, sealed, of the right size); a second one must bring the same.
 *
 * A new process of a tenant whose activity is still awaited waits, too, for at most the time that
 * returns may take (attach_waiting). Tested by tests/integration/daemon_attach.c, daemon_return.c.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <lithos/proto.h>

#include "base/log.h"
#include "daemon/daemon.h"
#include "daemon/server/closer.h"
#include "daemon/tenant/tenant.h"
#include "daemon/tenant/unattached.h"

_Static_assert(sizeof(struct topology) <= PROTO_TOPOLOGY_MAX, "fits the message");

static void send_attached(struct connection *c)
{
	const struct process *p = c->process;
	struct tenant *t = p->tenant;
	const struct topology *topo = &c->daemon->ledger.gpu[t->grant.gpu].topo;
	const int fds[PROTO_NR_ATTACH_FDS] = {t->grant_region.fd_read, t->activity.fd,
					      c->daemon->gpu[t->grant.gpu].board_region.fd_read};
	struct proto_attached answer = {.line = p->line,
					.flags = PROTO_ATTACHED_VERIFIED,
					.tenant_id = t->id,
					.topology_bytes = sizeof(*topo)};

	memcpy(answer.topology, topo, sizeof(*topo));
	if (connection_send(c, &answer, PROTO_ATTACHED, sizeof(answer), PROTO_NR_ATTACH_FDS, fds) ==
	    0)
		peers_tell_all(c);
}

/* Says why, and shows the process as one that runs without being attached. */
__attribute__((format(printf, 3, 4))) static void refuse(struct connection *c, struct tenant *t,
							 const char *format, ...)
{
	char text[PROTO_REASON_BYTES];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	unattached_refused(c, t, PROTO_UNCONFINED, text);
	connection_refuse(c, "%s", text);
}

/* NULL when the token is nobody's, or not for this user or GPU; it has been refused then. */
static struct tenant *tenant_for(struct connection *c, const struct proto_attach *message)
{
	struct tenant *t = tenant_by_token(c->daemon, message->token);
	char has[UUID_TEXT_BYTES];
	char wants[UUID_TEXT_BYTES];
	const uint8_t *uuid;

	if (!t || (c->uid != t->uid && c->uid != 0)) {
		refuse(c, NULL, "no such tenant: it has ended, or belongs to another user");
		return NULL;
	}
	uuid = c->daemon->ledger.gpu[t->grant.gpu].topo.uuid;
	if (memcmp(uuid, message->gpu_uuid, sizeof(message->gpu_uuid)) == 0)
		return t;
	refuse(c, t, "the tenant is on %s, the context on %s", uuid_text(uuid, has),
	       uuid_text(message->gpu_uuid, wants));
	return NULL;
}

/* The process, known or new, with its line ready. */
static int enter_process(struct connection *c, struct tenant *t, const struct proto_attach *message,
			 struct process **ret_process)
{
	int is_back = (message->flags & PROTO_ATTACH_RETURN) != 0;
	struct process *p = process_by_pid(t, c->pid);

	if (!p) {
		int r = process_new(t, c->pid, is_back ? (int)(message->line % SHM_MAX_PROCS) : -1,
				    &p);

		if (r < 0)
			return r;
		if (!is_back || p->line != message->line)
			process_clear_line(p);
	} else if (!is_back) {
		process_clear_line(p);
	}
	if (p->connection) {
		p->connection->process = NULL;
		connection_drop(p->connection);
	}
	*ret_process = p;
	return 0;
}

static void attach(struct connection *c, struct tenant *t, const struct proto_attach *message)
{
	struct process *p;
	int r = enter_process(c, t, message, &p);

	if (r == -ENOSPC) {
		refuse(c, t, "the tenant has %u processes attached, which is the limit",
		       SHM_MAX_PROCS);
		return;
	}
	if (r < 0) {
		refuse(c, t, "the process cannot be watched: %s%s", strerror(-r),
		       r == -EMFILE ? " (lithosd's limit of descriptors, ulimit -n)" : "");
		return;
	}
	if (!(message->flags & PROTO_ATTACH_RETURN))
		unattached_forget(c->daemon, c->pid);
	p->is_awaited = 0;
	p->connection = c;
	c->process = p;
	if (t->grant.place != SHM_NO_OWNER)
		board_write(c->daemon, t->grant.gpu);
	watch_changed(c->daemon, t->grant.gpu);
	state_touch(t);
	send_attached(c);
	/* It has made a context: MPS has a server by now, whose death is to be seen. */
	mps_look(&c->daemon->mps);
}

/* What a process brings back. -EBADF: not an activity; -EEXIST: not the tenant's. */
static int take_activity(struct tenant *t, int fd)
{
	if (t->activity.map)
		return region_is(&t->activity, fd) ? 0 : -EEXIST;
	return tenant_adopt_activity(t, fd);
}

static const char other_memory[] =
	"the process has shared memory of another version than this lithosd: "
	"it keeps its own TPCs and cannot attach";

static void refuse_activity(struct connection *c, struct tenant *t, int r)
{
	log_line(NULL, LOG_WARN, "msg=\"bad activity refused\" pid=%d uid=%u", (int)c->pid,
		 (unsigned int)c->uid);
	if (r == -EPROTONOSUPPORT) {
		/* It has what the run before gave it, and keeps to that. */
		unattached_refused(c, t, PROTO_CONFINED, other_memory);
		connection_refuse(c, "%s", other_memory);
		return;
	}
	refuse(c, t, "%s",
	       r == -EEXIST ? "the activity is not the tenant's"
			    : "the activity is no sealed memfd of the right size");
}

static void attach_bringing(struct connection *c, struct tenant *t,
			    const struct proto_attach *message, int fd)
{
	int had_one = t->activity.map != NULL;
	int r = take_activity(t, fd);

	/* Its own memory once more; else anything. */
	if (r < 0)
		closer_close(fd, c->uid);
	else if (had_one)
		(void)close(fd);
	if (r < 0) {
		refuse_activity(c, t, r);
		return;
	}
	attach(c, t, message);
	if (had_one)
		return;
	peers_announce(t);
	attach_waiting(t);
}

int attach_request(struct connection *c, const struct proto_attach *message, int fd)
{
	struct tenant *t = NULL;
	int is_bad = c->reserves || c->process || c->is_waiting || c->asking;

	if (!is_bad)
		t = tenant_for(c, message);
	if (t && fd >= 0 && (message->flags & PROTO_ATTACH_RETURN)) {
		attach_bringing(c, t, message, fd);
		return 0;
	}
	if (fd >= 0)
		closer_close(fd, c->uid);
	if (is_bad)
		return -EPROTO;
	if (t && t->activity.map) {
		attach(c, t, message);
	} else if (t) {
		c->is_waiting = 1;
		c->wish = *message;
	}
	return 0;
}

void attach_waiting(struct tenant *t)
{
	for (struct connection *c = t->daemon->server.connections; c; c = c->next) {
		if (c->is_dropped || !c->is_waiting ||
		    memcmp(c->wish.token, t->token, sizeof(t->token)) != 0)
			continue;
		c->is_waiting = 0;
		attach(c, t, &c->wish);
	}
}
