/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saying what escapes.
 *
 * A process that was to be confined and is not must not look like one that is. Where the shim gives
 * up (no launch hook, a descriptor of an unknown version, a GPU on which the self-test fails, a
 * context that it did not see on a machine with several GPUs), it comes here, once for each reason:
 * a line at level error, a counter, and a message to the daemon on a connection of its own, so that
 * the status says *unconfined* also of a process that never attached. Who is confined, but by its
 * mask alone, says that in the same way, as a warning.
 *
 * The daemon is given 100 ms, since a launch may wait for it, and no answer is awaited. A daemon
 * that is away does not learn of it; standard error does.
 *
 * Tested by tests/integration/shim_doors.bats and daemon_confine.bats.
 */
#include "shim/link/unconfined.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "shim/link/connect.h"
#include "shim/link/wire.h"
#include "shim/tenant.h"

#define TELL_NS     100000000u
#define MAX_REASONS 16u

static _Atomic(const char *) said[MAX_REASONS];
static _Atomic int is_said;

/* 1 for who comes first with the reason. */
static int is_new(const char *why)
{
	for (size_t i = 0; i < MAX_REASONS; i++) {
		const char *none = NULL;

		if (atomic_compare_exchange_strong(&said[i], &none, why))
			return 1;
		if (none == why)
			return 0;
	}
	return 0;
}

static void tell(enum proto_confinement confinement, const char *why)
{
	struct proto_unattached message = {
		.header = {.magic = PROTO_MAGIC,
			   .version = PROTO_VERSION,
			   .type = PROTO_UNATTACHED,
			   .bytes = sizeof(message)},
		.confinement = confinement,
	};
	int fd;

	if (!link_token(message.token))
		return;
	(void)snprintf(message.reason, sizeof(message.reason), "%s", why);
	fd = wire_connect(tenant.options.socket, clock_now_ns() + TELL_NS);
	if (fd < 0)
		return;
	(void)wire_send(fd, &message, sizeof(message), -1);
	(void)close(fd);
}

static void say(const char *why)
{
	atomic_store(&is_said, 1);
	thread_count(STATS_unconfined);
	log_line(NULL, LOG_ERROR,
		 "msg=\"unconfined: launches of this process may run anywhere\" "
		 "pid=%d reason=\"%s\"",
		 (int)getpid(), why);
	tell(PROTO_UNCONFINED, why);
}

int unconfined_say(const char *why)
{
	if (!tenant.wants_masks)
		return 0;
	if (is_new(why))
		say(why);
	return 1;
}

int unconfined_is_said(void)
{
	return atomic_load(&is_said);
}

void unconfined_by_choice(const char *why)
{
	if (link_is_wanted())
		say(why);
}

void confined_otherwise_say(const char *why)
{
	if (!tenant.wants_masks || !is_new(why))
		return;
	log_line(NULL, LOG_WARN, "msg=\"confined by masks alone\" pid=%d reason=\"%s\"",
		 (int)getpid(), why);
	tell(PROTO_CONFINED, why);
}
