/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may run together.
 *
 * Clients of one MPS, told by the folder of its pipes and the process id of its control daemon,
 * share a group on every GPU; any other client has groups of its own. When the MPS's daemon or
 * server ends, which a pidfd tells at once, all its clients are told and lose their work, as when
 * the hardware's MPS dies. A new client with the same folder and a new daemon then makes a new
 * tenancy.
 *
 * Tested by tests/unit/sim_shared_sharing.c, sim_shared_faults.c.
 */
#include "sim/server/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

/* CUDA_ERROR_MPS_RPC_FAILURE: "a remote procedural call between MPS server and client failed". */
#define MPS_DIED 806u

static int is_same_mps(const struct tenancy *tenancy, const struct proto_mps *mps)
{
	return mps->control_pid && !tenancy->lost && tenancy->mps.control_pid == mps->control_pid &&
	       tenancy->mps.folder_device == mps->folder_device &&
	       tenancy->mps.folder_inode == mps->folder_inode;
}

static void mps_died(struct server *server, struct tenancy *tenancy)
{
	const struct proto_lost lost = {.head = {sizeof(lost), PROTO_LOST, 0}, .error = MPS_DIED};

	tenancy->lost = MPS_DIED;
	server_unwatch(server, &tenancy->control);
	server_unwatch(server, &tenancy->mps_server);
	for (struct client *client = server->clients; client; client = client->next) {
		if (client->tenancy != tenancy)
			continue;
		client_send(client, &lost);
		client_flush(client);
		client->is_gone = 1;
	}
}

static struct tenancy *tenancy_of(void *watched, size_t offset)
{
	return (struct tenancy *)((char *)watched - offset);
}

static void control_ended(struct server *server, struct watched *watched)
{
	mps_died(server, tenancy_of(watched, offsetof(struct tenancy, control)));
}

static void mps_server_ended(struct server *server, struct watched *watched)
{
	mps_died(server, tenancy_of(watched, offsetof(struct tenancy, mps_server)));
}

/* -ESRCH when there is no such process. */
static int watch_process(struct server *server, struct watched *watched, int32_t pid)
{
	if (!pid)
		return 0;
	watched->fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (watched->fd < 0)
		return -errno;
	return server_watch(server, watched, EPOLLIN);
}

static void tenancy_free(struct server *server, struct tenancy *tenancy)
{
	struct tenancy **link = &server->tenancies;

	while (*link && *link != tenancy)
		link = &(*link)->next;
	if (*link)
		*link = tenancy->next;
	for (unsigned int i = 0; i < server->nr_gpus; i++) {
		if (tenancy->group[i])
			device_group_free(server->gpu[i].device, tenancy->group[i]);
	}
	server_unwatch(server, &tenancy->control);
	server_unwatch(server, &tenancy->mps_server);
	free(tenancy);
}

static struct tenancy *tenancy_new(struct server *server, const struct proto_mps *mps)
{
	struct tenancy *tenancy = calloc(1, sizeof(*tenancy));

	if (!tenancy)
		return NULL;
	tenancy->mps = *mps;
	tenancy->control = (struct watched){.ready = control_ended, .fd = -1};
	tenancy->mps_server = (struct watched){.ready = mps_server_ended, .fd = -1};
	tenancy->next = server->tenancies;
	server->tenancies = tenancy;
	for (unsigned int i = 0; i < server->nr_gpus; i++) {
		tenancy->group[i] = device_group_new(server->gpu[i].device);
		if (!tenancy->group[i])
			goto out;
	}
	if (watch_process(server, &tenancy->control, mps->control_pid))
		goto out;
	return tenancy;
out:
	tenancy_free(server, tenancy);
	return NULL;
}

struct tenancy *tenancy_join(struct server *server, const struct proto_mps *mps)
{
	struct tenancy *tenancy = server->tenancies;

	while (tenancy && !is_same_mps(tenancy, mps))
		tenancy = tenancy->next;
	if (!tenancy)
		tenancy = tenancy_new(server, mps);
	if (!tenancy)
		return NULL;
	/* The server comes with the first client, so it may be known to a later one only. One that
	 * has ended before it was ever seen to live is nobody's loss. */
	if (tenancy->mps_server.fd < 0)
		(void)watch_process(server, &tenancy->mps_server, mps->server_pid);
	tenancy->nr_clients++;
	return tenancy;
}

void tenancy_leave(struct server *server, struct tenancy *tenancy)
{
	if (!--tenancy->nr_clients)
		tenancy_free(server, tenancy);
}
