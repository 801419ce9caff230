/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tenant's program as a child process.
 *
 * Problem: `lithos run` must be invisible to whoever signals it (a terminal, Slurm, systemd, a test
 * harness) and still be there afterwards to print statistics.
 *
 * Idea: the signals that ask a program to stop or to checkpoint are blocked in the parent and taken
 * one by one with sigwaitinfo, together with SIGCHLD, so nothing runs in a signal handler. A signal
 * that the terminal sent went to the whole foreground process group, child included, so only
 * signals that some process sent (si_code SI_USER and the like) are passed on; otherwise Ctrl-C
 * would arrive twice, and the second one often means "now, without cleaning up". The child gets the
 * original mask back before exec. SIGKILL cannot be passed on: the child then outlives us, as under
 * any wrapper.
 *
 * What it does badly: a child that is stopped (SIGTSTP sent by a process to us alone) is not
 * mirrored.
 *
 * Tested by tests/integration/cli_run.bats.
 */
#include "cli/run/child.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
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
static int is_from_process(const siginfo_t *info)
{
	return info->si_code <= 0;
}

static int wait_for(pid_t child, const sigset_t *watched)
{
	for (;;) {
		siginfo_t info;
		int status;
		int signal_number = sigwaitinfo(watched, &info);

		if (signal_number < 0)
			continue; /* EINTR: a stop and continue of ourselves */
		if (signal_number != SIGCHLD) {
			if (is_from_process(&info))
				(void)kill(child, signal_number);
			continue;
		}
		if (waitpid(child, &status, WNOHANG) == child)
			return exit_code(status);
	}
}

int child_run(char *const *argv)
{
	struct sigaction plain = {.sa_handler = SIG_DFL};
	sigset_t watched;
	sigset_t before;
	pid_t child;
	int code = EXIT_RUN_LITHOS;

	/* With SIGCHLD ignored, as some parents leave it, the child's status would be lost. */
	(void)sigaction(SIGCHLD, &plain, NULL);
	watched_signals(&watched);
	(void)sigprocmask(SIG_BLOCK, &watched, &before);
	child = fork();
	if (child == 0)
		exec_program(argv, &before);
	if (child < 0)
		cli_error("cannot fork: %s", strerror(errno));
	else
		code = wait_for(child, &watched);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return code;
}
