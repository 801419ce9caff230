/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the server, or starting it.
 *
 * A process that finds no listener takes the lock file beside the socket, looks again, since
 * another may have been faster, and only then starts lithos-simgpu, which lies in ../../bin as seen
 * from this library. Of hundreds of processes that start at once one starts it and the others wait
 * for the lock. The server forks itself into the background once it listens, so waiting for the
 * process that was started is waiting for the socket. A connection that ends before the welcome was
 * to a server that was just ending; another try starts the next one.
 *
 * Tested by tests/unit/sim_shared_faults.c.
 */
#include "sim/client/link.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_ENVIRONMENT 1024
#define NR_TRIES        20
#define WELCOME_MS      30000
#define LINGER_MS       "2000"

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, r;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	do
		r = connect(fd, (const struct sockaddr *)&address, sizeof(address));
	while (r && errno == EINTR);
	if (!r)
		return fd;
	r = -errno;
	(void)close(fd);
	return r;
}

static int has_no_listener(int r)
{
	return r == -ENOENT || r == -ECONNREFUSED;
}

/* lithos-simgpu of the build or installation this library is part of. */
static int server_binary(char *ret_path, size_t size)
{
	Dl_info info;
	/* From lib/sim, and from lib/x86_64-linux-gnu/sim. */
	static const char *const places[] = {"../../bin", "../../../bin"};
	const char *slash;

	if (!dladdr((const void *)link_open, &info) || !info.dli_fname)
		return -ENOENT;
	slash = strrchr(info.dli_fname, '/');
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (snprintf(ret_path, size, "%.*s/%s/lithos-simgpu",
			     slash ? (int)(slash - info.dli_fname) : 1,
			     slash ? info.dli_fname : ".", places[i]) >= (int)size)
			return -ENAMETOOLONG;
		if (access(ret_path, X_OK) == 0)
			break;
	}
	return 0;
}

/* Of a program that ignores or reaps its children this knows only that the child is over. */
static int wait_for(pid_t pid)
{
	int status = 0;
	pid_t r;

	do
		r = waitpid(pid, &status, 0);
	while (r < 0 && errno == EINTR);
	return r == pid && status ? -EIO : 0;
}

/* The server outlives whoever starts it, and is no process of its tenant. */
static void copy_environment(const char *ret_environment[MAX_ENVIRONMENT])
{
	size_t nr = 0;

	for (char **word = environ; *word && nr < MAX_ENVIRONMENT - 1; word++) {
		if (strncmp(*word, "LITHOS_TOKEN=", sizeof("LITHOS_TOKEN=") - 1) != 0)
			ret_environment[nr++] = *word;
	}
	ret_environment[nr] = NULL;
}

static int spawn(const char *binary, const struct link_config *config)
{
	const char *environment[MAX_ENVIRONMENT];
	char gpus[16];
	const char *argv[] = {binary,     "--daemon",   "--linger", LINGER_MS,
			      "--socket", config->path, "--gpus",   gpus,
			      "--gpu",    config->chip, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	pid_t pid;
	int r;

	copy_environment(environment);
	(void)snprintf(gpus, sizeof(gpus), "%u", config->nr_gpus);
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawnattr_init(&attr);
	for (int fd = 0; fd < 3; fd++)
		(void)posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	(void)posix_spawnattr_setsigmask(&attr, &none);
	(void)posix_spawnattr_setsigdefault(&attr, &all);
	r = posix_spawn(&pid, binary, &actions, &attr, (char *const *)(uintptr_t)argv,
			(char *const *)(uintptr_t)environment);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)posix_spawnattr_destroy(&attr);
	return r ? -r : wait_for(pid);
}

static int start_locked(const struct link_config *config)
{
	char binary[PATH_MAX];
	int fd = connect_to(config->path);
	int r;

	if (!has_no_listener(fd))
		return fd;
	r = server_binary(binary, sizeof(binary));
	if (!r)
		r = spawn(binary, config);
	return r ? r : connect_to(config->path);
}

static int start(const struct link_config *config)
{
	char name[PATH_MAX];
	int lock_fd, fd, r;

	(void)snprintf(name, sizeof(name), "%s.lock", config->path);
	lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (lock_fd < 0)
		return -errno;
	do
		r = flock(lock_fd, LOCK_EX);
	while (r && errno == EINTR);
	fd = r ? -errno : start_locked(config);
	(void)close(lock_fd);
	return fd;
}

static int receive_welcome(int fd, struct proto_welcome *ret_welcome)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	struct proto_welcome welcome;
	ssize_t n;
	int r;

	do
		r = poll(&ready, 1, WELCOME_MS);
	while (r < 0 && errno == EINTR);
	if (r <= 0)
		return r ? -errno : -ETIMEDOUT;
	/* It is the first thing the server says and small, so it comes in one piece. */
	n = recv(fd, &welcome, sizeof(welcome), MSG_WAITALL);
	if (n <= 0)
		return -ECONNRESET;
	if (n != sizeof(welcome) || welcome.head.type != PROTO_WELCOME ||
	    welcome.head.bytes != sizeof(welcome) || welcome.version != PROTO_VERSION ||
	    !welcome.nr_gpus || welcome.nr_gpus > PROTO_MAX_GPUS ||
	    !memchr(welcome.chip, 0, sizeof(welcome.chip)))
		return -EPROTO;
	*ret_welcome = welcome;
	return 0;
}

static int greet(int fd, struct proto_welcome *ret_welcome)
{
	struct proto_hello hello = {
		.head = {sizeof(hello), PROTO_HELLO, 0},
		.magic = PROTO_MAGIC,
		.version = PROTO_VERSION,
	};

	mps_read(&hello.mps);
	if (send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) != sizeof(hello))
		return -ECONNRESET;
	return receive_welcome(fd, ret_welcome);
}

int link_open(const struct link_config *config, struct proto_welcome *ret_welcome)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	int r = -ECONNRESET;

	for (int i = 0; i < NR_TRIES && r == -ECONNRESET; i++) {
		int fd = connect_to(config->path);

		if (has_no_listener(fd))
			fd = start(config);
		if (fd < 0)
			return fd;
		r = greet(fd, ret_welcome);
		if (!r)
			return fd;
		(void)close(fd);
		(void)nanosleep(&pause, NULL);
	}
	return r;
}
