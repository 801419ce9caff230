/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger of TPCs.
 *
 * A TPC has one owner or none. A request becomes a number of TPCs on each GPU it may use (a share
 * in percent is a different number on GPUs of different size), and quota_pick() makes a set of it
 * out of what is free: whole GPCs first.
 *
 * Placement. Owners: best fit, the GPU with the fewest free TPCs that still has enough. Example,
 * two GPUs of 66 with 30 and 66 free: 20 goes to the first, 40 to the second; worst fit would have
 * put the 20 on the second, and then a request of 60 fits nowhere. Guests own nothing, so they are
 * spread: most free TPCs for each guest, counting the new one; of equals, the GPU with fewer
 * tenants.
 *
 * The place of an owner is its index on the board. A place that is used again gets a generation
 * that no owner of this ledger had before, so that who still knows the former one notices.
 *
 * What it does badly: nobody is ever moved, so the TPCs of a GPU fragment over GPCs as tenants come
 * and go; walks are linear, which is microseconds at these sizes. Tested by
 * tests/unit/ledger_admit.c and ledger_walk.c.
 */
#include "sched/ledger.h"

#include <errno.h>
#include <string.h>

int ledger_add_gpu(struct ledger *ledger, const struct topology *topo)
{
	struct ledger_gpu *gpu = &ledger->gpu[ledger->nr_gpus];

	if (topology_check(topo) < 0)
		return -EINVAL;
	if (ledger->nr_gpus == LEDGER_MAX_GPUS)
		return -ENOSPC;
	memset(gpu, 0, sizeof(*gpu));
	gpu->topo = *topo;
	gpu->free = topo->present;
	gpu->nr_free = topo->nr_tpcs;
	return (int)ledger->nr_gpus++;
}

static uint32_t times_in(const struct ledger *ledger, uint32_t tenant)
{
	uint32_t n = 0;

	for (uint32_t g = 0; g < ledger->nr_gpus; g++) {
		const struct ledger_gpu *gpu = &ledger->gpu[g];

		for (uint32_t i = 0; i < SHM_MAX_OWNERS; i++)
			n += gpu->owner[i].tenant == tenant;
		for (uint32_t i = 0; i < gpu->nr_guests; i++)
			n += gpu->guest[i] == tenant;
	}
	return n;
}

/* --- placement -------------------------------------------------------------------------------- */

/* Whether GPU a is the better home for one more guest: free / (guests + 1), without dividing. */
static int suits_guest_better(const struct ledger_gpu *a, const struct ledger_gpu *b)
{
	uint64_t of_a = (uint64_t)a->nr_free * (b->nr_guests + 1);
	uint64_t of_b = (uint64_t)b->nr_free * (a->nr_guests + 1);

	if (of_a != of_b)
		return of_a > of_b;
	return a->nr_owners + a->nr_guests < b->nr_owners + b->nr_guests;
}

static int is_allowed(const struct ledger_request *request, uint32_t gpu)
{
	return (request->gpus >> gpu) & 1;
}

static int choose_for_guest(const struct ledger *ledger, const struct ledger_request *request)
{
	int best = -ENODEV;

	for (uint32_t i = 0; i < ledger->nr_gpus; i++) {
		if (is_allowed(request, i) &&
		    (best < 0 || suits_guest_better(&ledger->gpu[i], &ledger->gpu[best])))
			best = (int)i;
	}
	return best;
}

/* How many TPCs the GPU lacks for the request; 0 or less = it fits. */
static int64_t missing_on(const struct ledger_gpu *gpu, const struct quota *quota)
{
	/* More TPCs than a GPU has are refused, not clamped: who asks for 70 must not get 66. */
	int64_t wanted = quota->tpcs ? quota->tpcs : quota_tpcs(quota, gpu->topo.nr_tpcs);

	return wanted - gpu->nr_free;
}

