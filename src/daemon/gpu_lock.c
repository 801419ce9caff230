/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One lithosd a GPU.
 *
 * Two daemons that manage the same GPU both give away all of it: the machine's and a private one,
 * or two users' private ones. They have no file in common: a folder that one may write the other
 * may not, and a lock file that one has made the other may not open. What all users of a machine
 * share is the space of abstract socket names. So the lock is a listening socket whose name is made
 * of the GPU's UUID: binding it is atomic, it is gone with its process, there is nothing to clean
 * up and nothing that can be replaced, and who finds it taken connects to it and learns who it is:
 * pid and user from the kernel, the path of its own socket from the daemon.
 *
 * Simulated GPUs of all simulations have the same UUIDs. Theirs is a lock of the simulation: the
 * path of its server is part of the name. A daemon whose tenants have a simulated GPU each, without
 * a server, has nothing to lock.
 *
 * What it does badly: any user can bind the name, and so keep a daemon from a GPU; the message then
 * names that process. Containers with a network namespace of their own are not seen, as they are
 * not by a lock file. Tested by tests/integration/daemon_one_gpu.c.
 */
#include "daemon/gpu_lock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/uuid.h"
#include "daemon/server/closer.h"

#define BACKLOG    16
#define ANSWER_MS  1000
#define PATH_BYTES 256

/* FNV-1a: a name is shorter than a path. */
static uint64_t hash_text(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
	return hash;
}

static socklen_t make_address(const uint8_t uuid[16], const struct gpu_lock_place *place,
			      struct sockaddr_un *ret_address)
{
	char text[UUID_TEXT_BYTES];
	char *name = ret_address->sun_path + 1;
	int length;

	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)uuid_text(uuid, text);
	if (place->simulation)
		length = snprintf(name, sizeof(ret_address->sun_path) - 1,
				  "lithos-simulated-%016llx-%s",
				  (unsigned long long)hash_text(place->simulation), text);
	else
		length = snprintf(name, sizeof(ret_address->sun_path) - 1, "lithos-%s", text);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

/* Whoever asks is told where this daemon listens; he is who may have to go there. */
static void on_asked(void *cookie, uint32_t events)
{
	const struct gpu_lock *lock = cookie;
	int fd = accept4(lock->io.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	(void)send(fd, lock->socket, strlen(lock->socket), MSG_DONTWAIT | MSG_NOSIGNAL);
	closer_close_connection(fd, (uid_t)-1);
}

/* The path that the other says, printable; "" when it says none in time. */
static void hear(int fd, char path[PATH_BYTES])
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	ssize_t n = -1;

	if (poll(&wait, 1, ANSWER_MS) > 0)
		n = recv(fd, path, PATH_BYTES - 1, MSG_DONTWAIT);
	path[n > 0 ? n : 0] = '\0';
	for (char *p = path; *p; p++)
		*p = *p < 0x20 || *p > 0x7e || *p == '"' ? '?' : *p;
}

static void name_other(const struct sockaddr_un *address, socklen_t length, char *text,
		       size_t text_size)
{
	struct ucred peer = {0};
	socklen_t peer_bytes = sizeof(peer);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)address, length) == 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_bytes) == 0) {
		char path[PATH_BYTES] = "";

		hear(fd, path);
		(void)snprintf(text, text_size,
			       "another lithosd manages it: pid %d, uid %u, socket %s",
			       (int)peer.pid, (unsigned int)peer.uid, path[0] ? path : "not told");
	} else {
		(void)snprintf(text, text_size, "another lithosd manages it");
	}
	if (fd >= 0)
		(void)close(fd);
}

int gpu_lock_take(struct gpu_lock *lock, struct loop *loop, const uint8_t uuid[16],
		  const struct gpu_lock_place *place, char *text, size_t text_size)
{
	struct sockaddr_un address = {0};
	socklen_t length = make_address(uuid, place, &address);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = 0;

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, length) < 0 ||
	    listen(fd, BACKLOG) < 0)
		r = -errno;
	*lock = (struct gpu_lock){.loop = loop,
				  .io = {.fd = fd, .on_ready = on_asked, .cookie = lock},
				  .socket = place->socket};
	if (r == 0)
		r = loop_add(loop, &lock->io, EPOLLIN);
	if (r == 0)
		return 0;
	if (r == -EADDRINUSE)
		name_other(&address, length, text, text_size);
	else
		(void)snprintf(text, text_size, "its lock cannot be taken: %s", strerror(-r));
	if (fd >= 0)
		(void)close(fd);
	lock->io.fd = 0;
	return r;
}

void gpu_lock_release(struct gpu_lock *lock)
{
	if (lock->io.fd <= 0)
		return;
	loop_remove(lock->loop, &lock->io);
	(void)close(lock->io.fd);
	lock->io.fd = 0;
}
