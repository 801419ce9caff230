/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which lithosd to talk to.
 *
 * The order: what the user named; the machine's, which an administrator started and which therefore
 * decides for everybody; the user's private one. A name that leads nowhere is an error and not a
 * reason to try the next place, because two daemons would give the same TPCs away twice. For the
 * same reason a machine's daemon that refuses this user is an error, while one that is not there is
 * not.
 *
 * A socket in a private folder must belong to a process of this user, and the folder to this user
 * alone (place.h).
 *
 * What it does badly: a machine's daemon that is just being restarted is taken for none. Tested by
 * tests/integration/cli_tenant.bats and cli_private.bats.
 */
#include "cli/daemon/find.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/options.h"
#include "cli/cli.h"
#include "cli/daemon/client.h"
#include "cli/daemon/start.h"

#define SYSTEM_SOCKET "/run/lithos/lithosd.sock"

#define BUSY_TRIES    100 /* of 50 ms: a full backlog */
#define BUSY_PAUSE_NS 50000000

static int is_nobody(int error)
{
	return error == -ENOENT || error == -ECONNREFUSED;
}

/* Waits while the daemon has more callers than it has yet looked at. */
static int connect_patiently(const char *path, int *ret_fd)
{
	static const struct timespec pause = {.tv_nsec = BUSY_PAUSE_NS};
	int r = client_connect(path, ret_fd);

	for (int i = 0; r == -EAGAIN && i < BUSY_TRIES; i++) {
		(void)nanosleep(&pause, NULL);
		r = client_connect(path, ret_fd);
	}
	return r;
}

static int try_socket(const char *path, enum find_kind kind, struct daemon_link *ret_link)
{
	int fd = -1;
	int r = connect_patiently(path, &fd);

	if (r < 0)
		return r;
	*ret_link = (struct daemon_link){.kind = kind, .fd = fd};
	(void)snprintf(ret_link->socket, sizeof(ret_link->socket), "%s", path);
	return 0;
}

static int try_named(const char *path, struct daemon_link *ret_link)
{
	int r = try_socket(path, FIND_NAMED, ret_link);

	if (is_nobody(r))
		cli_error("no lithosd at %s", path);
	else if (r < 0)
		cli_error("lithosd at %s %s", path, client_strerror(r));
	return r;
}

static int try_private(const struct place *place, struct daemon_link *ret_link)
{
	struct daemon_link link;
	uint32_t uid = 0;
	int r = try_socket(place->socket, FIND_PRIVATE, &link);

	if (r < 0)
		return r;
	r = client_peer_uid(link.fd, &uid);
	if (r == 0 && uid != geteuid())
		r = -EPERM;
	if (r < 0) {
		(void)close(link.fd);
		return r;
	}
	(void)snprintf(link.sim_device, sizeof(link.sim_device), "%s", place->sim_device);
	*ret_link = link;
	return 0;
}

/* Starts it and waits until it listens. -ECHILD: it has ended. */
static int start_and_wait(const struct place *place, struct start *start,
			  struct daemon_link *ret_link)
{
	int r = start_daemon(place, start);

	while (r == 0 && is_nobody(r = try_private(place, ret_link)))
		r = start_wait(start);
	return r;
}

/*
 * One of many `lithos run` at the same time starts it; the others wait and find it. A daemon that
 * meets one that is ending waits for its place. A second try, because it may have met one that was
 * starting, too, and could not.
 */
static int start_private(const struct place *place, struct daemon_link *ret_link)
{
	struct start start;
	int r = start_lock(place, &start);

	if (r < 0)
		return r;
	r = try_private(place, ret_link);
	if (is_nobody(r)) {
		r = start_and_wait(place, &start, ret_link);
		if (r == -ECHILD)
			r = start_and_wait(place, &start, ret_link);
		if (r == -ECHILD || r == -ETIMEDOUT)
			start_complain(place, &start, r);
		start_end_progress(&start);
		if (r == 0)
			cli_error("no lithosd is running: started a private one (%s)",
				  place->socket);
	}
	start_unlock(&start);
	return r;
}

static int find_private(const struct place *place, int may_start, struct daemon_link *ret_link)
{
	int r = place_check(place, may_start);

	if (r == 0)
		r = try_private(place, ret_link);
	if (r == -EPERM)
		cli_error("%s is not a folder of this user alone: it is not used", place->folder);
	else if (is_nobody(r) && may_start)
		return start_private(place, ret_link);
	else if (r < 0 && !is_nobody(r))
		cli_error("lithosd at %s %s", place->socket, client_strerror(r));
	return r;
}

int find_daemon(const struct options *options, int may_start, struct daemon_link *ret_link)
{
	struct place place;
	int r = -ENOENT;

	if (options->socket[0] != '\0')
		return try_named(options->socket, ret_link);
	if (!options->sim)
		r = try_socket(SYSTEM_SOCKET, FIND_SYSTEM, ret_link);
	if (r == 0)
		return 0;
	if (!is_nobody(r)) {
		cli_error("lithosd at %s %s", SYSTEM_SOCKET, client_strerror(r));
		return r;
	}
	place_name(options, &place);
	r = find_private(&place, may_start, ret_link);
	if (is_nobody(r) && !may_start)
		cli_error("no lithosd at %s%s%s", options->sim ? "" : SYSTEM_SOCKET,
			  options->sim ? "" : " or ", place.socket);
	return r;
}
