/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /proc says about processes of MPS.
 *
 * Problem: neither the control nor its servers are children of the daemon, and the pid file of the
 * control may be old, or written by somebody else where the control was started with a wide umask.
 *
 * Idea: a pid is believed only when the process runs as the daemon's user, under the name of the
 * program, and was started for the same pipe directory. The caller opens a pidfd first and asks
 * here afterwards, so that a pid that changed hands in between is seen to have died. Names are
 * taken from cmdline, which everybody may read, and not from exe, which needs the right to trace.
 * Servers are found as children of the control in /proc/<pid>/task/<tid>/children.
 *
 * What it does badly: a kernel without those files makes it read the status of every process. A
 * program of the same user can name itself as it likes; it could signal the daemon as well.
 *
 * Tested by tests/unit/mps_proc.c.
 */
#include "daemon/mps/mps_proc.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX 32768

/* As much of the file as fits, ended by a NUL. Its length, or -errno. */
static ssize_t read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t length = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		n = read(fd, text + length, size - 1 - length);
		length += n > 0 ? (size_t)n : 0;
	} while (n > 0 && length < size - 1);
	n = n < 0 ? -errno : (ssize_t)length;
	(void)close(fd);
	text[length] = '\0';
	return n;
}

static ssize_t read_of(pid_t pid, const char *name, char *text, size_t size)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return read_file(path, text, size);
}

/* The nr-th number after the key at the start of a line of status. */
static int number_after(const char *text, const char *key, int nr, long *ret_number)
{
	const char *at = strstr(text, key);
	char *end;

	if (at == NULL)
		return -EPROTO;
	at += strlen(key);
	for (int i = 0; i < nr; i++) {
		*ret_number = strtol(at, &end, 10);
		if (end == at)
			return -EPROTO;
		at = end;
	}
	return 0;
}

int mps_proc_read(pid_t pid, struct mps_proc *ret_proc)
{
	char text[4096];
	ssize_t length = read_of(pid, "status", text, sizeof(text));
	const char *state;
	long parent;
	long uid;

	if (length < 0)
		return -ESRCH;
	state = strstr(text, "\nState:\t");
	if (state == NULL || number_after(text, "\nPPid:", 1, &parent) < 0 ||
	    number_after(text, "\nUid:", 2, &uid) < 0)
		return -EPROTO;
	state += strlen("\nState:\t");
	*ret_proc = (struct mps_proc){.parent = (pid_t)parent,
				      .uid = (uid_t)uid,
				      .is_zombie = *state == 'Z' || *state == 'X'};
	return 0;
}

static const char *without_folder(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

int mps_proc_is_program(pid_t pid, const char *name)
{
	char text[4096];

	if (read_of(pid, "cmdline", text, sizeof(text)) <= 0)
		return 0;
	return strcmp(without_folder(text), without_folder(name)) == 0;
}

int mps_proc_has_other_value(pid_t pid, const char *variable, const char *value)
{
	char text[FILE_MAX];
	ssize_t length = read_of(pid, "environ", text, sizeof(text));
	size_t name = strlen(variable);

	for (ssize_t at = 0; at < length; at += (ssize_t)strlen(text + at) + 1) {
		if (strncmp(text + at, variable, name) == 0 && text[at + (ssize_t)name] == '=')
			return strcmp(text + at + name + 1, value) != 0;
	}
	return 0;
}

/* Adds the numbers of a `children` file; the number of pids then. */
static int add_numbers(const char *text, pid_t *pids, int nr, int max)
{
	while (nr < max) {
		char *end;
		long pid = strtol(text, &end, 10);

		if (end == text)
			break;
		pids[nr++] = (pid_t)pid;
		text = end;
	}
	return nr;
}

int mps_proc_children(pid_t pid, pid_t *ret_pids, int max)
{
	char text[4096];
	char path[64];
	struct dirent *entry;
	DIR *tasks;
	int nr = 0;
	ssize_t length = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	if (tasks == NULL)
		return -errno;
	while ((entry = readdir(tasks)) != NULL && length >= 0) {
		char name[64];

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		(void)snprintf(name, sizeof(name), "task/%.20s/children", entry->d_name);
		length = read_of(pid, name, text, sizeof(text));
		nr = length < 0 ? nr : add_numbers(text, ret_pids, nr, max);
	}
	(void)closedir(tasks);
	return length == -ENOENT ? mps_proc_children_by_scan(pid, ret_pids, max) : nr;
}

int mps_proc_children_by_scan(pid_t pid, pid_t *ret_pids, int max)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	int nr = 0;

	if (folder == NULL)
		return -errno;
	while ((entry = readdir(folder)) != NULL && nr < max) {
		pid_t other = (pid_t)strtol(entry->d_name, NULL, 10);
		struct mps_proc proc;

		if (other > 0 && mps_proc_read(other, &proc) == 0 && proc.parent == pid)
			ret_pids[nr++] = other;
	}
	(void)closedir(folder);
	return nr;
}

int mps_proc_pid_file(const char *path, pid_t *ret_pid)
{
	char text[32];
	ssize_t length = read_file(path, text, sizeof(text));
	char *end;
	long pid;

	if (length < 0)
		return (int)length;
	pid = strtol(text, &end, 10);
	if (end == text || (*end != '\0' && *end != '\n') || pid <= 0 || pid > 1 << 30)
		return -EPROTO;
	*ret_pid = (pid_t)pid;
	return 0;
}
