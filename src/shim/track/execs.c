/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sampling the records of graph nodes.
 *
 * Problem: replays do not pass through any hook but the launch of the graph, and each replay
 * overwrites the nodes' records. Idea: the order in which a graph's kernels end is learned from a
 * pass in which all nodes have a timestamp; from then on, a kernel's time is its end minus the end
 * of the kernel before it in that order, and it counts only when both ends are newer than at the
 * last pass and in order. A pass that looks in the middle of a replay thus loses one kernel's
 * sample at the seam, and mixes nothing.
 *
 * What it does badly: branches of a graph that run side by side are timed as if one after the
 * other, so a kernel's time may be too short, never too long; replays that follow one another
 * faster than the tracker looks are sampled, not summed (the reader scales by launches). The first
 * kernel of a replay is timed from its submission, when the GPU's clock is known and the graph had
 * been idle.
 *
 * Locks: table.lock guards the list and, through exec->lock, the nodes; the tracker takes both,
 * launches only bump counters. Tested by tests/unit/execs_samples.c, and by shim_stats.bats on
 * the simulated GPU.
 */
#include "shim/track/execs.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include <lithos/stats.h>

#include "base/clock.h"
#include "base/clock_sync.h"
#include "base/hash.h"
#include "shim/thread.h"
#include "shim/track/predict_table.h"
#include "shim/track/records.h"
#include "shim/track/rows.h"

#define EXEC_BUCKETS 1024u

struct node {
	const void *key;
	struct record_pool *pool;
	uint32_t index; /* of the record, among the pool's node records */
	uint32_t payload;
	uint32_t kernel;
	struct tpcset mask; /* what it was given at its upload */
	uint64_t end_ns;    /* last one sampled, GPU clock */
	uint64_t now_ns;    /* scratch of a pass */
};

struct exec {
	CUgraphExec handle;
	struct exec *next; /* in its bucket, under table.lock */
	_Atomic uint64_t nr_launches;
	_Atomic uint64_t submitted_ns; /* latest launch */
	uint64_t nr_collected;         /* launches the tracker has accounted for */
	pthread_mutex_t lock;          /* guards the nodes */
	struct node *node;             /* sorted by end once in_order */
	uint32_t nr_nodes;
	uint32_t nr_allocated;
	int in_order;
	struct node *armed;     /* last, by the upload under way; NULL when it got no record */
	struct tpcset rest;     /* masks of nodes without a record */
	uint64_t nr_since_idle; /* launches since a pass that found all replays finished */
	_Atomic uint32_t is_watched;
	struct graph_steps *steps; /* of who launches or changes the graph */
};

static struct {
	pthread_mutex_t lock;
	_Atomic uint32_t generation;
	struct stats_region *region;
	struct exec *bucket[EXEC_BUCKETS];
	uint32_t payload;
	uint32_t nr_unfinished; /* watched graphs, at the last pass; tracker's */
} table = {.lock = PTHREAD_MUTEX_INITIALIZER, .generation = 1};

static uint32_t bucket_of(CUgraphExec handle)
{
	return hash_pointer(handle) % EXEC_BUCKETS;
}

static struct exec *exec_find_or_add_locked(CUgraphExec handle)
{
	struct exec **bucket = &table.bucket[bucket_of(handle)];

	for (struct exec *e = *bucket; e; e = e->next) {
		if (e->handle == handle)
			return e;
	}
	struct exec *e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->handle = handle;
	(void)pthread_mutex_init(&e->lock, NULL);
	e->next = *bucket;
	*bucket = e;
	return e;
}

static struct exec *exec_of_slow(struct thread_state *t, CUgraphExec handle, uint32_t generation)
{
	(void)pthread_mutex_lock(&table.lock);
	t->cached_exec = exec_find_or_add_locked(handle);
	(void)pthread_mutex_unlock(&table.lock);
	t->cached_exec_handle = handle;
	t->cached_exec_generation = generation;
	return t->cached_exec;
}

struct exec *exec_of(struct thread_state *t, CUgraphExec handle)
{
	uint32_t generation = atomic_load_explicit(&table.generation, memory_order_relaxed);

	if (__builtin_expect(
		    t->cached_exec_handle == handle && t->cached_exec_generation == generation, 1))
		return t->cached_exec;
	return exec_of_slow(t, handle, generation);
}

struct graph_steps *exec_steps(const struct exec *exec)
{
	return exec->steps;
}

struct graph_steps *exec_swap_steps(struct exec *exec, struct graph_steps *steps)
{
	struct graph_steps *before = exec->steps;

	exec->steps = steps;
	return before;
}

void exec_launched(struct exec *exec, uint64_t submitted_ns)
{
	atomic_store_explicit(&exec->submitted_ns, submitted_ns, memory_order_relaxed);
	(void)atomic_fetch_add_explicit(&exec->nr_launches, 1, memory_order_relaxed);
}

/* Node records stand behind those of the chunks. */
static size_t node_place(const struct node *node)
{
	return (size_t)POOL_CHUNKS * CHUNK_RECORDS + node->index;
}

