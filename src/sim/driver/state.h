/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every part of the simulated driver shares.
 *
 * Glossary
 *   object  what a CUDA handle points to. All live objects are in one table, so that a handle that
 * is not one (freed, garbage) is told apart without following it. lock    one mutex for the whole
 * driver. Functions ending in _locked want it held; entry points take it with one of the enter_
 * functions and give it back with leave(). It is never held while the program's code runs (tools
 * hook, host functions). record  the completion of a point in a stream; what events, waits and
 * synchronisation share.
 *
 * CUDA's opaque types are defined here as the structures themselves, so no handle is ever cast.
 */
#ifndef LITHOS_SIM_STATE_H
#define LITHOS_SIM_STATE_H

#include <pthread.h>
#include <stdint.h>

#include "sim/device/device.h"
#include "sim/driver/api.h"
#include "sim/driver/gpu.h"

enum object_kind {
	OBJECT_CTX = 1,
	OBJECT_STREAM,
	OBJECT_EVENT,
	OBJECT_MODULE,
	OBJECT_FUNC,
	OBJECT_LIBRARY,
	OBJECT_KERNEL,
	OBJECT_POOL,
	OBJECT_GRAPH,
	OBJECT_NODE,
	OBJECT_EXEC,
};

struct object {
	enum object_kind kind;
	struct object *next; /* chain of the table */
};

struct record {
	unsigned int nr_refs;
	int done;
	uint64_t time_ns; /* device time; valid once done */
};

struct capture; /* sim/graph/capture.c */

struct CUctx_st {
	struct object object; /* first, so that the table's pointer is the handle */
	struct CUctx_st *next;
	uint64_t id;
	CUdevice device;
	unsigned int gpu; /* that device */
	unsigned int flags;
	unsigned int api_version;
	int is_primary;
	int cache_config;
	CUresult fault; /* the GPU failed in it: what every later call answers; 0: no */
	size_t limit[CU_LIMIT_MAX];
	struct CUmod_st *internal; /* kernels of the driver itself; NULL until one is needed */
	struct CUstream_st *null_stream;
	struct CUstream_st *streams; /* all, the null stream and destroyed busy ones included */
};

struct CUstream_st {
	struct object object;
	struct CUstream_st *next;
	struct CUctx_st *ctx;
	struct gpu_queue *queue;
	struct capture *capture;      /* NULL: not capturing */
	struct CUgraphNode_st **tips; /* capturing: what the next operation waits for */
	size_t nr_tips;
	uint64_t id;
	unsigned int flags; /* CU_STREAM_NON_BLOCKING */
	int priority;
	uint64_t thread_id; /* whose own stream it is (CU_STREAM_PER_THREAD); 0: nobody's */
	int is_destroyed;   /* handle gone; freed once its work is done */
};

struct CUevent_st {
	struct object object;
	struct CUctx_st *ctx;
	unsigned int flags;
	struct record *last;           /* NULL: never recorded */
	struct capture *capture;       /* recorded inside this capture; NULL: not */
	uint64_t capture_id;           /* tells whether that capture is still the same one */
	struct CUgraphNode_st **nodes; /* what a wait on it depends on, in the capture */
	size_t nr_nodes;
};

/* LITHOS_SIM_FAULT. */
struct faults {
	uint32_t qmd_version; /* 0: the true one */
	uint32_t table_bytes;
	uint32_t slow_init_ms;
	uint32_t launch_error; /* number of the launch that fails; 0: none */
	int no_table;
	int no_programmatic; /* programmatic launches are refused */
	int subscribe_busy;
	int mask_ignored;
	int record_ignored;
	int calls_wait; /* what may wait for the context does */
	char no_symbol[64];
};

#define SIM_MAX_GPUS 8

struct primary_ctx {
	struct CUctx_st *ctx; /* NULL: not active */
	unsigned int refs;
	unsigned int flags;
};

