/* SPDX-License-Identifier: Apache-2.0 */
/* MPS that cannot be started or cannot be had, and what a control inherits when it can. */
#include "mps_rig.h"

/* --- starts that fail ------------------------------------------------------------------------- */

static void test_start_hangs(void **state)
{
	struct rig *rig = *state;

	fakes("hang", "on-demand");
	rig->config.limits.start_ns = 300 * MS;
	start_until(rig, has_died);
	assert_non_null(strstr(last(rig)->text, "did not bring a control daemon up in 300 ms"));
	assert_false(mps_is_serving(&rig->mps));
	(void)unsetenv("FAKE_MPS_FAIL");
	/* The next start must not have to hurry. */
	rig->mps.limits.start_ns = DEADLINE_NS;
	run_until(rig, is_ready);
	/* The launcher that hung is gone. */
	expect_processes(rig, 1);
	stop_all(rig);
}

static void test_start_is_slow(void **state)
{
	struct rig *rig = *state;

	fakes("slow", "on-demand");
	start_until(rig, is_ready);
	assert_int_equal(rig->nr_seen, 2);
	stop_all(rig);
}

static int nr_starts(const struct rig *rig, uint64_t *at_ns)
{
	int nr = 0;

	for (int i = 0; i < rig->nr_seen; i++) {
		if (rig->seen[i].state == MPS_STARTING)
			at_ns[nr++] = rig->seen[i].at_ns;
	}
	return nr;
}

/* 60 ms, 120 ms, then 150 ms each: timers may be late, never early. */
static void test_gives_up(void **state)
{
	struct rig *rig = *state;
	uint64_t at_ns[NR_CHANGES];

	fakes("start", "on-demand");
	rig->config.limits.backoff_ns = 60 * MS;
	rig->config.limits.backoff_max_ns = 150 * MS;
	start_until(rig, has_failed);
	assert_int_equal(nr_starts(rig, at_ns), MPS_MAX_STARTS);
	assert_non_null(strstr(last(rig)->text, "given up after 10 starts in a minute"));
	assert_non_null(strstr(last(rig)->text, "ended with status 1"));
	assert_true(at_ns[2] - at_ns[1] >= 60 * MS);
	assert_true(at_ns[3] - at_ns[2] >= 120 * MS);
	assert_true(at_ns[4] - at_ns[3] >= 150 * MS);
	assert_string_equal(mps_pipe_directory(&rig->mps), "");
	run_for(rig, 400 * MS);
	assert_true(has_failed(rig));
	assert_int_equal(nr_starts(rig, at_ns), MPS_MAX_STARTS);
	stop_all(rig);
}

static void test_control_that_does_not_live(void **state)
{
	struct rig *rig = *state;
	uint64_t at_ns[NR_CHANGES];

	fakes("dies", "at-start");
	rig->config.limits.backoff_ns = 1 * MS;
	rig->config.limits.backoff_max_ns = 2 * MS;
	rig->config.limits.start_ns = 500 * MS; /* when its life was missed */
	start_until(rig, has_failed);
	assert_int_equal(nr_starts(rig, at_ns), MPS_MAX_STARTS);
	stop_all(rig);
}

static void test_multiuser(void **state)
{
	struct rig *rig = *state;

	rig->config.is_multiuser = 1;
	fakes("multiuser", "on-demand");
	start_until(rig, is_ready);
	/* Refused once as root, then without; nobody else is given the option. */
	assert_int_equal(rig->nr_seen, geteuid() == 0 ? 4 : 2);
	stop_all(rig);
}

/* --- what cannot be had ----------------------------------------------------------------------- */

static void test_no_binary(void **state)
{
	struct rig *rig = *state;

	rig->config.binary = "/no/such/nvidia-cuda-mps-control";
	assert_int_equal(start(rig), 0);
	assert_int_equal(mps_state(&rig->mps), MPS_NO_BINARIES);
	assert_non_null(strstr(last(rig)->text, "nvidia-cuda-mps-control"));
	assert_string_equal(mps_pipe_directory(&rig->mps), "");
	mps_stop(&rig->mps, 1);
	assert_true(is_off(rig));
	rig->config.mode = MPS_MODE_REQUIRED;
	assert_int_equal(start(rig), -ENOENT);
	rig->config.mode = MPS_MODE_OFF;
	rig->nr_seen = 0;
	assert_int_equal(start(rig), 0);
	assert_true(is_off(rig));
	assert_int_equal(rig->nr_seen, 0);
}

static void test_directories(void **state)
{
	struct rig *rig = *state;
	char long_path[160];

	/* Others may write there. */
	assert_int_equal(mkdir(rig->pipes, 0700), 0);
	assert_int_equal(chmod(rig->pipes, 0777), 0);
	assert_int_equal(start(rig), 0);
	assert_true(has_failed(rig));
	assert_non_null(strstr(last(rig)->text, rig->pipes));
	rig->config.mode = MPS_MODE_REQUIRED;
	assert_int_equal(start(rig), -EPERM);
	assert_int_equal(chmod(rig->pipes, 0700), 0);

	/* Nobody can. */
	rig->config.log_directory = "/proc/no/such";
	assert_int_equal(start(rig), -ENOENT);
	rig->config.log_directory = "logs";
	assert_int_equal(start(rig), -EINVAL);
	rig->config.log_directory = rig->logs;

	/* A socket in it would have no address. */
	memset(long_path, 'x', sizeof(long_path));
	long_path[0] = '/';
	long_path[100] = '\0';
	rig->config.pipe_directory = long_path;
	assert_int_equal(start(rig), -ENAMETOOLONG);
	assert_int_equal(nr_processes(rig), 0);
}

/* --- what the control inherits ---------------------------------------------------------------- */

static void expect_null_only(pid_t pid)
{
	for (int fd = 0; fd < 3; fd++) {
		char path[64];
		char target[64];
		ssize_t length;

		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
		length = readlink(path, target, sizeof(target) - 1);
		assert_true(length > 0);
		target[length] = '\0';
		assert_string_equal(target, "/dev/null");
	}
}

static void test_nothing_is_inherited(void **state)
{
	struct rig *rig = *state;
	int ends[2];
	char byte;
	struct mps_config config = rig->config;

	/* Without close-on-exec, on purpose: as any library may open one. */
	assert_int_equal(pipe(ends), 0); /* NOLINT(android-cloexec-pipe) */
	config.visible_devices = "GPU-12345678";
	rig->config = config;
	start_until(rig, is_ready);
	expect_null_only(mps_control_pid(&rig->mps));
	assert_int_equal(close(ends[1]), 0);
	/* The end of the file: nobody else has the end that writes. */
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	assert_int_equal(close(ends[0]), 0);
	stop_all(rig);
}

static void test_state_names(void **state)
{
	(void)state;
	for (int i = MPS_OFF; i <= MPS_FAILED; i++) {
		assert_non_null(mps_state_name((enum mps_state)i));
		for (int j = MPS_OFF; j < i; j++)
			assert_string_not_equal(mps_state_name((enum mps_state)i),
						mps_state_name((enum mps_state)j));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(test_start_hangs),
		RIG_TEST(test_start_is_slow),
		RIG_TEST(test_gives_up),
		RIG_TEST(test_control_that_does_not_live),
		RIG_TEST(test_multiuser),
		RIG_TEST(test_no_binary),
		RIG_TEST(test_directories),
		RIG_TEST(test_nothing_is_inherited),
		cmocka_unit_test(test_state_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
