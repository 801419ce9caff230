/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program computes, by the order of its list alone: no streams, no threads, no driver.
 *
 * Right because every two conflicting accesses are ordered as they are in the list (track.c). The
 * kernels' arithmetic does not commute, dst = dst * a + src + b with odd a, so almost every wrong
 * order leaves another memory. Tested by checker_test.c.
 */
#include "program.h"

#include <stdio.h>
#include <string.h>

enum {
	MANY_VALUES = 24
};

void region_mix(uint32_t *dst, const uint32_t *src, uint32_t a, uint32_t b)
{
	for (uint32_t i = 0; i < REGION_WORDS; i++)
		dst[i] = dst[i] * a + src[i] + b;
}

void region_many_values(uint32_t *ret_values, uint32_t a)
{
	for (uint32_t i = 0; i < MANY_VALUES; i++)
		ret_values[i] = a * (i + 3);
}

void region_many(uint32_t *dst, const uint32_t *values)
{
	for (uint32_t i = 0; i < REGION_WORDS; i++)
		dst[i] = dst[i] * 31 + values[i % MANY_VALUES];
}

uint64_t region_hash(const uint32_t *region)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (uint32_t i = 0; i < REGION_WORDS; i++)
		hash = (hash ^ region[i]) * 0x100000001b3ull;
	return hash | 1; /* never 0, which means nothing was read */
}

uint32_t region_first_word(uint64_t seed, uint32_t region, uint32_t word)
{
	uint64_t state = seed + region * 1000003ull + word;

	return (uint32_t)random_next(&state);
}

static void set(uint32_t *dst, uint32_t value)
{
	for (uint32_t i = 0; i < REGION_WORDS; i++)
		dst[i] = value;
}

static void run_node(struct outcome *o, const struct node *node)
{
	if (node->kind == OP_MIX)
		region_mix(o->memory[node->dst], o->memory[node->src], node->a, node->b);
	else if (node->kind == OP_SET)
		set(o->memory[node->dst], node->a);
	else
		memmove(o->memory[node->dst], o->memory[node->src], sizeof(o->memory[0]));
}

/* A set of bytes repeats the lowest. */
static uint32_t set_value(const struct op *op)
{
	return op->kind == OP_SET && op->variant == 1 ? (op->a & 0xff) * 0x01010101u : op->a;
}

static void run_many(struct outcome *o, const struct op *op)
{
	uint32_t values[MANY_VALUES];

	region_many_values(values, op->a);
	region_many(o->memory[op->dst], values);
}

static void run(struct outcome *o, const struct op *op, uint32_t step)
{
	uint32_t *dst = o->memory[op->dst];

	switch (op->kind) {
	case OP_MIX:
		region_mix(dst, o->memory[op->src], op->a, op->b);
		break;
	case OP_HOST:
	case OP_HOST_WRITE:
		region_mix(dst, dst, op->a, op->b);
		break;
	case OP_MANY:
		run_many(o, op);
		break;
	case OP_ALLOC_ASYNC:
	case OP_FREE_ASYNC:
		o->is_live[op->dst] = op->kind == OP_ALLOC_ASYNC;
		set(dst, op->a);
		break;
	case OP_SET:
	case OP_SET_SYNC:
	case OP_COPY_PAGEABLE_HD:
	case OP_COPY_SYNC_HD:
		set(dst, set_value(op));
		break;
	case OP_COPY_DD:
	case OP_COPY_HD:
	case OP_COPY_DH:
		memmove(dst, o->memory[op->src], sizeof(o->memory[0]));
		break;
	case OP_COPY_PAGEABLE_DH:
	case OP_COPY_SYNC_DH:
	case OP_HOST_READ:
		o->read[step] = region_hash(o->memory[op->src]);
		break;
	case OP_WRITE_VALUE:
		dst[op->a % REGION_WORDS] = op->b;
		break;
	case OP_EXEC_LAUNCH:
		for (uint32_t i = 0; i < op->body.nr_nodes; i++)
			run_node(o, &op->body.node[i]);
		break;
	default:
		break;
	}
}

void program_interpret(const struct program *program, struct outcome *ret_outcome)
{
	memset(ret_outcome, 0, sizeof(*ret_outcome));
	for (uint32_t r = 0; r < NR_REGIONS; r++) {
		ret_outcome->is_live[r] = r < FIRST_ASYNC || r >= FIRST_PINNED;
		for (uint32_t i = 0; i < REGION_WORDS; i++)
			ret_outcome->memory[r][i] = region_first_word(program->seed, r, i);
	}
	for (uint32_t i = 0; i < program->nr_steps; i++)
		run(ret_outcome, &program->op[i], i);
}

void op_print(const struct op *op, uint32_t step, char *ret_text, uint32_t bytes)
{
	static const char *const names[NR_OP_KINDS] = {
#define OP(kind, often) #kind,
#include "ops.def"
#undef OP
	};

	(void)snprintf(ret_text, bytes,
		       "step=%u thread=%u stream=%u op=%s dst=%u src=%u slot=%u variant=%u a=%08x "
		       "b=%08x from=%u place=%u",
		       step, op->thread, op->stream, names[op->kind], op->dst, op->src, op->slot,
		       op->variant, op->a, op->b, op->from, op->place);
}
