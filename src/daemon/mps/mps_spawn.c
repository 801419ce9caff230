/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting programs of MPS.
 *
 * Problem: whatever the control inherits, it and its servers hold for as long as they live. With a
 * pipe as standard output, who reads it waits for ever; with a socket of the daemon, peers do not
 * see the daemon's death; with the environment of a tenant, the shim, a client's priority or one
 * tenant's choice of GPUs would hold for everybody.
 *
 * Idea: fork, and in the child only calls that are safe there: a new session, /dev/null,
 * close_range, execve. Arguments and environment are made before. Of the environment everything is
 * kept but a short list, since a driver may lie where only LD_LIBRARY_PATH finds it; a shim that
 * lies there as well is told to forward and do nothing else.
 *
 * Directories are made here and not by the control, which would give them whatever the umask says.
 * One that somebody else could have put there, as in /tmp, is refused: who can write into it can
 * put a socket of his own in the place of the control's.
 *
 * What it does badly: fork copies the page tables of the daemon, about 0.1 ms.
 *
 * Tested by tests/unit/mps_spawn.c.
 */
#include "daemon/mps/mps_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXIT_NOT_RUN 127

/* Not for MPS: what chooses for one program, and what puts lithos in front of the driver. */
static const char *const unwanted[] = {
	"LITHOS_",
	"LD_PRELOAD=",
	"CUDA_VISIBLE_DEVICES=",
	"CUDA_MPS_PIPE_DIRECTORY=",
	"CUDA_MPS_LOG_DIRECTORY=",
	"CUDA_MPS_CLIENT_PRIORITY=",
	"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=",
	"CUDA_MPS_PINNED_DEVICE_MEM_LIMIT=",
};

int mps_find_binary(const char *configured, const char *search_path, char *ret_path, size_t size)
{
	if (configured[0] == '\0') {
		if (program_find(search_path, MPS_CONTROL_NAME, ret_path, size) == 0)
			return 0;
		return program_find(MPS_USUAL_FOLDERS, MPS_CONTROL_NAME, ret_path, size);
	}
	if (strlen(configured) >= size)
		return -ENAMETOOLONG;
	if (configured[0] != '/' || !program_is_at(configured))
		return -ENOENT;
	memcpy(ret_path, configured, strlen(configured) + 1);
	return 0;
}

static int make_parents(const char *path)
{
	char parent[PATH_MAX];

	if (strlen(path) >= sizeof(parent))
		return -ENAMETOOLONG;
	for (size_t i = 1; path[i] != '\0'; i++) {
		if (path[i] != '/')
			continue;
		memcpy(parent, path, i);
		parent[i] = '\0';
		if (mkdir(parent, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

/* -EPERM for a directory that somebody else can put files into. */
static int take_directory(int fd, mode_t mode)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (status.st_uid != geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return -EPERM;
	return fchmod(fd, mode) < 0 ? -errno : 0;
}

int mps_make_directory(const char *path, mode_t mode)
{
	int r = make_parents(path);
	int fd;

	if (r < 0)
		return r;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = take_directory(fd, mode);
	(void)close(fd);
	return r;
}

static int is_unwanted(const char *variable)
{
	for (size_t i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++) {
		if (strncmp(variable, unwanted[i], strlen(unwanted[i])) == 0)
			return 1;
	}
	return 0;
}

/* Ours without the unwanted, then the settings; strings are borrowed, the table is the caller's. */
static const char **environment_new(const char *const *setting)
{
	const char **table;
	size_t nr = 1;

	for (size_t i = 0; environ != NULL && environ[i] != NULL; i++)
		nr++;
	for (size_t i = 0; setting[i] != NULL; i++)
		nr++;
	table = calloc(nr, sizeof(*table));
	if (table == NULL)
		return NULL;
	nr = 0;
	for (size_t i = 0; environ != NULL && environ[i] != NULL; i++) {
		if (!is_unwanted(environ[i]))
			table[nr++] = environ[i];
	}
	for (size_t i = 0; setting[i] != NULL; i++)
		table[nr++] = setting[i];
	return table;
}

/* In the child. */
static void close_others(void)
{
	long max;

	if (syscall(SYS_close_range, 3u, ~0u, 0u) == 0)
		return;
	max = sysconf(_SC_OPEN_MAX);
	for (int fd = 3; fd < max; fd++)
		(void)close(fd);
}

/* In the child. */
static void plain_signals(void)
{
	struct sigaction plain = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		(void)sigaction(number, &plain, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child: only calls that are safe after fork. */
static void run_program(const struct mps_command *command, const char **environment, int input)
{
	int null = open("/dev/null", O_RDWR);

	plain_signals();
	if (null < 0 || setsid() < 0 || dup2(input >= 0 ? input : null, STDIN_FILENO) < 0 ||
	    dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0)
		_exit(EXIT_NOT_RUN);
	close_others();
	(void)umask(S_IWGRP | S_IWOTH);
	(void)chdir("/");
	/* execve does not write to what it is given; its type is older than const. */
	(void)execve(command->argv[0], (char *const *)(uintptr_t)command->argv,
		     (char *const *)(uintptr_t)environment);
	_exit(EXIT_NOT_RUN);
}

/* A pipe that already holds the text, closed for writing. The end to read, or -errno. */
static int input_of(const char *text)
{
	size_t length = strlen(text);
	int ends[2];
	int r = 0;

	if (length > PIPE_BUF)
		return -EMSGSIZE;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	/* An empty pipe takes PIPE_BUF bytes without waiting. */
	if (write(ends[1], text, length) != (ssize_t)length)
		r = -EIO;
	(void)close(ends[1]);
	if (r < 0)
		(void)close(ends[0]);
	return r < 0 ? r : ends[0];
}

int mps_spawn(const struct mps_command *command, pid_t *ret_pid)
{
	const char **environment = environment_new(command->setting);
	int input = -1;
	int r = 0;
	pid_t pid;

	if (environment == NULL)
		return -ENOMEM;
	if (command->input != NULL)
		r = input = input_of(command->input);
	if (r < 0)
		goto out;
	pid = fork();
	r = pid < 0 ? -errno : 0;
	if (pid == 0)
		run_program(command, environment, input);
	if (pid > 0)
		*ret_pid = pid;
	if (input >= 0)
		(void)close(input);
out:
	free(environment);
	return r;
}
