/* SPDX-License-Identifier: Apache-2.0 */
/* Doctor survives drivers that crash, hang or exit, and says so; statuses add up to the exit code.
 */
#include "base_files.h"

#include "cli/doctor/finding.h"

static struct doctor *doctor_of(const char *driver)
{
	static struct doctor doctor;

	memset(&doctor, 0, sizeof(doctor));
	doctor.has_driver = driver != NULL;
	(void)snprintf(doctor.driver_path, sizeof(doctor.driver_path), "%s",
		       driver != NULL ? driver : "");
	doctor.limit_s = 1;
	check_gpu(&doctor);
	return &doctor;
}

/* The finding of `device` is critical and says `text`; everything after it was skipped. */
static void expect_critical(const struct doctor *doctor, const char *text)
{
	const struct finding *device = doctor_find(doctor, CHECK_DEVICE);

	assert_non_null(device);
	assert_int_equal(device->status, STATUS_CRITICAL);
	assert_non_null(strstr(device->text, text));
	assert_int_equal(doctor->nr_items, 6);
	assert_int_equal(doctor_worst(doctor), STATUS_CRITICAL);
	for (size_t i = 1; i < doctor->nr_items; i++)
		assert_int_equal(doctor->item[i].status, STATUS_SKIPPED);
}

static void test_crash(void **state)
{
	(void)state;
	expect_critical(doctor_of(DRIVER_crash), "crashed: Segmentation fault");
}

static void test_hang(void **state)
{
	(void)state;
	expect_critical(doctor_of(DRIVER_hang), "did not finish in 1 s");
}

static void test_exit(void **state)
{
	(void)state;
	expect_critical(doctor_of(DRIVER_exit), "ended the process");
}

static void test_not_a_driver(void **state)
{
	(void)state;
	expect_critical(doctor_of("/no/such/libcuda.so.1"), "/no/such/libcuda.so.1");
	/* A library without a single driver function. */
	expect_critical(doctor_of("libc.so.6"), "the driver has no cu");
}

static void test_no_driver(void **state)
{
	const struct doctor *doctor = doctor_of(NULL);

	(void)state;
	assert_int_equal(doctor->nr_items, 6);
	assert_int_equal(doctor_worst(doctor), STATUS_OK);
	assert_string_equal(doctor->item[0].text, "needs a driver");
}

static void test_worst(void **state)
{
	static struct doctor doctor;

	(void)state;
	finding_set(doctor_next(&doctor), CHECK_SHIM, STATUS_SKIPPED, "", "x");
	assert_int_equal(doctor_worst(&doctor), STATUS_OK);
	finding_set(doctor_next(&doctor), CHECK_MPS, STATUS_WARNING, "", "x");
	assert_int_equal(doctor_worst(&doctor), STATUS_WARNING);
	finding_set(doctor_next(&doctor), CHECK_CACHE, STATUS_OK, "", "x");
	assert_int_equal(doctor_worst(&doctor), STATUS_WARNING);
	for (size_t i = 0; i < 2 * MAX_FINDINGS; i++)
		finding_set(doctor_next(&doctor), CHECK_MASK, STATUS_CRITICAL, "", "x");
	assert_int_equal(doctor.nr_items, MAX_FINDINGS);
	assert_int_equal(doctor_worst(&doctor), STATUS_CRITICAL);
}

static void print_into(const struct doctor *doctor, enum format format, char *text, size_t size)
{
	FILE *file = fmemopen(text, size, "w");

	assert_non_null(file);
	assert_int_equal(doctor_print(doctor, format, file), 0);
	assert_int_equal(fclose(file), 0);
}

static void test_print(void **state)
{
	static struct doctor doctor;
	char text[1024];

	(void)state;
	finding_set(doctor_next(&doctor), CHECK_SHIM, STATUS_OK, "", "fine");
	finding_set(doctor_next(&doctor), CHECK_MPS, STATUS_WARNING, "mend it", "%d broken", 2);
	print_into(&doctor, FORMAT_TABLE, text, sizeof(text));
	assert_string_equal(text, "CHECK         STATUS   FINDING\n"
				  "Shim          OK       fine\n"
				  "MPS programs  WARNING  2 broken -> mend it\n");
	print_into(&doctor, FORMAT_JSON, text, sizeof(text));
	assert_non_null(strstr(text, "\"worst\": \"WARNING\""));
	assert_non_null(strstr(text, "\"advice\": \"mend it\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crash),     cmocka_unit_test(test_hang),
		cmocka_unit_test(test_exit),      cmocka_unit_test(test_not_a_driver),
		cmocka_unit_test(test_no_driver), cmocka_unit_test(test_worst),
		cmocka_unit_test(test_print),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
