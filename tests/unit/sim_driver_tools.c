/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated driver's table for tools, as it is, and with hw/tools_hook.c in front of it: who is
 * refused, who is called, and that a profiler can be the guest of our subscription.
 */
#include "sim_program.h"

#include <errno.h>

#include "hw/tools_hook.h"

#define DOMAIN_LAUNCH     0xb
#define ID_QMD_PRE_UPLOAD 1

typedef void (*callback_fn)(void *user, int domain, int id, const void *params);

/* The measured table; entries by number. */
struct table {
	uint64_t size;
	void *entry_1, *entry_2;
	int (*subscribe)(uint32_t *ret_handle, callback_fn callback, void *user);
	int (*unsubscribe)(uint32_t handle);
	int (*entry_5)(void);
	int (*enable)(uint32_t on, uint32_t handle, int domain, int id);
	void *entry_7, *entry_8;
	int (*enable_domain)(uint32_t on, uint32_t handle, int domain);
	void *entry_10;
	int (*subscribe_new)(uint32_t *ret_handle, callback_fn callback, void *user);
};

static struct program program;
static const struct table *table;
static unsigned int nr_raw, nr_ours;

static void raw_event(void *user, int domain, int id, const void *params)
{
	uint32_t size;

	assert_ptr_equal(user, &nr_raw);
	assert_int_equal(domain, DOMAIN_LAUNCH);
	assert_int_equal(id, ID_QMD_PRE_UPLOAD);
	memcpy(&size, params, sizeof(size));
	assert_int_equal(size, 0x58);
	nr_raw++;
}

static void our_event(const struct qmd_event *event)
{
	assert_ptr_equal(event->ctx, program.ctx);
	nr_ours++;
}

static int setup(void **state)
{
	static const CUuuid uuid = {{0x2c, (char)0x8e, 0x0a, (char)0xd8, 0x07, 0x10, (char)0xab,
				     0x4e, (char)0x90, (char)0xdd, 0x54, 0x71, (char)0x9f,
				     (char)0xe5, (char)0xf7, 0x4b}};
	const void *found;

	(void)state;
	/* Tools come before everything else. */
	OK(cuGetExportTable(&found, &uuid));
	table = found;
	assert_int_equal(table->size, 96);
	program_open(&program);
	return 0;
}

static int reset(void **state)
{
	(void)state;
	nr_raw = 0;
	nr_ours = 0;
	return 0;
}

static void launch(void)
{
	OK(program_launch(&program, "lk_count", 1, program.stream, 10));
	OK(cuStreamSynchronize(program.stream));
}

static void test_other_tables_do_not_exist(void **state)
{
	const CUuuid other = {{1, 2, 3}};
	const void *found;

	(void)state;
	assert_int_equal(cuGetExportTable(&found, &other), CUDA_ERROR_NOT_FOUND);
	assert_int_equal(cuGetExportTable(NULL, &other), CUDA_ERROR_INVALID_VALUE);
	assert_int_equal(table->entry_5(), CUDA_ERROR_NOT_SUPPORTED);
}

static void test_second_subscriber_is_refused(void **state)
{
	uint32_t handle = 0, other = 0;

	(void)state;
	OK(table->subscribe(&handle, raw_event, &nr_raw));
	assert_int_equal(handle, 1);
	assert_int_equal(table->subscribe(&other, raw_event, &nr_raw), CUDA_ERROR_ALREADY_ACQUIRED);
	assert_int_equal(table->subscribe_new(&other, raw_event, &nr_raw),
			 CUDA_ERROR_ALREADY_ACQUIRED);
	assert_int_equal(tools_hook_subscribe(cuGetExportTable, our_event), -EBUSY);
	assert_int_equal(table->unsubscribe(2), CUDA_ERROR_INVALID_VALUE);
	OK(table->unsubscribe(handle));
	assert_int_equal(table->unsubscribe(handle), CUDA_ERROR_INVALID_VALUE);
	assert_int_equal(tools_hook_subscribe(cuGetExportTable, our_event), 0);
	assert_int_equal(table->subscribe(&other, raw_event, &nr_raw), CUDA_ERROR_ALREADY_ACQUIRED);
	tools_hook_unsubscribe();
}

static void test_only_what_is_enabled_is_announced(void **state)
{
	uint32_t handle;

	(void)state;
	OK(table->subscribe_new(&handle, raw_event, &nr_raw));
	launch();
	assert_int_equal(nr_raw, 0);
	assert_int_equal(table->enable(1, handle + 1, DOMAIN_LAUNCH, ID_QMD_PRE_UPLOAD),
			 CUDA_ERROR_INVALID_VALUE);
	OK(table->enable(1, handle, DOMAIN_LAUNCH, ID_QMD_PRE_UPLOAD + 1));
	launch();
	assert_int_equal(nr_raw, 0);
	OK(table->enable(1, handle, DOMAIN_LAUNCH, ID_QMD_PRE_UPLOAD));
	launch();
	assert_int_equal(nr_raw, 1);
	OK(table->enable_domain(0, handle, DOMAIN_LAUNCH));
	launch();
	assert_int_equal(nr_raw, 1);
	OK(table->enable_domain(1, handle, DOMAIN_LAUNCH));
	launch();
	assert_int_equal(nr_raw, 2);
	OK(table->unsubscribe(handle));
	launch();
	assert_int_equal(nr_raw, 2);
}

/* The table is changed for good from here on. */
static void test_a_profiler_is_our_guest(void **state)
{
	uint32_t handle;

	(void)state;
	assert_int_equal(tools_hook_share(cuGetExportTable), 0);
	assert_int_equal(tools_hook_subscribe(cuGetExportTable, our_event), 0);
	OK(table->subscribe_new(&handle, raw_event, &nr_raw));
	launch();
	assert_int_equal(nr_ours, 1);
	assert_int_equal(nr_raw, 0);
	OK(table->enable_domain(1, handle, DOMAIN_LAUNCH));
	launch();
	assert_int_equal(nr_ours, 2);
	assert_int_equal(nr_raw, 1);
	OK(table->enable(0, handle, DOMAIN_LAUNCH, ID_QMD_PRE_UPLOAD));
	launch();
	assert_int_equal(nr_ours, 3);
	OK(table->unsubscribe(handle));
	launch();
	assert_int_equal(nr_ours, 4);
	assert_int_equal(nr_raw, 1);
	tools_hook_unsubscribe();
	launch();
	assert_int_equal(nr_ours, 4);
}

#define TEST(name) cmocka_unit_test_setup(name, reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_other_tables_do_not_exist),
		TEST(test_second_subscriber_is_refused),
		TEST(test_only_what_is_enabled_is_announced),
		TEST(test_a_profiler_is_our_guest),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
