/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder of one run, and where bench's own programs lie.
 *
 * The folder is under $TMPDIR where that is short, else under /tmp, because sockets are made in it
 * and a socket's path has at most 107 characters. Removing it does not follow links and does not
 * leave the file system.
 *
 * The programs are found like the shim, relative to the executable, so that a build tree and an
 * unpacked archive work.
 * Tested by tests/integration/bench.bats.
 */
#include "cli/bench/folder.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/options.h"

#define MAX_OPEN   16
#define PARENT_MAX 40

int folder_make(char *ret_path, size_t size)
{
	const char *parent = options_environment("TMPDIR");
	int n;

	if (parent == NULL || parent[0] != '/' || strlen(parent) > PARENT_MAX)
		parent = "/tmp";
	n = snprintf(ret_path, size, "%s/lithos-bench-XXXXXX", parent);

	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	return mkdtemp(ret_path) != NULL ? 0 : -errno;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
	(void)info;
	(void)type;
	(void)at;
	(void)remove(path);
	return 0;
}

void folder_remove(const char *path)
{
	(void)nftw(path, remove_one, MAX_OPEN, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

int folder_find_programs(struct bench *bench)
{
	static const char *const places[] = {"../libexec/lithos/bench", "../lib/lithos/bench"};
	ssize_t n = readlink("/proc/self/exe", bench->exe, sizeof(bench->exe) - 1);
	int folder;

	if (n < 0)
		return -errno;
	bench->exe[n] = '\0';
	folder = (int)(strrchr(bench->exe, '/') + 1 - bench->exe);
	for (size_t i = sizeof(places) / sizeof(places[0]); i-- > 0;) {
		int length = snprintf(bench->programs, sizeof(bench->programs), "%.*s%s", folder,
				      bench->exe, places[i]);

		if (length < 0 || (size_t)length >= sizeof(bench->programs))
			return -ENAMETOOLONG;
		if (access(bench->programs, X_OK) == 0)
			return 0;
	}
	return -ENOENT;
}
