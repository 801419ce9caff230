/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subscription to the launch event, against a table of the test's own: everything about the
 * table that is unexpected means "no hook", only whole events of the right kind get through, and a
 * second subscriber becomes a guest that takes nothing from the first. The library keeps the first
 * good table for the life of the process, so the order of the tests is part of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/mman.h>

#include "hw/tools_hook.h"

#define DOMAIN_LAUNCH 0xb
#define ID_UPLOAD     1

typedef void (*callback_fn)(void *user, int domain, int id, const void *params);

/* The driver's side. */
static struct {
	CUresult table_result;
	int subscribe_status, enable_status;
	callback_fn callback;
	void *user;
	uint32_t enabled, domains_on; /* the launch event; domains, by bit */
	uint32_t nr_subscribed, nr_unsubscribed;
	int domain, id;
} driver;

static _Alignas(4096) uintptr_t table[512]; /* a page of its own, to be write-protected */

static struct {
	uint32_t nr_calls;
	struct qmd_event last;
} seen;

static int subscribe(uint32_t *ret_handle, callback_fn callback, void *user)
{
	if (driver.subscribe_status)
		return driver.subscribe_status;
	driver.nr_subscribed++;
	driver.callback = callback;
	driver.user = user;
	*ret_handle = 7;
	return 0;
}

static int unsubscribe(uint32_t handle)
{
	assert_int_equal(handle, 7);
	driver.nr_unsubscribed++;
	return 0;
}

static int enable(uint32_t on, uint32_t handle, int domain, int id)
{
	assert_int_equal(handle, 7);
	driver.domain = domain;
	driver.id = id;
	if (domain == DOMAIN_LAUNCH && id == ID_UPLOAD)
		driver.enabled = on;
	return driver.enable_status;
}

/* A domain's switch is every event's of it. */
static int enable_domain(uint32_t on, uint32_t handle, int domain)
{
	assert_int_equal(handle, 7);
	driver.domains_on = (driver.domains_on & ~(1u << domain)) | (on ? 1u << domain : 0);
	if (domain == DOMAIN_LAUNCH)
		driver.enabled = on;
	return 0;
}

static CUresult export_table(const void **ret_table, const CUuuid *uuid)
{
	static const uint8_t expected[16] = {0x2c, 0x8e, 0x0a, 0xd8, 0x07, 0x10, 0xab, 0x4e,
					     0x90, 0xdd, 0x54, 0x71, 0x9f, 0xe5, 0xf7, 0x4b};

	assert_memory_equal(uuid->bytes, expected, sizeof(expected));
	*ret_table = table;
	return driver.table_result;
}

static void note_event(const struct qmd_event *event)
{
	seen.nr_calls++;
	seen.last = *event;
}

static int setup(void **state)
{
	(void)state;
	memset(&driver, 0, sizeof(driver));
	memset(&seen, 0, sizeof(seen));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tools_hook_unsubscribe();
	return 0;
}

static void assert_refused(int error)
{
	assert_int_equal(tools_hook_subscribe(export_table, note_event), error);
	assert_false(tools_hook_is_subscribed());
}

static void table_fill(void)
{
	table[0] = 96;
	table[3] = (uintptr_t)subscribe;
	table[4] = (uintptr_t)unsubscribe;
	table[6] = (uintptr_t)enable;
	table[9] = (uintptr_t)enable_domain;
	table[11] = (uintptr_t)subscribe;
}

static void test_unexpected_tables(void **state)
{
	(void)state;
	table_fill();
	driver.table_result = CUDA_ERROR_NOT_FOUND;
	assert_refused(-ENOSYS);
	assert_int_equal(tools_hook_share(export_table), -ENOSYS);
	driver.table_result = CUDA_SUCCESS;
	for (uintptr_t size = 88; size <= 104; size += 16) {
		table[0] = size;
		assert_refused(-ENOSYS);
	}
	table[0] = 96;
	for (int i = 3; i <= 6; i++) {
		uintptr_t entry = table[i];

		if (!entry)
			continue;
		table[i] = 0;
		assert_refused(-ENOSYS);
		table[i] = entry;
	}
	assert_null(driver.callback);
}

static CUresult no_table(const void **ret_table, const CUuuid *uuid)
{
	(void)uuid;
	*ret_table = NULL;
	return CUDA_SUCCESS;
}

static void test_null_table(void **state)
{
	(void)state;
	assert_int_equal(tools_hook_subscribe(no_table, note_event), -ENOSYS);
}

static void test_refusals(void **state)
{
	(void)state;
	driver.subscribe_status = CUDA_ERROR_ALREADY_ACQUIRED;
	assert_refused(-EBUSY);
	driver.subscribe_status = CUDA_ERROR_UNKNOWN;
	assert_refused(-EIO);
	assert_int_equal(driver.nr_unsubscribed, 0);
	driver.subscribe_status = 0;
	driver.enable_status = CUDA_ERROR_INVALID_VALUE;
	assert_refused(-EIO);
	assert_int_equal(driver.nr_unsubscribed, 1);
	/* Nothing is left to end. */
	tools_hook_unsubscribe();
	assert_int_equal(driver.nr_unsubscribed, 1);
}

