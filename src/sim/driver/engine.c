/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What makes the simulated device go in real time: one thread that advances it, one for host
 * functions.
 *
 * The device thread sleeps until the device's next event or until work is submitted; close events
 * are awaited spinning, because waking up costs more than a small kernel takes. Whoever submits or
 * waits advances the device too, so the thread is often only the one that finishes things. Host
 * functions run in a thread of their own, without the lock, since they are the program's code and
 * may block.
 *
 * Of shared GPUs (LITHOS_SIM_DEVICE) the device thread waits for what the server says instead.
 *
 * Both threads are detached and end with the process: a hung grid keeps nobody from exiting.
 */
#include "sim/driver/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/quiet_thread.h"
#include "sim/kernel/code.h"

#define SPIN_NS 20000u

struct host_call {
	struct sim_task task; /* first: the device hands this back */
	struct host_call *next;
	CUhostFn fn;
	void *user;
	enum {
		HOST_NEW,
		HOST_RUNNING,
		HOST_DONE
	} state;
	int dropped; /* its stream is gone: the host thread frees it */
};

static struct host_call *host_head;
static struct host_call **host_tail = &host_head;
static pthread_cond_t host_work = PTHREAD_COND_INITIALIZER;

static void run_block(void *user, const struct sim_grid *grid, const uint32_t index[3],
		      uint32_t smid, uint64_t now_ns)
{
	const struct launch_cookie *cookie = grid->cookie;

	(void)user;
	if (!cookie->kernel || !cookie->kernel->run_block || cookie->ctx->fault)
		return;
	cookie->kernel->run_block(&(struct sim_kernel_block){
		.launch = &cookie->launch,
		.block_idx = {index[0], index[1], index[2]},
		.smid = smid,
		.now_ns = now_ns,
	});
}

static unsigned int nr_sms_used(const struct sim_grid *grid)
{
	unsigned int n = 0;

	for (size_t i = 0; i < sizeof(grid->sms_used) / sizeof(grid->sms_used[0]); i++)
		n += (unsigned int)__builtin_popcount(grid->sms_used[i]);
	return n;
}

static const char *reason_of(const struct sim_grid *grid)
{
	const struct launch_cookie *cookie = grid->cookie;

	if (grid->hang_reason)
		return grid->hang_reason;
	return cookie->fault ? cookie->fault : "none";
}

static void trace(const struct sim_grid *grid)
{
	const struct launch_cookie *cookie = grid->cookie;
	const uint32_t *w = grid->used.w;
	const uint32_t *d = grid->info.disabled.w;
	char line[1024];
	int n = snprintf(line, sizeof(line),
			 "kernel=%.512s type=%u grid=%u,%u,%u blocks_run=%llu sms=%u "
			 "smset=%08x%08x%08x%08x disabled=%08x%08x%08x%08x start_ns=%llu "
			 "first_ns=%llu end_ns=%llu hang=%d reason=%s left=%llu pid=%d\n",
			 cookie->name, grid->info.type, grid->grid_dim[0], grid->grid_dim[1],
			 grid->grid_dim[2], (unsigned long long)(grid->nr_done - grid->nr_left),
			 nr_sms_used(grid), w[3], w[2], w[1], w[0], d[3], d[2], d[1], d[0],
			 (unsigned long long)grid->start_ns, (unsigned long long)grid->first_ns,
			 (unsigned long long)grid->end_ns, grid->hang_reason != NULL,
			 reason_of(grid), (unsigned long long)grid->nr_left, (int)getpid());

	/* A trace that cannot be written is short; the device goes on. */
	if (n > 0 && write(sim.trace_fd, line, (size_t)n) < 0)
		return;
}

static void grid_over(void *user, const struct sim_grid *grid)
{
	(void)user;
	sim.nr_grids++;
	sim.nr_hung += grid->hang_reason != NULL;
	if (sim.trace_fd >= 0)
		trace(grid);
	free(grid->cookie);
}

static void grid_dropped(void *user, const struct sim_grid *grid)
{
	(void)user;
	free(grid->cookie);
}

static void advance_locked(void)
{
	if (gpu_advance_locked() || sim.lost)
		(void)pthread_cond_broadcast(&sim.progress);
}

/* Lets others in until the event is due; stays awake when that is soon. */
static void sleep_until_locked(uint64_t due_ns)
{
	struct timespec due = {.tv_sec = (time_t)(due_ns / 1000000000u),
			       .tv_nsec = (long)(due_ns % 1000000000u)};

	if (due_ns == SIM_NEVER) {
		(void)pthread_cond_wait(&sim.work, &sim.lock);
	} else if (due_ns > clock_now_ns() + SPIN_NS) {
		(void)pthread_cond_timedwait(&sim.work, &sim.lock, &due);
	} else {
		(void)pthread_mutex_unlock(&sim.lock);
		while (time_before(clock_now_ns(), due_ns))
			__builtin_ia32_pause();
		(void)pthread_mutex_lock(&sim.lock);
	}
}

