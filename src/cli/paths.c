/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the shim, the simulated driver and the daemon lie.
 *
 * Idea: a fixed list of places relative to the executable's own path, so a build tree and an
 * unpacked archive work without installing, and the installed place last. A folder counts when it
 * has a libcuda.so.1. The answer is a real path, because it goes into LD_LIBRARY_PATH of programs
 * that may change their working directory.
 *
 * Tested by tests/integration/cli_run.bats.
 */
#include "cli/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#define TRIPLET "x86_64-linux-gnu"
#else
#define TRIPLET "aarch64-linux-gnu"
#endif

static int exe_folder(char *folder, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", folder, size - 1);
	char *slash;

	if (length < 0)
		return -errno;
	folder[length] = '\0';
	slash = strrchr(folder, '/');
	if (slash == NULL)
		return -ENOENT;
	*slash = '\0';
	return 0;
}

/* `place` is relative to the executable's folder unless it starts with a slash. */
static int try_place(const char *exe, const char *place, char *ret_folder, size_t size)
{
	char file[PATHS_MAX];
	char real[PATH_MAX];
	int length;

	if (place[0] == '/')
		length = snprintf(file, sizeof(file), "%s/" PATHS_LIBRARY, place);
	else
		length = snprintf(file, sizeof(file), "%s/%s/" PATHS_LIBRARY, exe, place);
	if (length < 0 || (size_t)length >= sizeof(file))
		return -ENAMETOOLONG;
	if (access(file, R_OK) < 0)
		return -errno;
	file[(size_t)length - strlen("/" PATHS_LIBRARY)] = '\0';
	if (realpath(file, real) == NULL)
		return -errno;
	length = snprintf(ret_folder, size, "%s", real);
	return length >= 0 && (size_t)length < size ? 0 : -ENAMETOOLONG;
}

static int find_folder(const char *const *places, char *ret_folder, size_t size)
{
	char exe[PATHS_MAX];
	int r = exe_folder(exe, sizeof(exe));

	if (r < 0)
		return r;
	for (size_t i = 0; places[i] != NULL; i++) {
		if (try_place(exe, places[i], ret_folder, size) == 0)
			return 0;
	}
	(void)snprintf(ret_folder, size, "%s/%s", exe, places[0]);
	return -ENOENT;
}

int paths_shim_folder(char *ret_folder, size_t size)
{
	static const char *const places[] = {"../lib/lithos", "../lib/" TRIPLET "/lithos",
					     "../lib64/lithos", "/usr/lib/" TRIPLET "/lithos",
					     NULL};

	return find_folder(places, ret_folder, size);
}

int paths_sim_library(char *ret_path, size_t size)
{
	static const char *const places[] = {"../lib/sim", "../lib/" TRIPLET "/sim", "../lib64/sim",
					     "/usr/lib/" TRIPLET "/sim", NULL};
	int r = find_folder(places, ret_path, size);
	size_t used = strlen(ret_path);

	if (used + sizeof("/" PATHS_LIBRARY) > size)
		return -ENAMETOOLONG;
	memcpy(ret_path + used, "/" PATHS_LIBRARY, sizeof("/" PATHS_LIBRARY));
	return r;
}

void paths_lithosd(char *ret_path, size_t size)
{
	static const char *const places[] = {"lithosd", "../sbin/lithosd"};
	char exe[PATHS_MAX];
	int r = exe_folder(exe, sizeof(exe));

	for (size_t i = 0; r == 0 && i < sizeof(places) / sizeof(places[0]); i++) {
		int length = snprintf(ret_path, size, "%s/%s", exe, places[i]);

		if (length > 0 && (size_t)length < size && access(ret_path, X_OK) == 0)
			return;
	}
	(void)snprintf(ret_path, size, "lithosd");
}
