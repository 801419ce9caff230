/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting programs and getting rid of them.
 *
 * Problem: what a measurement starts has children of its own, some of which detach on purpose: the
 * MPS control daemon and its server, a simulated GPU's server. One of them left over would share
 * the GPU with the next measurement, or stay when bench is gone.
 *
 * Idea: bench makes itself the reaper of all its descendants (PR_SET_CHILD_SUBREAPER), so whatever
 * detaches becomes its child when its parent ends. After each measurement the whole list of
 * children is killed and reaped until there is none. Each program is also in a process group of its
 * own, which gets a polite signal first, as it does (PR_SET_PDEATHSIG) should bench be killed.
 *
 * What it does badly: a process that a detached child started after bench itself was killed with
 * SIGKILL is on its own.
 *
 * Tested by tests/integration/bench.bats.
 */
#include "cli/bench/children.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define LOG_TAIL_BYTES 400

static volatile sig_atomic_t nr_signals;

static void on_signal(int signal_number)
{
	(void)signal_number;
	nr_signals = 1;
}

int children_init(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct sigaction plain = {.sa_handler = SIG_DFL};

	(void)sigaction(SIGCHLD, &plain, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGHUP, &action, NULL);
	return prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 ? 0 : -errno;
}

int children_interrupted(void)
{
	return nr_signals != 0;
}

void wait_a_little(double seconds)
{
	struct timespec time = {.tv_sec = (time_t)seconds,
				.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};

	(void)nanosleep(&time, NULL);
}

/* A copy inside the command; NULL when it does not fit. */
static char *keep_text(struct command *command, const char *format, va_list args)
{
	size_t room = sizeof(command->text) - command->text_used;
	char *text = command->text + command->text_used;
	int length = vsnprintf(text, room, format, args);

	if (length < 0 || (size_t)length >= room) {
		command->is_too_long = 1;
		return NULL;
	}
	command->text_used += (size_t)length + 1;
	return text;
}

void command_arg(struct command *command, const char *format, ...)
{
	va_list args;

	if (command->nr_args == CHILD_MAX_ARGS) {
		command->is_too_long = 1;
		return;
	}
	va_start(args, format);
	command->argv[command->nr_args++] = keep_text(command, format, args);
	va_end(args);
}

void command_env(struct command *command, const char *name, const char *format, ...)
{
	va_list args;

	if (command->nr_env == CHILD_MAX_ENV) {
		command->is_too_long = 1;
		return;
	}
	va_start(args, format);
	command->env_name[command->nr_env] = name;
	command->env_value[command->nr_env++] = keep_text(command, format, args);
	va_end(args);
}

void command_unset(struct command *command, const char *name)
{
	if (command->nr_env == CHILD_MAX_ENV) {
		command->is_too_long = 1;
		return;
	}
	command->env_name[command->nr_env] = name;
	command->env_value[command->nr_env++] = NULL;
}

static int redirect(const char *log)
{
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (in < 0 || out < 0)
		return -errno;
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		return -errno;
	return 0;
}

static void exec_command(const struct command *command, const char *log)
{
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (redirect(log) < 0)
		_exit(125);
	for (size_t i = 0; i < command->nr_env; i++) {
		if (command->env_value[i] == NULL)
			(void)unsetenv(command->env_name[i]);
		else
			(void)setenv(command->env_name[i], command->env_value[i], 1);
	}
	(void)execvp(command->argv[0], command->argv);
	(void)fprintf(stderr, "cannot run %s: %s\n", command->argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

int child_start(struct child *child, const struct command *command, const char *name,
		const char *log)
{
	pid_t pid;

	*child = (struct child){0};
	(void)snprintf(child->name, sizeof(child->name), "%s", name);
	(void)snprintf(child->log, sizeof(child->log), "%s", log);
	if (command->is_too_long || command->nr_args == 0)
		return -E2BIG;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		exec_command(command, child->log);
	(void)setpgid(pid, pid); /* the child does so too; whoever comes first */
	child->pid = pid;
	return 0;
}

int child_is_over(struct child *child)
{
	if (!child->pid || child->is_over)
		return 1;
	if (waitpid(child->pid, &child->status, WNOHANG) == child->pid)
		child->is_over = 1;
	return child->is_over;
}

static void wait_until_over(struct child *child, double limit_s)
{
	uint64_t end = clock_now_ns() + (uint64_t)(limit_s * 1e9);

	while (!child_is_over(child) && time_before(clock_now_ns(), end))
		wait_a_little(0.01);
}

void child_end(struct child *child, double grace_s)
{
	if (!child->pid)
		return;
	if (!child_is_over(child)) {
		(void)kill(-child->pid, SIGTERM);
		wait_until_over(child, grace_s);
	}
	/* The group may live on without its leader. */
	(void)kill(-child->pid, SIGKILL);
	wait_until_over(child, 5);
}

static void log_tail(const char *log, char *ret_text, size_t size)
{
	FILE *file = fopen(log, "re");
	size_t n = 0;

	if (file != NULL) {
		if (fseek(file, -LOG_TAIL_BYTES, SEEK_END) != 0)
			rewind(file);
		n = fread(ret_text, 1, size - 1, file);
		(void)fclose(file);
	}
	ret_text[n] = '\0';
	while (n > 0 && ret_text[n - 1] == '\n')
		ret_text[--n] = '\0';
}

void child_describe(const struct child *child, char *ret_text, size_t size)
{
	char tail[LOG_TAIL_BYTES + 1];
	char how[32] = "still running";

	if (child->is_over && WIFSIGNALED(child->status))
		(void)snprintf(how, sizeof(how), "signal %d", WTERMSIG(child->status));
	else if (child->is_over)
		(void)snprintf(how, sizeof(how), "exit code %d", WEXITSTATUS(child->status));
	log_tail(child->log, tail, sizeof(tail));
	(void)snprintf(ret_text, size, "%s: %s; its log ends: %s", child->name, how,
		       tail[0] != '\0' ? tail : "(empty)");
}

int child_complaint(const struct child *child, char *ret_line, size_t size)
{
	FILE *file = fopen(child->log, "re");
	int found = 0;

	while (file != NULL && !found && fgets(ret_line, (int)size, file) != NULL)
		found = strncmp(ret_line, "lithos: level=warn", 18) == 0 ||
			strncmp(ret_line, "lithos: level=error", 19) == 0;
	if (file != NULL)
		(void)fclose(file);
	ret_line[found ? strcspn(ret_line, "\n") : 0] = '\0';
	return found;
}

/* The parent of a process, by its status line; 0 when it is gone. */
static pid_t parent_of(const char *pid)
{
	char path[64];
	char line[512];
	const char *after;
	int parent = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	/* The name in parentheses may itself hold anything. */
	after = fgets(line, sizeof(line), file) != NULL ? strrchr(line, ')') : NULL;
	if (after == NULL || sscanf(after + 1, " %*c %d", &parent) != 1)
		parent = 0;
	(void)fclose(file);
	return parent;
}

static void kill_own_children(void)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;

	if (proc == NULL)
		return;
	while ((entry = readdir(proc)) != NULL) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);

		if (*end == '\0' && pid > 0 && parent_of(entry->d_name) == getpid())
			(void)kill((pid_t)pid, SIGKILL);
	}
	(void)closedir(proc);
}

/* Each round may make children of what was a grandchild before. */
void children_sweep(void)
{
	for (int round = 0; round < 1000; round++) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0 && errno == ECHILD)
			return;
		if (pid > 0)
			continue;
		kill_own_children();
		wait_a_little(0.005);
	}
}
