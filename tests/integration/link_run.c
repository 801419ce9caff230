/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_run OWN BORROW COMMAND...: runs a command as a tenant of a daemon that only attaches
 * (link_daemon.h). OWN and BORROW are bits FROM-TO, or `none`. Places 0 and 1 of the board are
 * owners of bits 9-16 and 18-25; with LINK_TURNS=1 in the environment they work now and then, and
 * the borrow set moves, every few milliseconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "link_daemon.h"

static struct tpcset bits_of(const char *text)
{
	unsigned int from = 1, to = 0;

	if (sscanf(text, "%u-%u", &from, &to) != 2)
		return (struct tpcset){{0}};
	return link_bits(from, to);
}

static void turn(struct link_daemon *daemon, struct tpcset own, unsigned int i)
{
	for (uint32_t place = 0; place < 2; place++)
		__atomic_store_n(&daemon->peer[place]->proc[0].active, (i >> place) & 1,
				 __ATOMIC_SEQ_CST);
	link_daemon_grant(daemon, own, link_bits(9 + i % 9, 16 + i % 18));
}

static void owners(struct link_daemon *daemon, int is_told)
{
	link_daemon_owner(daemon, 0, link_bits(9, 16), SHM_OWNER_LIVE, is_told);
	link_daemon_owner(daemon, 1, link_bits(18, 25), SHM_OWNER_LIVE, is_told);
}

static int wait_for(pid_t child, struct link_daemon *daemon, struct tpcset own)
{
	const char *turns = getenv("LINK_TURNS");
	int status = 0;
	uint32_t nr_told = 0;

	for (unsigned int i = 0; waitpid(child, &status, WNOHANG) == 0; i++) {
		(void)nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
		if (daemon->nr_attached != nr_told) {
			nr_told = daemon->nr_attached;
			owners(daemon, 1);
		}
		if (turns)
			turn(daemon, own, i);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
	static struct link_daemon daemon;
	char folder[] = "/tmp/lithos-link-XXXXXX", path[64];
	int status;

	if (argc < 4 || !mkdtemp(folder))
		return 2;
	(void)snprintf(path, sizeof(path), "%s/sock", folder);
	link_daemon_start(&daemon, path);
	link_daemon_grant(&daemon, bits_of(argv[1]), bits_of(argv[2]));
	owners(&daemon, 0);
	(void)setenv("LITHOS_TOKEN", LINK_TOKEN, 1);
	(void)setenv("LITHOS_SOCKET", path, 1);
	/* As `lithos run` does: before the first context a program is told what this says. */
	(void)snprintf(path, sizeof(path), "%u", tpcset_count(&daemon.grant->own));
	if (strcmp(path, "0") != 0)
		(void)setenv("LITHOS_TPC_QUOTA", path, 1);
	pid_t child = fork();
	if (child == 0) {
		execvp(argv[3], argv + 3);
		_Exit(127);
	}
	status = wait_for(child, &daemon, bits_of(argv[1]));
	fprintf(stderr, "attached=%u wrong=%u\n", daemon.nr_attached, daemon.nr_wrong);
	(void)unlink(daemon.path);
	(void)rmdir(folder);
	return status ? status : daemon.nr_attached == 0 || daemon.nr_wrong != 0;
}
