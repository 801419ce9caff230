/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GPUs as the driver uses them: simulated in this process, or shared with others through a server
 * (LITHOS_SIM_DEVICE). What a call does is the same; sim/device/device.h says it.
 *
 * The driver's lock is held for all of these.
 */
#ifndef LITHOS_SIM_GPU_H
#define LITHOS_SIM_GPU_H

#include <stdint.h>

#include "sim/device/device.h"

struct gpu_queue;

/* At cuInit: connects to the server when there is to be one. A CUresult. */
int gpu_connect_locked(void);
/* 0 or -ENOMEM. */
int gpu_start_locked(const struct sim_device_ops *ops);

struct gpu_queue *gpu_queue_new_locked(unsigned int gpu, int priority);
void gpu_queue_free_locked(struct gpu_queue *queue);
int gpu_queue_is_idle(const struct gpu_queue *queue);
int gpu_submit_locked(struct gpu_queue *queue, const struct sim_launch *launch);
int gpu_submit_task_locked(struct gpu_queue *queue, struct sim_task *task);

/* How many items completed. */
uint64_t gpu_advance_locked(void);
/* When the device thread has something to do next; SIM_NEVER: when it is told. */
uint64_t gpu_next_event_ns_locked(void);
void gpu_kick_locked(void);

/* Sleeps, without the lock, until a server has said something or it is time to look. */
void gpu_wait_server(uint64_t until_ns);
int gpu_is_shared(void);
/* A child of this process must not keep the connection open. */
void gpu_after_fork_in_child(void);

/* Bytes of device memory. Taking: 0, -ENOMEM, or -EPIPE without a server. */
int gpu_memory_take_locked(unsigned int gpu, uint64_t bytes);
void gpu_memory_give_locked(unsigned int gpu, uint64_t bytes);
int gpu_memory_used_locked(unsigned int gpu, uint64_t *ret_bytes);

#endif
