/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's event loop: descriptors, timers and processes in one epoll, one thread.
 *
 * Everything registered is a struct that the caller owns and keeps until it has removed it; nothing
 * is allocated here. A callback may add and remove anything, itself included: events of a struct
 * that was removed in the same round are dropped. Within a round deaths of processes come first,
 * then the rest in the order of arrival, then what was put off with loop_defer().
 *
 *	static void on_ready(void *cookie, uint32_t events);
 *	struct loop_io io = {.fd = fd, .on_ready = on_ready, .cookie = me};
 *	r = loop_add(loop, &io, EPOLLIN);
 */
#ifndef LITHOS_DAEMON_LOOP_H
#define LITHOS_DAEMON_LOOP_H

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>

#define LOOP_ROUND 16 /* events taken from the kernel at once: few, deaths wait behind them */

/* A descriptor. Level-triggered; the loop neither opens nor closes it. */
struct loop_io {
	int fd;
	int is_first; /* before all others of the round; constant while it is added */
	void (*on_ready)(void *cookie, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLHUP, ... */
	void *cookie;
};

/* A timer; the loop opens and closes its descriptor. */
struct loop_timer {
	struct loop_io io;
	void (*on_time)(void *cookie);
	void *cookie;
};

/* A process, child or not; the loop opens and closes its pidfd. */
struct loop_process {
	struct loop_io io;
	struct loop *loop;
	pid_t pid;
	void (*on_exit)(void *cookie); /* once; already removed then. A child is not reaped. */
	void *cookie;
};

/* Work for the end of the round; may be deferred again while it runs. */
struct loop_task {
	struct loop_task *next;
	int is_queued;
	void (*run)(void *cookie);
	void *cookie;
};

struct loop {
	int epoll;
	int epoll_first; /* of those that are first; inside `epoll`, so that one wait sees both */
	int is_stopped;
	int nr_pending; /* events of this round not yet handed out */
	int nr_pending_first;
	struct epoll_event pending[LOOP_ROUND];
	struct epoll_event pending_first[LOOP_ROUND];
	struct loop_task *tasks;
	struct loop_task **tasks_end;
};

int loop_init(struct loop *loop);
void loop_fini(struct loop *loop);

/* 0 or -errno. */
int loop_add(struct loop *loop, struct loop_io *io, uint32_t events);
int loop_change(struct loop *loop, struct loop_io *io, uint32_t events);
/* May be called for one that was never added. */
void loop_remove(struct loop *loop, struct loop_io *io);

/* Set on_time and cookie before; the timer is not running afterwards. 0 or -errno. */
int loop_timer_add(struct loop *loop, struct loop_timer *timer);
/* First after first_ns (at least 1 ns), then every every_ns; 0 = only once. */
int loop_timer_set(struct loop_timer *timer, uint64_t first_ns, uint64_t every_ns);
int loop_timer_stop(struct loop_timer *timer);
void loop_timer_remove(struct loop *loop, struct loop_timer *timer);

/* Set on_exit and cookie before. 0; -ESRCH when there is no such process; -errno. */
int loop_process_add(struct loop *loop, struct loop_process *process, pid_t pid);
/* May be called after it has ended, too. */
void loop_process_remove(struct loop *loop, struct loop_process *process);

/* Set run and cookie before. Queued at most once at a time. */
void loop_defer(struct loop *loop, struct loop_task *task);
void loop_task_cancel(struct loop *loop, struct loop_task *task);

/* Runs until loop_stop(). 0 or -errno. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* One round: waits at most timeout_ms (-1: for ever). Events handled, or -errno. For tests. */
int loop_round(struct loop *loop, int timeout_ms);

#endif
