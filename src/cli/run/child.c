/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tenant's program as a child process.
 *
 * Problem: `lithos run` must be invisible to whoever signals it (a terminal, Slurm, systemd, a test
 * harness) and still be there afterwards to print statistics.
 *
 * Idea: the signals that ask a program to stop or to checkpoint are blocked in the parent and taken
 * one by one from a signalfd, together with SIGCHLD, so nothing runs in a signal handler, and the
 * connection to the daemon can be looked after in the same poll. A signal that the terminal sent
 * went to the whole foreground process group, child included, so only signals that some process
 * sent (si_code SI_USER and the like) are passed on; otherwise Ctrl-C would arrive twice, and the
 * second one often means "now, without cleaning up". The child gets the original mask back before
 * exec. SIGKILL cannot be passed on: the child then outlives us, as under any wrapper.
 *
 * What it does badly: a child that is stopped (SIGTSTP sent by a process to us alone) is not
 * mirrored.
 *
 * Tested by tests/integration/cli_run.bats and cli_tenant.bats.
 */
#include "cli/run/child.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

static void watched_signals(sigset_t *set)
{
	(void)sigemptyset(set);
	(void)sigaddset(set, SIGCHLD);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
		(void)sigaddset(set, passed_on[i]);
}

static void exec_program(char *const *argv, const sigset_t *mask)
{
	int error;

	(void)signal(SIGXFSZ, SIG_DFL); /* main() ignores it */
	(void)sigprocmask(SIG_SETMASK, mask, NULL);
	(void)execvp(argv[0], argv);
	error = errno;
	cli_error("cannot run '%s': %s", argv[0], strerror(error));
	_exit(error == ENOENT ? EXIT_RUN_NOT_FOUND : EXIT_RUN_NOT_EXECUTABLE);
}

static int exit_code(int status)
{
	return WIFSIGNALED(status) ? EXIT_RUN_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Whether a process sent the signal, rather than the terminal to the whole process group. */
static int is_from_process(const struct signalfd_siginfo *info)
{
	return info->ssi_code <= 0;
}

/* Takes who has ended, adopted ones too. The exit code when the child did, else -1. */
static int reap(pid_t child)
{
	int code = -1, status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == child)
			code = exit_code(status);
	}
	return code;
}

/* Takes the signals that are pending. The exit code once the child has ended, before that -1. */
static int take_signals(int signals, pid_t child)
{
	struct signalfd_siginfo info;

	while (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo != SIGCHLD) {
			if (is_from_process(&info))
				(void)kill(child, (int)info.ssi_signo);
		} else {
			int code = reap(child);

			if (code >= 0)
				return code;
		}
	}
	return -1;
}

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int time_left(const struct child_watch *watch)
{
	int64_t left;

	if (watch->deadline_ms < 0)
		return -1;
	left = watch->deadline_ms - now_ms();
	if (left < 0)
		return 0;
	return left < INT_MAX ? (int)left : INT_MAX;
}

static int first_of(struct child_watch *const *watch, size_t nr)
{
	int first = -1;

	for (size_t i = 0; i < nr; i++) {
		int left = time_left(watch[i]);

		if (left >= 0 && (first < 0 || left < first))
			first = left;
	}
	return first;
}

static int wait_for(pid_t child, int signals, struct child_watch *const *watch, size_t nr)
{
	for (;;) {
		struct pollfd poll_fds[1 + CHILD_MAX_WATCHES] = {{.fd = signals, .events = POLLIN}};
		int code;

		for (size_t i = 0; i < nr; i++)
			poll_fds[1 + i] = (struct pollfd){.fd = watch[i]->fd, .events = POLLIN};
		(void)poll(poll_fds, (nfds_t)(1 + nr), first_of(watch, nr));
		code = take_signals(signals, child);
		if (code >= 0)
			return code;
		for (size_t i = 0; i < nr; i++) {
			if (poll_fds[1 + i].revents != 0 || time_left(watch[i]) == 0)
				watch[i]->service(watch[i]);
		}
	}
}

int child_run(char *const *argv, struct child_watch *const *watch, size_t nr)
{
	struct sigaction plain = {.sa_handler = SIG_DFL};
	sigset_t watched;
	sigset_t before;
	pid_t child = -1;
	int code = EXIT_RUN_LITHOS;
	int signals;

	/* Whose parent ends becomes our child, so that run/escape.c finds it. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	/* With SIGCHLD ignored, as some parents leave it, the child's status would be lost. */
	(void)sigaction(SIGCHLD, &plain, NULL);
	watched_signals(&watched);
	(void)sigprocmask(SIG_BLOCK, &watched, &before);
	signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals >= 0)
		child = fork();
	if (child == 0)
		exec_program(argv, &before);
	if (child < 0)
		cli_error("cannot start a process: %s", strerror(errno));
	else
		code = wait_for(child, signals, watch, nr);
	if (signals >= 0)
		(void)close(signals);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return code;
}
