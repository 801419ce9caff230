/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who uses the GPU without being attached.
 *
 * A process that could not attach (no daemon at its first context, too many processes, no
 * descriptors, a version that does not fit) runs on, confined by what its environment says or not
 * at all. Whoever watches the GPU must see that, so each such process has an entry with its last
 * word: of itself, or of the daemon that refused it. The entry ends with the process (a pidfd; where
 * there is no descriptor left for one, a look at /proc once a second), or when the process attaches.
 *
 * Anybody may say anything of himself and of nobody else: the pid comes from the kernel. A token
 * that fits makes it an entry of the tenant; else it is one of no tenant. The list is bounded, for
 * each user and in all; what is beyond is logged and counted.
 *
 * What it does badly: a new run of the daemon knows nothing of entries of the run before.
 *
 * Tested by tests/integration/daemon_unattached.c.
 */
#include "daemon/tenant/unattached.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/daemon.h"
#include "daemon/tenant/tenant.h"

static struct unattached **link_of(struct daemon *daemon, pid_t pid)
{
	struct unattached **link = &daemon->unattached;

	while (*link && (*link)->pid != pid)
		link = &(*link)->next;
	return link;
}

static uint32_t entries_of(const struct daemon *daemon, uid_t uid)
{
	uint32_t nr = 0;

	for (const struct unattached *u = daemon->unattached; u; u = u->next)
		nr += u->uid == uid;
	return nr;
}

uint32_t unattached_count(const struct daemon *daemon, const struct tenant *t)
{
	uint32_t nr = 0;

	for (const struct unattached *u = daemon->unattached; u; u = u->next)
		nr += u->tenant == t;
	return nr;
}

static void entry_remove(struct unattached **link)
{
	struct unattached *u = *link;
	struct tenant *t = u->tenant;

	*link = u->next;
	u->daemon->nr_unattached--;
	loop_process_remove(&u->daemon->loop, &u->watch);
	free(u);
	if (t)
		(void)tenant_reap(t);
}

static void on_exit_of(void *cookie)
{
	const struct unattached *u = cookie;

	unattached_forget(u->daemon, u->pid);
}

/* A new entry for who is behind the connection; NULL when there is no room, or it has ended. */
static struct unattached *entry_new(struct connection *c)
{
	struct daemon *daemon = c->daemon;
	struct unattached *u;
	char state;

	if (daemon->nr_unattached >= UNATTACHED_MAX ||
	    entries_of(daemon, c->uid) >= UNATTACHED_MAX_USER)
		return NULL;
	u = calloc(1, sizeof(*u));
	if (!u)
		return NULL;
	*u = (struct unattached){.daemon = daemon, .pid = c->pid, .uid = c->uid};
	u->watch.on_exit = on_exit_of;
	u->watch.cookie = u;
	if (loop_process_add(&daemon->loop, &u->watch, c->pid) < 0)
		u->watch.io.fd = -1;
	/* 0, where even that is not known: then it is there for as long as the pid is. */
	(void)process_stat(c->pid, &u->start_time, &state);
	u->next = daemon->unattached;
	daemon->unattached = u;
	daemon->nr_unattached++;
	return u;
}

/* For people, logs and JSON: printable ASCII, whatever was sent. */
static void set_reason(struct unattached *u, const char *reason)
{
	size_t n = 0;

	for (; n < sizeof(u->reason) - 1 && reason[n]; n++)
		u->reason[n] =
			reason[n] < 0x20 || reason[n] > 0x7e || reason[n] == '"' ? '\'' : reason[n];
	u->reason[n] = '\0';
}

static void enter(struct connection *c, struct tenant *t, uint32_t confinement, const char *reason)
{
	struct daemon *daemon = c->daemon;
	struct unattached *u = *link_of(daemon, c->pid);
	struct tenant *before = u ? u->tenant : NULL;

	if (!u)
		u = entry_new(c);
	if (!u) {
		daemon->nr_unattached_lost++;
		return;
	}
	u->tenant = t;
	u->confinement = confinement;
	set_reason(u, reason);
	log_line(NULL, LOG_WARN, "msg=\"%s\" pid=%d uid=%u tenant=\"%s\" why=\"%s\"",
		 confinement == PROTO_UNCONFINED ? "unconfined" : "confined without being attached",
		 (int)c->pid, (unsigned int)c->uid, t ? t->name : "", u->reason);
	if (before && before != t)
		(void)tenant_reap(before);
}

void unattached_said(struct connection *c, const struct proto_unattached *said)
{
	struct tenant *t = tenant_by_token(c->daemon, said->token);

	if (t && c->uid != t->uid && c->uid != 0)
		t = NULL;
	enter(c, t, said->confinement, said->reason);
}

/* What it does without the daemon, it says itself when it can; until then the worst is true. */
void unattached_refused(struct connection *c, struct tenant *t, const char *reason)
{
	enter(c, t, PROTO_UNCONFINED, reason);
}

void unattached_forget(struct daemon *daemon, pid_t pid)
{
	struct unattached **link = link_of(daemon, pid);

	if (*link)
		entry_remove(link);
}

void unattached_disown(struct tenant *t)
{
	for (struct unattached *u = t->daemon->unattached; u; u = u->next) {
		if (u->tenant == t)
			u->tenant = NULL;
	}
}

static int is_gone(const struct unattached *u)
{
	uint64_t start;
	char state;
	int r = process_stat(u->pid, &start, &state);

	return r == -ENOENT || r == -ESRCH || (r == 0 && u->start_time && start != u->start_time);
}

void unattached_sweep(struct daemon *daemon)
{
	struct unattached **link = &daemon->unattached;

	while (*link) {
		if ((*link)->watch.io.fd < 0 && is_gone(*link))
			entry_remove(link);
		else
			link = &(*link)->next;
	}
}

void unattached_close(struct daemon *daemon)
{
	while (daemon->unattached) {
		struct unattached *u = daemon->unattached;

		daemon->unattached = u->next;
		loop_process_remove(&daemon->loop, &u->watch);
		free(u);
	}
	daemon->nr_unattached = 0;
}
