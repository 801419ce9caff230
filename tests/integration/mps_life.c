/* SPDX-License-Identifier: Apache-2.0 */
/* MPS is started, adopted and ended; deaths of the control and of servers are told and mended. */
#include "mps_rig.h"

/* --- start, stop, adopt ----------------------------------------------------------------------- */

static void test_start_and_stop(void **state)
{
	struct rig *rig = *state;
	struct stat status;
	pid_t server;

	start_until(rig, is_ready);
	assert_int_equal(rig->nr_seen, 2);
	assert_int_equal(rig->seen[0].state, MPS_STARTING);
	assert_int_equal(last(rig)->pid, mps_control_pid(&rig->mps));
	assert_non_null(strstr(last(rig)->text, "its server starts with the first program"));
	assert_int_equal(mps_server_pid(&rig->mps), 0);
	assert_true(mps_is_serving(&rig->mps));
	assert_string_equal(mps_pipe_directory(&rig->mps), rig->pipes);
	assert_int_equal(stat(rig->pipes, &status), 0);
	assert_int_equal(status.st_mode & 07777, geteuid() == 0 ? 0755 : 0700);

	a_program_comes(rig);
	run_until(rig, is_running);
	server = mps_server_pid(&rig->mps);
	assert_int_equal(last(rig)->pid, server);
	assert_int_equal(kill(server, 0), 0);

	stop_all(rig);
	assert_true(has_no_process(rig));
	assert_string_equal(mps_pipe_directory(&rig->mps), "");
	/* The server's end was wanted: nobody is told of a loss. */
	for (int i = 0; i < rig->nr_seen; i++)
		assert_false(rig->seen[i].lost_contexts);
	/* `quit` went through the control, which then takes its files along. */
	assert_false(exists(rig, "nvidia-cuda-mps-control.pid"));
}

static void test_look_finds_at_once(void **state)
{
	struct rig *rig = *state;
	struct timespec moment = {.tv_nsec = 5000000};

	start_until(rig, is_ready);
	a_program_comes(rig);
	while (!exists(rig, "nvidia-cuda-mps-server.pid"))
		(void)nanosleep(&moment, NULL);
	/* Without a round of the loop; the server may still be on its way into its program. */
	for (int i = 0; i < 10000 && !is_running(rig); i++) {
		mps_look(&rig->mps);
		(void)nanosleep(&moment, NULL);
	}
	assert_true(is_running(rig));
	stop_all(rig);
}

static void test_adopt(void **state)
{
	struct rig *rig = *state;
	pid_t control;
	pid_t server;

	fakes("", "at-start");
	start_until(rig, is_running);
	control = mps_control_pid(&rig->mps);
	server = mps_server_pid(&rig->mps);
	/* Let go of while it is there, it would be this process' zombie. */
	run_until(rig, launcher_has_ended);
	mps_stop(&rig->mps, 0);
	assert_true(is_off(rig));
	assert_non_null(strstr(last(rig)->text, "left running"));
	assert_int_equal(kill(control, 0), 0);
	assert_int_equal(kill(server, 0), 0);

	rig->nr_seen = 0;
	start_until(rig, is_running);
	assert_int_equal(rig->nr_seen, 1);
	assert_non_null(strstr(last(rig)->text, "adopted"));
	assert_int_equal(mps_control_pid(&rig->mps), control);
	assert_int_equal(mps_server_pid(&rig->mps), server);
	expect_processes(rig, 2);
	stop_all(rig);
}

/* A pid file that names who is no control of this directory is old. */
static void test_strangers_are_not_adopted(void **state)
{
	struct rig *rig = *state;
	struct rig *other;
	void *other_state;
	char text[32];

	assert_int_equal(rig_up(&other_state), 0);
	other = other_state;
	start_until(other, is_ready);
	assert_int_equal(mkdir(rig->pipes, 0755), 0);
	for (int i = 0; i < 2; i++) {
		pid_t stranger = i == 0 ? getpid() : mps_control_pid(&other->mps);

		(void)snprintf(text, sizeof(text), "%d\n", (int)stranger);
		write_file(rig->pipes, "nvidia-cuda-mps-control.pid", text);
		write_file(rig->pipes, "control", "");
		start_until(rig, is_ready);
		assert_int_not_equal(mps_control_pid(&rig->mps), stranger);
		expect_processes(rig, 1);
		mps_stop(&rig->mps, 1);
		run_until(rig, is_off);
	}
	assert_int_equal(kill(mps_control_pid(&other->mps), 0), 0);
	stop_all(other);
	assert_int_equal(rig_down(&other_state), 0);
}

static void test_stop_while_starting(void **state)
{
	struct rig *rig = *state;

	fakes("slow", "at-start");
	assert_int_equal(start(rig), 0);
	assert_int_equal(mps_state(&rig->mps), MPS_STARTING);
	stop_all(rig);
	/* A control that is still on its way would show now. */
	run_for(rig, 600 * MS);
	assert_int_equal(nr_processes(rig), 0);
}

static void test_stop_in_callback(void **state)
{
	struct rig *rig = *state;

	rig->stop_in = MPS_NO_SERVER;
	assert_int_equal(start(rig), 0);
	run_until(rig, is_off);
	assert_int_equal(nr_processes(rig), 0);
}

static void stop_despite(struct rig *rig, const char *fail)
{
	fakes(fail, "at-start");
	rig->config.limits.quit_ns = 200 * MS;
	rig->config.limits.signal_ns = 1000 * MS;
	start_until(rig, is_running);
	stop_all(rig);
}

static void test_stop_deaf(void **state)
{
	stop_despite(*state, "deaf");
	/* SIGTERM was enough: it could clean up. */
	assert_false(exists(*state, "nvidia-cuda-mps-control.pid"));
}