static void fill_refusal(const struct ledger_gpu *gpu, uint32_t index, int64_t missing,
			 struct ledger_refusal *ret_refusal)
{
	*ret_refusal = (struct ledger_refusal){.gpu = index,
					       .wanted = (uint32_t)(missing + gpu->nr_free),
					       .nr_free = gpu->nr_free,
					       .nr_all = gpu->topo.nr_tpcs};
}

static int choose_for_owner(const struct ledger *ledger, const struct ledger_request *request,
			    struct ledger_refusal *ret_refusal)
{
	int64_t least_missing = INT64_MAX;
	int best = -ENODEV;

	for (uint32_t i = 0; i < ledger->nr_gpus; i++) {
		const struct ledger_gpu *gpu = &ledger->gpu[i];
		int64_t missing = missing_on(gpu, &request->quota);

		if (!is_allowed(request, i))
			continue;
		if (missing <= 0 && (best < 0 || gpu->nr_free < ledger->gpu[best].nr_free))
			best = (int)i;
		if (missing < least_missing) {
			least_missing = missing;
			fill_refusal(gpu, i, missing, ret_refusal);
		}
	}
	if (best < 0 && least_missing != INT64_MAX)
		return -ENOSPC;
	return best;
}

/* --- changes ---------------------------------------------------------------------------------- */

static int add_guest(struct ledger_gpu *gpu, uint32_t tenant)
{
	if (gpu->nr_guests == LEDGER_MAX_GUESTS)
		return -EUSERS;
	gpu->guest[gpu->nr_guests++] = tenant;
	return 0;
}

static void put_owner(struct ledger_gpu *gpu, uint32_t tenant, const struct ledger_grant *grant)
{
	gpu->owner[grant->place] = (struct ledger_owner){
		.tenant = tenant, .generation = grant->generation, .tpcs = grant->tpcs};
	gpu->free = tpcset_andnot(gpu->free, grant->tpcs);
	gpu->nr_free -= tpcset_count(&grant->tpcs);
	gpu->nr_owners++;
}

/* There is one whenever a TPC is free: there are as many places as bits. */
static uint32_t empty_place(const struct ledger_gpu *gpu)
{
	uint32_t place = 0;

	while (place < SHM_MAX_OWNERS - 1 && gpu->owner[place].tenant)
		place++;
	return place;
}

static int admit_owner(struct ledger *ledger, const struct ledger_request *request,
		       struct ledger_grant *grant, struct ledger_refusal *ret_refusal)
{
	int index = choose_for_owner(ledger, request, ret_refusal);
	struct ledger_gpu *gpu;
	int r;

	if (index < 0)
		return index;
	gpu = &ledger->gpu[index];
	grant->gpu = (uint32_t)index;
	grant->place = empty_place(gpu);
	r = quota_pick(&gpu->topo, &gpu->free, quota_tpcs(&request->quota, gpu->topo.nr_tpcs),
		       &grant->tpcs);
	if (r < 0)
		return r;
	grant->generation = ++ledger->generation;
	put_owner(gpu, request->tenant, grant);
	return 0;
}

static int admit_guest(struct ledger *ledger, const struct ledger_request *request,
		       struct ledger_grant *grant)
{
	int index = choose_for_guest(ledger, request);

	if (index < 0)
		return index;
	grant->gpu = (uint32_t)index;
	grant->place = SHM_NO_OWNER;
	return add_guest(&ledger->gpu[index], request->tenant);
}

int ledger_admit(struct ledger *ledger, const struct ledger_request *request,
		 struct ledger_grant *ret_grant, struct ledger_refusal *ret_refusal)
{
	int is_owner = request->quota.tpcs || request->quota.percent;
	struct ledger_grant grant = {0};
	int r;

	r = is_owner ? admit_owner(ledger, request, &grant, ret_refusal)
		     : admit_guest(ledger, request, &grant);
	if (r == 0)
		*ret_grant = grant;
	return r;
}

