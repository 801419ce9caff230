/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From observations to a topology: what an H200 showed, and every contradiction refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "topology_data.h"

static struct probe_data good;

static int setup(void **state)
{
	(void)state;
	return probe_read(&good);
}

static void test_h200(void **state)
{
	static const unsigned int gpc_sizes[] = {4, 8, 8, 8, 8, 8, 9, 9};
	static const unsigned int gpc_first[] = {0, 9, 18, 27, 36, 45, 54, 63};
	static const unsigned int leftovers[] = {75, 78, 81, 83};
	struct topology topo;

	(void)state;
	assert_int_equal(topology_build(&good.obs, &topo), 0);
	assert_int_equal(topology_check(&topo), 0);
	assert_int_equal(topo.nr_sms, 132);
	assert_int_equal(topo.nr_tpcs, 66);
	assert_int_equal(topo.sms_per_tpc, 2);
	assert_int_equal(topo.nr_gpcs, 8);
	for (unsigned int g = 0; g < 8; g++) {
		assert_int_equal(tpcset_count(&topo.gpc[g]), gpc_sizes[g]);
		for (unsigned int i = 0; i < gpc_sizes[g]; i++)
			assert_int_equal(topo.gpc_of_bit[gpc_first[g] + i], g);
	}
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(topo.gpc_of_bit[leftovers[i]], TOPOLOGY_NO_GPC);
		assert_int_equal(topo.sm_of_bit[leftovers[i]], 124 + 2 * i);
	}
	assert_int_equal(topo.sm_of_bit[9], 2);
	assert_int_equal(topo.sm_of_bit[4], 0xffff);
	assert_memory_equal(topo.uuid, good.obs.uuid, 16);
	assert_int_equal(topo.driver_version, 13000);
}

static void refuse(const struct probe_data *data, int error)
{
	struct topology topo;
	struct topology before;

	memset(&topo, 0x5a, sizeof(topo));
	before = topo;
	assert_int_equal(topology_build(&data->obs, &topo), error);
	assert_memory_equal(&topo, &before, sizeof(topo));
}

static void test_contradictions(void **state)
{
	struct probe_data bad = good;

	(void)state;
	bad.obs.edges = bad.edges;
	smset_add(&bad.obs.vanished[1], 0); /* SM 0 vanished twice */
	refuse(&bad, -EUCLEAN);
	bad.obs = good.obs;
	memset(&bad.obs.vanished[71], 0, sizeof(bad.obs.vanished[71])); /* SMs 122, 123 never */
	refuse(&bad, -EUCLEAN);
	bad.obs = good.obs;
	bad.obs.vanished[0].w[0] = 1; /* bit 0 took one SM, the others two */
	refuse(&bad, -EUCLEAN);
	bad.obs = good.obs;
	smset_add(&bad.obs.vanished[100], 132); /* an SM the GPU does not have */
	refuse(&bad, -EUCLEAN);
	bad.obs = good.obs;
	bad.obs.seen.w[0] &= ~UINT64_C(4); /* SM 2 never ran */
	refuse(&bad, -EUCLEAN);
	bad.obs = good.obs;
	smset_add(&bad.obs.seen, 132);
	refuse(&bad, -EUCLEAN);
	bad.obs = good.obs;
	bad.obs.edges = bad.edges;
	bad.edges[3].b = 132;
	refuse(&bad, -EUCLEAN);
	bad.obs.nr_sms = 0;
	refuse(&bad, -EINVAL);
	bad.obs.nr_sms = TOPOLOGY_MAX_SMS + 1;
	refuse(&bad, -EINVAL);
}

/* One TPC of two SMs for every bit below n, without any cluster seen. */
static void plain_gpu(struct probe_data *data, unsigned int n)
{
	memset(data, 0, sizeof(*data));
	data->obs.edges = data->edges;
	data->obs.nr_sms = 2 * n;
	for (unsigned int sm = 0; sm < 2 * n; sm++) {
		smset_add(&data->obs.seen, sm);
		smset_add(&data->obs.vanished[sm / 2], sm);
	}
}

static void test_groups(void **state)
{
	struct probe_data data;
	struct topology topo;

	(void)state;
	plain_gpu(&data, 40);
	assert_int_equal(topology_build(&data.obs, &topo), 0);
	assert_int_equal(topology_check(&topo), 0);
	assert_int_equal(topo.nr_gpcs, 0);
	assert_int_equal(topo.nr_tpcs, 40);
	/* 16 pairs are 16 GPCs; a pair inside one TPC joins nothing. */
	for (unsigned int g = 0; g < TOPOLOGY_MAX_GPCS; g++)
		data.edges[g] =
			(struct topology_edge){(uint16_t)(4 * g + 2), (uint16_t)(4 * g + 1)};
	data.edges[16] = (struct topology_edge){78, 79};
	data.obs.nr_edges = 17;
	assert_int_equal(topology_build(&data.obs, &topo), 0);
	assert_int_equal(topology_check(&topo), 0);
	assert_int_equal(topo.nr_gpcs, 16);
	assert_int_equal(topo.gpc_of_bit[31], 15);
	assert_int_equal(topo.gpc_of_bit[39], TOPOLOGY_NO_GPC);
	data.edges[16] = (struct topology_edge){78, 77};
	refuse(&data, -EUCLEAN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_h200),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_groups),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
