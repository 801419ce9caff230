/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every invariant of a topology, broken one at a time, is noticed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "topology_data.h"

static struct topology good;

static int setup(void **state)
{
	(void)state;
	return topology_h200(&good);
}

static void refuse(const struct topology *topo)
{
	assert_int_equal(topology_check(&good), 0);
	assert_int_equal(topology_check(topo), -EINVAL);
}

static void test_counts(void **state)
{
	struct topology bad = good;

	(void)state;
	bad.nr_tpcs--;
	refuse(&bad);
	bad = good;
	bad.nr_sms++;
	refuse(&bad);
	bad = good;
	bad.sms_per_tpc = 0;
	refuse(&bad);
	bad = good;
	bad.nr_gpcs = TOPOLOGY_MAX_GPCS + 1;
	refuse(&bad);
	memset(&bad, 0, sizeof(bad));
	refuse(&bad);
}

static void test_gpcs(void **state)
{
	struct topology bad = good;

	(void)state;
	bad.nr_gpcs++; /* an empty one */
	refuse(&bad);
	bad = good;
	bad.nr_gpcs--; /* its bits still say they are in it */
	refuse(&bad);
	bad = good;
	tpcset_add(&bad.gpc[1], 0); /* in two GPCs */
	refuse(&bad);
	bad = good;
	tpcset_add(&bad.gpc[0], 4); /* not present */
	refuse(&bad);
	bad = good;
	bad.gpc_of_bit[0] = 1;
	refuse(&bad);
	bad = good;
	bad.gpc_of_bit[75] = 0;
	refuse(&bad);
}

static void test_sms(void **state)
{
	struct topology bad = good;

	(void)state;
	bad.sm_of_bit[0] = 0xffff;
	refuse(&bad);
	bad = good;
	bad.sm_of_bit[4] = 500; /* absent, and beyond the GPU */
	refuse(&bad);
	bad = good;
	bad.sm_of_bit[4] = 1; /* absent, but with an SM */
	refuse(&bad);
	bad = good;
	bad.sm_of_bit[9] = bad.sm_of_bit[0]; /* the same SM twice */
	refuse(&bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_gpcs),
		cmocka_unit_test(test_sms),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
