/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who else of a tenant lives.
 *
 * `lithos run sh -c "prog & exit"` ends at once, and prog makes its first context seconds later.
 * Its reservation must be there then. What makes a process one of the tenant is the token in its
 * environment, which fork() and exec() hand on whatever becomes of parents, sessions and process
 * groups, and without which it could not attach anyway. The kernel shows the environment that a
 * process was started with in /proc/<pid>/environ to the same user and to root, so a look through
 * /proc finds all of them. (A descriptor that is handed down would be closed by Python's subprocess
 * and by every daemon; process groups and parents are left by setsid and by double forks.)
 *
 * The look costs about 10 us a process of the machine. It is made when the last thing that keeps
 * the tenant alive has gone: launcher, attached processes, and those found by the look before, of
 * which MAX_KIN are watched by their pidfds. The launcher itself has the token in no environment
 * that it was started with.
 *
 * What it does badly: a process that does not show its environment (another user's, not dumpable)
 * is not found; one that forks and ends while the look passes between the two may be missed, and
 * its child is then confined by its own environment, without a daemon. Something that runs for ever
 * in the background keeps its tenant for ever; `lithos status` shows the tenant with no process.
 *
 * Tested by tests/integration/daemon_kin.c.
 */
#include "daemon/tenant/kin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/daemon.h"
#include "daemon/tenant/tenant.h"

#define MAX_KIN     8
#define NAME        "LITHOS_TOKEN="
#define WORD_BYTES  (sizeof(NAME) + 2 * (size_t)PROTO_TOKEN_BYTES) /* with the NUL at its end */
#define CHUNK_BYTES 16384

struct kin {
	struct kin *next;
	struct tenant *tenant;
	struct loop_process watch;
};

static void kin_remove(struct kin *kin)
{
	struct kin **link = &kin->tenant->kin;

	while (*link && *link != kin)
		link = &(*link)->next;
	if (*link)
		*link = kin->next;
	loop_process_remove(&kin->tenant->daemon->loop, &kin->watch);
	free(kin);
}

static void on_exit_of(void *cookie)
{
	struct kin *kin = cookie;
	struct tenant *t = kin->tenant;

	kin_remove(kin);
	(void)tenant_reap(t);
}

/* 1 when it is watched now. */
static int kin_watch(struct tenant *t, pid_t pid)
{
	struct kin *kin = calloc(1, sizeof(*kin));

	if (!kin)
		return 0;
	kin->tenant = t;
	kin->watch.on_exit = on_exit_of;
	kin->watch.cookie = kin;
	if (loop_process_add(&t->daemon->loop, &kin->watch, pid) < 0) {
		free(kin);
		return 0;
	}
	kin->next = t->kin;
	t->kin = kin;
	return 1;
}

/* "LITHOS_TOKEN=<32 digits>" as it stands in an environment, NUL included. */
static void make_word(const struct tenant *t, char ret_word[WORD_BYTES])
{
	memcpy(ret_word, NAME, sizeof(NAME));
	for (size_t i = 0; i < PROTO_TOKEN_BYTES; i++)
		(void)snprintf(ret_word + sizeof(NAME) - 1 + 2 * i, 3, "%02x", t->token[i]);
}

/* Chunk by chunk, with what may be the beginning of the word kept from the one before. */
static int file_has(int fd, const char word[WORD_BYTES])
{
	static char text[WORD_BYTES + CHUNK_BYTES];
	size_t kept = 0;
	ssize_t n;

	while ((n = read(fd, text + kept, CHUNK_BYTES)) > 0) {
		size_t have = kept + (size_t)n;

		if (memmem(text, have, word, WORD_BYTES))
			return 1;
		kept = have < WORD_BYTES ? have : WORD_BYTES - 1;
		memmove(text, text + have - kept, kept);
	}
	return 0;
}

static int is_kin(int proc, const char *pid, uid_t uid, const char word[WORD_BYTES])
{
	char path[32];
	struct stat st;
	int fd;
	int is;

	if (fstatat(proc, pid, &st, 0) < 0 || (uid != 0 && st.st_uid != uid))
		return 0;
	(void)snprintf(path, sizeof(path), "%.16s/environ", pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	is = file_has(fd, word);
	(void)close(fd);
	return is;
}

static void look(struct tenant *t)
{
	DIR *folder = opendir("/proc");
	const struct dirent *entry;
	char word[WORD_BYTES];
	uint32_t nr = 0;

	if (!folder)
		return;
	make_word(t, word);
	while (nr < MAX_KIN && (entry = readdir(folder)) != NULL) {
		int pid = atoi(entry->d_name); /* NOLINT: 0 for names that are no numbers */

		if (pid > 0 && is_kin(dirfd(folder), entry->d_name, t->uid, word))
			nr += (uint32_t)kin_watch(t, pid);
	}
	(void)closedir(folder);
	if (nr)
		log_line(NULL, LOG_INFO,
			 "msg=\"kept for processes that are not attached\" tenant=\"%s\" id=%u "
			 "processes=%u",
			 t->name, t->id, nr);
}

int kin_lives(struct tenant *t)
{
	if (!t->kin)
		look(t);
	return t->kin != NULL;
}

void kin_forget(struct tenant *t)
{
	struct kin *next;

	for (struct kin *kin = t->kin; kin; kin = next) {
		next = kin->next;
		kin_remove(kin);
	}
}
