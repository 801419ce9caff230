/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MPS on directories of its own, with a control that misbehaves on request
 * (tests/programs/fake_mps_control.c). What the callback is told is kept in order; nothing waits
 * but for conditions; each test ends with no process left behind.
 */
#ifndef LITHOS_TESTS_MPS_RIG_H
#define LITHOS_TESTS_MPS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above before it. */
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/mps/mps.h"

#define MS          1000000ull
#define DEADLINE_NS (60000 * MS)
#define NR_CHANGES  256

struct seen {
	enum mps_state state;
	int lost_contexts;
	pid_t pid;
	uint64_t at_ns;
	char text[MPS_TEXT_BYTES];
};

struct rig {
	char folder[64];
	char pipes[96];
	char logs[96];
	struct loop loop;
	struct mps mps;
	struct mps_config config;
	struct seen seen[NR_CHANGES];
	int nr_seen;
	int nr_wanted; /* processes that has_wanted_processes() waits for */
	int stop_in;   /* the callback ends MPS in this state; -1: in none */
};

static inline void on_change(void *cookie, const struct mps_change *change)
{
	struct rig *rig = cookie;
	struct seen *seen = &rig->seen[rig->nr_seen];

	assert_true(rig->nr_seen < NR_CHANGES);
	*seen = (struct seen){.state = change->state,
			      .lost_contexts = change->lost_contexts,
			      .pid = change->pid,
			      .at_ns = clock_now_ns()};
	(void)snprintf(seen->text, sizeof(seen->text), "%s", change->text);
	rig->nr_seen++;
	assert_int_equal(mps_state(&rig->mps), change->state);
	if ((int)change->state == rig->stop_in) {
		rig->stop_in = -1;
		mps_stop(&rig->mps, 1);
	}
}

/* --- waiting ---------------------------------------------------------------------------------- */

typedef int condition(struct rig *rig);

static inline void run_until(struct rig *rig, condition *is_met)
{
	uint64_t deadline = clock_now_ns() + DEADLINE_NS;

	while (!is_met(rig) && time_before(clock_now_ns(), deadline))
		assert_true(loop_round(&rig->loop, 20) >= 0);
	if (is_met(rig))
		return;
	for (int i = 0; i < rig->nr_seen; i++)
		print_message("%s: %s\n", mps_state_name(rig->seen[i].state), rig->seen[i].text);
	fail_msg("waited too long");
}

static inline void run_for(struct rig *rig, uint64_t ns)
{
	uint64_t end = clock_now_ns() + ns;

	while (time_before(clock_now_ns(), end))
		assert_true(loop_round(&rig->loop, 5) >= 0);
}

static inline int is_ready(struct rig *rig)
{
	return mps_state(&rig->mps) == MPS_NO_SERVER;
}

static inline int is_running(struct rig *rig)
{
	return mps_state(&rig->mps) == MPS_RUNNING;
}

static inline int is_off(struct rig *rig)
{
	return mps_state(&rig->mps) == MPS_OFF;
}

static inline int has_failed(struct rig *rig)
{
	return mps_state(&rig->mps) == MPS_FAILED;
}

static inline int has_died(struct rig *rig)
{
	return mps_state(&rig->mps) == MPS_DIED;
}

static inline struct seen *last(struct rig *rig)
{
	assert_true(rig->nr_seen > 0);
	return &rig->seen[rig->nr_seen - 1];
}

static inline int last_is_loss(struct rig *rig)
{
	return rig->nr_seen > 0 && last(rig)->lost_contexts;
}

/* --- processes -------------------------------------------------------------------------------- */

/* Whether the process was started for the rig's pipe directory. */
static inline int is_of(const struct rig *rig, const char *pid)
{
	char path[64];
	char text[65536];
	char wanted[160];
	ssize_t length;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/environ", pid);
	(void)snprintf(wanted, sizeof(wanted), "CUDA_MPS_PIPE_DIRECTORY=%s", rig->pipes);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	length = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (length <= 0)
		return 0;
	text[length] = '\0';
	return memmem(text, (size_t)length, wanted, strlen(wanted) + 1) != NULL;
}

