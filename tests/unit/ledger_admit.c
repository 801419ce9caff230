/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger by example: what is granted, refused, restored, and on which of several GPUs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "sched/ledger.h"

#include "topology_h200.h"

static struct ledger ledger;

static int fresh(uint32_t nr_gpus)
{
	memset(&ledger, 0, sizeof(ledger));
	for (uint32_t i = 0; i < nr_gpus; i++) {
		h200.uuid[0] = (uint8_t)i;
		assert_int_equal(ledger_add_gpu(&ledger, &h200), i);
	}
	return 0;
}

static int fresh_one(void **state)
{
	(void)state;
	return fresh(1);
}

static int fresh_two(void **state)
{
	(void)state;
	return fresh(2);
}

static int admit(uint32_t tenant, uint32_t tpcs, uint32_t percent, struct ledger_grant *grant)
{
	struct ledger_request request = {
		.tenant = tenant, .quota = {.tpcs = tpcs, .percent = percent}, .gpus = UINT32_MAX};
	struct ledger_refusal ignored;
	int r = ledger_admit(&ledger, &request, grant, &ignored);

	assert_int_equal(ledger_check(&ledger), 0);
	return r;
}

static void test_owners_are_disjoint(void **state)
{
	struct ledger_grant a, b, c;
	struct tpcset both;

	(void)state;
	assert_int_equal(admit(1, 0, 50, &a), 0);
	assert_int_equal(admit(2, 20, 0, &b), 0);
	assert_int_equal(admit(3, 13, 0, &c), 0);
	assert_int_equal(tpcset_count(&a.tpcs), 33);
	both = tpcset_and(tpcset_or(a.tpcs, b.tpcs), c.tpcs);
	assert_true(tpcset_is_empty(&both));
	both = tpcset_and(a.tpcs, b.tpcs);
	assert_true(tpcset_is_empty(&both));
	assert_int_equal(a.place, 0);
	assert_int_equal(b.place, 1);
	assert_int_equal(ledger.gpu[0].nr_free, 0);
	assert_int_equal(admit(4, 1, 0, &a), -ENOSPC);
	assert_int_equal(admit(5, 0, 0, &a), 0);
	assert_int_equal(a.place, SHM_NO_OWNER);
	assert_true(tpcset_is_empty(&a.tpcs));
}

static void test_refusal_says_what_is_there(void **state)
{
	struct ledger_request request = {.tenant = 9, .quota = {.tpcs = 40}, .gpus = 3};
	struct ledger_refusal why;
	struct ledger_grant grant;

	(void)state;
	assert_int_equal(admit(1, 50, 0, &grant), 0);
	assert_int_equal(admit(2, 60, 0, &grant), 0);
	assert_int_equal(grant.gpu, 1);
	assert_int_equal(ledger_admit(&ledger, &request, &grant, &why), -ENOSPC);
	assert_int_equal(why.gpu, 0);
	assert_int_equal(why.wanted, 40);
	assert_int_equal(why.nr_free, 16);
	assert_int_equal(why.nr_all, 66);
	request.gpus = 2;
	assert_int_equal(ledger_admit(&ledger, &request, &grant, &why), -ENOSPC);
	assert_int_equal(why.gpu, 1);
	assert_int_equal(why.nr_free, 6);
	request.gpus = 0;
	assert_int_equal(ledger_admit(&ledger, &request, &grant, &why), -ENODEV);
	request.gpus = 4;
	assert_int_equal(ledger_admit(&ledger, &request, &grant, &why), -ENODEV);
	/* More than a GPU has is not silently less. */
	assert_int_equal(admit(3, 67, 0, &grant), -ENOSPC);
}

static void test_owners_fill_the_fullest(void **state)
{
	struct ledger_grant grant;

	(void)state;
	assert_int_equal(admit(1, 36, 0, &grant), 0);
	assert_int_equal(grant.gpu, 0);
	assert_int_equal(admit(2, 20, 0, &grant), 0);
	assert_int_equal(grant.gpu, 0);
	assert_int_equal(admit(3, 60, 0, &grant), 0);
	assert_int_equal(grant.gpu, 1);
	assert_int_equal(admit(4, 10, 0, &grant), 0);
	assert_int_equal(grant.gpu, 0);
	assert_int_equal(admit(5, 6, 0, &grant), 0);
	assert_int_equal(grant.gpu, 1);
	assert_int_equal(admit(6, 1, 0, &grant), -ENOSPC);
}

static void test_guests_are_spread(void **state)
{
	struct ledger_grant grant;

	(void)state;
	assert_int_equal(admit(1, 33, 0, &grant), 0);
	/* 33/1 against 66/1, then 33/1 against 66/2: even, so fewer tenants; then 33 against 22. */
	assert_int_equal(admit(2, 0, 0, &grant), 0);
	assert_int_equal(grant.gpu, 1);
	assert_int_equal(admit(3, 0, 0, &grant), 0);
	assert_int_equal(grant.gpu, 0);
	assert_int_equal(admit(4, 0, 0, &grant), 0);
	assert_int_equal(grant.gpu, 1);
	assert_int_equal(admit(5, 0, 0, &grant), 0);
	assert_int_equal(grant.gpu, 1);
}

