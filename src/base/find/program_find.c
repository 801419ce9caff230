/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program by its name, in a list of folders.
 *
 * Problem: lithosd, doctor and bench must find the same programs of MPS, or doctor praises what the
 * daemon cannot start. Idea: one search, that of execvp() with two differences: a relative or empty
 * folder is passed over, since it would mean another file in another working directory, and a
 * directory or a file that may not be run does not end the search.
 *
 * What it does badly: between the search and the start the file may change.
 *
 * Tested by tests/unit/program_find.c.
 */
#include "base/find/program_find.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int program_is_at(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

int program_find(const char *folders, const char *name, char *ret_path, size_t size)
{
	char path[PATH_MAX];

	while (folders != NULL && *folders != '\0') {
		size_t length = strcspn(folders, ":");
		int n = snprintf(path, sizeof(path), "%.*s/%s", (int)length, folders, name);

		if (*folders == '/' && n > 0 && (size_t)n < sizeof(path) && (size_t)n < size &&
		    program_is_at(path)) {
			memcpy(ret_path, path, (size_t)n + 1);
			return 0;
		}
		folders += length + (folders[length] == ':');
	}
	return -ENOENT;
}
