/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lithos-simgpu: simulated GPUs that several processes share.
 *
 * Started by hand it stays in the foreground until it is killed. A simulated driver that finds
 * nobody at its socket starts it with --daemon: it returns when clients can connect and goes on in
 * the background, until --linger milliseconds after the last client left.
 */
#include "base/std_descriptors.h"
#include "sim/server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct arguments {
	const char *socket;
	const char *chip;
	unsigned long nr_gpus;
	unsigned long linger_ms;
	int is_daemon;
};

static int usage(FILE *file)
{
	(void)fprintf(file, "usage: lithos-simgpu --socket PATH [--gpu h100|h200|small] "
			    "[--gpus N] [--linger MS] [--daemon]\n"
			    "Simulated GPUs that several processes share.\n");
	return file == stdout ? 0 : 2;
}

/* 1: the line asks for words about the program, which were said. */
static int is_about_itself(int argc, char **argv)
{
	const char *word = argc == 2 ? argv[1] : "";

	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		return usage(stdout) == 0;
	if (strcmp(word, "--version") != 0)
		return 0;
	(void)printf("lithos-simgpu %s\n", LITHOS_VERSION);
	return 1;
}

static int number(const char *text, unsigned long max, unsigned long *ret_value)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value > max)
		return -EINVAL;
	*ret_value = value;
	return 0;
}

static int read_arguments(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'}, {"gpu", required_argument, NULL, 'g'},
		{"gpus", required_argument, NULL, 'n'},   {"linger", required_argument, NULL, 'l'},
		{"daemon", no_argument, NULL, 'd'},       {NULL, 0, NULL, 0},
	};
	int c, r = 0;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0 && !r) {
		if (c == 's')
			arguments->socket = optarg;
		else if (c == 'g')
			arguments->chip = optarg;
		else if (c == 'n')
			r = number(optarg, PROTO_MAX_GPUS, &arguments->nr_gpus);
		else if (c == 'l')
			r = number(optarg, 86400000, &arguments->linger_ms);
		else if (c == 'd')
			arguments->is_daemon = 1;
		else
			r = -EINVAL;
	}
	if (r || optind != argc || !arguments->socket || !arguments->nr_gpus)
		return -EINVAL;
	return 0;
}

/* The daemon leaves the folder it was started in. */
static int absolute(const char *path, char *ret_path, size_t size)
{
	char folder[PATH_MAX];

	if (*path == '/')
		return snprintf(ret_path, size, "%s", path) < (int)size ? 0 : -ENAMETOOLONG;
	if (!getcwd(folder, sizeof(folder)))
		return -errno;
	return snprintf(ret_path, size, "%s/%s", folder, path) < (int)size ? 0 : -ENAMETOOLONG;
}

static int make_gpus(struct server *server)
{
	for (unsigned int i = 0; i < server->nr_gpus; i++) {
		server->gpu[i].device = device_new(&(struct sim_device_config){
			.chip = &server->chip,
			.ops = server_device_ops,
			/* Addresses in descriptors are the clients'. */
			.ignores_records = 1,
			/* What the server says of a queue is about its first item. */
			.never_overlaps = 1,
		});
		if (!server->gpu[i].device)
			return -ENOMEM;
	}
	return 0;
}

/* Returns in the background process only. */
static int into_background(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t pid = fork();

	if (pid < 0 || fd < 0)
		return -errno;
	if (pid)
		_exit(0);
	/*
	 * A group is enough to outlive the terminal's signals. A session would be a scheduling
	 * group, too (autogroup), and Linux 6.18 was seen to leave one without a processor for a
	 * minute while two others were busy: the GPU of everyone in them stood still.
	 */
	(void)setpgid(0, 0);
	for (int i = 0; i < 3; i++)
		(void)dup2(fd, i);
	(void)close(fd);
	return chdir("/") ? -errno : 0;
}

static int serve(struct server *server, int is_daemon)
{
	int r = make_gpus(server);

	if (!r)
		r = server_listen(server, is_daemon);
	if (!r && is_daemon)
		r = into_background();
	/* Again, because a socket's peer credentials name the process that listened last. */
	if (!r && is_daemon && listen(server->listener.fd, SOMAXCONN))
		r = -errno;
	if (r)
		return r;
	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll_fd < 0)
		return -errno;
	(void)prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
	r = server_watch(server, &server->listener, EPOLLIN);
	return r ? r : server_run(server);
}

int main(int argc, char **argv)
{
	static struct server server = {.listener.fd = -1, .epoll_fd = -1};
	static char path[PATH_MAX];
	struct arguments arguments = {.chip = "h100", .nr_gpus = 1};
	int r = std_descriptors_open();

	if (r < 0)
		return 1;
	if (is_about_itself(argc, argv))
		return 0;
	if (read_arguments(argc, argv, &arguments) || chip_of(arguments.chip, &server.chip))
		return usage(stderr);
	if (arguments.is_daemon)
		(void)close_range(3, ~0u, 0);
	r = absolute(arguments.socket, path, sizeof(path));
	server.path = path;
	server.nr_gpus = (unsigned int)arguments.nr_gpus;
	server.linger_ns = arguments.linger_ms * 1000000u;
	if (!r)
		r = serve(&server, arguments.is_daemon);
	for (unsigned int i = 0; i < server.nr_gpus; i++)
		device_free(server.gpu[i].device);
	if (!r)
		return 0;
	(void)fprintf(stderr, "lithos-simgpu: %s: %s\n", path, strerror(-r));
	return 1;
}
