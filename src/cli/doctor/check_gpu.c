/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watching the GPU checks.
 *
 * Problem: what doctor looks for includes drivers that crash and launches that never finish, and a
 * doctor that crashes or hangs with them says nothing.
 *
 * Idea: the checks run in a forked child that reports through a pipe. The parent reads with a
 * deadline that each stage sets. A child that dies or misses its deadline becomes the finding of
 * the check it was at; the checks after it are listed as skipped. A child in the middle of a driver
 * call may not even die of SIGKILL, so the parent waits for its end only for a moment.
 *
 * Tested by tests/integration/cli_doctor.bats and tests/unit/cli_doctor.c.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/doctor/finding.h"
#include "cli/doctor/gpu_child.h"

#define S_NS 1000000000ull

/* The child has this long to say what it begins with. */
#define START_LIMIT_S 10

struct watch {
	int fd;
	uint64_t deadline_ns;
	struct gpu_message stage; /* the latest */
	int is_late;
	int is_done; /* the child said so */
};

/* 1 a message, 0 the child closed the pipe, -ETIME the deadline passed. */
static int next_message(const struct watch *watch, struct gpu_message *ret_message)
{
	struct pollfd pollfd = {.fd = watch->fd, .events = POLLIN};

	for (;;) {
		int64_t left_ns = (int64_t)(watch->deadline_ns - clock_now_ns());
		ssize_t n;

		if (left_ns <= 0)
			return -ETIME;
		if (poll(&pollfd, 1, (int)(left_ns / 1000000) + 1) <= 0)
			continue;
		n = read(watch->fd, ret_message, sizeof(*ret_message));
		if (n < 0 && errno == EINTR)
			continue;
		return n == (ssize_t)sizeof(*ret_message);
	}
}

static void take_message(struct watch *watch, struct doctor *doctor,
			 const struct gpu_message *message)
{
	uint32_t limit_s = doctor->limit_s > 0 ? doctor->limit_s : message->limit_s;

	switch (message->kind) {
	case GPU_STAGE:
		watch->stage = *message;
		watch->stage.limit_s = limit_s;
		watch->deadline_ns = clock_now_ns() + limit_s * S_NS;
		break;
	case GPU_FINDING:
		*doctor_next(doctor) = message->finding;
		break;
	default:
		watch->is_done = 1;
	}
}

static void take_messages(struct watch *watch, struct doctor *doctor)
{
	struct gpu_message message;
	int r = 1;

	while (r == 1 && !watch->is_done) {
		r = next_message(watch, &message);
		if (r == 1)
			take_message(watch, doctor, &message);
	}
	watch->is_late = r == -ETIME;
}

/* The child's wait status, or -1 when it does not end within a second. */
static int reap(pid_t child, int is_late)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	int status = -1;

	if (is_late)
		(void)kill(child, SIGKILL);
	for (int i = 0; i < 100; i++) {
		if (waitpid(child, &status, WNOHANG) == child)
			return status;
		(void)nanosleep(&pause, NULL);
	}
	(void)kill(child, SIGKILL);
	return -1;
}

static void report_death(struct doctor *doctor, const struct watch *watch, int status)
{
	const struct finding *stage = &watch->stage.finding;

	if (watch->is_done || doctor_find(doctor, (enum check)stage->check) != NULL)
		return;
	if (watch->is_late)
		finding_set(doctor_next(doctor), (enum check)stage->check, STATUS_CRITICAL,
			    "stop other programs on the GPU and try again; then reset the GPU or "
			    "reboot",
			    "did not finish in %u s%s", watch->stage.limit_s,
			    status == -1 ? ", and the process cannot be killed" : "");
	else if (status != -1 && WIFSIGNALED(status))
		finding_set(doctor_next(doctor), (enum check)stage->check, STATUS_CRITICAL,
			    "reinstall the driver; report it with the driver's version",
			    "the driver crashed: %s", strsignal(WTERMSIG(status)));
	else
		finding_set(doctor_next(doctor), (enum check)stage->check, STATUS_CRITICAL,
			    "reinstall the driver; report it with the driver's version",
			    "the driver ended the process that checks it");
}

/* What was not reached is listed, in order, so that no check goes missing. */
static void fill_skipped(struct doctor *doctor, const char *why)
{
	for (int check = CHECK_DEVICE; check <= CHECK_RECORD; check++) {
		if (doctor_find(doctor, (enum check)check) == NULL)
			finding_set(doctor_next(doctor), (enum check)check, STATUS_SKIPPED, "",
				    "%s", why);
	}
}

static void run_child(struct doctor *doctor, const int *pipe_ends)
{
	struct watch watch = {.fd = pipe_ends[0],
			      .deadline_ns = clock_now_ns() + START_LIMIT_S * S_NS};

	pid_t child;

	watch.stage.finding.check = CHECK_DEVICE;
	watch.stage.limit_s = START_LIMIT_S;
	child = fork();

	if (child == 0) {
		(void)close(pipe_ends[0]);
		gpu_child(doctor->driver_path, pipe_ends[1]);
		_exit(0);
	}
	(void)close(pipe_ends[1]);
	if (child > 0) {
		take_messages(&watch, doctor);
		report_death(doctor, &watch, reap(child, watch.is_late));
	}
	(void)close(pipe_ends[0]);
}

void check_gpu(struct doctor *doctor)
{
	int pipe_ends[2];

	if (!doctor->has_driver) {
		fill_skipped(doctor, "needs a driver");
		return;
	}
	/* The child must not print again what is buffered here. */
	(void)fflush(NULL);
	if (pipe(pipe_ends) == 0)
		run_child(doctor, pipe_ends);
	fill_skipped(doctor, "not reached");
}