int ledger_restore(struct ledger *ledger, uint32_t tenant, const struct ledger_grant *grant)
{
	struct ledger_gpu *gpu;
	struct tpcset taken;

	if (!tenant || grant->gpu >= ledger->nr_gpus || times_in(ledger, tenant))
		return -EINVAL;
	gpu = &ledger->gpu[grant->gpu];
	/* TPCs of a guest would stay everybody's, and be taken for its own all the same. */
	if (grant->place == SHM_NO_OWNER)
		return tpcset_is_empty(&grant->tpcs) ? add_guest(gpu, tenant) : -EINVAL;
	if (grant->place >= SHM_MAX_OWNERS || tpcset_is_empty(&grant->tpcs))
		return -EINVAL;
	taken = tpcset_andnot(grant->tpcs, gpu->free);
	if (gpu->owner[grant->place].tenant || !tpcset_is_empty(&taken))
		return -EBUSY;
	put_owner(gpu, tenant, grant);
	if (grant->generation > ledger->generation)
		ledger->generation = grant->generation;
	return 0;
}

static int release_owner(struct ledger_gpu *gpu, uint32_t tenant)
{
	for (uint32_t i = 0; i < SHM_MAX_OWNERS; i++) {
		struct ledger_owner *owner = &gpu->owner[i];

		if (owner->tenant != tenant)
			continue;
		gpu->free = tpcset_or(gpu->free, owner->tpcs);
		gpu->nr_free += tpcset_count(&owner->tpcs);
		gpu->nr_owners--;
		memset(owner, 0, sizeof(*owner));
		return 0;
	}
	return -ENOENT;
}

static int release_guest(struct ledger_gpu *gpu, uint32_t tenant)
{
	for (uint32_t i = 0; i < gpu->nr_guests; i++) {
		if (gpu->guest[i] != tenant)
			continue;
		gpu->guest[i] = gpu->guest[--gpu->nr_guests];
		return 0;
	}
	return -ENOENT;
}

int ledger_release(struct ledger *ledger, uint32_t tenant)
{
	if (!tenant)
		return -ENOENT;
	for (uint32_t i = 0; i < ledger->nr_gpus; i++) {
		if (release_owner(&ledger->gpu[i], tenant) == 0 ||
		    release_guest(&ledger->gpu[i], tenant) == 0)
			return 0;
	}
	return -ENOENT;
}

/* --- invariants ------------------------------------------------------------------------------- */

static int owner_is_sound(const struct ledger *ledger, const struct ledger_owner *owner,
			  const struct tpcset *left)
{
	struct tpcset alien = tpcset_andnot(owner->tpcs, *left);

	return !tpcset_is_empty(&owner->tpcs) && tpcset_is_empty(&alien) &&
	       times_in(ledger, owner->tenant) == 1;
}

static int gpu_is_sound(const struct ledger *ledger, const struct ledger_gpu *gpu)
{
	struct tpcset left = gpu->topo.present;
	uint32_t nr_owners = 0;

	for (uint32_t i = 0; i < SHM_MAX_OWNERS; i++) {
		const struct ledger_owner *owner = &gpu->owner[i];

		if (!owner->tenant)
			continue;
		if (!owner_is_sound(ledger, owner, &left))
			return 0;
		left = tpcset_andnot(left, owner->tpcs);
		nr_owners++;
	}
	for (uint32_t i = 0; i < gpu->nr_guests; i++) {
		if (!gpu->guest[i] || times_in(ledger, gpu->guest[i]) != 1)
			return 0;
	}
	return tpcset_equal(&left, &gpu->free) && tpcset_count(&left) == gpu->nr_free &&
	       nr_owners == gpu->nr_owners && gpu->nr_guests <= LEDGER_MAX_GUESTS;
}

int ledger_check(const struct ledger *ledger)
{
	for (uint32_t g = 0; g < ledger->nr_gpus; g++) {
		if (!gpu_is_sound(ledger, &ledger->gpu[g]))
			return -EUCLEAN;
	}
	return 0;
}
