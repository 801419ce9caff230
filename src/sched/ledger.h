/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who owns which TPC, on all GPUs of a node. Pure: no system call, no clock.
 *
 * Glossary
 *   owner    a tenant with a quota; it has a place on its GPU and a set of TPCs nobody else owns
 *   guest    a tenant without a quota (best effort); it is on a GPU and owns nothing
 *   free     TPCs that nobody owns
 *
 * Invariants, walked by ledger_check(): on each GPU the owners' sets are disjoint, owned and free
 * TPCs together are all TPCs, every count is that of its set, and a tenant is in the ledger once.
 */
#ifndef LITHOS_SCHED_LEDGER_H
#define LITHOS_SCHED_LEDGER_H

#include <stdint.h>

#include <lithos/shm.h>
#include <lithos/tpcset.h>

#include "hw/topology.h"
#include "sched/quota.h"

#define LEDGER_MAX_GPUS   16
#define LEDGER_MAX_GUESTS 1024

struct ledger_owner {
	uint32_t tenant; /* 0 = the place is empty */
	uint32_t generation;
	struct tpcset tpcs;
};

struct ledger_gpu {
	struct topology topo;
	struct tpcset free;
	uint32_t nr_free;
	uint32_t nr_owners;
	uint32_t nr_guests;
	struct ledger_owner owner[SHM_MAX_OWNERS];
	uint32_t guest[LEDGER_MAX_GUESTS]; /* tenants; the first nr_guests */
};

struct ledger {
	uint32_t nr_gpus;
	uint32_t generation; /* of the last owner that came, on any GPU; never goes down */
	struct ledger_gpu gpu[LEDGER_MAX_GPUS];
};

struct ledger_request {
	uint32_t tenant;    /* not 0, not in the ledger yet */
	struct quota quota; /* both 0: best effort */
	uint32_t gpus;      /* bit i: may be placed on GPU i */
};

/* Where a tenant is. */
struct ledger_grant {
	uint32_t gpu;
	uint32_t place;      /* owner index, or SHM_NO_OWNER for a guest */
	uint32_t generation; /* of the place; 0 for a guest */
	struct tpcset tpcs;  /* empty for a guest */
};

/* Why a request was refused: the GPU that came closest, for a sentence. */
struct ledger_refusal {
	uint32_t gpu; /* its owners are those to be named */
	uint32_t wanted;
	uint32_t nr_free;
	uint32_t nr_all;
};

/* Adds a GPU; its index, or -ENOSPC, or -EINVAL when the topology is not sound. */
int ledger_add_gpu(struct ledger *ledger, const struct topology *topo);

/*
 * Places a tenant. Owners go to the fullest GPU that still fits, so that large requests keep
 * finding room; guests to the GPU with the most free TPCs for each guest, then with the fewest
 * tenants. 0; -ENOSPC no GPU has so many free TPCs (*ret_refusal is filled); -ENODEV no GPU is
 * allowed; -EUSERS too many guests.
 */
int ledger_admit(struct ledger *ledger, const struct ledger_request *request,
		 struct ledger_grant *ret_grant, struct ledger_refusal *ret_refusal);

/* Puts a tenant back where it was. -EINVAL nonsense, -EBUSY somebody else has the TPCs or the
 * place, or the GPU does not have such TPCs, -EUSERS. */
int ledger_restore(struct ledger *ledger, uint32_t tenant, const struct ledger_grant *grant);

/* Frees what the tenant has. 0, or -ENOENT. */
int ledger_release(struct ledger *ledger, uint32_t tenant);

/* 0, or -EUCLEAN when an invariant does not hold. */
int ledger_check(const struct ledger *ledger);

#endif
