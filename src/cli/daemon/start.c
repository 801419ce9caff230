/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a private lithosd.
 *
 * Problem: many `lithos run` begin at once, one daemon must result, and it must outlive the one who
 * started it without holding anything of it: no terminal, no pipe somebody waits on, no process
 * group that Ctrl-C reaches, no zombie.
 *
 * Idea: a lock file beside the socket. Whoever gets it looks for a daemon again and starts one only
 * if there is still none; the lock is held until the daemon listens, and goes with its holder. The
 * daemon is a grandchild in a session of its own; its descriptors are /dev/null and a log, all
 * others are closed. It tells its pid through a pipe that its exec closes, and a pidfd of it ends
 * the wait early when it dies, with the last line of its log as the reason.
 *
 * Variables that speak of one program (visible GPUs, quota, token, preloaded libraries of
 * lithos) are taken out of its environment.
 *
 * Tested by tests/integration/cli_private.bats.
 */
#include "cli/daemon/start.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/daemon/place.h"
#include "cli/paths.h"

#define LIMIT_MS      30000 /* the end of a daemon before it, 10 s; finding and probing GPUs */
#define LOCK_LIMIT_MS 40000 /* somebody else's whole start, and more */
#define LOOK_MS       20
#define PROGRESS_MS   1000
#define IDLE_EXIT_S   "10"

#define MAX_DESCRIPTORS 65536 /* looked at one by one, at most */

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_ms(int ms)
{
	(void)poll(NULL, 0, ms);
}

