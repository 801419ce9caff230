/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Atomics that end a loop and yet wait for nobody.
 *
 * Retry: `do { seen = old; old = cas(p, seen, f(seen)); } while (old != seen)`, how atomics that
 * the hardware lacks are emulated. If it fails, another block has succeeded; alone it succeeds at
 * once. Required: the value compared with is a plain copy of the CAS's last result (or comes from
 * before the loop), and the loop is left when result and copy are equal. A lock compares with a
 * constant, or with a result from which it has cleared a bit: not excused.
 *
 * Counter: `while ((tile = add(p, 1)) < n)`. The loop moves the counter by itself, so alone it ends
 * too. Required: the addend is a small positive constant or the number of threads that vote, and
 * so is that of every other integer addition in the loop (a semaphore that is taken by -1 and given
 * back by +1 is none). `add(p, 0)` is a poll.
 *
 * Atomics on 16 bits work on the word around them, so moving bytes (PRMT, shifts) counts as copying
 * where both sides of the comparison are such bytes.
 *
 * What it does badly: values are followed through copies only, so some retries are taken for locks.
 *  A counter that the same loop resets would be taken for one that ends.
 *
 * Tested by tests/unit/code_corpus.c: emulations, locks, counters and polls.
 */
#include "hw/code/slice.h"

#include <string.h>

#define MAX_DEFS  16u
#define MAX_DEPTH 4u
#define MAX_MOVES 24u

#define OPCODE_ISETP 0x00cu
#define OPCODE_LOP3  0x012u
#define OPCODE_PRMT  0x016u
#define OPCODE_SHF   0x019u
#define OPCODE_ATOM  0x18au
#define OPCODE_RED   0x18eu
#define OPCODE_ATOMG 0x1a8u

#define ATOMIC_ADD 0u

#define COMPARE_EQ 2u
#define COMPARE_NE 5u

struct finder {
	const struct graph *graph;
	const uint32_t *region_of;
	uint32_t region; /* values from outside are not followed; GRAPH_NONE: no bounds */
	uint32_t cas;    /* instruction */
	int in_bytes;    /* it compares with bytes of its result, not the whole */
};

struct defs {
	uint32_t index[MAX_DEFS];
	uint32_t count;
	int overflow;
};

/* Last writes of register `bit` in [first, end) go to `defs`; returns whether the walk may stop. */
static int find_in_block(const struct finder *finder, uint32_t first, uint32_t end,
			 unsigned int bit, struct defs *defs)
{
	struct regs wanted = {0};

	regs_add(&wanted, bit);
	for (uint32_t i = end; i-- > first;) {
		struct insn insn = graph_insn(finder->graph, i);
		struct regs may, kills;

		/* Calls write what they like. */
		if (insn.op->class == OP_CALL)
			defs->overflow = 1;
		if (!insn_may_write(&insn, &wanted))
			continue;
		insn_defs(&insn, &may, &kills);
		if (!regs_has(&may, bit))
			continue;
		if (defs->count == MAX_DEFS) {
			defs->overflow = 1;
			return 1;
		}
		defs->index[defs->count++] = i;
		/* Unguarded: nothing earlier arrives. */
		if (insn_bits(&insn, 12, 4) == 7)
			return 1;
	}
	return 0;
}

static int is_inside(const struct finder *finder, uint32_t block)
{
	return finder->region == GRAPH_NONE || finder->region_of[block] == finder->region;
}

/* Every instruction whose value of `bit` may arrive at instruction `at`. */
static void find_defs(const struct finder *finder, uint32_t at, unsigned int bit, struct defs *defs)
{
	const struct graph *graph = finder->graph;
	uint32_t *seen = graph->scratch;
	uint32_t *stack = seen + graph->nr_blocks;
	uint32_t depth = 0, block = graph->block_of[at];

	*defs = (struct defs){0};
	memset(seen, 0, graph->nr_blocks * sizeof(*seen));
	if (find_in_block(finder, graph->blocks[block].first, at, bit, defs))
		return;
	for (;;) {
		for (uint32_t i = graph->pred_first[block]; i < graph->pred_first[block + 1]; i++) {
			uint32_t pred = graph->preds[i];

			if (seen[pred] || !is_inside(finder, pred))
				continue;
			seen[pred] = 1;
			if (!find_in_block(finder, graph->blocks[pred].first,
					   graph->blocks[pred].end, bit, defs))
				stack[depth++] = pred;
		}
		if (depth == 0 || defs->overflow)
			return;
		block = stack[--depth];
	}
}

