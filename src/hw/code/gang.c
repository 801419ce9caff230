/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does a kernel wait for other blocks?
 *
 * A block can only wait in a loop that it leaves when memory has changed, and it sees the change of
 * another block only through a load that the compiler may not keep in a register or in the L1
 * cache (volatile, relaxed, acquire), or through an atomic. So: find such reads; if there are none
 * the answer is "free" after one look at each instruction. Else find the loops, from outer to
 * inner, and ask for each whether a branch that leaves it depends on such a read in it.
 *
 * A verdict errs to the side of "gang": a kernel that is taken for a gang runs whole, one that is
 * wrongly taken for free may hang when it is split.
 *
 * What it does badly, with numbers: docs/gang-detector.md.
 *
 * Tested by tests/unit/code_corpus.c (compiled kernels with known answers) and code_damage.c.
 */
#include "hw/code/gang.h"

#include <errno.h>

#include "hw/code/graph.h"
#include "hw/code/loops.h"
#include "hw/code/slice.h"

#define MAX_ROUNDS 64 /* loops inside one another */
#define SHORT_LOOP 64 /* instructions */

static void answer(struct code_answer *ret, enum code_verdict verdict, enum code_reason reason,
		   uint32_t index)
{
	ret->verdict = verdict;
	ret->reason = reason;
	ret->offset = index == GRAPH_NONE ? 0 : index * INSN_BYTES;
}

struct search {
	struct slicer *slicer;
	struct loops *loops;
	uint32_t most_insns; /* longer loops are left out */
};

static int is_asked(const struct search *search, uint32_t loop)
{
	const struct loops *loops = search->loops;
	uint32_t nr_insns = 0, nr_sources = 0;

	for (uint32_t i = loops->starts[loop]; i < loops->starts[loop + 1]; i++) {
		const struct block *block = &loops->graph->blocks[loops->members[i]];

		nr_insns += block->end - block->first;
		nr_sources += search->slicer->has_source[loops->members[i]];
	}
	return nr_sources > 0 && nr_insns <= search->most_insns;
}

/* One round of loops. Returns 1 when the answer is "gang"; an unknown instruction is only noted. */
static int search_round(const struct search *search, struct code_answer *ret)
{
	const struct loops *loops = search->loops;

	for (uint32_t loop = 0; loop < loops->nr_loops; loop++) {
		uint32_t start = loops->starts[loop];
		struct slice_hit hit;

		if (!is_asked(search, loop) || !slice_region(search->slicer, loops->members + start,
							     loops->starts[loop + 1] - start, &hit))
			continue;
		if (hit.reason != CODE_UNKNOWN) {
			answer(ret, CODE_GANG, hit.reason, hit.index);
			return 1;
		}
		answer(ret, CODE_UNSURE, CODE_UNKNOWN, hit.index);
	}
	return 0;
}

static void search_loops(const struct search *search, struct code_answer *ret)
{
	answer(ret, CODE_FREE, CODE_NO_WAIT, GRAPH_NONE);
	loops_reset(search->loops);
	for (int round = 0; loops_find(search->loops) > 0; round++) {
		if (round == MAX_ROUNDS) {
			answer(ret, CODE_UNSURE, CODE_TOO_LARGE, GRAPH_NONE);
			return;
		}
		if (search_round(search, ret))
			return;
		loops_cut(search->loops);
	}
}

static int find_wait(const struct graph *graph, struct code_answer *ret)
{
	struct loops loops = {0};
	struct slicer slicer = {0};
	struct search search = {&slicer, &loops, SHORT_LOOP};
	int r;

	if (graph->nr_sources == 0) {
		answer(ret, CODE_FREE, CODE_NO_SHARED_READ, GRAPH_NONE);
		return 0;
	}
	r = loops_open(&loops, graph);
	if (r == 0)
		r = slicer_open(&slicer, graph, loops.region_of);
	if (r == 0)
		search_loops(&search, ret);
	/* Most waits are a few instructions; only without one are the long loops worth a slice. */
	if (r == 0 && ret->verdict != CODE_GANG) {
		search.most_insns = UINT32_MAX;
		search_loops(&search, ret);
	}
	slicer_close(&slicer);
	loops_close(&loops);
	return r;
}

/* What could not be followed turns "free" into "unsure"; "gang" stands. */
static void doubt(const struct graph *graph, struct code_answer *ret)
{
	uint32_t source = GRAPH_NONE;
	int scanned;

	if (ret->verdict != CODE_FREE)
		return;
	if (graph->unknown != GRAPH_NONE) {
		answer(ret, CODE_UNSURE, CODE_UNKNOWN, graph->unknown);
		return;
	}
	if (graph->truncated != GRAPH_NONE) {
		answer(ret, CODE_UNSURE, CODE_TRUNCATED, graph->truncated);
		return;
	}
	if (graph->indirect != GRAPH_NONE) {
		answer(ret, CODE_UNSURE, CODE_INDIRECT, graph->indirect);
		return;
	}
	if (graph->tables == GRAPH_NONE)
		return;
	scanned = graph_scan(graph, &source);
	if (scanned != 0)
		answer(ret, CODE_UNSURE, scanned < 0 ? CODE_TRUNCATED : CODE_INDIRECT,
		       graph->tables);
}

int code_find_gang(const struct code_input *input, struct code_answer *ret_answer)
{
	struct graph graph = {0};
	int r;

	if (input->cc_major < 7 || input->cc_major > 12)
		return -EINVAL;
	answer(ret_answer, CODE_UNSURE, CODE_TOO_LARGE, GRAPH_NONE);
	if (input->nr_bytes > CODE_MAX_BYTES)
		return 0;
	if (input->nr_bytes < INSN_BYTES) {
		answer(ret_answer, CODE_UNSURE, CODE_TRUNCATED, GRAPH_NONE);
		return 0;
	}
	r = graph_build(&graph, input);
	if (r == 0)
		r = find_wait(&graph, ret_answer);
	if (r == 0)
		doubt(&graph, ret_answer);
	else
		answer(ret_answer, CODE_UNSURE, CODE_TOO_LARGE, GRAPH_NONE);
	graph_free(&graph);
	return 0;
}

const char *code_verdict_name(enum code_verdict verdict)
{
	static const char *const names[] = {"free", "gang", "unsure"};

	return names[verdict];
}

const char *code_reason_name(enum code_reason reason)
{
	static const char *const names[CODE_NR_REASONS] = {
		[CODE_NO_SHARED_READ] = "no-shared-read",
		[CODE_NO_WAIT] = "no-wait",
		[CODE_STRONG_LOAD] = "strong-load",
		[CODE_ATOMIC] = "atomic",
		[CODE_LOCK] = "lock",
		[CODE_CALL] = "call",
		[CODE_INDIRECT] = "indirect",
		[CODE_TRUNCATED] = "truncated",
		[CODE_UNKNOWN] = "unknown",
		[CODE_TOO_LARGE] = "too-large",
	};

	return names[reason];
}
