/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the double: operations that wait, and who executes them. All under one lock. */
#ifndef LITHOS_TESTS_ORDER_PENDING_H
#define LITHOS_TESTS_ORDER_PENDING_H

#include "api.h"
#include "double.h"
#include "program.h"

enum {
	MAX_DEPS = 24,
	MAX_OPEN = 8192, /* nodes since the last time all was done */
	MAX_GRAPH = 24,
	SCRIBBLE = 0xcd
};

enum effect_kind {
	EFFECT_NONE,
	EFFECT_MIX,
	EFFECT_MANY,
	EFFECT_COPY,
	EFFECT_SET,
	EFFECT_HOST,
	EFFECT_WORD,
	EFFECT_GATE
};

/* As the kernels' parameter banks. */
struct mix_args {
	uint32_t *dst;
	const uint32_t *src;
	uint32_t a, b, n, ns;
};

struct many_args {
	uint32_t *dst;
	uint32_t value[24];
	uint32_t n, ns;
};

struct effect {
	enum effect_kind kind;
	union {
		struct mix_args mix;
		struct many_args many;
	};
	void *dst;
	const void *src; /* of copies; arguments that are read late */
	size_t bytes;
	uint32_t value;
	uint32_t element;
	CUhostFn host;
	CUstreamCallback callback;
	void *user;
	unsigned char staged[REGION_WORDS * 4]; /* of a pageable source */
};

struct pending {
	uint64_t dep[MAX_DEPS]; /* numbers of nodes */
	uint32_t nr_deps;
	uint32_t is_done;
	const struct CUstream_st *stream;
	struct effect effect;
	const struct effect *late; /* instead of `effect` */
};

struct graph_node {
	struct effect effect;
	uint32_t deps; /* bits of earlier ones */
};

struct CUgraph_st {
	struct graph_node node[MAX_GRAPH];
	uint32_t nr_nodes;
	uint32_t tips; /* of the stream it was captured from, at the end */
};

struct CUgraphExec_st {
	struct CUgraph_st graph;
	struct CUgraphExec_st *next; /* destroyed ones */
};

struct CUstream_st {
	struct CUstream_st *next;
	int is_blocking;
	uint64_t last; /* node; 0 = none */
	struct CUgraph_st *capture;
	uint32_t tips;
};

struct CUevent_st {
	uint64_t record; /* node; 0 = never recorded */
	struct CUgraph_st *capture;
	uint32_t tips;
};

struct block {
	struct block *next;
	unsigned char bytes[];
};

extern enum double_defect pending_defect;
extern struct CUstream_st pending_null_stream;

/* Around every call: takes the lock and now and then executes something; gives it back. */
void pending_enter(void);
CUresult pending_leave(void);
uint32_t pending_random(uint32_t n);
void pending_seed(enum double_defect defect, uint64_t seed);

int pending_is_done(uint64_t number);
void pending_run(const struct effect *effect);
/* Executes a random one that may; 0 when none does. */
int pending_run_one(void);
void pending_run_until(uint64_t number);
void pending_run_all(void);
void pending_drop(const struct CUstream_st *stream);

struct pending *pending_new(const struct effect *effect, const struct CUstream_st *stream);
uint64_t pending_newest(void);
void pending_add_dep(struct pending *node, uint64_t number);
void pending_add_stream(struct pending *node, const struct CUstream_st *stream);
struct CUstream_st *pending_stream(CUstream handle);
/* The number of the node, or 0 when captured. */
uint64_t pending_submit(CUstream handle, const struct effect *effect);

#endif