static void send(int domain, int id, uint32_t bytes, void *qmd)
{
	uint64_t event[11] = {0xaaaaaaaa00000000u | bytes, 0x1000, 0x2000, 0x3000, (uintptr_t)qmd,
			      0xbbbbbbbb00000000u | 77};

	driver.callback(driver.user, domain, id, event);
}

static void test_events(void **state)
{
	uint32_t qmd[96];

	(void)state;
	assert_int_equal(tools_hook_subscribe(export_table, note_event), 0);
	assert_true(tools_hook_is_subscribed());
	assert_int_equal(driver.enabled, 1);
	assert_int_equal(driver.domain, DOMAIN_LAUNCH);
	assert_int_equal(driver.id, ID_UPLOAD);
	send(DOMAIN_LAUNCH + 1, ID_UPLOAD, 88, qmd);
	send(DOMAIN_LAUNCH, ID_UPLOAD + 1, 88, qmd);
	send(DOMAIN_LAUNCH, ID_UPLOAD, 47, qmd);
	send(DOMAIN_LAUNCH, ID_UPLOAD, 88, NULL);
	assert_int_equal(seen.nr_calls, 0);
	send(DOMAIN_LAUNCH, ID_UPLOAD, 48, qmd);
	send(DOMAIN_LAUNCH, ID_UPLOAD, 88, qmd);
	assert_int_equal(seen.nr_calls, 2);
	assert_ptr_equal(seen.last.ctx, (CUcontext)0x1000);
	assert_ptr_equal(seen.last.func, (CUfunction)0x3000);
	assert_ptr_equal(seen.last.qmd, qmd);
	assert_int_equal(seen.last.launch_id, 77);
}

/* The driver may still be calling when the subscription ends. */
static void test_unsubscribe_silences(void **state)
{
	uint32_t qmd[96];

	(void)state;
	assert_int_equal(tools_hook_subscribe(export_table, note_event), 0);
	tools_hook_unsubscribe();
	assert_false(tools_hook_is_subscribed());
	assert_int_equal(driver.enabled, 0);
	assert_int_equal(driver.nr_unsubscribed, 1);
	send(DOMAIN_LAUNCH, ID_UPLOAD, 88, qmd);
	assert_int_equal(seen.nr_calls, 0);
	assert_int_equal(tools_hook_subscribe(export_table, note_event), 0);
	send(DOMAIN_LAUNCH, ID_UPLOAD, 88, qmd);
	assert_int_equal(seen.nr_calls, 1);
}

/* --- a second subscriber --- */

static struct {
	uint32_t nr_calls;
	int domain;
	uint32_t ours_before; /* events that we had seen when it was called */
} guest;

static void guest_callback(void *user, int domain, int id, const void *params)
{
	assert_ptr_equal(user, &guest);
	assert_non_null(params);
	(void)id;
	guest.nr_calls++;
	guest.domain = domain;
	guest.ours_before = seen.nr_calls;
}

/* The table's entries, as a profiler calls them. */
static int call_subscribe(int entry, uint32_t *ret_handle)
{
	int (*fn)(uint32_t *, callback_fn, void *);

	memcpy(&fn, &table[entry], sizeof(fn));
	return fn(ret_handle, guest_callback, &guest);
}

static int call_unsubscribe(void)
{
	int (*fn)(uint32_t);

	memcpy(&fn, &table[4], sizeof(fn));
	return fn(7);
}

static int call_enable(uint32_t on, int domain, int id)
{
	int (*fn)(uint32_t, uint32_t, int, int);

	memcpy(&fn, &table[6], sizeof(fn));
	return fn(on, 7, domain, id);
}

static int call_enable_domain(uint32_t on, int domain)
{
	int (*fn)(uint32_t, uint32_t, int);

	memcpy(&fn, &table[9], sizeof(fn));
	return fn(on, 7, domain);
}

/* A table that may not be written is left alone, and the hook works all the same. */
static void test_share(void **state)
{
	(void)state;
	assert_int_equal(mprotect(table, sizeof(table), PROT_READ), 0);
	assert_int_equal(tools_hook_share(export_table), -EACCES);
	assert_int_equal(table[3], (uintptr_t)subscribe);
	assert_int_equal(tools_hook_subscribe(export_table, note_event), 0);
	tools_hook_unsubscribe();
	assert_int_equal(mprotect(table, sizeof(table), PROT_READ | PROT_WRITE), 0);
	table[9] = 0;
	assert_int_equal(tools_hook_share(export_table), -EACCES);
	table[9] = (uintptr_t)enable_domain;
	assert_int_equal(tools_hook_share(export_table), 0);
	assert_int_not_equal(table[3], (uintptr_t)subscribe);
	assert_int_not_equal(table[11], (uintptr_t)subscribe);
	assert_int_equal(tools_hook_share(export_table), 0);
}

