/* SPDX-License-Identifier: Apache-2.0 */
/* The private daemon's folder: its name, and whose it must be. */
#include <errno.h>

#include "base_files.h"

#include "base/options.h"
#include "cli/daemon/place.h"

static struct options options_of(int sim)
{
	struct options options;
	char wrong[64];

	assert_int_equal(unsetenv("LITHOS_SIM_GPU"), 0);
	(void)options_read(&options, wrong, sizeof(wrong));
	options.sim = (uint32_t)sim;
	return options;
}

static void expect_folder(int sim, const char *runtime, const char *folder)
{
	struct options options = options_of(sim);
	struct place place;
	char socket[PLACE_PATH_MAX + 16];

	assert_int_equal(runtime != NULL ? setenv("XDG_RUNTIME_DIR", runtime, 1)
					 : unsetenv("XDG_RUNTIME_DIR"),
			 0);
	place_name(&options, &place);
	assert_string_equal(place.folder, folder);
	(void)snprintf(socket, sizeof(socket), "%s/lithosd.sock", folder);
	assert_string_equal(place.socket, socket);
	if (sim)
		(void)snprintf(socket, sizeof(socket), "%s/gpu.sock", folder);
	assert_string_equal(place.sim_device, sim ? socket : "");
}

static void test_names(void **state)
{
	const char *scratch = *state;
	char in_scratch[128];
	char in_tmp[64];
	char in_tmp_sim[96];
	char longer[PLACE_FOLDER_MAX + 32];

	(void)snprintf(in_scratch, sizeof(in_scratch), "%s/lithos", scratch);
	(void)snprintf(in_tmp, sizeof(in_tmp), "/tmp/lithos-%u", (unsigned int)geteuid());
	(void)snprintf(in_tmp_sim, sizeof(in_tmp_sim), "%s/sim-h100", in_tmp);
	expect_folder(0, scratch, in_scratch);
	expect_folder(0, NULL, in_tmp);
	expect_folder(1, NULL, in_tmp_sim);
	expect_folder(0, "/no/such/folder", in_tmp);
	expect_folder(0, "relative", in_tmp);
	expect_folder(0, "/dev/null", in_tmp);
	/* A socket's address is short: a folder that leaves no room in it is not used. */
	(void)snprintf(longer, sizeof(longer), "%s/", scratch);
	memset(longer + strlen(longer), 'x', PLACE_FOLDER_MAX - strlen(longer));
	longer[PLACE_FOLDER_MAX] = '\0';
	assert_int_equal(mkdir(longer, 0700), 0);
	expect_folder(0, longer, in_tmp);
}

static void test_whose_it_is(void **state)
{
	const char *scratch = *state;
	struct options options = options_of(0);
	struct place place;
	char elsewhere[128];

	assert_int_equal(setenv("XDG_RUNTIME_DIR", scratch, 1), 0);
	place_name(&options, &place);
	assert_int_equal(place_check(&place, 0), -ENOENT);
	assert_int_equal(access(place.folder, F_OK), -1);
	assert_int_equal(place_check(&place, 1), 0);
	assert_int_equal(place_check(&place, 0), 0);
	assert_int_equal(place_check(&place, 1), 0);
	assert_int_equal(chmod(place.folder, 0710), 0);
	assert_int_equal(place_check(&place, 1), -EPERM);
	assert_int_equal(rmdir(place.folder), 0);

	(void)snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", scratch);
	assert_int_equal(mkdir(elsewhere, 0700), 0);
	assert_int_equal(symlink(elsewhere, place.folder), 0);
	assert_int_equal(place_check(&place, 1), -EPERM);
	assert_int_equal(unlink(place.folder), 0);
	write_file(place.folder, "", 0);
	assert_int_equal(place_check(&place, 1), -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(test_whose_it_is, scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
