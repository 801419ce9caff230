/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a user's private lithosd lives.
 *
 * Problem: programs of one user must find the same daemon without being told, and nobody else may
 * put a socket, a log or a lock there for them.
 *
 * Idea: a fixed name in $XDG_RUNTIME_DIR, which is the user's alone on a machine with logins, and
 * in /tmp under the user's number elsewhere (containers, batch nodes, sudo with somebody else's
 * XDG_RUNTIME_DIR), or in $TMPDIR where /tmp cannot be written. The folder counts only when a look
 * at it, without following a link, shows a directory of this user with mode 0700. In /tmp another
 * user can take the name first: then lithos refuses, and XDG_RUNTIME_DIR or LITHOS_SOCKET is the
 * way out.
 *
 * Tested by tests/unit/cli_place.c.
 */
#include "cli/daemon/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/options.h"

#define BASE_MAX 64 /* leaves room for the simulated GPU's sub-folder */

static int is_own_folder(const char *path)
{
	struct stat info;

	return stat(path, &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == geteuid();
}

/* All programs of the user must come to the same one, so $TMPDIR only where /tmp is of no use. */
static const char *temporary(size_t size)
{
	const char *folder = options_environment("TMPDIR");
	size_t room = sizeof("/lithos-4294967295");

	if (faccessat(AT_FDCWD, "/tmp", W_OK | X_OK, AT_EACCESS) == 0 || folder == NULL ||
	    folder[0] != '/' || strlen(folder) + room > size)
		return "/tmp";
	return folder;
}

static void base_folder(char *ret_folder, size_t size)
{
	const char *runtime = options_environment("XDG_RUNTIME_DIR");

	if (runtime != NULL && runtime[0] == '/' && strlen(runtime) + sizeof("/lithos") <= size &&
	    is_own_folder(runtime))
		(void)snprintf(ret_folder, size, "%s/lithos", runtime);
	else
		(void)snprintf(ret_folder, size, "%s/lithos-%u", temporary(size),
			       (unsigned int)geteuid());
}

void place_name(const struct options *options, struct place *ret_place)
{
	char base[BASE_MAX];

	memset(ret_place, 0, sizeof(*ret_place));
	base_folder(base, sizeof(base));
	if (options->sim)
		(void)snprintf(ret_place->folder, sizeof(ret_place->folder), "%s/sim-%.5s", base,
			       options->sim_gpu);
	else
		(void)snprintf(ret_place->folder, sizeof(ret_place->folder), "%s", base);
	(void)snprintf(ret_place->socket, sizeof(ret_place->socket), "%s/lithosd.sock",
		       ret_place->folder);
	(void)snprintf(ret_place->lock, sizeof(ret_place->lock), "%s/lithosd.lock",
		       ret_place->folder);
	(void)snprintf(ret_place->log, sizeof(ret_place->log), "%s/lithosd.log", ret_place->folder);
	if (options->sim)
		(void)snprintf(ret_place->sim_device, sizeof(ret_place->sim_device), "%s/gpu.sock",
			       ret_place->folder);
}

static int check_folder(const char *path, int make)
{
	struct stat info;
	int fd;
	int r;

	if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : -EPERM;
	r = fstat(fd, &info) < 0 ? -errno : 0;
	(void)close(fd);
	if (r == 0 && (info.st_uid != geteuid() || (info.st_mode & 077) != 0))
		return -EPERM;
	return r;
}

int place_check(const struct place *place, int make)
{
	char base[BASE_MAX];
	int r;

	if (place->sim_device[0] == '\0')
		return check_folder(place->folder, make);
	(void)snprintf(base, sizeof(base), "%.*s",
		       (int)(strrchr(place->folder, '/') - place->folder), place->folder);
	r = check_folder(base, make);
	return r < 0 ? r : check_folder(place->folder, make);
}
