/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations are nodes of a directed graph: each depends on the one before it in its stream, on the
 * records it waits for, and by the rule of the NULL stream on the latest of other streams. Nothing
 * else orders them. Execution happens only inside calls: a few random nodes now and then, or, where
 * a call must wait, random nodes until what it waits for is done. So of all orders that CUDA allows
 * any may come up, far more than a device shows, and a program generator that relies on more than
 * CUDA's rules is found out.
 *
 * A gate is a node that may execute once its word is set; who waits gives the lock away meanwhile.
 * Memory that a stream frees is overwritten and kept until the process ends.
 */
#include "pending.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum double_defect pending_defect;
struct CUstream_st pending_null_stream = {.is_blocking = 1};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t random_state;
static struct pending *nodes; /* MAX_OPEN */
static uint64_t first_open = 1;
static uint32_t nr_open;

uint32_t pending_random(uint32_t n)
{
	return random_below(&random_state, n);
}

void pending_seed(enum double_defect defect, uint64_t seed)
{
	if (!nodes)
		nodes = calloc(MAX_OPEN, sizeof(*nodes));
	if (!nodes)
		abort();
	pending_defect = defect;
	random_state = seed;
}

int pending_is_done(uint64_t number)
{
	return number < first_open || nodes[number - first_open].is_done;
}

static int is_ready(const struct pending *node)
{
	if (node->is_done)
		return 0;
	for (uint32_t i = 0; i < node->nr_deps; i++) {
		if (!pending_is_done(node->dep[i]))
			return 0;
	}
	return node->effect.kind != EFFECT_GATE ||
	       __atomic_load_n((const uint32_t *)node->effect.dst, __ATOMIC_ACQUIRE) >=
		       node->effect.value;
}

static void run_set(const struct effect *e)
{
	for (size_t i = 0; i < e->bytes; i += e->element)
		memcpy((char *)e->dst + i, &e->value, e->element);
}

void pending_run(const struct effect *e)
{
	switch (e->kind) {
	case EFFECT_MIX: {
		struct mix_args args = e->mix;

		if (e->src)
			memcpy(&args, e->src, sizeof(args));
		region_mix(args.dst, args.src, args.a, args.b);
		break;
	}
	case EFFECT_MANY: {
		struct many_args args = e->many;

		if (e->src)
			memcpy(&args, e->src, sizeof(args));
		region_many(args.dst, args.value);
		break;
	}
	case EFFECT_COPY:
		memmove(e->dst, e->src ? e->src : e->staged, e->bytes);
		break;
	case EFFECT_SET:
		run_set(e);
		break;
	case EFFECT_HOST:
		if (e->callback)
			e->callback(NULL, CUDA_SUCCESS, e->user);
		else if (e->host)
			e->host(e->user);
		break;
	case EFFECT_WORD:
		memcpy(e->dst, &e->value, sizeof(e->value));
		break;
	default:
		break;
	}
}

/* Executes a random node that may; 0 when none does. */
int pending_run_one(void)
{
	uint32_t start = nr_open ? random_below(&random_state, nr_open) : 0;

	for (uint32_t i = 0; i < nr_open; i++) {
		struct pending *node = &nodes[(start + i) % nr_open];

		if (!is_ready(node))
			continue;
		pending_run(node->late ? node->late : &node->effect);
		node->is_done = 1;
		return 1;
	}
	return 0;
}

/* Another thread may have to open a gate. */
static void let_others(void)
{
	(void)pthread_mutex_unlock(&lock);
	(void)sched_yield();
	(void)pthread_mutex_lock(&lock);
}

void pending_run_until(uint64_t number)
{
	while (!pending_is_done(number)) {
		if (!pending_run_one())
			let_others();
	}
}

void pending_enter(void)
{
	(void)pthread_mutex_lock(&lock);
	for (uint32_t n = random_below(&random_state, 4) ? 0 : random_below(&random_state, 4); n;
	     n--)
		(void)pending_run_one();
}

CUresult pending_leave(void)
{
	(void)pthread_mutex_unlock(&lock);
	return CUDA_SUCCESS;
}

/* --- nodes ------------------------------------------------------------------------------------ */

void pending_add_dep(struct pending *node, uint64_t number)
{
	if (pending_is_done(number))
		return;
	if (node->nr_deps == MAX_DEPS) {
		fprintf(stderr, "double: too many dependencies\n");
		abort();
	}
	node->dep[node->nr_deps++] = number;
}

struct pending *pending_new(const struct effect *effect, const struct CUstream_st *stream)
{
	struct pending *node = &nodes[nr_open];

	if (nr_open++ == MAX_OPEN) {
		fprintf(stderr, "double: too many operations\n");
		abort();
	}
	node->nr_deps = 0;
	node->is_done = 0;
	node->stream = stream;
	node->effect = *effect;
	node->late = NULL;
	return node;
}

uint64_t pending_newest(void)
{
	return first_open + nr_open - 1;
}

void pending_add_stream(struct pending *node, const struct CUstream_st *stream)
{
	if (pending_defect != DEFECT_SWAP || random_below(&random_state, 6))
		pending_add_dep(node, stream->last);
	if (!stream->is_blocking || pending_defect == DEFECT_NULL_RULE)
		return;
	if (stream != &pending_null_stream)
		pending_add_dep(node, pending_null_stream.last);
	for (const struct CUstream_st *s = pending_null_stream.next;
	     s && stream == &pending_null_stream; s = s->next) {
		if (s->is_blocking)
			pending_add_dep(node, s->last);
	}
}

static void capture_effect(struct CUstream_st *stream, const struct effect *effect)
{
	struct CUgraph_st *graph = stream->capture;
	uint32_t i = graph->nr_nodes++;

	if (i == MAX_GRAPH)
		abort();
	graph->node[i].effect = *effect;
	graph->node[i].deps = stream->tips;
	stream->tips = 1u << i;
}

struct CUstream_st *pending_stream(CUstream handle)
{
	return handle ? handle : &pending_null_stream;
}

/* The number of the node, or 0 when captured. */
uint64_t pending_submit(CUstream handle, const struct effect *effect)
{
	struct CUstream_st *stream = pending_stream(handle);

	if (stream->capture) {
		capture_effect(stream, effect);
		return 0;
	}
	pending_add_stream(pending_new(effect, stream), stream);
	stream->last = pending_newest();
	return stream->last;
}

void pending_run_all(void)
{
	uint64_t last = pending_newest();

	for (uint64_t number = first_open; number <= last; number++)
		pending_run_until(number);
	/* Unless another thread added some meanwhile. */
	if (pending_newest() == last) {
		first_open += nr_open;
		nr_open = 0;
	}
}

void pending_drop(const struct CUstream_st *stream)
{
	for (uint32_t i = 0; i < nr_open; i++) {
		if (nodes[i].stream == stream)
			nodes[i].is_done = 1;
	}
}