static struct record *node_record(const struct node *node)
{
	return &node->pool->memory[node_place(node)];
}

static struct node *node_find_or_add(struct exec *exec, struct record_pool *pool, const void *key)
{
	uint32_t index;

	for (uint32_t i = 0; i < exec->nr_nodes; i++) {
		if (exec->node[i].key == key && exec->node[i].pool == pool)
			return &exec->node[i];
	}
	if (exec->nr_nodes == exec->nr_allocated) {
		uint32_t n = exec->nr_allocated ? exec->nr_allocated * 2 : 64;
		struct node *grown = realloc(exec->node, n * sizeof(*grown));
		if (!grown)
			return NULL;
		exec->node = grown;
		exec->nr_allocated = n;
	}
	if (record_node_take(pool, &index))
		return NULL;
	exec->node[exec->nr_nodes] = (struct node){.key = key, .pool = pool, .index = index};
	exec->in_order = 0;
	return &exec->node[exec->nr_nodes++];
}

int exec_arm_node(struct exec *exec, struct record_pool *pool, const void *key, uint32_t kernel,
		  struct node_release *ret_release)
{
	struct node *node;

	(void)pthread_mutex_lock(&exec->lock);
	node = node_find_or_add(exec, pool, key);
	exec->armed = node;
	if (node) {
		node->kernel = kernel;
		node->payload = __atomic_add_fetch(&table.payload, 1, __ATOMIC_RELAXED);
		ret_release->payload = node->payload;
		ret_release->address =
			pool->device_address + node_place(node) * sizeof(struct record);
	}
	(void)pthread_mutex_unlock(&exec->lock);
	return node ? 0 : -ENOSPC;
}

void exec_note_mask(struct exec *exec, const struct tpcset *mask, int has_record)
{
	(void)pthread_mutex_lock(&exec->lock);
	/* The node has not run since it was armed, so the tracker has not sorted the nodes. */
	if (has_record && exec->armed)
		exec->armed->mask = *mask;
	else
		exec->rest = tpcset_or(exec->rest, *mask);
	(void)pthread_mutex_unlock(&exec->lock);
}

int exec_mask(struct exec *exec, struct tpcset *ret_mask)
{
	struct tpcset mask;

	(void)pthread_mutex_lock(&exec->lock);
	mask = exec->rest;
	for (uint32_t i = 0; i < exec->nr_nodes; i++)
		mask = tpcset_or(mask, exec->node[i].mask);
	(void)pthread_mutex_unlock(&exec->lock);
	if (tpcset_is_empty(&mask))
		return 0;
	*ret_mask = mask;
	return 1;
}

uint32_t exec_slot(const struct exec *exec)
{
	/* Wider than any GPU: a graph's kernels are taken to fill what they get. */
	return predict_slot((CUfunction)(void *)exec->handle, TPCSET_BITS, 0);
}

uint64_t exec_predicted_ns(struct exec *exec)
{
	struct tpcset mask;

	if (!exec_mask(exec, &mask))
		return 0;
	return predict_in_slot(exec_slot(exec), tpcset_count(&mask));
}

void exec_watch(struct exec *exec)
{
	atomic_store_explicit(&exec->is_watched, 1, memory_order_relaxed);
}

uint32_t execs_nr_unfinished(void)
{
	return table.nr_unfinished;
}

/* Counts the launches since the last time into the nodes' rows; returns whether there were any. */
static uint32_t exec_account_launches(struct exec *exec)
{
	uint64_t n = atomic_load_explicit(&exec->nr_launches, memory_order_relaxed);
	uint64_t delta = n - exec->nr_collected;

	for (uint32_t i = 0; delta && i < exec->nr_nodes; i++)
		row_launched(table.region, exec->node[i].kernel, delta);
	exec->nr_collected = n;
	exec->nr_since_idle += delta;
	return delta != 0;
}

static void nodes_give_back(struct exec *exec)
{
	for (uint32_t i = 0; i < exec->nr_nodes; i++)
		record_node_give(exec->node[i].pool, exec->node[i].index);
}

static int node_ends_before(const void *a, const void *b)
{
	const struct node *x = a, *y = b;

	return x->now_ns < y->now_ns ? -1 : x->now_ns > y->now_ns;
}

/* Takes the nodes' timestamps; 0 when one has never run. */
static int nodes_look(struct exec *exec)
{
	for (uint32_t i = 0; i < exec->nr_nodes; i++) {
		struct node *node = &exec->node[i];
		const struct record *record = node_record(node);
		/* acquire: the timestamp is read after the payload that announces it */
		if (atomic_load_explicit(&record->payload, memory_order_acquire) != node->payload)
			return 0;
		node->now_ns = atomic_load_explicit(&record->timestamp_ns, memory_order_relaxed);
		if (!node->now_ns)
			return 0;
	}
	return 1;
}

/*
 * The first kernel of a replay starts at its submission if the graph was idle by then: exactly one
 * launch since a pass that found every replay finished.
 */