static void test_guest_comes_second(void **state)
{
	uint32_t qmd[96], handle = 0;

	(void)state;
	memset(&guest, 0, sizeof(guest));
	assert_int_equal(tools_hook_subscribe(export_table, note_event), 0);
	assert_int_equal(call_subscribe(11, &handle), 0);
	assert_int_equal(handle, 7);
	assert_int_equal(driver.nr_subscribed, 1);
	/* One guest, as the driver has one subscriber. */
	assert_int_equal(call_subscribe(3, &handle), CUDA_ERROR_ALREADY_ACQUIRED);
	/* Our event is not the guest's before it asks. */
	send(DOMAIN_LAUNCH, ID_UPLOAD, 88, qmd);
	assert_int_equal(guest.nr_calls, 0);
	assert_int_equal(seen.nr_calls, 1);
	assert_int_equal(call_enable(1, 3, 5), 0);
	assert_int_equal(driver.domain, 3);
	send(3, 5, 88, qmd);
	assert_int_equal(guest.nr_calls, 1);
	assert_int_equal(guest.domain, 3);
	assert_int_equal(seen.nr_calls, 1);
	/* Then both get it, the guest first: it may add to the descriptor. */
	assert_int_equal(call_enable(1, DOMAIN_LAUNCH, ID_UPLOAD), 0);
	send(DOMAIN_LAUNCH, ID_UPLOAD, 88, qmd);
	assert_int_equal(guest.nr_calls, 2);
	assert_int_equal(guest.ours_before, 1);
	assert_int_equal(seen.nr_calls, 2);
	/* What the guest switches off is its own. */
	assert_int_equal(call_enable(0, DOMAIN_LAUNCH, ID_UPLOAD), 0);
	assert_int_equal(driver.enabled, 1);
	assert_int_equal(call_enable_domain(1, DOMAIN_LAUNCH), 0);
	send(DOMAIN_LAUNCH, ID_UPLOAD, 88, qmd);
	assert_int_equal(guest.nr_calls, 3);
	assert_int_equal(call_enable_domain(0, DOMAIN_LAUNCH), 0);
	assert_int_equal(driver.enabled, 1);
	send(DOMAIN_LAUNCH, ID_UPLOAD, 88, qmd);
	assert_int_equal(guest.nr_calls, 3);
	assert_int_equal(seen.nr_calls, 4);
	/* It goes, and leaves no event on but ours. */
	assert_int_equal(call_enable_domain(1, 4), 0);
	assert_int_equal(driver.domains_on, 1u << 4);
	assert_int_equal(call_unsubscribe(), 0);
	assert_int_equal(driver.domains_on, 0);
	assert_int_equal(driver.enabled, 1);
	assert_int_equal(driver.nr_unsubscribed, 0);
	send(3, 5, 88, qmd);
	send(DOMAIN_LAUNCH, ID_UPLOAD, 88, qmd);
	assert_int_equal(guest.nr_calls, 3);
	assert_int_equal(seen.nr_calls, 5);
	/* There is room for the next one. */
	assert_int_equal(call_subscribe(3, &handle), 0);
	assert_int_equal(call_unsubscribe(), 0);
}

static void test_guest_comes_first(void **state)
{
	uint32_t qmd[96], handle = 0;

	(void)state;
	memset(&guest, 0, sizeof(guest));
	assert_int_equal(call_subscribe(3, &handle), 0);
	assert_int_equal(call_enable(1, DOMAIN_LAUNCH, ID_UPLOAD), 0);
	assert_int_equal(tools_hook_subscribe(export_table, note_event), 0);
	assert_int_equal(driver.nr_subscribed, 1);
	send(DOMAIN_LAUNCH, ID_UPLOAD, 88, qmd);
	assert_int_equal(guest.nr_calls, 1);
	assert_int_equal(seen.nr_calls, 1);
	/* We go; the subscription stays for the guest, with its events. */
	tools_hook_unsubscribe();
	assert_int_equal(driver.nr_unsubscribed, 0);
	assert_int_equal(driver.enabled, 1);
	send(DOMAIN_LAUNCH, ID_UPLOAD, 88, qmd);
	assert_int_equal(guest.nr_calls, 2);
	assert_int_equal(seen.nr_calls, 1);
	assert_int_equal(call_unsubscribe(), 0);
	assert_int_equal(driver.nr_unsubscribed, 1);
	/* The driver's refusal is the guest's too. */
	driver.subscribe_status = CUDA_ERROR_ALREADY_ACQUIRED;
	assert_int_equal(call_subscribe(3, &handle), CUDA_ERROR_ALREADY_ACQUIRED);
	driver.subscribe_status = 0;
	assert_int_equal(call_subscribe(3, &handle), 0);
	assert_int_equal(call_unsubscribe(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_unexpected_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(test_null_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unsubscribe_silences, setup, teardown),
		cmocka_unit_test_setup_teardown(test_share, setup, teardown),
		cmocka_unit_test_setup_teardown(test_guest_comes_second, setup, teardown),
		cmocka_unit_test_setup_teardown(test_guest_comes_first, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