static void test_stop_stubborn(void **state)
{
	stop_despite(*state, "stubborn");
}

static void test_stop_quit_hangs(void **state)
{
	stop_despite(*state, "quit-hang");
}

/* --- deaths ----------------------------------------------------------------------------------- */

static void test_server_dies(void **state)
{
	struct rig *rig = *state;
	uint64_t killed_ns;
	pid_t server;
	char wanted[160];

	start_until(rig, is_ready);
	a_program_comes(rig);
	run_until(rig, is_running);
	server = mps_server_pid(&rig->mps);
	kill_at(rig, server, &killed_ns);
	run_until(rig, last_is_loss);
	print_message("server's death told after %.3f ms\n",
		      (double)(last(rig)->at_ns - killed_ns) / 1e6);
	assert_true(last(rig)->at_ns - killed_ns < 500 * MS);
	(void)snprintf(wanted, sizeof(wanted),
		       "the MPS server (pid %d) died: programs that were running have lost their "
		       "GPU context",
		       (int)server);
	assert_string_equal(last(rig)->text, wanted);
	assert_int_equal(last(rig)->pid, server);
	assert_int_equal(last(rig)->state, MPS_NO_SERVER);

	run_until(rig, is_running);
	assert_int_not_equal(mps_server_pid(&rig->mps), server);
	stop_all(rig);
}

static int is_serving_again(struct rig *rig)
{
	return rig->nr_seen > 0 && rig->seen[0].state == MPS_DIED && mps_is_serving(&rig->mps);
}

static void test_control_dies(void **state)
{
	struct rig *rig = *state;
	uint64_t killed_ns;
	pid_t control;

	start_until(rig, is_ready);
	control = mps_control_pid(&rig->mps);
	rig->nr_seen = 0;
	kill_at(rig, control, &killed_ns);
	run_until(rig, is_serving_again);
	print_message("control's death told after %.3f ms, served again after %.3f ms\n",
		      (double)(rig->seen[0].at_ns - killed_ns) / 1e6,
		      (double)(last(rig)->at_ns - killed_ns) / 1e6);
	assert_true(rig->seen[0].at_ns - killed_ns < 500 * MS);
	assert_int_equal(rig->seen[0].pid, control);
	assert_non_null(strstr(rig->seen[0].text, "the MPS control daemon (pid "));
	assert_int_not_equal(mps_control_pid(&rig->mps), control);
	/* Generous: the target is 2 s on a machine that does nothing else. */
	assert_true(last(rig)->at_ns - killed_ns < 10000 * MS);
	stop_all(rig);
}

/* What the dead one has left is not taken for the new one's. */
static void test_remains_are_removed(void **state)
{
	struct rig *rig = *state;
	uint64_t killed_ns;

	fakes("pid-first", "on-demand");
	start_until(rig, is_ready);
	rig->nr_seen = 0;
	kill_at(rig, mps_control_pid(&rig->mps), &killed_ns);
	run_until(rig, is_serving_again);
	/* The new one waits that long between its pid file and `control`. */
	assert_true(last(rig)->at_ns - killed_ns >= 200 * MS);
	stop_all(rig);
}

static void test_other_children_are_no_servers(void **state)
{
	struct rig *rig = *state;

	fakes("helper", "on-demand");
	start_until(rig, is_ready);
	expect_processes(rig, 2);
	run_for(rig, 300 * MS);
	assert_true(is_ready(rig));
	a_program_comes(rig);
	run_until(rig, is_running);
	stop_all(rig);
}

/* Its server goes on, is watched to its end, and is ended with the rest. */
static void test_control_dies_under_a_server(void **state)
{
	struct rig *rig = *state;
	uint64_t killed_ns;
	pid_t orphan;
	pid_t server;

	fakes("", "at-start");
	start_until(rig, is_running);
	orphan = mps_server_pid(&rig->mps);
	rig->nr_seen = 0;
	kill_at(rig, mps_control_pid(&rig->mps), &killed_ns);
	run_until(rig, is_serving_again);
	run_until(rig, is_running);
	server = mps_server_pid(&rig->mps);
	assert_int_not_equal(server, orphan);
	expect_processes(rig, 3);

	kill_at(rig, orphan, &killed_ns);
	run_until(rig, last_is_loss);
	assert_int_equal(last(rig)->pid, orphan);
	assert_int_equal(last(rig)->state, MPS_RUNNING);
	assert_int_equal(mps_server_pid(&rig->mps), server);
	stop_all(rig);
}

static void test_orphan_is_ended_too(void **state)
{
	struct rig *rig = *state;
	uint64_t killed_ns;

	fakes("", "at-start");
	rig->config.limits.quit_ns = 200 * MS;
	start_until(rig, is_running);
	rig->nr_seen = 0;
	kill_at(rig, mps_control_pid(&rig->mps), &killed_ns);
	run_until(rig, is_serving_again);
	stop_all(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(test_start_and_stop),
		RIG_TEST(test_look_finds_at_once),
		RIG_TEST(test_adopt),
		RIG_TEST(test_strangers_are_not_adopted),
		RIG_TEST(test_stop_while_starting),
		RIG_TEST(test_stop_in_callback),
		RIG_TEST(test_stop_deaf),
		RIG_TEST(test_stop_stubborn),
		RIG_TEST(test_stop_quit_hangs),
		RIG_TEST(test_server_dies),
		RIG_TEST(test_control_dies),
		RIG_TEST(test_remains_are_removed),
		RIG_TEST(test_other_children_are_no_servers),
		RIG_TEST(test_control_dies_under_a_server),
		RIG_TEST(test_orphan_is_ended_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
