/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every way in which the simulated driver can be told to misbehave does so, and the same checks
 * fail to see it without the fault. Faults are read once a process, so each row runs in one of its
 * own: sim_faults NAME.
 */
#include "sim_program.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "hw/qmd.h"
#include "hw/tools_hook.h"

static const CUuuid tools_uuid = {{0x2c, (char)0x8e, 0x0a, (char)0xd8, 0x07, 0x10, (char)0xab, 0x4e,
				   (char)0x90, (char)0xdd, 0x54, 0x71, (char)0x9f, (char)0xe5,
				   (char)0xf7, 0x4b}};

static struct program program;
static _Alignas(16) uint32_t record[4];
static uint8_t seen_version;

/* Confines the launch to one TPC, arms a record, notes the version. */
static void on_event(const struct qmd_event *event)
{
	const struct qmd_layout *layout = qmd_layout_by_name("V04_00");
	struct tpcset one = {{0, 0, 0, 0}};
	uint64_t major = 0, minor = 0;

	tpcset_add(&one, 9);
	OK(qmd_restrict(layout, event->qmd, &one));
	OK(qmd_arm_release(layout, event->qmd, 1, (uintptr_t)record, 42));
	OK(qmd_get(layout, event->qmd, QMD_QMD_MAJOR_VERSION, 0, &major));
	OK(qmd_get(layout, event->qmd, QMD_QMD_MINOR_VERSION, 0, &minor));
	seen_version = (uint8_t)(major << 4 | minor);
}

/* SMs that a grid of a block for each SM used. */
static unsigned int launch_hooked(void)
{
	uint32_t sm[132];
	uint8_t used[256] = {0};
	unsigned int n = 0;

	memset(record, 0, sizeof(record));
	assert_int_equal(tools_hook_subscribe(cuGetExportTable, on_event), 0);
	OK(program_launch(&program, "lk_where", 132, program.stream, 1000));
	OK(cuStreamSynchronize(program.stream));
	OK(cuMemcpyDtoH(sm, program.words, sizeof(sm)));
	for (unsigned int i = 0; i < 132; i++) {
		assert_true(sm[i] < sizeof(used));
		n += !used[sm[i]];
		used[sm[i]] = 1;
	}
	return n;
}

static void test_none(void **state)
{
	(void)state;
	program_open(&program);
	assert_int_equal(launch_hooked(), 2);
	assert_int_equal(record[0], 42);
	assert_int_equal(seen_version, 0x40);
}

static void test_mask_ignored(void **state)
{
	(void)state;
	program_open(&program);
	assert_int_equal(launch_hooked(), 132);
	assert_int_equal(record[0], 42);
}

static void test_record_ignored(void **state)
{
	(void)state;
	program_open(&program);
	assert_int_equal(launch_hooked(), 2);
	assert_int_equal(record[0], 0);
}

/* Tools see another version; launches and occupancy are as ever. */
static void test_qmd_version(void **state)
{
	int nr_blocks = 0;

	(void)state;
	program_open(&program);
	assert_int_equal(launch_hooked(), 2);
	assert_int_equal(seen_version, 0x23);
	OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(
		&nr_blocks, program_kernel(&program, "lk_where"), 32, 0));
	assert_int_equal(nr_blocks, 32);
	/* One TPC would not hold this grid. */
	tools_hook_unsubscribe();
	OK(cuLaunchCooperativeKernel(program_kernel(&program, "unknown"), 132, 1, 1, 32, 1, 1, 0,
				     program.stream, (void *[]){&(uint32_t){1}}));
	OK(cuStreamSynchronize(program.stream));
}

static void test_no_table(void **state)
{
	const void *table = NULL;

	(void)state;
	assert_int_equal(cuGetExportTable(&table, &tools_uuid), CUDA_ERROR_NOT_FOUND);
	assert_null(table);
	program_open(&program);
	assert_int_equal(cuGetExportTable(&table, &tools_uuid), CUDA_ERROR_NOT_FOUND);
	assert_int_equal(tools_hook_subscribe(cuGetExportTable, on_event), -ENOSYS);
}

static void test_table_size(void **state)
{
	const void *table = NULL;
	uint64_t size;

	(void)state;
	OK(cuGetExportTable(&table, &tools_uuid));
	memcpy(&size, table, sizeof(size));
	assert_int_equal(size, 104);
	assert_int_equal(tools_hook_subscribe(cuGetExportTable, on_event), -ENOSYS);
	assert_int_equal(tools_hook_share(cuGetExportTable), -ENOSYS);
}

static void test_subscribe_busy(void **state)
{
	(void)state;
	assert_int_equal(tools_hook_subscribe(cuGetExportTable, on_event), -EBUSY);
	program_open(&program);
	assert_int_equal(tools_hook_subscribe(cuGetExportTable, on_event), -EBUSY);
	assert_false(tools_hook_is_subscribed());
}