static void test_places_get_new_generations(void **state)
{
	struct ledger_grant a, b;

	(void)state;
	assert_int_equal(admit(1, 4, 0, &a), 0);
	assert_int_equal(ledger_release(&ledger, 1), 0);
	assert_int_equal(ledger_release(&ledger, 1), -ENOENT);
	assert_int_equal(ledger_release(&ledger, 0), -ENOENT);
	assert_int_equal(admit(2, 4, 0, &b), 0);
	assert_int_equal(a.place, b.place);
	assert_true(b.generation > a.generation);
	assert_true(tpcset_equal(&a.tpcs, &b.tpcs));
}

static void test_restore(void **state)
{
	struct ledger_grant a, b, grant;
	struct ledger before;

	(void)state;
	assert_int_equal(admit(1, 9, 0, &a), 0);
	assert_int_equal(admit(2, 30, 0, &b), 0);
	assert_int_equal(admit(3, 0, 0, &grant), 0);
	before = ledger;
	assert_int_equal(fresh(1), 0);
	assert_int_equal(ledger_restore(&ledger, 3, &grant), 0);
	assert_int_equal(ledger_restore(&ledger, 2, &b), 0);
	assert_int_equal(ledger_restore(&ledger, 1, &a), 0);
	assert_memory_equal(&ledger, &before, sizeof(ledger));
	/* Twice, onto others' TPCs or place, nothing, nowhere. */
	assert_int_equal(ledger_restore(&ledger, 1, &a), -EINVAL);
	assert_int_equal(ledger_restore(&ledger, 4, &a), -EBUSY);
	a.place = 5;
	assert_int_equal(ledger_restore(&ledger, 4, &a), -EBUSY);
	a.place = SHM_MAX_OWNERS;
	assert_int_equal(ledger_restore(&ledger, 4, &a), -EINVAL);
	a.place = 5;
	a.tpcs = tpcset_not(h200.present);
	assert_int_equal(ledger_restore(&ledger, 4, &a), -EBUSY);
	a.tpcs = (struct tpcset){{0}};
	assert_int_equal(ledger_restore(&ledger, 4, &a), -EINVAL);
	/* A guest owns nothing. */
	b.place = SHM_NO_OWNER;
	b.tpcs = ledger.gpu[0].free;
	assert_int_equal(ledger_restore(&ledger, 4, &b), -EINVAL);
	a.gpu = 1;
	assert_int_equal(ledger_restore(&ledger, 4, &a), -EINVAL);
	assert_int_equal(ledger_check(&ledger), 0);
}

/* Each way to be unsound is noticed. */
static void test_check_sees(void **state)
{
	struct ledger_grant a, b;
	struct ledger good;

	(void)state;
	assert_int_equal(admit(1, 9, 0, &a), 0);
	assert_int_equal(admit(2, 9, 0, &b), 0);
	assert_int_equal(admit(3, 0, 0, &a), 0);
	good = ledger;
	ledger.gpu[0].nr_free++;
	assert_int_equal(ledger_check(&ledger), -EUCLEAN);
	ledger = good;
	ledger.gpu[0].owner[0].tpcs = ledger.gpu[0].owner[1].tpcs;
	assert_int_equal(ledger_check(&ledger), -EUCLEAN);
	ledger = good;
	ledger.gpu[0].free = h200.present;
	assert_int_equal(ledger_check(&ledger), -EUCLEAN);
	ledger = good;
	ledger.gpu[0].owner[1].tenant = 1;
	assert_int_equal(ledger_check(&ledger), -EUCLEAN);
	ledger = good;
	ledger.gpu[0].guest[0] = 2;
	assert_int_equal(ledger_check(&ledger), -EUCLEAN);
	ledger = good;
	ledger.gpu[0].nr_owners = 1;
	assert_int_equal(ledger_check(&ledger), -EUCLEAN);
	ledger = good;
	assert_int_equal(ledger_check(&ledger), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_owners_are_disjoint, fresh_one),
		cmocka_unit_test_setup(test_refusal_says_what_is_there, fresh_two),
		cmocka_unit_test_setup(test_owners_fill_the_fullest, fresh_two),
		cmocka_unit_test_setup(test_guests_are_spread, fresh_two),
		cmocka_unit_test_setup(test_places_get_new_generations, fresh_one),
		cmocka_unit_test_setup(test_restore, fresh_one),
		cmocka_unit_test_setup(test_check_sees, fresh_one),
	};

	return cmocka_run_group_tests(tests, h200_setup, NULL);
}