struct sim_state {
	pthread_mutex_t lock;
	pthread_cond_t progress; /* something on the device completed; CLOCK_MONOTONIC */
	pthread_cond_t work;     /* the device thread has something to look at; CLOCK_MONOTONIC */
	int initialised;         /* written under the lock, read with acquire without it */
	int forked;              /* this process is a child of an initialised one: nothing works */
	uint32_t lost;           /* a CUresult that every call answers: the server is gone; 0: no */
	int is_started;          /* the devices and their threads */
	char server_path[256];   /* empty: the GPUs are this process' own */
	struct sim_chip chip;    /* all GPUs are alike */
	unsigned int nr_gpus;
	unsigned int nr_devices; /* GPUs this process sees, by the number it calls them */
	unsigned int gpu_of[SIM_MAX_GPUS];
	struct faults faults;
	int trace_fd;
	uint64_t next_id;
	uint64_t nr_grids; /* grids that ended or hung */
	uint64_t nr_hung;
	uint64_t nr_faults; /* launches that jumped or read where nothing is */
	uint64_t nr_launches;
	struct CUctx_st *contexts;
	struct primary_ctx primary[SIM_MAX_GPUS];
};

extern struct sim_state sim;

/* state.c */
void object_add_locked(struct object *object, enum object_kind kind);
void object_remove_locked(struct object *object);
int object_is_locked(const void *handle, enum object_kind kind);
/* Reads options and faults, the first time it is called. */
void options_load(void);

/*
 * Take the lock, or say why this call cannot be served (nothing is held then). The second also
 * gives the calling thread's current context, the third that and a stream of it.
 */
CUresult enter(void);
CUresult enter_ctx(struct CUctx_st **ret_ctx);
CUresult enter_stream(CUstream handle, struct CUstream_st **ret_stream);

/* Gives the lock back and passes the status through; here, so that readers of code see that it
 * does. */
static inline CUresult leave(CUresult status)
{
	(void)pthread_mutex_unlock(&sim.lock);
	return status;
}

/* context.c */
CUresult current_ctx_locked(struct CUctx_st **ret_ctx);
/* The fault of a context that may be gone. */
CUresult ctx_fault_locked(const struct CUctx_st *ctx);
CUresult device_check_id(CUdevice id);

/* stream.c */
CUresult stream_of_locked(struct CUctx_st *ctx, CUstream handle, struct CUstream_st **ret_stream);
CUresult stream_new_locked(struct CUctx_st *ctx, unsigned int flags, int priority,
			   struct CUstream_st **ret_stream);
void stream_free_locked(struct CUstream_st *stream);
/* Adds the waits that the null stream's rules ask for before work goes into `stream`. */
CUresult stream_order_locked(struct CUstream_st *stream);
/* Orders, submits and lets the device look at a task; on error the task is released. */
CUresult stream_task_locked(struct CUstream_st *stream, struct sim_task *task);
CUresult stream_wait_idle_locked(struct CUstream_st *stream);

/* record.c */
struct record *record_new(void);
void record_put_locked(struct record *record);
/* A record of everything in the stream so far; the caller owns one reference. */
CUresult record_in_stream_locked(struct CUstream_st *stream, struct record **ret_record);
/* What comes after this in the stream waits for the record. */
CUresult record_wait_in_stream_locked(struct CUstream_st *stream, struct record *record);
/*
 * The same without the null stream's rules, for those who implement them. Such a record is no work
 * of its stream: who asks the stream whether it is done does not wait for it.
 */
CUresult record_submit_aside_locked(struct CUstream_st *stream, struct record *record);
CUresult record_submit_wait_locked(struct CUstream_st *stream, struct record *record);
/* Blocks the calling thread; the lock is released meanwhile. */
CUresult record_wait_locked(struct record *record);

/* engine.c */
CUresult engine_start_locked(void);
/* Call after submitting: starts what can start now and tells the device thread. */
void engine_kick_locked(void);
/* A host function, run by a thread of its own, outside the lock, in stream order. */
CUresult engine_host_func_locked(struct CUstream_st *stream, CUhostFn fn, void *user);

#endif