int start_lock(const struct place *place, struct start *ret_start)
{
	int64_t deadline_ms = now_ms() + LOCK_LIMIT_MS;
	int fd = open(place->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = fd < 0 ? -errno : 0;

	while (r == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			r = -errno;
		else if (now_ms() > deadline_ms)
			r = -ETIMEDOUT;
		else
			pause_ms(LOOK_MS);
	}
	if (r < 0) {
		cli_error("cannot lock %s: %s", place->lock, strerror(-r));
		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	*ret_start = (struct start){.lock = fd, .pidfd = -1, .since_ms = now_ms()};
	return 0;
}

/* From here to exec: the grandchild. */

static void drop_environment(const struct place *place)
{
	static const char *const of_one_program[] = {
		"CUDA_VISIBLE_DEVICES",
		"CUDA_MPS_PIPE_DIRECTORY",
		"CUDA_MPS_CLIENT_PRIORITY",
		"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE",
		"LITHOS_DISABLE",
		"LITHOS_PRIORITY",
		"LITHOS_PROFILE",
		"LITHOS_RUN_DIR",
		"LITHOS_SOCKET",
		"LITHOS_STATS",
		"LITHOS_TENANT",
		"LITHOS_TOKEN",
		"LITHOS_TPC_QUOTA",
	};

	for (size_t i = 0; i < sizeof(of_one_program) / sizeof(of_one_program[0]); i++)
		(void)unsetenv(of_one_program[i]);
	if (place->sim_device[0] != '\0')
		(void)setenv("LITHOS_SIM_DEVICE", place->sim_device, 0);
}

/* Kernels before 5.9 have no close_range. */
static void close_from(int first)
{
	long limit = sysconf(_SC_OPEN_MAX);

	if (syscall(SYS_close_range, (unsigned int)first, ~0U, 0U) == 0)
		return;
	for (int fd = first; fd < limit && fd < MAX_DESCRIPTORS; fd++)
		(void)close(fd);
}

/* Standard input from nowhere, output into the log, and nothing else open but `keep`. */
static int set_descriptors(const struct place *place, int *keep)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log = open(place->log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC,
		       0600);
	int up = fcntl(*keep, F_DUPFD_CLOEXEC, 4);

	if (null < 0 || log < 0 || up < 0)
		return -errno;
	if (dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0 || dup3(up, 3, O_CLOEXEC) < 0)
		return -errno;
	*keep = 3;
	close_from(4);
	return 0;
}

static void plain_signals(void)
{
	struct sigaction plain = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int i = 1; i < SIGRTMIN; i++)
		(void)sigaction(i, &plain, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void exec_daemon(const struct place *place, const char *program)
{
	const char *sim = place->sim_device[0] != '\0' ? "--sim" : NULL;

	(void)execlp(program, "lithosd", "--private", "--socket", place->socket, "--idle-exit",
		     IDLE_EXIT_S, sim, NULL);
}

/* What the grandchild tells: its pid, and then, if it comes to that, why it could not start. */
static void become_daemon(const struct place *place, const char *program, int pipe_end)
{
	int32_t told = (int32_t)getpid();
	int r = set_descriptors(place, &pipe_end);

	if (write(pipe_end, &told, sizeof(told)) != sizeof(told))
		_exit(1);
	plain_signals();
	drop_environment(place);
	(void)umask(077);
	if (r == 0 && chdir("/") < 0)
		r = -errno;
	if (r == 0) {
		exec_daemon(place, program);
		r = -errno;
	}
	told = r;
	(void)!write(pipe_end, &told, sizeof(told));
	_exit(1);
}

static void in_between(const struct place *place, const char *program, int pipe_end)
{
	pid_t pid;

	(void)setsid();
	pid = fork();
	if (pid == 0)
		become_daemon(place, program, pipe_end);
	_exit(pid < 0);
}

/* The pid and the end of the pipe, which is the exec; -errno of what failed. */
static int hear(int pipe_end, int *ret_pidfd)
{
	int32_t told = 0;

	if (read(pipe_end, &told, sizeof(told)) != sizeof(told))
		return -EIO;
	*ret_pidfd = (int)syscall(SYS_pidfd_open, (pid_t)told, 0);
	if (read(pipe_end, &told, sizeof(told)) == sizeof(told))
		return told;
	return 0;
}

static int spawn(const struct place *place, const char *program, int *ret_pidfd)
{
	int ends[2];
	pid_t pid;
	int r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		in_between(place, program, ends[1]);
	r = pid < 0 ? -errno : 0;
	(void)close(ends[1]);
	if (r == 0)
		r = hear(ends[0], ret_pidfd);
	(void)close(ends[0]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	return r;
}

int start_daemon(const struct place *place, struct start *start)
{
	char program[PATHS_MAX];
	int r;

	if (start->pidfd >= 0)
		(void)close(start->pidfd);
	start->pidfd = -1;
	paths_lithosd(program, sizeof(program));
	r = spawn(place, program, &start->pidfd);
	if (r < 0)
		cli_error("no lithosd is running, and '%s' cannot be started: %s "
			  "(LITHOS_SOCKET=none runs programs without one)",
			  program, strerror(-r));
	return r;
}

/* The last line that has text in it, for people. */
static void last_line(const char *path, char *ret_line, size_t size)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	ssize_t length;

	(void)snprintf(ret_line, size, "it said nothing");
	if (file == NULL)
		return;
	while ((length = getline(&line, &room, file)) > 0) {
		if (line[length - 1] == '\n')
			line[length - 1] = '\0';
		if (line[0] != '\0')
			(void)snprintf(ret_line, size, "%s", line);
	}
	free(line);
	(void)fclose(file);
}

void start_end_progress(struct start *start)
{
	if (start->shows_progress)
		(void)fputs("\r\033[K", stderr);
	start->shows_progress = 0;
}

static void show_progress(struct start *start, int64_t passed_ms)
{
	if (passed_ms < PROGRESS_MS || !isatty(STDERR_FILENO))
		return;
	(void)fprintf(stderr, "\rlithos: a private lithosd looks at the GPU... %lld s",
		      (long long)passed_ms / 1000);
	start->shows_progress = 1;
}

void start_complain(const struct place *place, struct start *start, int error)
{
	char line[512];

	start_end_progress(start);
	last_line(place->log, line, sizeof(line));
	cli_error("a private lithosd was started and %s: %s (%s)%s",
		  error == -ECHILD ? "ended" : "does not answer", line, place->log,
		  place->sim_device[0] != '\0'
			  ? ""
			  : "; 'lithos doctor' says what is missing, and --sim runs on a simulated "
			    "GPU");
}

int start_wait(struct start *start)
{
	struct pollfd death = {.fd = start->pidfd, .events = POLLIN};
	int64_t passed_ms = now_ms() - start->since_ms;

	if (poll(&death, 1, LOOK_MS) > 0)
		return -ECHILD;
	if (passed_ms > LIMIT_MS)
		return -ETIMEDOUT;
	show_progress(start, passed_ms);
	return 0;
}

void start_unlock(struct start *start)
{
	start_end_progress(start);
	if (start->pidfd >= 0)
		(void)close(start->pidfd);
	(void)close(start->lock);
}
