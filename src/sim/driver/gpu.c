/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One interface, two kinds of GPU.
 *
 * In this process: a device engine per GPU, advanced by whoever comes by. What waits on one GPU may
 * wait for another, so all are asked again until none has anything more to do. Shared: the engines
 * are the server's, and advancing means doing what it said. Nothing below the calls of this file
 * knows which it is, except the thread that waits (engine.c).
 *
 * When the server is gone, sim.lost becomes the answer to every later call.
 */
#include "sim/driver/gpu.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "sim/client/link.h"
#include "sim/client/remote.h"
#include "sim/driver/state.h"

struct gpu_queue {
	unsigned int gpu;
	struct sim_queue *own; /* one of the two */
	struct remote_queue *shared;
};

static struct sim_device *device[SIM_MAX_GPUS];
static uint64_t used_bytes[SIM_MAX_GPUS];
static uint64_t nr_unreported; /* items that completed while something was submitted */
static struct remote remote;
static int server_fd = -1; /* -1: none */
/* The waiting thread sleeps until then; whoever finds that it must look earlier wakes it. */
static uint64_t waits_until_ns = SIM_NEVER;
static int wake_fd = -1;

int gpu_is_shared(void)
{
	return server_fd >= 0;
}

/* Says what was found out about the server to those who do not hold the lock. */
static void note_lost(void)
{
	if (remote.wire.lost)
		__atomic_store_n(&sim.lost, remote.wire.lost, __ATOMIC_RELAXED);
}

int gpu_connect_locked(void)
{
	struct proto_welcome welcome;
	int fd;

	if (!sim.server_path[0] || gpu_is_shared())
		return CUDA_SUCCESS;
	fd = link_open(&(struct link_config){.path = sim.server_path,
					     .chip = sim.chip.name,
					     .nr_gpus = sim.nr_gpus},
		       &welcome);
	if (fd < 0)
		return CUDA_ERROR_SYSTEM_NOT_READY;
	if (chip_of(welcome.chip, &sim.chip)) {
		(void)close(fd);
		return CUDA_ERROR_SYSTEM_NOT_READY;
	}
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake_fd < 0) {
		(void)close(fd);
		return CUDA_ERROR_OPERATING_SYSTEM;
	}
	sim.nr_gpus = welcome.nr_gpus;
	server_fd = fd;
	return CUDA_SUCCESS;
}

int gpu_start_locked(const struct sim_device_ops *ops)
{
	const struct sim_device_config config = {
		.chip = &sim.chip,
		.ops = *ops,
		.ignores_masks = sim.faults.mask_ignored,
		.ignores_records = sim.faults.record_ignored,
	};

	if (gpu_is_shared())
		return remote_init(&remote, server_fd, &config);
	for (unsigned int i = 0; i < sim.nr_gpus; i++) {
		if (!device[i])
			device[i] = device_new(&config);
		if (!device[i])
			return -ENOMEM;
	}
	return 0;
}

struct gpu_queue *gpu_queue_new_locked(unsigned int gpu, int priority)
{
	struct gpu_queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return NULL;
	queue->gpu = gpu;
	if (gpu_is_shared())
		queue->shared = remote_queue_new(&remote, gpu, priority);
	else
		queue->own = device_queue_new(device[gpu], priority);
	if (queue->shared || queue->own)
		return queue;
	free(queue);
	return NULL;
}

void gpu_queue_free_locked(struct gpu_queue *queue)
{
	if (queue->shared)
		remote_queue_free(&remote, queue->shared);
	else
		device_queue_free(device[queue->gpu], queue->own);
	free(queue);
}

int gpu_queue_is_idle(const struct gpu_queue *queue)
{
	return queue->shared ? remote_queue_is_idle(queue->shared)
			     : device_queue_is_idle(queue->own);
}

/* What is submitted must not begin before it was: the device may have slept since its last
 * event. */
static void catch_up(const struct gpu_queue *queue)
{
	nr_unreported += device_advance(device[queue->gpu], clock_now_ns());
}

int gpu_submit_locked(struct gpu_queue *queue, const struct sim_launch *launch)
{
	if (queue->shared)
		return remote_submit(&remote, queue->shared, launch);
	catch_up(queue);
	return device_submit(device[queue->gpu], queue->own, launch);
}

