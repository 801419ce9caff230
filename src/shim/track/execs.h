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

#include <lithos/tpcset.h>

#include "shim/cuda_api.h"

struct exec;
struct graph_steps;
struct record_pool;
struct stats_region;
struct thread_state;

/* The region is borrowed for the life of the process. */
void execs_init(struct stats_region *region);

/* The record of an executable graph's handle, made at first sight; NULL without memory. */
struct exec *exec_of(struct thread_state *t, CUgraphExec handle);

/* Forgets a destroyed graph; its node records go back to their pool. */
void exec_forget(CUgraphExec handle);

/*
 * The steps of the graph (graph/steps.h), or NULL. Not while the graph is launched or changed, as
 * CUDA asks. The second puts others in their place (NULL: none) and returns those, which the caller
 * frees.
 */
struct graph_steps *exec_steps(const struct exec *exec);
struct graph_steps *exec_swap_steps(struct exec *exec, struct graph_steps *steps);

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

/*
 * TPCs that the graph's kernels were given when it was uploaded: 1, or 0 when none was (yet). A
 * node that is uploaded again has its last set.
 */
int exec_mask(struct exec *exec, struct tpcset *ret_mask);

/* How long one launch of the graph takes on the TPCs of its mask; 0 = not seen yet. */
uint64_t exec_predicted_ns(struct exec *exec);

/* Notes the set that a node was given: the one armed last, or one that got no record. */
void exec_note_mask(struct exec *exec, const struct tpcset *mask, int has_record);

/*
 * The end of the graph's launches cannot be marked in its stream: it counts as unfinished while the
 * times of its nodes move. execs_nr_unfinished() says how many such graphs there were at the last
 * pass; tracker only.
 */
void exec_watch(struct exec *exec);
uint32_t execs_nr_unfinished(void);

/* The predictor's place of a whole graph. */
uint32_t exec_slot(const struct exec *exec);

/* Samples every graph launched since the last pass; returns how many were. Tracker thread only. */
uint32_t execs_collect(void);

/* Forgets all nodes of a pool whose context is going away. */
void execs_drop_pool(const struct record_pool *pool);

void execs_after_fork(void);

#endif
