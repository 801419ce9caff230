/* SPDX-License-Identifier: Apache-2.0 */
/* Files for the targets whose readers take paths, and the end of a finding. */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[64];
static char path[160];

void fuzz_fail(const char *what)
{
	(void)fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

static void remove_folder(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	if (system(command) != 0)
		(void)fprintf(stderr, "fuzz: %s stays\n", folder);
}

const char *fuzz_folder(void)
{
	if (folder[0])
		return folder;
	(void)snprintf(folder, sizeof(folder), "%s/lithos-fuzz-XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(folder))
		fuzz_fail("no folder");
	(void)atexit(remove_folder);
	return folder;
}

const char *fuzz_file(const char *name, const void *bytes, size_t size)
{
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", fuzz_folder(), name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || (size && write(fd, bytes, size) != (ssize_t)size) || close(fd) < 0)
		fuzz_fail("a file cannot be written");
	return path;
}