static inline int nr_processes(const struct rig *rig)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	int nr = 0;

	assert_non_null(folder);
	while ((entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			nr += is_of(rig, entry->d_name);
	}
	(void)closedir(folder);
	return nr;
}

static inline int has_no_process(struct rig *rig)
{
	return nr_processes(rig) == 0;
}

static inline int has_wanted_processes(struct rig *rig)
{
	return nr_processes(rig) == rig->nr_wanted;
}

/* Launchers may still be ending. */
static inline void expect_processes(struct rig *rig, int nr)
{
	rig->nr_wanted = nr;
	run_until(rig, has_wanted_processes);
}

static inline int launcher_has_ended(struct rig *rig)
{
	return rig->mps.launcher.pid == 0;
}

static inline int exists(const struct rig *rig, const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", rig->pipes, name);
	return access(path, F_OK) == 0;
}

static inline void write_file(const char *folder, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	(void)unlink(path); /* what a control has left there may be a FIFO */
	file = fopen(path, "we");
	assert_non_null(file);
	(void)fputs(text, file);
	(void)fclose(file);
}

static inline void a_program_comes(struct rig *rig)
{
	write_file(rig->pipes, "client", "");
}

static inline void kill_at(struct rig *rig, pid_t pid, uint64_t *ret_ns)
{
	assert_true(pid > 0);
	*ret_ns = clock_now_ns();
	assert_int_equal(kill(pid, SIGKILL), 0);
	(void)rig;
}

/* --- the rig ---------------------------------------------------------------------------------- */

static inline int rig_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	(void)snprintf(rig->folder, sizeof(rig->folder), "/tmp/mps_life.XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	(void)snprintf(rig->pipes, sizeof(rig->pipes), "%s/pipe", rig->folder);
	(void)snprintf(rig->logs, sizeof(rig->logs), "%s/log", rig->folder);
	rig->config =
		(struct mps_config){.binary = FAKE_MPS_CONTROL,
				    .pipe_directory = rig->pipes,
				    .log_directory = rig->logs,
				    .limits = {.start_ns = DEADLINE_NS, .quit_ns = DEADLINE_NS}};
	rig->stop_in = -1;
	assert_int_equal(loop_init(&rig->loop), 0);
	(void)unsetenv("FAKE_MPS_FAIL");
	(void)unsetenv("FAKE_MPS_SERVER");
	*state = rig;
	return 0;
}

/* The fakes end by themselves when the folder is gone, whatever has failed before. */
static inline int rig_down(void **state)
{
	struct rig *rig = *state;
	char command[128];

	mps_fini(&rig->mps);
	(void)snprintf(command, sizeof(command), "rm -rf %s", rig->folder);
	(void)system(command); /* NOLINT(cert-env33-c) */
	run_until(rig, has_no_process);
	loop_fini(&rig->loop);
	free(rig);
	return 0;
}

static inline void fakes(const char *fail, const char *server)
{
	assert_int_equal(setenv("FAKE_MPS_FAIL", fail, 1), 0);
	assert_int_equal(setenv("FAKE_MPS_SERVER", server, 1), 0);
}

static inline int start(struct rig *rig)
{
	return mps_start(&rig->mps, &rig->loop, &rig->config, on_change, rig);
}

static inline void start_until(struct rig *rig, condition *is_met)
{
	assert_int_equal(start(rig), 0);
	run_until(rig, is_met);
}

/* Nothing is left, zombies of ours included. */
static inline void stop_all(struct rig *rig)
{
	mps_stop(&rig->mps, 1);
	run_until(rig, is_off);
	assert_int_equal(nr_processes(rig), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, rig_up, rig_down)

#endif
