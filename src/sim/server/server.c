/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop of the server: wait, move time, read, move time, write.
 *
 * Problem: several processes use one simulated GPU, and any of them may be killed at any moment. A
 * device in shared memory would have to survive that in the middle of every update; here only this
 * process has the device, and a client is a socket. Idea: each round brings the devices up to the
 * present before anything new is heard, so that nothing a client asks for happens before it asked;
 * then reads, lets the devices start what they can, and writes.
 *
 * The loop sleeps until the devices' next event, with the timer slack at its least. Late rounds do
 * not change the devices' times, only when clients hear of them.
 *
 * What it does badly: one thread for all GPUs. Tested by tests/unit/sim_shared_faults.c.
 */
#include "sim/server/server.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define NR_EVENTS 64
#define SPIN_NS   10000u

int server_watch(struct server *server, struct watched *watched, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watched};

	if (epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, watched->fd, &event))
		return -errno;
	return 0;
}

void server_unwatch(struct server *server, struct watched *watched)
{
	if (watched->fd < 0)
		return;
	(void)epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, watched->fd, NULL);
	(void)close(watched->fd);
	watched->fd = -1;
}

static void advance(struct server *server)
{
	uint64_t now_ns = clock_now_ns();

	for (unsigned int i = 0; i < server->nr_gpus; i++)
		(void)device_advance(server->gpu[i].device, now_ns);
}

/* What is gone goes; this may wake others up, so the devices are looked at again. */
static int reap(struct server *server)
{
	struct client **link = &server->clients;
	int nr = 0;

	while (*link) {
		struct client *client = *link;

		if (!client->is_gone) {
			link = &client->next;
			continue;
		}
		*link = client->next;
		client_free(client);
		nr++;
	}
	return nr;
}

static void settle(struct server *server)
{
	do
		advance(server);
	while (reap(server));
	for (struct client *client = server->clients; client; client = client->next)
		client_flush(client);
}

static uint64_t next_ns(const struct server *server)
{
	uint64_t next = SIM_NEVER;

	for (unsigned int i = 0; i < server->nr_gpus; i++) {
		uint64_t at_ns = device_next_event_ns(server->gpu[i].device);

		next = at_ns < next ? at_ns : next;
	}
	if (server->idle_since_ns && server->linger_ns &&
	    server->idle_since_ns + server->linger_ns < next)
		next = server->idle_since_ns + server->linger_ns;
	return next;
}

static int wait_events(struct server *server, struct epoll_event *events)
{
	uint64_t next = next_ns(server);
	uint64_t now = clock_now_ns();
	/* Sleeping and waking take longer than what is this close. */
	uint64_t left = next > now + SPIN_NS ? next - now : 0;
	struct timespec timeout = {.tv_sec = (time_t)(left / 1000000000u),
				   .tv_nsec = (long)(left % 1000000000u)};

	return epoll_pwait2(server->epoll_fd, events, NR_EVENTS,
			    next == SIM_NEVER ? NULL : &timeout, NULL);
}

static int is_over(struct server *server)
{
	if (server->clients) {
		server->idle_since_ns = 0;
		return 0;
	}
	if (!server->idle_since_ns)
		server->idle_since_ns = clock_now_ns();
	return server->linger_ns &&
	       !time_before(clock_now_ns(), server->idle_since_ns + server->linger_ns);
}

void server_accept(struct server *server, struct watched *watched)
{
	for (;;) {
		int fd = accept4(watched->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		client_accept(server, fd);
	}
}

int server_run(struct server *server)
{
	struct epoll_event events[NR_EVENTS];

	for (;;) {
		int n;

		if (is_over(server) && !server_end(server))
			return 0;
		n = wait_events(server, events);
		if (n < 0 && errno != EINTR)
			return -errno;
		advance(server);
		for (int i = 0; i < n; i++) {
			struct watched *watched = events[i].data.ptr;

			watched->ready(server, watched);
		}
		settle(server);
	}
}
