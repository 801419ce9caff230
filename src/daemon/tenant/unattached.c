/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who uses the GPU without being attached.
 *
 * A process that could not attach (no daemon at its first context, too many processes, no
 * descriptors, a version that does not fit) runs on, confined by what its environment says or not
 * at all. Whoever watches the GPU must see that, so each such process has an entry with its last
 * word: of itself, or of the daemon that refused it. The entry ends with the process (a pidfd;
 * where there is no descriptor left for one, a look at /proc once a second), or when the process
 * attaches.
 *
 * Anybody may say anything of himself: the pid comes from the kernel. Of others, only who holds the
 * tenant's reservation may, and only of processes of the same user. A token that fits makes it an
 * entry of the tenant; else it is one of no tenant. The list is bounded, for each user and in all;
 * what is beyond is logged and counted.
 *
 * What it does badly: a new run of the daemon knows nothing of entries of the run before.
 *
 * Tested by tests/integration/daemon_unattached.c.
 */
#include "daemon/tenant/unattached.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

/* A new entry for a process; NULL when there is no room, or it has ended. */
static struct unattached *entry_new(struct connection *c, pid_t pid)
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
	*u = (struct unattached){.daemon = daemon, .pid = pid, .uid = c->uid};
	u->watch.on_exit = on_exit_of;
	u->watch.cookie = u;
	if (loop_process_add(&daemon->loop, &u->watch, pid) < 0)
		u->watch.io.fd = -1;
	/* 0, where even that is not known: then it is there for as long as the pid is. */
	(void)process_stat(pid, &u->start_time, &state);
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

static int is_known(const struct unattached *u, const struct tenant *t,
		    const struct proto_unattached *said)
{
	return u && u->tenant == t && u->confinement == said->confinement &&
	       strcmp(u->reason, said->reason) == 0;
}

/* What is said of a process again is no news. */
static void enter(struct connection *c, struct tenant *t, const struct proto_unattached *said)
{
	struct daemon *daemon = c->daemon;
	struct unattached *u = *link_of(daemon, (pid_t)said->pid);
	struct tenant *before = u ? u->tenant : NULL;

	if (is_known(u, t, said))
		return;
	if (!u)
		u = entry_new(c, (pid_t)said->pid);
	if (!u) {
		daemon->nr_unattached_lost++;
		return;
	}
	u->tenant = t;
	u->confinement = said->confinement;
	set_reason(u, said->reason);
	log_line(NULL, LOG_WARN, "msg=\"%s\" pid=%d uid=%u tenant=\"%s\" why=\"%s\"",
		 said->confinement == PROTO_UNCONFINED ? "unconfined"
						       : "confined without being attached",
		 (int)u->pid, (unsigned int)c->uid, t ? t->name : "", u->reason);
	if (before && before != t)
		(void)tenant_reap(before);
}

static int is_of_user(pid_t pid, uid_t uid)
{
	struct stat st;
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return stat(path, &st) == 0 && st.st_uid == uid;
}

void unattached_said(struct connection *c, const struct proto_unattached *said)
{
	struct tenant *t = tenant_by_token(c->daemon, said->token);
	struct proto_unattached word = *said;

	if (t && c->uid != t->uid && c->uid != 0)
		t = NULL;
	if (!word.pid)
		word.pid = (uint32_t)c->pid;
	/* Who has attached since is not what it was taken for. */
	if (word.pid != (uint32_t)c->pid &&
	    (!t || t->reservation != c || !is_of_user((pid_t)word.pid, c->uid) ||
	     process_by_pid(t, (pid_t)word.pid)))
		return;
	enter(c, t, &word);
}

void unattached_refused(struct connection *c, struct tenant *t, enum proto_confinement how,
			const char *reason)
{
	struct proto_unattached word = {.confinement = (uint32_t)how, .pid = (uint32_t)c->pid};
	const struct unattached *u = *link_of(c->daemon, c->pid);

	/* It has said how it runs, and asks again now and then. */
	if (u && u->tenant == t && u->confinement == PROTO_CONFINED)
		return;
	(void)snprintf(word.reason, sizeof(word.reason), "%.*s", (int)sizeof(word.reason) - 1,
		       reason);
	enter(c, t, &word);
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