static void *device_thread(void *arg)
{
	(void)arg;
	(void)pthread_mutex_lock(&sim.lock);
	for (;;) {
		advance_locked();
		sleep_until_locked(gpu_next_event_ns_locked());
	}
	return NULL;
}

/* The same for shared GPUs: ends when there is no server any more. */
static void *server_thread(void *arg)
{
	(void)arg;
	(void)pthread_mutex_lock(&sim.lock);
	for (;;) {
		uint64_t until_ns;

		advance_locked();
		if (sim.lost)
			break;
		until_ns = gpu_next_event_ns_locked();
		(void)pthread_mutex_unlock(&sim.lock);
		gpu_wait_server(until_ns);
		(void)pthread_mutex_lock(&sim.lock);
	}
	(void)pthread_mutex_unlock(&sim.lock);
	return NULL;
}

static void host_call_finish_locked(struct host_call *call)
{
	call->state = HOST_DONE;
	if (call->dropped) {
		free(call);
		return;
	}
	gpu_kick_locked();
	engine_kick_locked();
}

static void *host_thread(void *arg)
{
	(void)arg;
	(void)pthread_mutex_lock(&sim.lock);
	for (;;) {
		struct host_call *call = host_head;

		if (!call) {
			(void)pthread_cond_wait(&host_work, &sim.lock);
			continue;
		}
		host_head = call->next;
		if (!host_head)
			host_tail = &host_head;
		(void)pthread_mutex_unlock(&sim.lock);
		call->fn(call->user);
		(void)pthread_mutex_lock(&sim.lock);
		host_call_finish_locked(call);
	}
	return NULL;
}

static int start_thread(void *(*fn)(void *))
{
	pthread_t thread;
	int err = quiet_thread_start(&thread, 0, fn, NULL);

	return err ? err : -pthread_detach(thread);
}

CUresult engine_start_locked(void)
{
	static const struct sim_device_ops ops = {
		.run_block = run_block,
		.grid_over = grid_over,
		.grid_dropped = grid_dropped,
		.begin_block = code_begin_block,
		.would_leave = code_would_leave,
	};

	if (sim.is_started)
		return CUDA_SUCCESS;
	if (gpu_start_locked(&ops))
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (start_thread(gpu_is_shared() ? server_thread : device_thread) ||
	    start_thread(host_thread))
		return CUDA_ERROR_OPERATING_SYSTEM;
	sim.is_started = 1;
	return CUDA_SUCCESS;
}

void engine_kick_locked(void)
{
	advance_locked();
	(void)pthread_cond_signal(&sim.work);
}

static int host_call_run(struct sim_task *task, uint64_t now_ns, uint64_t *ret_ns)
{
	struct host_call *call = (struct host_call *)task;

	(void)now_ns;
	*ret_ns = 0;
	if (call->state == HOST_NEW) {
		call->state = HOST_RUNNING;
		*host_tail = call;
		host_tail = &call->next;
		(void)pthread_cond_signal(&host_work);
	}
	return call->state == HOST_DONE ? 0 : -EAGAIN;
}

static void host_call_release(struct sim_task *task)
{
	struct host_call *call = (struct host_call *)task;

	if (call->state == HOST_RUNNING)
		call->dropped = 1;
	else
		free(call);
}

CUresult engine_host_func_locked(struct CUstream_st *stream, CUhostFn fn, void *user)
{
	struct host_call *call = calloc(1, sizeof(*call));

	if (!call)
		return CUDA_ERROR_OUT_OF_MEMORY;
	call->task.run = host_call_run;
	call->task.release = host_call_release;
	call->fn = fn;
	call->user = user;
	return stream_task_locked(stream, &call->task);
}

uint64_t lithos_sim_nr_grids(void)
{
	uint64_t n;

	(void)pthread_mutex_lock(&sim.lock);
	n = sim.nr_grids;
	(void)pthread_mutex_unlock(&sim.lock);
	return n;
}

int lithos_sim_nr_hung(void)
{
	int n;

	(void)pthread_mutex_lock(&sim.lock);
	n = (int)sim.nr_hung;
	(void)pthread_mutex_unlock(&sim.lock);
	return n;
}

int lithos_sim_nr_faults(void)
{
	int n;

	(void)pthread_mutex_lock(&sim.lock);
	n = (int)sim.nr_faults;
	(void)pthread_mutex_unlock(&sim.lock);
	return n;
}
