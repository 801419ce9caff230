/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child that probes, seen from the daemon.
 *
 * The daemon executes itself with --probe-gpus and reads reports from a pipe until it ends. A limit
 * of time ends a child that hangs in the driver. What it wrote until then counts: GPUs that were
 * reported are good, the others are not managed.
 *
 * vfork semantics (posix_spawn) keep this quick. The child is a separate program image because the
 * driver must not find the daemon's descriptors, threads or signal handlers. Tested by
 * tests/integration/daemon_life.bats with drivers that hang, crash and are not there.
 */
#include "daemon/gpus.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_NS   120000000000u /* a node's driver may take a minute to start */
#define CHILD_FD   3
#define MAX_REPORT 64

extern char **environ;

/* Over, one way or another. */
static void finish(struct gpus *gpus, const char *problem)
{
	if (gpus->is_done)
		return;
	gpus->is_done = 1;
	gpus_close(gpus);
	gpus->on_end(gpus->cookie, problem);
}

/* 1 = a report was handled. */
static int read_report(struct gpus *gpus)
{
	struct gpu_report report;
	ssize_t n = read(gpus->pipe.fd, &report, sizeof(report));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n != (ssize_t)sizeof(report) || report.magic != GPU_REPORT_MAGIC) {
		finish(gpus, "the probe ended early: the driver may have crashed it");
		return 0;
	}
	report.name[sizeof(report.name) - 1] = '\0';
	report.text[sizeof(report.text) - 1] = '\0';
	if (report.kind == GPU_REPORT_END)
		finish(gpus, NULL);
	else if (report.kind == GPU_REPORT_NONE)
		finish(gpus, report.text);
	else
		gpus->on_gpu(gpus->cookie, &report);
	return report.kind == GPU_REPORT_GPU;
}

static void on_pipe(void *cookie, uint32_t events)
{
	struct gpus *gpus = cookie;
	int more = 1;

	(void)events;
	while (more && !gpus->is_done)
		more = read_report(gpus);
}

static void on_limit(void *cookie)
{
	finish(cookie, "the probe took too long and was ended: the driver may hang");
}

/* Reports that it wrote before it died are still in the pipe; the pipe's end says the rest. */
static void on_child_exit(void *cookie)
{
	const struct gpus *gpus = cookie;

	(void)waitpid(gpus->pid, NULL, WNOHANG);
}

static int set_simulated(int is_simulated)
{
	return is_simulated && setenv("LITHOS_SIM", "1", 1) < 0 ? -errno : 0;
}

static int spawn_child(int write_end, pid_t *ret_pid)
{
	char name[] = "lithosd";
	char mode[] = "--probe-gpus";
	char *const argv[] = {name, mode, NULL};
	posix_spawn_file_actions_t actions;
	int r = -posix_spawn_file_actions_init(&actions);

	if (r < 0)
		return r;
	/* The child's end keeps no CLOEXEC through dup2. */
	r = -posix_spawn_file_actions_adddup2(&actions, write_end, CHILD_FD);
	if (r == 0)
		r = -posix_spawn(ret_pid, "/proc/self/exe", &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	return r;
}

static int watch_child(struct gpus *gpus)
{
	int r;

	gpus->pipe.on_ready = on_pipe;
	gpus->pipe.cookie = gpus;
	gpus->limit = (struct loop_timer){.on_time = on_limit, .cookie = gpus};
	gpus->process = (struct loop_process){.on_exit = on_child_exit, .cookie = gpus};
	r = loop_add(gpus->loop, &gpus->pipe, EPOLLIN);
	if (r == 0)
		r = loop_timer_add(gpus->loop, &gpus->limit);
	if (r == 0)
		r = loop_timer_set(&gpus->limit, LIMIT_NS, 0);
	if (r == 0)
		r = loop_process_add(gpus->loop, &gpus->process, gpus->pid);
	return r;
}

int gpus_find(struct gpus *gpus, struct loop *loop, int is_simulated)
{
	int ends[2];
	int r = set_simulated(is_simulated);

	if (r < 0)
		return r;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	/* dup2 onto itself would keep CLOEXEC. */
	if (ends[1] == CHILD_FD) {
		int other = fcntl(ends[1], F_DUPFD_CLOEXEC, CHILD_FD + 1);

		(void)close(ends[1]);
		ends[1] = other;
	}
	gpus->loop = loop;
	gpus->pipe.fd = ends[0];
	r = fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
	if (r == 0)
		r = spawn_child(ends[1], &gpus->pid);
	(void)close(ends[1]);
	if (r == 0)
		r = watch_child(gpus);
	if (r < 0)
		gpus_close(gpus);
	return r;
}

void gpus_close(struct gpus *gpus)
{
	if (gpus->pipe.fd <= 0)
		return;
	loop_remove(gpus->loop, &gpus->pipe);
	(void)close(gpus->pipe.fd);
	gpus->pipe.fd = -1;
	loop_timer_remove(gpus->loop, &gpus->limit);
	loop_process_remove(gpus->loop, &gpus->process);
	if (gpus->pid <= 0)
		return;
	/* It holds nothing that it would have to give back, and may hang in the driver. */
	(void)kill(gpus->pid, SIGKILL);
	(void)waitpid(gpus->pid, NULL, 0);
	gpus->pid = 0;
}
