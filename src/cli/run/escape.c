/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who of the program's processes got past lithos.
 *
 * A process is confined by the shim, and has the shim because LD_LIBRARY_PATH says so. A wrapper
 * that sets it anew, a program with DT_RPATH, `env -i`, a driver opened by its path or preloaded:
 * such a process gets the driver itself, and nothing in it knows. From outside it can be seen: it
 * has a file named libcuda.so* mapped that is not the shim (the shim has an ELF note), or the
 * driver's device open, and no shim. `lithos run` looks at its program's processes for that: 50 ms
 * after the start, every 100 ms for two seconds, and every second from then on. Who has the shim is
 * not looked at again, unless it executes something else.
 *
 * The program's processes are the descendants of `lithos run`, which adopts those whose parents end
 * (PR_SET_CHILD_SUBREAPER in child.c), so a double fork hides nobody. Programs of ours among them
 * (a `lithos run` in the program, a daemon that it started) look after their own.
 *
 * What it does badly: a process that lives for less than the time between two looks is not seen,
 * nor one that calls the driver itself although it has the shim (the launch hook sees that one),
 * nor one whose driver has another name and no device file. docs/confinement.md has the table.
 *
 * Tested by tests/integration/daemon_confine.bats.
 */
#include "cli/run/escape.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/find/driver_find.h"
#include "cli/cli.h"
#include "cli/paths.h"
#include "cli/run/reservation.h"

#define SHIM_NOTE   "lithos-shim"
#define FIRST_MS    50
#define SOON_MS     100
#define SOON_SCANS  20
#define LATER_MS    1000
#define TERM_MS     2000
#define MAX_TREE    4096
#define DEVICE_FILE "/dev/nvidia-uvm"

/* What a process has mapped. */
struct mapped {
	int has_shim;
	char driver[PATHS_MAX]; /* empty: none */
};

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * --- one process
 * --------------------------------------------------------------------------------
 */

static void take_mapping(pid_t pid, const char *path, struct mapped *mapped)
{
	const char *name = strrchr(path, '/') + 1;
	char from_root[PATHS_MAX + 64];

	/* Link stubs fail at every call. */
	if (strncmp(name, "libcuda.so", 10) != 0 || strstr(path, "/stubs/") != NULL ||
	    strcmp(path, mapped->driver) == 0)
		return;
	(void)snprintf(from_root, sizeof(from_root), "/proc/%d/root%s", (int)pid, path);
	switch (elf_has_note(from_root, SHIM_NOTE)) {
	case 1:
		mapped->has_shim = 1;
		break;
	case 0:
		(void)snprintf(mapped->driver, sizeof(mapped->driver), "%s", path);
		break;
	default: /* its file is gone, or not ours to read */
		break;
	}
}

static int look_at_maps(pid_t pid, struct mapped *ret_mapped)
{
	char name[64];
	char *line = NULL;
	size_t size = 0;
	FILE *file;

	*ret_mapped = (struct mapped){.has_shim = 0};
	(void)snprintf(name, sizeof(name), "/proc/%d/maps", (int)pid);
	file = fopen(name, "re");
	if (file == NULL)
		return -1;
	while (getline(&line, &size, file) > 0 && !ret_mapped->has_shim) {
		char *path = strchr(line, '/');

		if (path == NULL)
			continue;
		path[strcspn(path, "\n")] = '\0';
		take_mapping(pid, path, ret_mapped);
	}
	free(line);
	(void)fclose(file);
	return 0;
}

/* A driver under any name opens its device. */
static int has_device_open(pid_t pid)
{
	char name[64], target[64];
	const struct dirent *entry;
	int has = 0;
	DIR *dir;

	(void)snprintf(name, sizeof(name), "/proc/%d/fd", (int)pid);
	dir = opendir(name);
	if (dir == NULL)
		return 0;
	while (!has && (entry = readdir(dir)) != NULL) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

		target[n > 0 ? n : 0] = '\0';
		has = strcmp(target, DEVICE_FILE) == 0;
	}
	(void)closedir(dir);
	return has;
}

/* 1: it has the driver and no shim; ret_what names what it has. -1: it has the shim. */
static int is_escaped(pid_t pid, char *ret_what, size_t size)
{
	struct mapped mapped;

	if (look_at_maps(pid, &mapped) < 0)
		return 0;
	if (mapped.has_shim)
		return -1;
	if (mapped.driver[0] == '\0' && !has_device_open(pid))
		return 0;
	(void)snprintf(ret_what, size, "%s", mapped.driver[0] ? mapped.driver : DEVICE_FILE);
	return 1;
}

static void name_of(pid_t pid, char *ret_name, size_t size)
{
	char path[64];
	FILE *file;

	(void)snprintf(ret_name, size, "a process");
	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return;
	if (fgets(ret_name, (int)size, file) == NULL)
		(void)snprintf(ret_name, size, "a process");
	for (char *c = ret_name; *c != '\0'; c++)
		*c = *c == '\n' ? '\0' : (char)(*c < ' ' || *c > '~' ? '?' : *c);
	(void)fclose(file);
}