struct origin {
	int from_cas;             /* on at least one way */
	int in_bytes;             /* cut or shifted on the way */
	uint32_t seen[MAX_MOVES]; /* instructions on the way: loops lead back to them */
	uint32_t nr_seen;
};

/* Registers whose bytes the instruction only moves: the value and what is merged with it. Returns
 * how many; 0 if it does more than that. */
static unsigned int moved_by(const struct insn *insn, unsigned int ret_from[2])
{
	unsigned int opcode = insn_opcode(insn);
	int masks_half = opcode == OPCODE_LOP3 && insn_form(insn) == 4 &&
			 insn_bits(insn, 32, 32) == 0xffff && insn_c(insn) == REG_ZERO;

	ret_from[0] = insn_a(insn);
	ret_from[1] = insn_c(insn);
	return opcode == OPCODE_PRMT || opcode == OPCODE_SHF || masks_half ? 2 : 0;
}

static int comes_from_cas(const struct finder *finder, uint32_t at, unsigned int reg,
			  struct origin *origin);

/* 1: was there before; 0: is new; -1: too many. */
static int note_seen(struct origin *origin, uint32_t at)
{
	for (uint32_t i = 0; i < origin->nr_seen; i++) {
		if (origin->seen[i] == at)
			return 1;
	}
	if (origin->nr_seen == MAX_MOVES)
		return -1;
	origin->seen[origin->nr_seen++] = at;
	return 0;
}

/* One way by which the value arrives. */
static int passes_on(const struct finder *finder, uint32_t at, struct origin *origin)
{
	struct insn insn = graph_insn(finder->graph, at);
	unsigned int from[2];
	unsigned int count = moved_by(&insn, from);
	int seen = note_seen(origin, at);

	if (seen)
		return seen > 0;
	if (at == finder->cas) {
		origin->from_cas = 1;
		return 1;
	}
	/* The first guess is often read within an outer loop. */
	if (insn.op->class == OP_LOAD && !insn_reads_other_blocks(&insn))
		return 1;
	if (count == 0) {
		from[count++] = insn_copied_from(&insn);
		if (from[0] == REG_ZERO)
			return 0;
	} else {
		origin->in_bytes = 1;
	}
	while (count-- > 0) {
		if (from[count] != REG_ZERO && !comes_from_cas(finder, at, from[count], origin))
			return 0;
	}
	return 1;
}

/* Is register `reg` at `at` nothing but the CAS's result, or a value from before the loop? */
static int comes_from_cas(const struct finder *finder, uint32_t at, unsigned int reg,
			  struct origin *origin)
{
	struct defs defs;

	find_defs(finder, at, REG_R + reg, &defs);
	if (defs.overflow)
		return 0;
	for (uint32_t i = 0; i < defs.count; i++) {
		if (!passes_on(finder, defs.index[i], origin))
			return 0;
	}
	return 1;
}

static int is_result(const struct finder *finder, uint32_t at, unsigned int reg,
		     struct origin *origin)
{
	*origin = (struct origin){0};
	return reg != REG_ZERO && comes_from_cas(finder, at, reg, origin) && origin->from_cas;
}

/* Does the predicate that the branch at `at` tests say that result and copy differ (COMPARE_NE) or
 * are equal? 0: neither. Of a 64-bit comparison only the second half, which counts, is looked
 * at. */
static unsigned int comparison_of(const struct finder *finder, uint32_t at, unsigned int predicate)
{
	struct origin a, b;
	struct defs defs;
	struct insn insn;

	if (predicate == 7)
		return 0;
	find_defs(finder, at, REG_P + predicate, &defs);
	if (defs.overflow || defs.count != 1)
		return 0;
	insn = graph_insn(finder->graph, defs.index[0]);
	if (insn_opcode(&insn) != OPCODE_ISETP || insn_form(&insn) != 1 ||
	    insn_bits(&insn, 87, 4) != 7 || insn_bits(&insn, 81, 3) != predicate)
		return 0;
	if (!is_result(finder, defs.index[0], insn_a(&insn), &a) ||
	    !is_result(finder, defs.index[0], insn_b(&insn), &b))
		return 0;
	/* A lock may clear a byte of the result, and then compare the whole with it. */
	if (finder->in_bytes && !(a.in_bytes && b.in_bytes))
		return 0;
	return insn_bits(&insn, 76, 3);
}