static void first_node_sample(struct exec *exec)
{
	const struct node *node = &exec->node[0];
	uint64_t submitted = atomic_load_explicit(&exec->submitted_ns, memory_order_relaxed);
	uint64_t end_cpu;

	if (exec->nr_since_idle != 1 ||
	    clock_sync_to_cpu(&node->pool->sync, node->now_ns, &end_cpu))
		return;
	if (time_before(submitted, end_cpu))
		row_timed(table.region, node->kernel, end_cpu - submitted);
}

/* Idle: nothing was launched since the last pass, and that pass saw what this one sees. */
static void idle_update(struct exec *exec, uint32_t is_new, uint32_t is_same)
{
	if (!is_new && is_same)
		exec->nr_since_idle = 0;
}

/* Returns whether every node's end is the one already sampled. */
static uint32_t nodes_sample(struct exec *exec)
{
	uint32_t is_same = 1;

	for (uint32_t i = 1; i < exec->nr_nodes; i++) {
		const struct node *before = &exec->node[i - 1], *node = &exec->node[i];
		if (node->now_ns != node->end_ns && before->now_ns != before->end_ns &&
		    node->now_ns > before->now_ns)
			row_timed(table.region, node->kernel, node->now_ns - before->now_ns);
	}
	for (uint32_t i = 0; i < exec->nr_nodes; i++) {
		is_same &= exec->node[i].end_ns == exec->node[i].now_ns;
		exec->node[i].end_ns = exec->node[i].now_ns;
	}
	return is_same;
}

/* 1 when every node has ended at least once; they are in the order of their ends then. */
static int exec_look_locked(struct exec *exec)
{
	if (!exec->nr_nodes || !nodes_look(exec))
		return 0;
	if (!exec->in_order) {
		qsort(exec->node, exec->nr_nodes, sizeof(*exec->node), node_ends_before);
		exec->in_order = 1;
	}
	return 1;
}

static uint32_t exec_sample_locked(struct exec *exec)
{
	if (!exec_look_locked(exec))
		return 0;
	if (exec->node[0].now_ns != exec->node[0].end_ns)
		first_node_sample(exec);
	return nodes_sample(exec);
}

static uint32_t exec_collect(struct exec *exec)
{
	uint32_t is_new = 0;

	(void)pthread_mutex_lock(&exec->lock);
	is_new = exec_account_launches(exec);
	/* Until a pass finds it idle: a replay may end long after the pass that saw its launch. */
	if (is_new || exec->nr_since_idle)
		idle_update(exec, is_new, exec_sample_locked(exec));
	table.nr_unfinished += exec->nr_since_idle &&
			       atomic_load_explicit(&exec->is_watched, memory_order_relaxed);
	(void)pthread_mutex_unlock(&exec->lock);
	return is_new;
}

void exec_forget(CUgraphExec handle)
{
	struct exec **at, *exec = NULL;

	(void)pthread_mutex_lock(&table.lock);
	for (at = &table.bucket[bucket_of(handle)]; *at; at = &(*at)->next) {
		if ((*at)->handle != handle)
			continue;
		exec = *at;
		*at = exec->next;
		break;
	}
	(void)atomic_fetch_add_explicit(&table.generation, 1, memory_order_relaxed);
	if (exec) {
		(void)exec_account_launches(exec);
		/* A last look: a graph may come and go between two passes. The clock, and with it
		 * the first node's time, is the tracker's. */
		if (exec_look_locked(exec))
			(void)nodes_sample(exec);
		nodes_give_back(exec);
		(void)pthread_mutex_destroy(&exec->lock);
		free(exec->node);
		free(exec);
	}
	(void)pthread_mutex_unlock(&table.lock);
}

uint32_t execs_collect(void)
{
	uint32_t nr_new = 0;

	(void)pthread_mutex_lock(&table.lock);
	table.nr_unfinished = 0;
	for (uint32_t i = 0; i < EXEC_BUCKETS; i++) {
		for (struct exec *e = table.bucket[i]; e; e = e->next)
			nr_new += exec_collect(e);
	}
	(void)pthread_mutex_unlock(&table.lock);
	return nr_new;
}

static void exec_drop_pool(struct exec *exec, const struct record_pool *pool)
{
	uint32_t kept = 0;

	(void)pthread_mutex_lock(&exec->lock);
	(void)exec_account_launches(exec);
	for (uint32_t i = 0; i < exec->nr_nodes; i++) {
		if (exec->node[i].pool != pool)
			exec->node[kept++] = exec->node[i];
		else
			record_node_give(exec->node[i].pool, exec->node[i].index);
	}
	exec->nr_nodes = kept;
	exec->armed = NULL;
	(void)pthread_mutex_unlock(&exec->lock);
}

void execs_drop_pool(const struct record_pool *pool)
{
	(void)pthread_mutex_lock(&table.lock);
	for (uint32_t i = 0; i < EXEC_BUCKETS; i++) {
		for (struct exec *e = table.bucket[i]; e; e = e->next)
			exec_drop_pool(e, pool);
	}
	(void)pthread_mutex_unlock(&table.lock);
}

void execs_init(struct stats_region *region)
{
	table.region = region;
}

void execs_after_fork(void)
{
	(void)pthread_mutex_init(&table.lock, NULL);
}
