/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executable graphs: their nodes' records, and how often they were launched.
 *
 * A node's descriptor is edited once, when its graph is uploaded, and used again by every replay:
 * so a node has one record for life, written anew by each replay, and the tracker samples it.
 * Launches are counted per graph; a kernel's launches are its nodes times the graph's launches.
 */
#ifndef LITHOS_SHIM_TRACK_EXECS_H
#define LITHOS_SHIM_TRACK_EXECS_H

#include <stdint.h>

#include "shim/cuda_api.h"

struct exec;
struct record_pool;
struct stats_region;
struct thread_state;

/* The region is borrowed for the life of the process. */
void execs_init(struct stats_region *region);

/* The record of an executable graph's handle, made at first sight; NULL without memory. */
struct exec *exec_of(struct thread_state *t, CUgraphExec handle);

/* Forgets a destroyed graph; its node records go back to their pool. */
void exec_forget(CUgraphExec handle);

/* One more launch, submitted now. */
void exec_launched(struct exec *exec, uint64_t submitted_ns);

/* What an uploaded node writes when it has run. */
struct node_release {
	uint64_t address;
	uint32_t payload;
};

/*
 * A record for the node whose descriptor stands at `key` (the same node keeps its record when it is
 * uploaded again). -ENOSPC when the pool has no node record left.
 */
int exec_arm_node(struct exec *exec, struct record_pool *pool, const void *key, uint32_t kernel,
		  struct node_release *ret_release);

/* Samples every graph launched since the last pass; returns how many were. Tracker thread only. */
uint32_t execs_collect(void);

/* Forgets all nodes of a pool whose context is going away. */
void execs_drop_pool(const struct record_pool *pool);

void execs_after_fork(void);

#endif
