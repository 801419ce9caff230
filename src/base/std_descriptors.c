/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lowest free number is what open() gives, so opening until a number above 2 comes back fills
 * the holes, whichever they are, and the last one is given back.
 *
 * Tested by tests/integration/daemon_state.c.
 */
#include "base/std_descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int std_descriptors_open(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return -errno;
	} while (fd <= STDERR_FILENO);
	(void)close(fd);
	return 0;
}
