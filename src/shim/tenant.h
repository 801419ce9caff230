/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process as a tenant: its options, its GPUs, its contexts.
 *
 * Glossary
 *   restricted  a quota, statistics or a daemon were asked for: hooks are installed
 *   device      one GPU this process uses: topology, and the TPCs the tenant may use there
 *   context     one CUDA context: its device, and the pool of its completion records
 *
 * Owner: tenant.c. Devices and contexts are added under one lock, at context creation; the
 * descriptor hook reads them without it. A context's slot is reused only after its driver context
 * is gone.
 */
#ifndef LITHOS_SHIM_TENANT_H
#define LITHOS_SHIM_TENANT_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/options.h"
#include "hw/driver.h"
#include "hw/occupancy.h"
#include "hw/topology.h"
#include "shim/thread.h"
#include "shim/track/records.h"

struct stats_region;

enum device_state {
	DEVICE_UNKNOWN, /* no context on it yet */
	DEVICE_READY,   /* masks and records may be used */
	DEVICE_OFF,     /* its launches are left alone; the reason was logged */
};

struct device {
	CUdevice handle;
	_Atomic uint32_t state; /* enum device_state; release, after the rest */
	uint32_t is_masked;     /* allowed is less than all */
	uint32_t is_shared;     /* what a launch may use is decided at the launch: link/share.h */
	struct topology topo;
	struct tpcset allowed; /* the quota's TPCs; shared: those that the program is told of */
	uint32_t nr_allowed;   /* TPCs in it */
	struct tpcset disable; /* what to OR into the descriptor: everything else */
	struct sm_limits limits;
	int cc_major; /* where the descriptor's version byte is */
};

struct context {
	_Atomic(CUcontext) handle; /* NULL: slot free */
	uint32_t index;
	struct device *device;
	int is_primary;
	int has_pool; /* memory is mapped */
	_Atomic uint32_t records_on;
	struct record_pool pool;
};

struct tenant {
	struct options options;
	struct driver_ops ops;
	int wants_masks;            /* a quota was given, or a daemon that may give one */
	int wants_records;          /* statistics were asked for, or the GPU is shared */
	int wants_share;            /* a daemon and a token were given */
	struct stats_region *stats; /* NULL until the first context, and without statistics */
};

/* Constant after load, but for stats. */
extern struct tenant tenant;

/* 1 when hooks are needed: reads the quota, loads the driver table. Called once, at load. */
int tenant_init(void);

/* A context was created, or handed out again. Never fails: what does not work is switched off. */
void tenant_context_created(CUcontext handle, CUdevice device, int is_primary);

/* Before and after the driver destroys a context. */
void tenant_context_closing(CUcontext handle);
void tenant_context_closed(CUcontext handle);

/* The primary context of a device is gone, if the driver says so. */
void tenant_primary_released(CUdevice device);

/* The primary context is about to lose its memory, but its handle may live on. */
void tenant_primary_resetting(CUdevice device);

/* The context's record, or NULL when it is not ours; the calling thread's cache answers mostly. */
struct context *tenant_context_of(struct thread_state *t, CUcontext handle);

/*
 * In place of a context that lithos did not see being made: the one GPU's, without records. NULL
 * where there are several, or before the first context that was seen.
 */
struct context *tenant_unseen_context(void);

/* The device of the calling thread's current context, when launches on it are confined, or the
 * program is told of other SMs than there are; else NULL. */
struct device *tenant_current_masked_device(void);

/* Tracker: reads all contexts' records and graphs. Returns how many graphs were launched. */
uint32_t tenant_collect(record_read_fn read);

void tenant_after_fork(void);

#endif