static void test_slow_init(void **state)
{
	struct timespec before, after;
	int64_t ns;

	(void)state;
	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &before), 0);
	OK(cuInit(0));
	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &after), 0);
	ns = (int64_t)(after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec;
	/* A lower bound: no load on the machine makes it fail. */
	assert_true(ns >= 50000000);
}

static void test_no_symbol(void **state)
{
	CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SUCCESS;
	void *fn = &program;

	(void)state;
	assert_int_equal(cuGetProcAddress("cuMemAlloc", &fn, 12000, 0, &status),
			 CUDA_ERROR_NOT_FOUND);
	assert_null(fn);
	assert_int_equal(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
	OK(cuGetProcAddress("cuMemAllocPitch", &fn, 12000, 0, &status));
	assert_non_null(fn);
}

static void test_launch_error(void **state)
{
	(void)state;
	program_open(&program);
	OK(program_launch(&program, "lk_count", 1, program.stream, 10));
	assert_int_equal(program_launch(&program, "lk_count", 1, program.stream, 10),
			 CUDA_ERROR_LAUNCH_FAILED);
	OK(program_launch(&program, "lk_count", 1, program.stream, 10));
	OK(cuStreamSynchronize(program.stream));
	assert_int_equal(program_word(&program, 0), 2);
}

static CUresult launch_programmatic(int allowed)
{
	CUlaunchAttribute attribute = {
		.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
		.value = {.programmaticStreamSerializationAllowed = allowed},
	};
	CUlaunchConfig config = {.gridDimX = 1,
				 .gridDimY = 1,
				 .gridDimZ = 1,
				 .blockDimX = 32,
				 .blockDimY = 1,
				 .blockDimZ = 1,
				 .hStream = program.stream,
				 .attrs = &attribute,
				 .numAttrs = 1};
	uint64_t ns = 0;
	void *params[] = {&program.words, &ns};

	return cuLaunchKernelEx(&config, program_kernel(&program, "lk_count"), params, NULL);
}

static void test_no_programmatic(void **state)
{
	(void)state;
	program_open(&program);
	assert_int_equal(launch_programmatic(1), CUDA_ERROR_NOT_SUPPORTED);
	OK(launch_programmatic(0));
	OK(cuStreamSynchronize(program.stream));
	assert_int_equal(program_word(&program, 0), 1);
}

/* A list, with something unknown in it. */
static void test_several(void **state)
{
	void *fn;

	(void)state;
	assert_int_equal(cuGetProcAddress("cuMemAlloc", &fn, 12000, 0, NULL), CUDA_ERROR_NOT_FOUND);
	program_open(&program);
	assert_int_equal(tools_hook_subscribe(cuGetExportTable, on_event), -ENOSYS);
	assert_int_equal(program_launch(&program, "lk_count", 1, program.stream, 10),
			 CUDA_ERROR_LAUNCH_FAILED);
}

static const struct row {
	const char *name;
	const char *fault;
	struct CMUnitTest test;
} rows[] = {
	{"none", "", cmocka_unit_test(test_none)},
	{"mask_ignored", "mask-ignored", cmocka_unit_test(test_mask_ignored)},
	{"record_ignored", "record-ignored", cmocka_unit_test(test_record_ignored)},
	{"qmd_version", "qmd-version=0x23", cmocka_unit_test(test_qmd_version)},
	{"no_table", "no-table", cmocka_unit_test(test_no_table)},
	{"table_size", "table-size=104", cmocka_unit_test(test_table_size)},
	{"subscribe_busy", "subscribe-busy", cmocka_unit_test(test_subscribe_busy)},
	{"slow_init", "slow-init=50", cmocka_unit_test(test_slow_init)},
	{"no_symbol", "no-symbol=cuMemAlloc", cmocka_unit_test(test_no_symbol)},
	{"launch_error", "launch-error=2", cmocka_unit_test(test_launch_error)},
	{"no_programmatic", "no-programmatic", cmocka_unit_test(test_no_programmatic)},
	{"several", "no-symbol=cuMemAlloc,nonsense,launch-error=1,no-table",
	 cmocka_unit_test(test_several)},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct CMUnitTest tests[] = {rows[i].test};

		if (strcmp(argv[1], rows[i].name) != 0)
			continue;
		if (setenv("LITHOS_SIM_FAULT", rows[i].fault, 1))
			return 1;
		return cmocka_run_group_tests(tests, NULL, NULL);
	}
	(void)fprintf(stderr, "usage: sim_faults NAME, of the rows in sim_faults.c\n");
	return 1;
}
