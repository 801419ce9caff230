/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private folder of one run.
 *
 * mkdtemp makes the name unguessable and the folder private, so no other user can put a file there.
 * $XDG_RUNTIME_DIR is tmpfs on a desktop and often unset, or not ours, in containers and under
 * sudo; /tmp is the fallback. Processes that outlive the run keep their mapped file; its name is
 * gone.
 *
 * Tested by tests/integration/cli_run.bats.
 */
#include "cli/run/run_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/options.h"

static int make_under(const char *parent, char *ret_path, size_t size)
{
	int length = snprintf(ret_path, size, "%s/lithos-run-XXXXXX", parent);

	if (length < 0 || (size_t)length >= size)
		return -ENAMETOOLONG;
	return mkdtemp(ret_path) != NULL ? 0 : -errno;
}

int run_dir_make(char *ret_path, size_t size)
{
	const char *runtime = options_environment("XDG_RUNTIME_DIR");

	if (runtime != NULL && make_under(runtime, ret_path, size) == 0)
		return 0;
	return make_under("/tmp", ret_path, size);
}

void run_dir_remove(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;

	if (dir == NULL)
		return;
	/* Names . and .. and sub-folders are refused by unlinkat itself. */
	while ((entry = readdir(dir)) != NULL)
		(void)unlinkat(dirfd(dir), entry->d_name, 0);
	(void)closedir(dir);
	(void)rmdir(path);
}
