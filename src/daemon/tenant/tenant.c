/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a tenant: made after the ledger admitted it, ended when nothing keeps it alive.
 *
 * Order at the end: the ledger first, then the board and the peers, the state file last (at the end
 * of the round). What others wait for is free TPCs; a state file that still names a tenant that has
 * gone costs nothing, because its processes are looked for before it is believed.
 *
 * The grant of a tenant that ends says REVOKED. Whoever still maps it (a process that the daemon no
 * longer takes for a tenant's, after it did not come back) keeps its own TPCs and borrows nothing.
 *
 * Tested by tests/integration/daemon_*.c.
 */
#include "daemon/tenant/tenant.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/daemon.h"
#include "daemon/tenant/kin.h"
#include "daemon/tenant/unattached.h"
#include "sched/quota.h"

int gpu_by_uuid(const struct daemon *daemon, const uint8_t uuid[16])
{
	for (uint32_t i = 0; i < daemon->ledger.nr_gpus; i++) {
		if (memcmp(daemon->ledger.gpu[i].topo.uuid, uuid, 16) == 0)
			return (int)i;
	}
	return -ENODEV;
}

struct tenant *tenant_by_token(struct daemon *daemon, const uint8_t token[PROTO_TOKEN_BYTES])
{
	struct tenant *found = NULL;

	/* All are compared in full: the time taken says nothing of a token. */
	for (struct tenant *t = daemon->tenants; t; t = t->next) {
		uint8_t different = 0;

		for (size_t i = 0; i < PROTO_TOKEN_BYTES; i++)
			different |= (uint8_t)(t->token[i] ^ token[i]);
		if (!different)
			found = t;
	}
	return found;
}

static void header_init(const struct daemon *daemon, struct shm_header *header, uint32_t magic,
			size_t bytes)
{
	*header = (struct shm_header){.magic = magic,
				      .version = SHM_VERSION,
				      .bytes = (uint32_t)bytes,
				      .beat_ns = clock_now_ns(),
				      .daemon_id = daemon->id};
}

/* --- board and grant -------------------------------------------------------------------------- */

static const struct tenant *tenant_by_id(const struct daemon *daemon, uint32_t id)
{
	const struct tenant *t = daemon->tenants;

	while (t && t->id != id)
		t = t->next;
	return t;
}

/* How many lines readers have to look at. */
static uint32_t lines_in_use(const struct tenant *t)
{
	uint32_t nr = SHM_MAX_PROCS;

	while (nr && !t->process[nr - 1])
		nr--;
	return nr;
}

static void owner_write(struct shm_owner *owner, const struct tenant *t)
{
	*owner = (struct shm_owner){
		.state = t->is_stalled ? SHM_OWNER_STALLED : SHM_OWNER_LIVE,
		.generation = t->grant.generation,
		.priority = t->priority,
		.nr_lines = lines_in_use(t),
		.tpcs = t->grant.tpcs,
		.tenant_id = t->id,
	};
}

void board_write(struct daemon *daemon, uint32_t gpu)
{
	const struct ledger_gpu *owners = &daemon->ledger.gpu[gpu];
	struct shm_board *board = daemon->gpu[gpu].board;
	uint32_t nr_owners = 0;

	region_begin(&board->header);
	for (uint32_t i = 0; i < SHM_MAX_OWNERS; i++) {
		uint32_t id = owners->owner[i].tenant;
		const struct tenant *t = id ? tenant_by_id(daemon, id) : NULL;

		if (t)
			owner_write(&board->owner[i], t);
		else
			memset(&board->owner[i], 0, sizeof(board->owner[i]));
		nr_owners = t ? i + 1 : nr_owners;
	}
	board->nr_owners = nr_owners;
	board->is_partitioned = !daemon->config.lends;
	region_end(&board->header);
}

void grant_write(struct tenant *t)
{
	struct shm_grant *grant = t->grant_region.map;
	const struct config *config = &t->daemon->config;

	region_begin(&grant->header);
	grant->state = SHM_GRANT_LIVE;
	grant->tenant_id = t->id;
	grant->owner_index = t->grant.place;
	grant->priority = t->priority;
	grant->own = t->grant.tpcs;
	grant->borrow = t->member.borrow;
	grant->bound_ns = config->bound_ns;
	grant->grace_ns = config->grace_ns;
	region_end(&grant->header);
}

static void grant_revoke(struct tenant *t)
{
	struct shm_grant *grant = t->grant_region.map;

	region_begin(&grant->header);
	grant->state = SHM_GRANT_REVOKED;
	memset(&grant->borrow, 0, sizeof(grant->borrow));
	region_end(&grant->header);
}

/* --- beginning -------------------------------------------------------------------------------- */

int tenant_make_activity(struct tenant *t)
{
	struct shm_activity *activity;
	int r = region_make(&t->activity, "lithos-activity", sizeof(*activity), REGION_THEIRS);

	if (r < 0)
		return r;
	activity = t->activity.map;
	header_init(t->daemon, &activity->header, SHM_ACTIVITY_MAGIC, sizeof(*activity));
	return 0;
}

int tenant_adopt_activity(struct tenant *t, int fd)
{
	return region_adopt(&t->activity, fd, sizeof(struct shm_activity), SHM_ACTIVITY_MAGIC);
}

static int make_grant(struct tenant *t)
{
	struct shm_grant *grant;
	int r = region_make(&t->grant_region, "lithos-grant", sizeof(*grant), REGION_OURS);

	if (r < 0)
		return r;
	grant = t->grant_region.map;
	header_init(t->daemon, &grant->header, SHM_GRANT_MAGIC, sizeof(*grant));
	return 0;
}

struct tenant *tenant_new(struct daemon *daemon, const struct tenant *like)
{
	struct tenant *t = malloc(sizeof(*t));

	if (!t)
		return NULL;
	*t = *like;
	t->daemon = daemon;
	t->member =
		(struct share_member){.id = t->id, .priority = t->priority, .own = t->grant.tpcs};
	if (make_grant(t) < 0 || (!t->is_awaited && tenant_make_activity(t) < 0)) {
		region_free(&t->grant_region);
		free(t);
		return NULL;
	}
	t->next = daemon->tenants;
	daemon->tenants = t;
	daemon->nr_tenants++;
	watch_changed(daemon, t->grant.gpu);
	grant_write(t);
	if (t->grant.place != SHM_NO_OWNER) {
		board_write(daemon, t->grant.gpu);
		peers_announce(t);
	}
	return t;
}

void tenant_renew_place(struct tenant *t)
{
	struct ledger *ledger = &t->daemon->ledger;

	if (t->grant.place == SHM_NO_OWNER)
		return;
	t->grant.generation = ++ledger->generation;
	ledger->gpu[t->grant.gpu].owner[t->grant.place].generation = t->grant.generation;
}

/* --- end -------------------------------------------------------------------------------------- */

static void tenant_unlink(struct tenant *t)
{
	struct tenant **link = &t->daemon->tenants;

	while (*link != t)
		link = &(*link)->next;
	*link = t->next;
	t->daemon->nr_tenants--;
}

static void tenant_end(struct tenant *t)
{
	struct daemon *daemon = t->daemon;
	uint32_t gpu = t->grant.gpu;

	(void)ledger_release(&daemon->ledger, t->id);
	assert(ledger_check(&daemon->ledger) == 0);
	tenant_unlink(t);
	if (t->grant.place != SHM_NO_OWNER)
		board_write(daemon, gpu);
	grant_revoke(t);
	watch_changed(daemon, gpu);
	if (t->grant.place != SHM_NO_OWNER)
		peers_retract(t);
	daemon->nr_reclaims += t->ended.nr_reclaims;
	state_tenant_ended(t);
	region_free(&t->grant_region);
	region_free(&t->activity);
	free(t);
}

int tenant_reap(struct tenant *t)
{
	if (t->reservation || t->is_awaited || t->nr_processes || unattached_count(t->daemon, t))
		return 0;
	if (kin_lives(t))
		return 0;
	tenant_end(t);
	return 1;
}