static int leaves_when_equal(const struct finder *finder, const struct block *block)
{
	uint32_t last = block->end - 1;
	struct insn insn = graph_insn(finder->graph, last);
	unsigned int kind = comparison_of(finder, last, insn_bits(&insn, 12, 3));
	int negated = (int)insn_bits(&insn, 15, 1);

	if (kind != COMPARE_EQ && kind != COMPARE_NE)
		return 0;

	int true_is_equal = (kind == COMPARE_EQ) != negated;
	uint32_t way_out = block->next[true_is_equal];

	return way_out != GRAPH_NONE && (way_out == GRAPH_LEAVES || !is_inside(finder, way_out));
}

static int is_retry(struct finder *finder)
{
	const struct graph *graph = finder->graph;
	struct insn cas = graph_insn(graph, finder->cas);
	struct origin origin;

	if (insn_form(&cas) != 1 || !is_result(finder, finder->cas, insn_b(&cas), &origin))
		return 0;
	finder->in_bytes = origin.in_bytes;
	for (uint32_t i = 1; i < graph->nr_blocks; i++) {
		if (finder->region_of[i] == finder->region &&
		    leaves_when_equal(finder, &graph->blocks[i]))
			return 1;
	}
	return 0;
}

static int is_integer_addition(const struct insn *insn)
{
	unsigned int opcode = insn_opcode(insn);
	unsigned int kind = insn_bits(insn, 87, 4);

	if (opcode != OPCODE_ATOM && opcode != OPCODE_ATOMG && opcode != OPCODE_RED)
		return 0;
	return kind == ATOMIC_ADD;
}

/* A uniform register that was copied into the register, as its bit; 0 if it was none. */
static unsigned int uniform_source(const struct insn *insn)
{
	unsigned int form = insn_form(insn);
	unsigned int first = insn_bits(insn, 32, insn->major >= 10 ? 8 : 6);
	int is_mov = insn_opcode(insn) == 0x002 && form == 6;
	int is_imad = insn_opcode(insn) == 0x024 && form == 7 && insn_is_plain_sum(insn);

	return is_mov || is_imad ? REG_U + first : 0;
}

static int is_positive(const struct finder *finder, uint32_t at, unsigned int bit,
		       unsigned int depth)
{
	struct defs defs;

	if (depth == MAX_DEPTH)
		return 0;
	find_defs(finder, at, bit, &defs);
	if (defs.overflow || defs.count == 0)
		return 0;
	for (uint32_t i = 0; i < defs.count; i++) {
		struct insn insn = graph_insn(finder->graph, defs.index[i]);
		unsigned int from = uniform_source(&insn);

		if (insn_makes_positive(&insn))
			continue;
		if (from == 0 && insn_copied_from(&insn) != REG_ZERO)
			from = REG_R + insn_copied_from(&insn);
		if (from == 0 || !is_positive(finder, defs.index[i], from, depth + 1))
			return 0;
	}
	return 1;
}

/* Types 3, 4 and 6 hold floating point on some architectures. */
static int adds_positive(const struct finder *finder, uint32_t index)
{
	struct insn insn = graph_insn(finder->graph, index);
	unsigned int type = insn_bits(&insn, 73, 3);

	if (type == 3 || type == 4 || type > 5)
		return 0;
	return insn_b(&insn) != REG_ZERO && is_positive(finder, index, REG_R + insn_b(&insn), 0);
}

static int is_counter(const struct finder *finder, uint32_t index)
{
	const struct graph *graph = finder->graph;
	uint32_t region = finder->region_of[graph->block_of[index]];
	struct insn counter = graph_insn(graph, index);

	if (!is_integer_addition(&counter))
		return 0;
	for (uint32_t b = 1; b < graph->nr_blocks; b++) {
		if (finder->region_of[b] != region)
			continue;
		for (uint32_t i = graph->blocks[b].first; i < graph->blocks[b].end; i++) {
			struct insn insn = graph_insn(graph, i);

			if (is_integer_addition(&insn) && !adds_positive(finder, i))
				return 0;
		}
	}
	return 1;
}

int excuse_atomic(const struct graph *graph, const uint32_t *region_of, uint32_t index)
{
	struct insn insn = graph_insn(graph, index);
	struct finder finder = {
		.graph = graph,
		.region_of = region_of,
		.region = region_of[graph->block_of[index]],
		.cas = index,
	};

	if (insn.op->class == OP_CAS)
		return is_retry(&finder);
	/* The addend is often set before the loop. */
	finder.region = GRAPH_NONE;
	return is_counter(&finder, index);
}
