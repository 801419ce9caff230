/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One datagram to the socket that $NOTIFY_SOCKET names; a name that starts with '@' is in the
 * abstract namespace. libsystemd is not used because it cannot be linked statically. Lost messages
 * are lost: there is nothing better to do with them. Tested by tests/integration/daemon_life.bats.
 */
#include "daemon/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/options.h"

void notify_send(const char *text)
{
	const char *path = options_environment("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = path ? strlen(path) : 0;
	int fd;

	if (!length || length >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(address.sun_path, path, length);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	length += offsetof(struct sockaddr_un, sun_path);
	(void)sendto(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
		     (const struct sockaddr *)&address, (socklen_t)length);
	(void)close(fd);
}

uint64_t notify_watchdog_ns(void)
{
	const char *usec = options_environment("WATCHDOG_USEC");
	const char *pid = options_environment("WATCHDOG_PID");

	if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	return strtoull(usec, NULL, 10) * 1000;
}