int gpu_submit_task_locked(struct gpu_queue *queue, struct sim_task *task)
{
	if (queue->shared)
		return remote_submit_task(&remote, queue->shared, task);
	catch_up(queue);
	return device_submit_task(device[queue->gpu], queue->own, task);
}

static uint64_t advance_all(void)
{
	uint64_t now_ns = clock_now_ns();
	uint64_t nr = nr_unreported;

	nr_unreported = 0;
	for (unsigned int i = 0; i < sim.nr_gpus; i++)
		nr += device_advance(device[i], now_ns);
	return nr;
}

static uint64_t server_pause_until_ns(void)
{
	uint64_t pause_ns = remote_pause_ns(&remote);

	return pause_ns == SIM_NEVER ? SIM_NEVER : clock_now_ns() + pause_ns;
}

/* What the server said may have been heard by another thread than the one that waits for it. */
static uint64_t advance_shared(void)
{
	uint64_t nr = remote_advance(&remote);
	const uint64_t one = 1;

	note_lost();
	if (waits_until_ns == SIM_NEVER && remote_pause_ns(&remote) != SIM_NEVER) {
		waits_until_ns = 0;
		(void)!write(wake_fd, &one, sizeof(one));
	}
	return nr;
}

/* The same after a call that waited for an answer: what came meanwhile is over now. */
static void catch_up_shared(void)
{
	if (advance_shared() || sim.lost)
		(void)pthread_cond_broadcast(&sim.progress);
}

uint64_t gpu_advance_locked(void)
{
	uint64_t total = 0;
	uint64_t nr;

	if (gpu_is_shared())
		return advance_shared();
	do {
		nr = advance_all();
		total += nr;
		if (nr && sim.nr_gpus > 1)
			gpu_kick_locked();
	} while (nr && sim.nr_gpus > 1);
	return total;
}

uint64_t gpu_next_event_ns_locked(void)
{
	uint64_t next = SIM_NEVER;

	if (gpu_is_shared()) {
		waits_until_ns = server_pause_until_ns();
		return waits_until_ns;
	}
	for (unsigned int i = 0; i < sim.nr_gpus; i++) {
		uint64_t at_ns = device_next_event_ns(device[i]);

		next = at_ns < next ? at_ns : next;
	}
	return next;
}

void gpu_kick_locked(void)
{
	if (gpu_is_shared())
		remote_kick(&remote);
	for (unsigned int i = 0; !gpu_is_shared() && i < sim.nr_gpus; i++)
		device_kick(device[i]);
}

void gpu_wait_server(uint64_t until_ns)
{
	struct pollfd ready[] = {{.fd = server_fd, .events = POLLIN},
				 {.fd = wake_fd, .events = POLLIN}};
	uint64_t now_ns = clock_now_ns();
	uint64_t left = time_before(now_ns, until_ns) ? until_ns - now_ns : 0;
	struct timespec timeout = {.tv_sec = (time_t)(left / 1000000000u),
				   .tv_nsec = (long)(left % 1000000000u)};

	(void)ppoll(ready, 2, until_ns == SIM_NEVER ? NULL : &timeout, NULL);
	if (ready[1].revents)
		(void)!read(wake_fd, &now_ns, sizeof(now_ns));
}

void gpu_after_fork_in_child(void)
{
	if (server_fd >= 0)
		(void)close(server_fd);
}

int gpu_memory_take_locked(unsigned int gpu, uint64_t bytes)
{
	if (gpu_is_shared()) {
		int r = remote_memory_take(&remote, gpu, bytes);

		catch_up_shared();
		return r;
	}
	if (bytes > sim.chip.memory_bytes - used_bytes[gpu])
		return -ENOMEM;
	used_bytes[gpu] += bytes;
	return 0;
}

void gpu_memory_give_locked(unsigned int gpu, uint64_t bytes)
{
	if (gpu_is_shared())
		remote_memory_give(&remote, gpu, bytes);
	else
		used_bytes[gpu] -= bytes;
}

int gpu_memory_used_locked(unsigned int gpu, uint64_t *ret_bytes)
{
	if (gpu_is_shared()) {
		int r = remote_memory_used(&remote, gpu, ret_bytes);

		catch_up_shared();
		return r;
	}
	*ret_bytes = used_bytes[gpu];
	return 0;
}
