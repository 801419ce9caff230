/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket clients find the server at, and its beginning and end.
 *
 * Problem: a server that clients start themselves also ends by itself, and hundreds of processes
 * may want one at the moment it goes. Idea: a lock file beside the socket ("<path>.lock", never
 * removed) is held by whoever starts a server, and by a server that ends. A socket file without a
 * listener is what a killed server left and is replaced. A client that connected at the last moment
 * finds its connection closed before it was welcomed, and tries again (sim/client/link.c).
 */
#include "sim/server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096

/* The lock file's descriptor, locked; closing it unlocks. */
static int lock(const char *path, int flags)
{
	char name[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 8];
	int fd;

	(void)snprintf(name, sizeof(name), "%s.lock", path);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | flags)) {
		(void)close(fd);
		return -EAGAIN;
	}
	return fd;
}

static int has_listener(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = fd < 0 ? -1 : connect(fd, (const struct sockaddr *)address, sizeof(*address));
	int has = !r || errno == EAGAIN;

	if (fd >= 0)
		(void)close(fd);
	return has;
}

static int bind_and_listen(struct server *server)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(server->path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, server->path, strlen(server->path) + 1);
	if (has_listener(&address))
		return -EADDRINUSE;
	(void)unlink(server->path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	server->listener = (struct watched){.ready = server_accept, .fd = fd};
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) || listen(fd, BACKLOG))
		return -errno;
	return 0;
}

int server_listen(struct server *server, int locked)
{
	int lock_fd = locked ? -1 : lock(server->path, 0);
	int r;

	if (!locked && lock_fd < 0)
		return lock_fd;
	r = bind_and_listen(server);
	if (lock_fd >= 0)
		(void)close(lock_fd);
	return r;
}

int server_end(struct server *server)
{
	int lock_fd = lock(server->path, LOCK_NB);

	/* Whoever holds the lock is starting a server, and will find this one. */
	server->idle_since_ns = 0;
	if (lock_fd == -EAGAIN)
		return -EAGAIN;
	/* A folder that is gone has no lock, and no client finds this socket either. */
	if (lock_fd < 0)
		return 0;
	server_accept(server, &server->listener);
	if (!server->clients) {
		(void)unlink(server->path);
		server_unwatch(server, &server->listener);
	}
	(void)close(lock_fd);
	return server->clients ? -EAGAIN : 0;
}
