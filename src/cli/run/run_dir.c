/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private folder of one run.
 *
 * mkdtemp makes the name unguessable and the folder private, so no other user can put a file there.
 * $XDG_RUNTIME_DIR is tmpfs on a desktop and often unset, or not ours, in containers and under
 * sudo; then $TMPDIR, then /tmp. Processes that outlive the run keep their mapped file; its name is
 * gone.
 *
 * A run that was killed leaves its folder. Each run holds a lock on its own, which ends with it
 * however it ends, and removes those that nobody holds; one that was taken away between its making
 * and its lock is made again.
 *
 * Tested by tests/integration/cli_run.bats.
 */
#include "cli/run/run_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/options.h"

#define PREFIX   "lithos-run-"
#define NR_TRIES 10

/* Files only: names . and .. and sub-folders are refused by unlinkat itself. Takes over fd. */
static void empty(int fd)
{
	DIR *dir = fdopendir(fd);
	const struct dirent *entry;

	if (dir == NULL) {
		(void)close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL)
		(void)unlinkat(fd, entry->d_name, 0);
	(void)closedir(dir);
}

/* A folder that is ours and that nobody holds goes. */
static void remove_if_left(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat info;

	if (fd < 0)
		return;
	if (fstat(fd, &info) < 0 || info.st_uid != geteuid() || flock(fd, LOCK_EX | LOCK_NB) < 0) {
		(void)close(fd);
		return;
	}
	empty(dup(fd));
	(void)unlinkat(parent, name, AT_REMOVEDIR);
	(void)close(fd);
}

static void remove_left(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0)
			remove_if_left(dirfd(dir), entry->d_name);
	}
	(void)closedir(dir);
}

/* -EAGAIN: somebody took the new folder for one that was left. */
static int lock_folder(const char *path, int *ret_lock)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat info;

	if (fd < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		goto gone;
	/* Where there are no locks nobody can take it for one that was left either. */
	if (fstat(fd, &info) < 0 || info.st_nlink == 0)
		goto gone;
	*ret_lock = fd;
	return 0;
gone:
	(void)close(fd);
	return -EAGAIN;
}

static int make_under(const char *parent, char *ret_path, size_t size, int *ret_lock)
{
	int r = -EAGAIN;

	if (parent == NULL || parent[0] != '/')
		return -ENOENT;
	remove_left(parent);
	for (int i = 0; i < NR_TRIES && r == -EAGAIN; i++) {
		int length = snprintf(ret_path, size, "%s/" PREFIX "XXXXXX", parent);

		if (length < 0 || (size_t)length >= size)
			return -ENAMETOOLONG;
		r = mkdtemp(ret_path) != NULL ? lock_folder(ret_path, ret_lock) : -errno;
	}
	return r;
}

int run_dir_make(char *ret_path, size_t size, int *ret_lock)
{
	if (make_under(options_environment("XDG_RUNTIME_DIR"), ret_path, size, ret_lock) == 0 ||
	    make_under(options_environment("TMPDIR"), ret_path, size, ret_lock) == 0)
		return 0;
	return make_under("/tmp", ret_path, size, ret_lock);
}

void run_dir_remove(const char *path, int lock)
{
	empty(dup(lock));
	(void)rmdir(path);
	(void)close(lock);
}
