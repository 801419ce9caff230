/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon of the targets. Nothing in it is a double: it is what main.c puts together, with the
 * topology of tests/data in the place of a driver's. Descriptors are counted by the number that a
 * new one gets, the lowest that is free: after a reset it must be the same as before.
 */
#include "daemon_rig.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "../unit/topology_data.h"
#include "base/log.h"
#include "daemon/tenant/tenant.h"
#include "daemon/tenant/unattached.h"
#include "fuzz.h"

#define SETTLE_ROUNDS 64
#define CLOSE_LOOKS   2000 /* of a millisecond: who closes in another thread gets that long */

static struct daemon the_daemon;
static int is_made;
static int lowest_fd;

static int free_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fuzz_fail("out of descriptors");
	(void)close(fd);
	return fd;
}

static void make_board(struct daemon *daemon, const struct topology *topo)
{
	struct daemon_gpu *gpu = &daemon->gpu[0];

	if (region_make(&gpu->board_region, "lithos-board", sizeof(*gpu->board), REGION_OURS) < 0)
		fuzz_fail("no board");
	gpu->board = gpu->board_region.map;
	gpu->board->header = (struct shm_header){
		.magic = SHM_BOARD_MAGIC, .version = SHM_VERSION, .bytes = sizeof(*gpu->board)};
	memcpy(gpu->board->uuid, topo->uuid, sizeof(gpu->board->uuid));
	gpu->board->nr_tpcs = topo->nr_tpcs;
	gpu->board->sms_per_tpc = topo->sms_per_tpc;
	gpu->board->present = topo->present;
}

struct daemon *rig_daemon(void)
{
	static struct topology topo;
	struct daemon *daemon = &the_daemon;

	if (is_made)
		return daemon;
	is_made = 1;
	log_set_level(LOG_OFF);
	config_defaults(&daemon->config);
	daemon->config.mps_mode = MPS_MODE_OFF;
	daemon->id = 1;
	if (topology_h200(&topo) < 0 || loop_init(&daemon->loop) < 0 ||
	    ledger_add_gpu(&daemon->ledger, &topo) < 0 || watch_open(daemon) < 0)
		fuzz_fail("no daemon");
	make_board(daemon, &topo);
	return daemon;
}

/* Between two inputs libFuzzer opens what it likes. */
void rig_begin(void)
{
	lowest_fd = free_fd();
}

void rig_settle(struct daemon *daemon)
{
	for (int i = 0; i < SETTLE_ROUNDS && loop_round(&daemon->loop, 0) > 0; i++)
		;
}

void rig_check(const struct daemon *daemon)
{
	uint32_t nr = 0;

	if (ledger_check(&daemon->ledger) < 0)
		fuzz_fail("the ledger is not sound");
	for (const struct tenant *t = daemon->tenants; t; t = t->next) {
		struct tpcset alien =
			tpcset_andnot(t->grant.tpcs, daemon->ledger.gpu[t->grant.gpu].topo.present);

		if (!tpcset_is_empty(&alien))
			fuzz_fail("a tenant has TPCs that are none");
		if (t->grant.place == SHM_NO_OWNER && !tpcset_is_empty(&t->grant.tpcs))
			fuzz_fail("a guest owns TPCs");
		nr++;
	}
	if (nr != daemon->nr_tenants)
		fuzz_fail("tenants are not counted right");
}

static void check_descriptors(void)
{
	static const struct timespec pause = {.tv_nsec = 1000000};

	for (int i = 0; i < CLOSE_LOOKS && free_fd() > lowest_fd; i++)
		(void)nanosleep(&pause, NULL);
	if (free_fd() > lowest_fd)
		fuzz_fail("a descriptor stays open");
}

static void end_tenant(struct tenant *t)
{
	t->is_awaited = 0;
	for (uint32_t i = 0; i < SHM_MAX_PROCS; i++) {
		if (t->process[i])
			process_remove(t->process[i]);
	}
	tenant_reap(t);
}

void rig_reset(struct daemon *daemon)
{
	for (struct connection *c = daemon->server.connections; c; c = c->next)
		connection_drop(c);
	rig_settle(daemon);
	unattached_close(daemon);
	while (daemon->tenants)
		end_tenant(daemon->tenants);
	rig_settle(daemon);
	if (daemon->ledger.gpu[0].nr_owners || daemon->ledger.gpu[0].nr_guests)
		fuzz_fail("the ledger has tenants that are gone");
	rig_check(daemon);
	check_descriptors();
}
