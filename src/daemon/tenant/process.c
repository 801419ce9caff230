/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of tenants: who they are, and their deaths.
 *
 * A process is a pid and the time it started; a pidfd, held from the moment it attaches, says when
 * it has ended, whatever happens to its connection. Its line of the activity is then cleared,
 * `active` first: borrowers that read it must not take the owner for active for ever. The daemon
 * writes to a line only when its process is dead or not attached yet, so there is one writer at any
 * time.
 *
 * A pid may in theory be taken by another process between connect() and the opening of the pidfd;
 * the new one would have to be born in those microseconds, and gains nothing but a line.
 *
 * Tested by tests/integration/daemon_attach.c and daemon_return.c.
 */
#include "daemon/tenant/tenant.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/daemon.h"

/* The name, in brackets, may hold anything; the last bracket ends it. Field 3 follows. */
static int parse_stat(const char *text, uint64_t *ret_start_time, char *ret_state)
{
	const char *p = strrchr(text, ')');
	unsigned long long start;
	char state;

	if (!p || sscanf(p,
			 ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			 "%*s %*s %llu",
			 &state, &start) != 2)
		return -EIO;
	*ret_start_time = start;
	*ret_state = state;
	return 0;
}

int process_stat(pid_t pid, uint64_t *ret_start_time, char *ret_state)
{
	char text[1024];
	ssize_t n;
	int fd;

	(void)snprintf(text, sizeof(text), "/proc/%d/stat", (int)pid);
	fd = open(text, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (n <= 0)
		return -ESRCH;
	text[n] = '\0';
	return parse_stat(text, ret_start_time, ret_state);
}

struct process *process_by_pid(const struct tenant *t, pid_t pid)
{
	for (uint32_t i = 0; i < SHM_MAX_PROCS; i++) {
		if (t->process[i] && t->process[i]->pid == pid)
			return t->process[i];
	}
	return NULL;
}

void process_clear_line(const struct process *p)
{
	struct shm_activity *activity = p->tenant->activity.map;
	struct shm_proc *line;

	if (!activity)
		return;
	line = &activity->proc[p->line];
	atomic_store_explicit((_Atomic uint32_t *)&line->active, 0, memory_order_relaxed);
	memset(line, 0, sizeof(*line));
}

/* What the line says was done, into what the tenant has done. A tenant may write any number. */
static void keep_totals(const struct process *p)
{
	const struct shm_activity *activity = p->tenant->activity.map;
	struct tenant_totals *ended = &p->tenant->ended;
	const struct shm_proc *line;

	if (!activity)
		return;
	line = &activity->proc[p->line];
	ended->nr_launches += line->nr_launches;
	ended->nr_deferred += line->nr_deferred;
	ended->nr_reclaims += line->nr_reclaims;
	ended->own_tpc_ns += line->own_tpc_ns;
	ended->borrowed_tpc_ns += line->borrowed_tpc_ns;
}

void process_remove(struct process *p)
{
	struct tenant *t = p->tenant;

	loop_process_remove(&t->daemon->loop, &p->watch);
	keep_totals(p);
	process_clear_line(p);
	t->process[p->line] = NULL;
	t->nr_processes--;
	if (p->connection)
		p->connection->process = NULL;
	free(p);
}

static void on_exit_of(void *cookie)
{
	struct process *p = cookie;
	struct tenant *t = p->tenant;
	struct daemon *daemon = t->daemon;
	struct connection *c = p->connection;
	uint32_t gpu = t->grant.gpu;

	process_remove(p);
	if (c)
		connection_drop(c);
	if (tenant_reap(t))
		return;
	if (t->grant.place != SHM_NO_OWNER)
		board_write(daemon, gpu);
	watch_changed(daemon, gpu);
	state_touch(t);
}

static int free_line(const struct tenant *t, int wanted)
{
	if (wanted >= 0 && wanted < (int)SHM_MAX_PROCS && !t->process[wanted])
		return wanted;
	for (uint32_t i = 0; i < SHM_MAX_PROCS; i++) {
		if (!t->process[i])
			return (int)i;
	}
	return -ENOSPC;
}

int process_new(struct tenant *t, pid_t pid, int line, struct process **ret_process)
{
	int place = free_line(t, line);
	struct process *p;
	char state;
	int r;

	if (place < 0)
		return place;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = (struct process){
		.tenant = t, .pid = pid, .line = (uint32_t)place, .attached_ns = clock_now_ns()};
	p->watch.on_exit = on_exit_of;
	p->watch.cookie = p;
	r = loop_process_add(&t->daemon->loop, &p->watch, pid);
	/* After the pidfd was opened: what is read is of the process that is watched, or it
	 * ended. */
	if (r == 0 && process_stat(pid, &p->start_time, &state) < 0)
		r = -ESRCH;
	if (r < 0) {
		loop_process_remove(&t->daemon->loop, &p->watch);
		free(p);
		return r;
	}
	t->process[place] = p;
	t->nr_processes++;
	*ret_process = p;
	return 0;
}
