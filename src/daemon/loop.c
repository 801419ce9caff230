/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One epoll for descriptors, timers and processes.
 *
 * The daemon must run on a machine that has libc and nothing else, so this takes the place of an
 * event library: level-triggered epoll, a timerfd a timer, a pidfd a process. There are hundreds of
 * descriptors at most and a handful of timers, so nothing cleverer is worth its lines.
 *
 * Deaths come first, because a tenant's end is what others wait for: they live in an epoll of their
 * own, which is emptied at the start of each round, and a round takes few events, so that a death
 * waits behind LOOP_ROUND callbacks at most, however many connections are ready.
 *
 * A callback may remove any struct and free it. Events already taken from the kernel for it are
 * erased from the round, which costs a walk over at most 2 x LOOP_ROUND entries.
 *
 * What it does badly: no fairness among descriptors beyond the kernel's own (which is round robin).
 * Tested by tests/unit/daemon_loop.c.
 */
#include "daemon/loop.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define NS_PER_S 1000000000u

int loop_init(struct loop *loop)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

	memset(loop, 0, sizeof(*loop));
	loop->tasks_end = &loop->tasks;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	loop->epoll_first = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0 || loop->epoll_first < 0)
		return -errno;
	/* Its event has no struct: it only ends the wait. */
	return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->epoll_first, &event) < 0 ? -errno : 0;
}

void loop_fini(struct loop *loop)
{
	(void)close(loop->epoll);
	(void)close(loop->epoll_first);
}

static int loop_control(const struct loop *loop, int what, struct loop_io *io, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = io};
	int epoll = io->is_first ? loop->epoll_first : loop->epoll;

	return epoll_ctl(epoll, what, io->fd, &event) < 0 ? -errno : 0;
}

int loop_add(struct loop *loop, struct loop_io *io, uint32_t events)
{
	return loop_control(loop, EPOLL_CTL_ADD, io, events);
}

int loop_change(struct loop *loop, struct loop_io *io, uint32_t events)
{
	return loop_control(loop, EPOLL_CTL_MOD, io, events);
}

static void forget_events(struct epoll_event *pending, int nr, const struct loop_io *io)
{
	for (int i = 0; i < nr; i++) {
		if (pending[i].data.ptr == io)
			pending[i].data.ptr = NULL;
	}
}

void loop_remove(struct loop *loop, struct loop_io *io)
{
	(void)loop_control(loop, EPOLL_CTL_DEL, io, 0);
	forget_events(loop->pending, loop->nr_pending, io);
	forget_events(loop->pending_first, loop->nr_pending_first, io);
}

static void timer_ready(void *cookie, uint32_t events)
{
	struct loop_timer *timer = cookie;
	uint64_t nr_expired;

	(void)events;
	/* -EAGAIN: it was set anew since the kernel reported it. */
	if (read(timer->io.fd, &nr_expired, sizeof(nr_expired)) == (ssize_t)sizeof(nr_expired))
		timer->on_time(timer->cookie);
}

int loop_timer_add(struct loop *loop, struct loop_timer *timer)
{
	int r;

	timer->io = (struct loop_io){.on_ready = timer_ready, .cookie = timer};
	timer->io.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (timer->io.fd < 0)
		return -errno;
	r = loop_add(loop, &timer->io, EPOLLIN);
	if (r < 0) {
		(void)close(timer->io.fd);
		timer->io.fd = -1;
	}
	return r;
}

static struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S),
				 .tv_nsec = (long)(ns % NS_PER_S)};
}

int loop_timer_set(struct loop_timer *timer, uint64_t first_ns, uint64_t every_ns)
{
	struct itimerspec spec = {.it_value = timespec_of(first_ns ? first_ns : 1),
				  .it_interval = timespec_of(every_ns)};

	return timerfd_settime(timer->io.fd, 0, &spec, NULL) < 0 ? -errno : 0;
}

int loop_timer_stop(struct loop_timer *timer)
{
	struct itimerspec spec = {0};

	return timerfd_settime(timer->io.fd, 0, &spec, NULL) < 0 ? -errno : 0;
}

void loop_timer_remove(struct loop *loop, struct loop_timer *timer)
{
	if (timer->io.fd <= 0)
		return;
	loop_remove(loop, &timer->io);
	(void)close(timer->io.fd);
	timer->io.fd = -1;
}

static void process_ready(void *cookie, uint32_t events)
{
	struct loop_process *process = cookie;

	(void)events;
	loop_process_remove(process->loop, process);
	process->on_exit(process->cookie);
}

int loop_process_add(struct loop *loop, struct loop_process *process, pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	int r;

	if (fd < 0)
		return -errno;
	process->loop = loop;
	process->pid = pid;
	process->io = (struct loop_io){
		.fd = fd, .is_first = 1, .on_ready = process_ready, .cookie = process};
	r = loop_add(loop, &process->io, EPOLLIN);
	if (r < 0) {
		(void)close(fd);
		process->io.fd = -1;
	}
	return r;
}

void loop_process_remove(struct loop *loop, struct loop_process *process)
{
	if (process->io.fd <= 0)
		return;
	loop_remove(loop, &process->io);
	(void)close(process->io.fd);
	process->io.fd = -1;
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
	if (task->is_queued)
		return;
	task->is_queued = 1;
	task->next = NULL;
	*loop->tasks_end = task;
	loop->tasks_end = &task->next;
}

void loop_task_cancel(struct loop *loop, struct loop_task *task)
{
	struct loop_task **link = &loop->tasks;

	if (!task->is_queued)
		return;
	while (*link && *link != task)
		link = &(*link)->next;
	if (!*link)
		return;
	*link = task->next;
	if (loop->tasks_end == &task->next)
		loop->tasks_end = link;
	task->is_queued = 0;
}

/* Those queued by a task itself wait for the next round. */
static void run_tasks(struct loop *loop)
{
	int nr = 0;

	for (const struct loop_task *task = loop->tasks; task; task = task->next)
		nr++;
	for (; nr && loop->tasks; nr--) {
		struct loop_task *task = loop->tasks;

		loop_task_cancel(loop, task);
		task->run(task->cookie);
	}
}

static void hand_out(struct epoll_event *pending, int *nr)
{
	for (int i = 0; i < *nr; i++) {
		struct loop_io *io = pending[i].data.ptr;

		pending[i].data.ptr = NULL;
		if (io)
			io->on_ready(io->cookie, pending[i].events);
	}
	*nr = 0;
}

static int hand_out_first(struct loop *loop)
{
	int nr = epoll_wait(loop->epoll_first, loop->pending_first, LOOP_ROUND, 0);

	if (nr < 0)
		return errno == EINTR ? 0 : -errno;
	loop->nr_pending_first = nr;
	hand_out(loop->pending_first, &loop->nr_pending_first);
	return nr;
}

int loop_round(struct loop *loop, int timeout_ms)
{
	int nr = epoll_wait(loop->epoll, loop->pending, LOOP_ROUND, loop->tasks ? 0 : timeout_ms);
	int nr_first;

	if (nr < 0 && errno != EINTR)
		return -errno;
	nr = nr < 0 ? 0 : nr;
	loop->nr_pending = nr;
	nr_first = hand_out_first(loop);
	hand_out(loop->pending, &loop->nr_pending);
	run_tasks(loop);
	return nr_first < 0 ? nr_first : nr;
}

int loop_run(struct loop *loop)
{
	while (!loop->is_stopped) {
		int r = loop_round(loop, -1);

		if (r < 0)
			return r;
	}
	return 0;
}

void loop_stop(struct loop *loop)
{
	loop->is_stopped = 1;
}
