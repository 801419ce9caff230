/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A random program: a list of calls, each with the host thread that makes it.
 *
 * Glossary
 *   region   REGION_WORDS words of device or pinned host memory; all that a program computes
 *   step     place of an operation in the list, which is also a valid order of execution
 *   post, take   hand over from one host thread to another: what the first did before is before
 *            what the second does after
 *   gate     a stream waits for a word of host memory until the program stores it
 *   cover    the vector clock at the start of an operation: what CUDA's rules say is complete
 *
 * The list is made so that every two accesses of a region of which one writes are ordered by
 * CUDA's rules alone: so the final memory and every value read back are determined.
 */
#ifndef LITHOS_TESTS_ORDER_PROGRAM_H
#define LITHOS_TESTS_ORDER_PROGRAM_H

#include <stdint.h>

enum {
	REGION_WORDS = 48,
	NR_DEVICE = 6, /* device memory of the whole run */
	NR_ASYNC = 2,  /* of cuMemAllocAsync, come and go */
	NR_PINNED = 4, /* page-locked host memory */
	FIRST_ASYNC = NR_DEVICE,
	FIRST_PINNED = FIRST_ASYNC + NR_ASYNC,
	NR_REGIONS = FIRST_PINNED + NR_PINNED,

	MAX_THREADS = 4,
	MAX_STREAMS = 12, /* made in one program; 0 is the NULL stream */
	NR_CLOCKS = MAX_THREADS + MAX_STREAMS,
	MAX_EVENTS = 4,
	MAX_EXECS = 2,
	MAX_NODES = 5,
	MAX_STEPS = 640,
	MAX_GATES = 4
};

/* What is known to have happened: steps of each host thread, then operations of each stream. */
struct clock {
	uint16_t at[NR_CLOCKS];
};

enum op_kind {
#define OP(kind, flags) OP_##kind,
#include "ops.def"
#undef OP
	NR_OP_KINDS
};

/* A node of a graph, in the first or in the forked stream of its capture. */
struct node {
	uint8_t kind; /* OP_MIX, OP_SET or OP_COPY_DD */
	uint8_t is_forked;
	uint8_t dst, src;
	uint32_t a, b;
};

struct body {
	struct node node[MAX_NODES];
	uint32_t nr_nodes;
};

struct op {
	uint8_t kind; /* enum op_kind */
	uint8_t thread;
	uint8_t stream;
	uint8_t stream_too;   /* the forked one of a capture */
	uint8_t dst, src;     /* regions */
	uint8_t slot;         /* event, executable graph or gate */
	uint8_t variant;      /* which of several calls with the same effect */
	uint8_t must_be_done; /* queries: success is the only right answer */
	uint16_t from;        /* takes: step of the post */
	uint32_t a, b;
	uint32_t spin_ns;
	struct clock cover; /* device operations and queries */
	uint16_t place;     /* of a device operation in its stream, from 1 */
	struct body body;
};

struct program {
	uint64_t seed;
	uint32_t nr_threads;
	uint32_t nr_streams; /* that exist at the start, the NULL stream included */
	uint32_t nr_steps;
	uint8_t is_blocking[MAX_STREAMS];
	struct op op[MAX_STEPS];
};

struct program_size {
	uint32_t nr_threads;
	uint32_t nr_streams; /* 2 to MAX_STREAMS - 4 */
	uint32_t
		nr_draws; /* random operations; with what orders them, steps are a few times that */
};

/* Memory and every value read, as the program leaves them. */
struct outcome {
	uint32_t memory[NR_REGIONS][REGION_WORDS];
	uint32_t is_live[NR_REGIONS]; /* region has a value at the end */
	uint64_t read[MAX_STEPS];     /* hash of what the step read; 0 where it reads nothing */
};

void program_generate(struct program *program, uint64_t seed, const struct program_size *size);

/* One operation's effect on a region, as kernels, copies and host functions have it. */
void region_mix(uint32_t *dst, const uint32_t *src, uint32_t a, uint32_t b);
void region_many(uint32_t *dst, const uint32_t *values);
void region_many_values(uint32_t *ret_values, uint32_t a);
uint64_t region_hash(const uint32_t *region);
uint32_t region_first_word(uint64_t seed, uint32_t region, uint32_t word);

/* Executes step by step in the order of the list. */
void program_interpret(const struct program *program, struct outcome *ret_outcome);

/* Text of one operation, for reports; in a buffer of the caller. */
void op_print(const struct op *op, uint32_t step, char *ret_text, uint32_t bytes);

/* splitmix64: small, good enough, the same everywhere. */
static inline uint64_t random_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static inline uint32_t random_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)((random_next(state) >> 33) % n);
}

#endif
