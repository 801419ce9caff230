/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Closing what a client chose.
 *
 * close() may block for as long as the file likes: a TCP socket with unsent data and SO_LINGER, a
 * file of a FUSE file system whose server sleeps. A client can pass such a descriptor to the
 * daemon, and it is enough that it lies in the queue of a connection: the kernel closes it with the
 * connection. The daemon has one thread, so it must not be the one that closes.
 *
 * Who may have chosen a file is closed by a thread that is started for it and takes what else
 * waits; it ends when nothing does. A user has at most MAX_THREADS_USER of them busy, so one user's
 * blocked files do not keep another's waiting; what has no thread waits in a list. What is not
 * closed yet counts against the user's limit of connections (server.c): who blocks many is let in
 * no more. Well behaved clients leave their queues empty and pass nothing but an activity, so that
 * normally there is no thread at all.
 *
 * An empty queue is found out after the connection was shut down, when nobody can add to it any
 * more: with SO_PASSCRED every packet, also one of no length, brings control data, and the end of
 * the connection brings none.
 *
 * What it does badly: somebody who can make close() block for good (FUSE) can keep as many
 * descriptors of the daemon as it can make connections, one each, until there are none left and
 * accepting pauses. Who is attached does not notice.
 *
 * Tested by tests/integration/daemon_freeze.c.
 */
#include "daemon/server/closer.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/quiet_thread.h"

#define MAX_THREADS_USER 4
#define MAX_THREADS      64
#define STACK_BYTES      ((size_t)64 * 1024)

struct closing {
	struct closing *next;
	int fd;
	uid_t uid;
	int is_busy; /* a thread is at it */
};

static struct {
	pthread_mutex_t lock;
	struct closing *list;
	uint32_t nr_threads;
} closer = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint32_t count_locked(uid_t uid, int only_busy)
{
	uint32_t nr = 0;

	for (const struct closing *c = closer.list; c; c = c->next)
		nr += c->uid == uid && (c->is_busy || !only_busy);
	return nr;
}

/* One that a thread may take up; NULL when each waits for another of its user. */
static struct closing *next_locked(void)
{
	for (struct closing *c = closer.list; c; c = c->next) {
		if (!c->is_busy && count_locked(c->uid, 1) < MAX_THREADS_USER)
			return c;
	}
	return NULL;
}

static void unlink_locked(struct closing *c)
{
	struct closing **link = &closer.list;

	while (*link != c)
		link = &(*link)->next;
	*link = c->next;
}

static void *close_all(void *unused)
{
	struct closing *c;

	(void)unused;
	(void)pthread_mutex_lock(&closer.lock);
	while ((c = next_locked()) != NULL) {
		c->is_busy = 1;
		(void)pthread_mutex_unlock(&closer.lock);
		(void)close(c->fd);
		(void)pthread_mutex_lock(&closer.lock);
		unlink_locked(c);
		free(c);
	}
	closer.nr_threads--;
	(void)pthread_mutex_unlock(&closer.lock);
	return NULL;
}

/* Where there is no thread to be had, the next one that ends or is started takes it along. */
static void start_thread_locked(void)
{
	pthread_t thread;

	if (closer.nr_threads >= MAX_THREADS || !next_locked())
		return;
	if (quiet_thread_start(&thread, STACK_BYTES, close_all, NULL) != 0)
		return;
	(void)pthread_detach(thread);
	closer.nr_threads++;
}

void closer_close(int fd, uid_t uid)
{
	struct closing *c = malloc(sizeof(*c));

	/* Without memory it stays open: a descriptor less is better than a daemon that waits. */
	if (!c)
		return;
	*c = (struct closing){.fd = fd, .uid = uid};
	(void)pthread_mutex_lock(&closer.lock);
	c->next = closer.list;
	closer.list = c;
	start_thread_locked();
	(void)pthread_mutex_unlock(&closer.lock);
}

uint32_t closer_pending(uid_t uid)
{
	uint32_t nr;

	(void)pthread_mutex_lock(&closer.lock);
	nr = count_locked(uid, 0);
	(void)pthread_mutex_unlock(&closer.lock);
	return nr;
}

static int queue_is_empty(int fd)
{
	int on = 1;
	char byte;
	struct iovec iov = {.iov_base = &byte, .iov_len = sizeof(byte)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return 0;
	/* A look only: what is taken out of the queue would be closed here. */
	return recvmsg(fd, &msg, MSG_PEEK | MSG_DONTWAIT) == 0 && !(msg.msg_flags & MSG_CTRUNC);
}

void closer_close_connection(int fd, uid_t uid)
{
	(void)shutdown(fd, SHUT_RDWR);
	if (queue_is_empty(fd))
		(void)close(fd);
	else
		closer_close(fd, uid);
}
