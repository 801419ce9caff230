/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon's report as a table: what is missing, of another kind, or long. */
#include <errno.h>

#include "base_files.h"

#include "cli/status/status.h"

/* The table of a report; the caller frees it. */
static char *printed(const char *text, int expected)
{
	json_t *report = json_loads(text, 0, NULL);
	char *out = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&out, &size);

	assert_non_null(report);
	assert_non_null(file);
	assert_int_equal(status_print(report, file), expected);
	assert_int_equal(fclose(file), 0);
	json_decref(report);
	return out;
}

static void expect(const char *text, const char *table)
{
	char *out = printed(text, 0);

	assert_string_equal(out, table);
	free(out);
}

static void test_gpus(void **state)
{
	(void)state;
	expect("{\"gpus\": []}", "no GPU\n");
	expect("{\"gpus\": [{}]}", "-  -: - TPCs, - own, - lent, - free; MPS -\nno tenants\n");
	expect("{\"gpus\": [{\"uuid\": \"GPU-0123456789\", \"name\": \"X\", \"nr_tpcs\": 66, "
	       "\"own\": 1, \"lent\": 2, \"free\": 63, \"mps\": \"on\"}, {\"uuid\": 5}]}",
	       "GPU-01234567  X: 66 TPCs, 1 own, 2 lent, 63 free; MPS on\nno tenants\n\n"
	       "5  -: - TPCs, - own, - lent, - free; MPS -\nno tenants\n");
	free(printed("{}", -EPROTO));
	free(printed("{\"gpus\": 3}", -EPROTO));
}

static void test_tenants(void **state)
{
	char *out;

	(void)state;
	out = printed("{\"gpus\": [{\"uuid\": \"GPU-a\"}], \"tenants\": [{\"gpu\": "
		      "\"GPU-a\", \"name\": \"here\", \"pids\": [1, 2], \"quota\": 0, "
		      "\"own_gpu_s\": 3, \"memory_bytes\": 3145728, \"last_error\": 0}, "
		      "{\"gpu\": \"GPU-a\", \"name\": \"half\", \"quota\": 0, "
		      "\"quota_percent\": 50}, {\"gpu\": \"GPU-b\", "
		      "\"name\": \"there\"}, 17, {\"gpu\": 4}]}",
		      0);
	assert_non_null(strstr(out, "\nhere       2   best     -"));
	assert_non_null(strstr(out, "\nhalf       -    50%     -"));
	assert_non_null(strstr(out, "3.00"));
	assert_non_null(strstr(out, "    3      -\n"));
	assert_null(strstr(out, "there"));
	free(out);
}

static void test_unattached(void **state)
{
	(void)state;
	expect("{\"gpus\": [], \"unattached\": [{\"pid\": 7, \"name\": \"a\", \"confined\": "
	       "false, \"reason\": \"65\\u001b too many\"}, {\"pid\": 8, \"name\": \"\", "
	       "\"confined\": true, \"reason\": \"no daemon\"}, 3]}",
	       "no GPU\n"
	       "unconfined: pid 7 of a (65? too many)\n"
	       "confined without lithosd: pid 8 of no tenant (no daemon)\n"
	       "unconfined: pid - of no tenant (-)\n");
}

static void test_names_that_hurt(void **state)
{
	char text[600];
	char name[300];
	char *out;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	(void)snprintf(text, sizeof(text),
		       "{\"gpus\": [{\"uuid\": \"GPU-a\", \"name\": \"a\\u001b[0mb\\u007f\"}], "
		       "\"tenants\": [{\"gpu\": \"GPU-a\", \"name\": \"%s\"}]}",
		       name);
	out = printed(text, 0);
	assert_non_null(strstr(out, "a?[0mb?: "));
	assert_null(strchr(out, 0x1b));
	assert_non_null(strstr(out, "nnnnnnnn"));
	assert_null(strstr(out, name));
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gpus),
		cmocka_unit_test(test_tenants),
		cmocka_unit_test(test_unattached),
		cmocka_unit_test(test_names_that_hurt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
