/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tenant of a random mix does, and what must come of it.
 *
 * Glossary
 *   step     one launch: an ordinary grid, one of clusters, or a gang (cooperative)
 *   request  the steps, in order, as launches or as one graph, and a copy of the result's beginning
 *   slot     a request in flight
 */
#ifndef LITHOS_TESTS_PROPERTIES_WORK_H
#define LITHOS_TESTS_PROPERTIES_WORK_H

#include "prog.h"

enum {
	WORK_MAX_STEPS = 16,
	WORK_MAX_DEPTH = 8,
	WORK_THREADS = 64, /* of a block */
	WORK_SAMPLE = 32,  /* words that each request copies back */
};

struct step {
	unsigned int nr_blocks;
	unsigned int cluster; /* blocks of a cluster; 0: none */
	bool is_gang;
	uint32_t ns; /* of a block */
	uint32_t a, b;
};

struct slot {
	CUevent done;
	uint32_t *sample; /* page-locked */
	uint32_t expected[WORK_SAMPLE];
};

struct work {
	struct prog prog;
	struct step step[WORK_MAX_STEPS];
	unsigned int nr_steps;
	unsigned int shared_bytes; /* of a block: says how many fit an SM */
	bool is_graph;
	bool two_streams; /* steps in turns in two streams, ordered by events */
	CUfunction mix;
	CUstream stream[2];
	CUevent between;
	CUgraphExec exec;
	CUdeviceptr words, meet; /* what mix works on; arrivals of gangs */
	uint32_t nr_words, nr_met;
	uint32_t *expected;
	struct slot slot[WORK_MAX_DEPTH];
};

/* "KIND:BLOCKS:US,...": k an ordinary grid, cN one of clusters of N, g a gang. false: malformed. */
bool work_read_steps(struct work *work, const char *text);

/* The device, the memory, and the graph; ends the program when something fails. */
void work_open(struct work *work);

/* Launches one request and returns; its end is the slot's event. */
void work_launch(struct work *work, struct slot *slot);

/* Waits for a request and checks what it copied back. */
void work_wait(struct work *work, struct slot *slot);

/* Calls that the driver must refuse, with the errors that it has for them. */
void work_mistakes(struct work *work);

/* All of the result, after the last request. */
void work_check(struct work *work);

#endif