/*
 * --- what is known
 * ------------------------------------------------------------------------------
 */

static int is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

static int is_ok(const struct escape *escape, pid_t pid, ino_t exe)
{
	uint32_t nr = escape->nr_ok < ESCAPE_OK ? escape->nr_ok : ESCAPE_OK;

	for (uint32_t i = 0; i < nr; i++) {
		if (escape->ok[i].pid == pid && escape->ok[i].exe == exe)
			return 1;
	}
	return 0;
}

static struct escaped *found_of(struct escape *escape, pid_t pid)
{
	for (uint32_t i = 0; i < escape->nr_found; i++) {
		if (escape->found[i].pid == pid)
			return &escape->found[i];
	}
	return NULL;
}

static void say(const struct escape *escape, pid_t pid, const char *what)
{
	char name[64];

	name_of(pid, name, sizeof(name));
	cli_error("unconfined: %s (pid %d) has the driver itself (%s) and not lithos, so that no "
		  "quota holds for it%s",
		  name, (int)pid, what, escape->is_strict ? "; it is ended (--strict)" : "");
}

static void deal_with(struct escape *escape, pid_t pid, const char *what)
{
	struct escaped *found = found_of(escape, pid);

	if (found == NULL && escape->nr_found == ESCAPE_MAX)
		return;
	if (found == NULL) {
		found = &escape->found[escape->nr_found++];
		*found = (struct escaped){.pid = pid, .kill_ms = now_ms() + TERM_MS};
		say(escape, pid, what);
		if (escape->is_strict)
			(void)kill(pid, SIGTERM);
	} else if (escape->is_strict && now_ms() >= found->kill_ms) {
		(void)kill(pid, SIGKILL);
	}
	if (!found->is_told)
		found->is_told =
			reservation_tell_unconfined(escape->reservation, (uint32_t)pid, what) == 0;
}

/* 0: a program of ours, which looks after its own children. */
static int look_at(struct escape *escape, pid_t pid)
{
	char name[64], what[PATHS_MAX];
	struct stat exe;
	int r;

	(void)snprintf(name, sizeof(name), "/proc/%d/exe", (int)pid);
	if (stat(name, &exe) < 0)
		return 1;
	if (is_same(&exe, &escape->self) || is_same(&exe, &escape->lithosd))
		return 0;
	if (is_ok(escape, pid, exe.st_ino))
		return 1;
	r = is_escaped(pid, what, sizeof(what));
	if (r > 0)
		deal_with(escape, pid, what);
	if (r < 0) {
		escape->ok[escape->nr_ok % ESCAPE_OK].pid = pid;
		escape->ok[escape->nr_ok++ % ESCAPE_OK].exe = exe.st_ino;
	}
	return 1;
}

/*
 * --- all of them
 * --------------------------------------------------------------------------------
 */

struct tree {
	pid_t pid[MAX_TREE];
	uint32_t nr;
};

static void add_children_of_task(struct tree *tree, pid_t pid, const char *task)
{
	char path[320];
	FILE *file;
	int child;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%s/children", (int)pid, task);
	file = fopen(path, "re");
	if (file == NULL)
		return;
	while (tree->nr < MAX_TREE && fscanf(file, "%d", &child) == 1)
		tree->pid[tree->nr++] = child;
	(void)fclose(file);
}

static void add_children(struct tree *tree, pid_t pid)
{
	const struct dirent *entry;
	char path[64];
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] != '.')
			add_children_of_task(tree, pid, entry->d_name);
	}
	(void)closedir(dir);
}

static void scan(struct escape *escape)
{
	static struct tree tree;

	tree.nr = 0;
	add_children(&tree, getpid());
	for (uint32_t i = 0; i < tree.nr; i++) {
		if (look_at(escape, tree.pid[i]))
			add_children(&tree, tree.pid[i]);
	}
	escape->nr_scans++;
}

static void service(struct child_watch *watch)
{
	struct escape *escape = (struct escape *)watch;

	scan(escape);
	watch->deadline_ms = now_ms() + (escape->nr_scans < SOON_SCANS ? SOON_MS : LATER_MS);
	/* Soon, to end what does not want to. */
	if (escape->is_strict && escape->nr_found > 0)
		watch->deadline_ms = now_ms() + SOON_MS;
}

void escape_begin(struct escape *escape, struct reservation *reservation, int is_strict)
{
	char lithosd[PATHS_MAX];

	memset(escape, 0, sizeof(*escape));
	escape->watch = (struct child_watch){
		.fd = -1, .deadline_ms = now_ms() + FIRST_MS, .service = service};
	escape->reservation = reservation;
	escape->is_strict = is_strict;
	(void)stat("/proc/self/exe", &escape->self);
	paths_lithosd(lithosd, sizeof(lithosd));
	(void)stat(lithosd, &escape->lithosd);
}

uint32_t escape_end(struct escape *escape)
{
	scan(escape);
	if (escape->nr_found > 0)
		cli_error("%u %s of the program ran unconfined", escape->nr_found,
			  escape->nr_found > 1 ? "processes" : "process");
	return escape->nr_found;
}
