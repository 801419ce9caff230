/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon as a whole. One thread, one loop; main.c makes it, the parts know each other through
 * it.
 */
#ifndef LITHOS_DAEMON_H
#define LITHOS_DAEMON_H

#include <stdint.h>

#include <lithos/shm.h>

#include "base/uuid.h"
#include "daemon/config.h"
#include "daemon/gpu_lock.h"
#include "daemon/gpus.h"
#include "daemon/loop.h"
#include "daemon/mps/mps.h"
#include "daemon/server/server.h"
#include "daemon/state/state.h"
#include "daemon/tenant/region.h"
#include "daemon/watch.h"
#include "sched/ledger.h"
#include "sched/share.h"

struct tenant;
struct unattached;

#define DAEMON_RETURN_NS 5000000000u /* after a restart, for tenants to come back */

/* A GPU; its topology and owners are in the ledger, at the same index. */
struct daemon_gpu {
	char name[GPU_NAME_BYTES];
	struct gpu_lock lock;
	struct region board_region;
	struct shm_board *board; /* the region's memory */
	struct share share;
	int is_stale; /* tenants or owners changed since the last division */
};

struct daemon {
	struct loop loop;
	struct config config;
	uint64_t id; /* of this run */
	uint64_t start_ns;
	int is_ending;

	struct ledger ledger;
	struct daemon_gpu gpu[LEDGER_MAX_GPUS];
	struct tenant *tenants;
	uint32_t nr_tenants;
	uint32_t last_tenant_id;
	uint64_t nr_reclaims; /* of tenants that have ended */
	struct unattached *unattached;
	uint32_t nr_unattached;
	uint64_t nr_unattached_lost; /* for whom the list had no room */

	struct gpus gpus;
	struct server server;
	struct watch watch;
	struct state state;
	struct mps mps;
	uint64_t mps_away_ns; /* since when it is being started, or again; 0: it is not */
	struct loop_timer return_timer;
};
/* The index of the GPU, or -ENODEV. */
int gpu_by_uuid(const struct daemon *daemon, const uint8_t uuid[16]);

#endif
