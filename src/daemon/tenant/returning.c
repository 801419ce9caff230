/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who does not come back.
 *
 * Shims and `lithos run` try again after 100 ms, doubling to 2 s, so five seconds are two tries at
 * least. Then reservations and processes that are still awaited are dropped, and tenants that
 * nothing keeps alive with them. A process that is stopped (SIGSTOP, a debugger) cannot come back:
 * it stays, watched by its pidfd, and its tenant keeps its TPCs.
 *
 * A tenant whose reservation came back, but no process with its activity, gets a new activity;
 * processes that waited for it are let in. Tested by tests/integration/daemon_return.c.
 */
#include "daemon/tenant/returning.h"

#include "base/log.h"
#include "daemon/daemon.h"
#include "daemon/tenant/tenant.h"

static int is_stopped(const struct process *p)
{
	uint64_t start;
	char state = '?';

	return process_stat(p->pid, &start, &state) == 0 && (state == 'T' || state == 't');
}

static void drop_missing(struct tenant *t)
{
	uint32_t nr_missing = 0;

	for (uint32_t i = 0; i < SHM_MAX_PROCS; i++) {
		struct process *p = t->process[i];

		if (!p || !p->is_awaited || is_stopped(p))
			continue;
		process_remove(p);
		nr_missing++;
	}
	if (nr_missing || t->is_awaited)
		log_line(NULL, LOG_INFO,
			 "msg=\"did not come back\" tenant=\"%s\" id=%u processes=%u "
			 "reservation=%s",
			 t->name, t->id, nr_missing, t->is_awaited ? "missing" : "ok");
	t->is_awaited = 0;
}

/* What is left goes on without those that are missing. Only a stopped process is awaited still, and
 * it will bring the activity: until then the owner counts as active, because nobody can look. */
static void go_on(struct tenant *t)
{
	struct daemon *daemon = t->daemon;

	if (!t->activity.map && !t->nr_processes && tenant_make_activity(t) == 0) {
		tenant_renew_place(t);
		peers_announce(t);
		attach_waiting(t);
	}
	if (t->grant.place != SHM_NO_OWNER)
		board_write(daemon, t->grant.gpu);
	watch_changed(daemon, t->grant.gpu);
	state_touch(t);
}

static void on_time(void *cookie)
{
	struct daemon *daemon = cookie;
	struct tenant *next;

	for (struct tenant *t = daemon->tenants; t; t = next) {
		next = t->next;
		drop_missing(t);
		if (!tenant_reap(t))
			go_on(t);
	}
	for (struct connection *c = daemon->server.connections; c; c = c->next) {
		if (!c->is_waiting)
			continue;
		c->is_waiting = 0;
		connection_refuse(c, "no such tenant: it has ended");
	}
	loop_timer_remove(&daemon->loop, &daemon->return_timer);
}

int returning_begin(struct daemon *daemon)
{
	int r;

	daemon->return_timer = (struct loop_timer){.on_time = on_time, .cookie = daemon};
	r = loop_timer_add(&daemon->loop, &daemon->return_timer);
	return r < 0 ? r : loop_timer_set(&daemon->return_timer, DAEMON_RETURN_NS, 0);
}
