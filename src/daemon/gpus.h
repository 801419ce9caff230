/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the GPUs. The driver is loaded by a child process, `lithosd --probe-gpus`, because it may
 * crash, hang, or start threads; the daemon itself never loads it.
 */
#ifndef LITHOS_DAEMON_GPUS_H
#define LITHOS_DAEMON_GPUS_H

#include <stdint.h>
#include <sys/types.h>

#include "daemon/loop.h"
#include "hw/topology.h"

#define GPU_NAME_BYTES   64
#define GPU_TEXT_BYTES   192
#define GPU_REPORT_MAGIC 0x5550474cu

enum gpu_report_kind {
	GPU_REPORT_GPU = 1,  /* one a GPU; error = 0: topology and self-test are good */
	GPU_REPORT_NONE = 2, /* no driver, or no GPU at all: text says why */
	GPU_REPORT_END = 3,
};

/* What the child writes into the pipe; smaller than PIPE_BUF, so whole or not at all. */
struct gpu_report {
	uint32_t magic;
	uint32_t kind;
	int32_t error; /* -errno */
	uint32_t ordinal;
	char name[GPU_NAME_BYTES];
	char text[GPU_TEXT_BYTES];
	struct topology topology;
};

struct gpus {
	struct loop *loop;
	struct loop_io pipe;
	struct loop_timer limit;
	struct loop_process process;
	pid_t pid;
	int is_done;
	void (*on_gpu)(void *cookie, const struct gpu_report *report);
	void (*on_end)(void *cookie, const char *problem); /* NULL: all was said */
	void *cookie;
};

/* Starts the child; the callbacks follow from the loop. 0 or -errno. */
int gpus_find(struct gpus *gpus, struct loop *loop, int is_simulated);
/* Ends the child if it still runs. */
void gpus_close(struct gpus *gpus);

/* The child. Exit status. */
int gpus_probe_main(int fd);

#endif
