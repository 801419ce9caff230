/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger by property: 20,000 random admissions, releases and restores on random topologies, its
 * invariants checked after each, and after all tenants have gone it is as at the start.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "sched/ledger.h"

#include "topology_data.h"

#define NR_STEPS   20000
#define NR_TENANTS 60

static struct ledger ledger;
static struct ledger_grant grants[NR_TENANTS + 1]; /* by tenant */
static int lives[NR_TENANTS + 1];

static void check_grant(uint32_t tenant, uint32_t wanted)
{
	const struct ledger_grant *grant = &grants[tenant];

	assert_int_equal(tpcset_count(&grant->tpcs), wanted);
	if (wanted)
		assert_int_equal(ledger.gpu[grant->gpu].owner[grant->place].tenant, tenant);
	else
		assert_int_equal(grant->place, SHM_NO_OWNER);
}

static void try_admit(uint32_t tenant, uint64_t *seed)
{
	struct ledger_request request = {.tenant = tenant, .gpus = topology_random_u32(seed) % 16};
	struct ledger_refusal why = {0};
	int r;

	if (topology_random_u32(seed) % 3)
		request.quota.tpcs = topology_random_u32(seed) % 20;
	else
		request.quota.percent = topology_random_u32(seed) % 40;
	r = ledger_admit(&ledger, &request, &grants[tenant], &why);
	lives[tenant] = r == 0;
	if (r == 0)
		check_grant(tenant, quota_tpcs(&request.quota,
					       ledger.gpu[grants[tenant].gpu].topo.nr_tpcs));
	else if (r == -ENOSPC)
		assert_true(why.wanted > why.nr_free);
	else
		assert_true(r == -ENODEV && !(request.gpus & ((1u << ledger.nr_gpus) - 1)));
}

static void step(uint64_t *seed)
{
	uint32_t tenant = 1 + topology_random_u32(seed) % NR_TENANTS;
	struct ledger_grant grant = grants[tenant];

	if (!lives[tenant]) {
		try_admit(tenant, seed);
		return;
	}
	assert_int_equal(ledger_release(&ledger, tenant), 0);
	lives[tenant] = 0;
	if (topology_random_u32(seed) % 4 == 0) {
		assert_int_equal(ledger_restore(&ledger, tenant, &grant), 0);
		lives[tenant] = 1;
	}
}

static void test_random_walk(void **state)
{
	uint64_t seed = 0x11fe;

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct topology topo;

		topology_random(&seed, &topo);
		assert_int_equal(ledger_add_gpu(&ledger, &topo), i);
	}
	for (int i = 0; i < NR_STEPS; i++) {
		step(&seed);
		assert_int_equal(ledger_check(&ledger), 0);
	}
	for (uint32_t tenant = 1; tenant <= NR_TENANTS; tenant++)
		assert_int_equal(ledger_release(&ledger, tenant), lives[tenant] ? 0 : -ENOENT);
	for (uint32_t i = 0; i < ledger.nr_gpus; i++) {
		assert_int_equal(ledger.gpu[i].nr_free, ledger.gpu[i].topo.nr_tpcs);
		assert_int_equal(ledger.gpu[i].nr_owners + ledger.gpu[i].nr_guests, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_walk)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
