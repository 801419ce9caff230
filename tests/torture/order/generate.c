/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random programs whose result CUDA's rules determine.
 *
 * Each draw picks a kind by its weight in ops.def, a thread, a stream (mostly one of "its" own) and
 * regions; whatever the operation conflicts with and is not ordered after, the tracker orders it
 * after, by events, waits, synchronisation or a hand-over between threads. Before that, other
 * regions are tried a few times, so that much of a program really is concurrent.
 *
 * A draw that is not possible (no stream to destroy, graph slot empty) makes something else: a
 * kernel. Behind a gate only calls that cannot block are made until it opens.
 *
 * Tested by mutants of a driver (checker_test.c): a driver that is right passes whatever order it
 * chooses, one that is wrong in one rule is found.
 */
#include "track.h"

#include <string.h>

#define BIT(n) (1u << (n))

enum {
	ROOM = 100, /* steps that one draw may add at most */
	MAX_SPIN_NS = 12000
};

static struct tracker tracker; /* large; programs are generated one at a time */

struct draw {
	struct tracker *t;
	uint32_t thread;
	uint32_t stream;
};

static uint32_t below(struct tracker *t, uint32_t n)
{
	return random_below(&t->random, n);
}

static uint32_t any_constant(struct tracker *t)
{
	return (uint32_t)random_next(&t->random) | 1;
}

/* A living stream; a thread prefers those of its own number. */
static uint32_t pick_stream(struct tracker *t, uint32_t thread)
{
	for (;;) {
		uint32_t stream = below(t, t->nr_streams_made);

		if (!t->stream[stream].is_alive)
			continue;
		if (stream % t->program->nr_threads == thread || !below(t, 4))
			return stream;
	}
}

static uint32_t pick_device(struct tracker *t)
{
	uint32_t region = below(t, FIRST_PINNED);

	return t->region[region].is_live ? region : below(t, NR_DEVICE);
}

static uint32_t pick_pinned(struct tracker *t)
{
	return FIRST_PINNED + below(t, NR_PINNED);
}

static int is_async(uint32_t region)
{
	return region >= FIRST_ASYNC && region < FIRST_PINNED;
}

/* Where an operation of this kind reads and writes. */
static struct accesses accesses_of(const struct op *op)
{
	struct accesses accesses = {0, BIT(op->dst)};

	switch (op->kind) {
	case OP_MIX:
	case OP_COPY_DD:
	case OP_COPY_HD:
	case OP_COPY_DH:
		accesses.reads = BIT(op->src);
		break;
	case OP_COPY_PAGEABLE_DH:
	case OP_COPY_SYNC_DH:
	case OP_HOST_READ:
		accesses = (struct accesses){BIT(op->src), 0};
		break;
	default:
		break;
	}
	return accesses;
}

static void pick_regions(struct tracker *t, struct op *op)
{
	op->dst = (uint8_t)pick_device(t);
	op->src = (uint8_t)pick_device(t);
	/* NVIDIA's driver refuses stream memory operations on memory of a pool. */
	if (op->kind == OP_WRITE_VALUE)
		op->dst = (uint8_t)below(t, NR_DEVICE);
	if (op->kind == OP_COPY_HD)
		op->src = (uint8_t)pick_pinned(t);
	if (op->kind == OP_COPY_DH)
		op->dst = (uint8_t)pick_pinned(t);
	if (op->kind == OP_HOST || op->kind == OP_HOST_WRITE)
		op->dst = (uint8_t)pick_pinned(t);
	if (op->kind == OP_HOST_READ)
		op->src = (uint8_t)pick_pinned(t);
}

/* Regions that are free of conflicts, if a few tries find them. */
static void prefer_concurrent(const struct draw *d, struct op *op)
{
	struct clock start = track_start(d->t, d->thread, d->stream);

	for (int tries = 0; tries < 3; tries++) {
		struct accesses accesses;

		pick_regions(d->t, op);
		accesses = accesses_of(op);
		if (track_is_ordered(d->t, &start, &accesses))
			return;
	}
}

static void use_pointers(const struct draw *d, const struct op *op)
{
	if (is_async(op->dst))
		track_use(d->t, d->thread, &d->t->region[op->dst].use);
	if (is_async(op->src))
		track_use(d->t, d->thread, &d->t->region[op->src].use);
}

static struct use this_call(const struct tracker *t, uint32_t thread)
{
	return (struct use){(uint8_t)thread, t->thread[thread].at[thread]};
}

/* Appends the operation, whose regions and constants are in `wanted`, ordered. */
static struct op *submit(const struct draw *d, const struct op *wanted,
			 const struct accesses *accesses)
{
	struct tracker *t = d->t;
	struct op *op;

	use_pointers(d, wanted);
	track_use(t, d->thread, &t->stream[d->stream].use);
	track_order(t, d->thread, d->stream, accesses);
	op = track_submit(t, d->thread, d->stream, wanted->kind);
	op->dst = wanted->dst;
	op->src = wanted->src;
	op->a = wanted->a;
	op->b = wanted->b;
	op->spin_ns = wanted->spin_ns;
	op->variant = wanted->variant;
	op->slot = wanted->slot;
	op->body = wanted->body;
	track_access(t, (struct access){(uint8_t)(MAX_THREADS + d->stream), op->place}, accesses);
	if (is_async(op->dst))
		t->region[op->dst].use = this_call(t, d->thread);
	if (is_async(op->src))
		t->region[op->src].use = this_call(t, d->thread);
	return op;
}

static uint32_t any_spin(struct tracker *t)
{
	return below(t, 3) ? 0 : below(t, MAX_SPIN_NS);
}

static struct op wanted_op(struct tracker *t, uint32_t kind)
{
	return (struct op){.kind = (uint8_t)kind,
			   .a = any_constant(t),
			   .b = any_constant(t),
			   .spin_ns = any_spin(t),
			   .variant = (uint8_t)below(t, 4)};
}

/* Kernels, copies, sets, host functions: what only touches regions. */
static void draw_simple(struct draw *d, enum op_kind kind)
{
	struct op wanted = wanted_op(d->t, kind);
	struct accesses accesses;

	if (kind == OP_COPY_SYNC_HD || kind == OP_COPY_SYNC_DH || kind == OP_SET_SYNC)
		d->stream = 0;
	prefer_concurrent(d, &wanted);
	accesses = accesses_of(&wanted);
	(void)submit(d, &wanted, &accesses);
	if (kind == OP_COPY_PAGEABLE_DH || kind == OP_COPY_SYNC_DH) {
		struct clock end = track_end(d->t, d->thread, d->stream);

		track_learn(d->t, d->thread, &end);
	}
}

static void draw_host_access(struct draw *d, enum op_kind kind)
{
	struct op wanted = wanted_op(d->t, kind);
	struct tracker *t = d->t;
	struct accesses accesses;
	struct op *op;

	prefer_concurrent(d, &wanted);
	accesses = accesses_of(&wanted);
	track_order_host(t, d->thread, &accesses);
	op = track_call(t, d->thread, kind);
	op->dst = wanted.dst;
	op->src = wanted.src;
	op->a = wanted.a;
	track_access(t, (struct access){(uint8_t)d->thread, this_call(t, d->thread).step},
		     &accesses);
}

/* Kernels behind a gate, as many as need nothing that could block. */
static void fill_gate(const struct draw *d)
{
	for (int i = 0; i < 3; i++) {
		struct op wanted = wanted_op(d->t, OP_MIX);
		struct clock start = track_start(d->t, d->thread, d->stream);
		struct accesses accesses;

		prefer_concurrent(d, &wanted);
		accesses = accesses_of(&wanted);
		if (is_async(wanted.dst) || is_async(wanted.src) ||
		    !track_is_ordered(d->t, &start, &accesses))
			continue;
		(void)submit(d, &wanted, &accesses);
	}
}

static void draw_gate(struct draw *d)
{
	struct tracker *t = d->t;
	uint8_t gate = (uint8_t)t->nr_gates;

	if (gate == MAX_GATES || !d->stream)
		return;
	t->nr_gates++;
	track_use(t, d->thread, &t->stream[d->stream].use);
	track_submit(t, d->thread, d->stream, OP_GATE)->slot = gate;
	fill_gate(d);
	track_call(t, d->thread, OP_OPEN)->slot = gate;
}

static void draw_event(struct draw *d, enum op_kind kind)
{
	struct tracker *t = d->t;
	uint32_t slot = below(t, MAX_EVENTS);
	struct tracked_event *event = &t->event[slot];
	struct op *op;

	track_use(t, d->thread, &event->use);
	op = track_call(t, d->thread, kind);
	op->slot = (uint8_t)slot;
	if (kind == OP_EVENT_NEW) {
		*event = (struct tracked_event){.use = event->use};
		return;
	}
	op->cover = event->recorded;
	op->must_be_done =
		!event->is_recorded || clock_covers(&t->thread[d->thread], &event->recorded);
	if (kind != OP_EVENT_QUERY && event->is_recorded)
		track_learn(t, d->thread, &event->recorded);
}

static void draw_stream_look(struct draw *d, enum op_kind kind)
{
	struct tracker *t = d->t;
	struct clock end;
	struct op *op;

	if (kind == OP_STREAM_QUERY && !d->stream)
		kind = OP_STREAM_SYNC;
	track_use(t, d->thread, &t->stream[d->stream].use);
	end = track_end(t, d->thread, d->stream);
	op = track_call(t, d->thread, kind);
	op->stream = (uint8_t)d->stream;
	op->cover = end;
	op->must_be_done = (uint8_t)clock_covers(&t->thread[d->thread], &end);
	if (kind == OP_STREAM_SYNC)
		track_learn(t, d->thread, &end);
}

static void draw_stream_new(struct draw *d)
{
	struct tracker *t = d->t;
	uint32_t stream = t->nr_streams_made;
	struct op *op;

	if (stream == MAX_STREAMS)
		return;
	op = track_call(t, d->thread, OP_STREAM_NEW);
	op->stream = (uint8_t)stream;
	t->nr_streams_made++;
	t->stream[stream].is_alive = 1;
	t->stream[stream].is_blocking = (uint8_t)below(t, 2);
	t->program->is_blocking[stream] = t->stream[stream].is_blocking;
	t->stream[stream].use = this_call(t, d->thread);
}

static void draw_stream_destroy(struct draw *d)
{
	struct tracker *t = d->t;

	if (d->stream < 2)
		return;
	track_use(t, d->thread, &t->stream[d->stream].use);
	track_call(t, d->thread, OP_STREAM_DESTROY)->stream = (uint8_t)d->stream;
	t->stream[d->stream].is_alive = 0;
}

/* Allocation writes the region, by the set that belongs to it; freeing does too. */
static void draw_async(struct draw *d, enum op_kind kind)
{
	struct tracker *t = d->t;
	uint32_t region = FIRST_ASYNC + below(t, NR_ASYNC);
	struct op wanted = wanted_op(t, kind);
	struct accesses accesses = {0, BIT(region)};

	if ((kind == OP_FREE_ASYNC) != t->region[region].is_live)
		return;
	wanted.dst = (uint8_t)region;
	if (kind == OP_ALLOC_ASYNC) {
		struct use use = t->region[region].use;

		track_use(t, d->thread, &use); /* the old pointer's variable */
		t->region[region] = (struct tracked_region){.use = use};
	}
	(void)submit(d, &wanted, &accesses);
	t->region[region].is_live = kind == OP_ALLOC_ASYNC;
}

static struct accesses body_accesses(const struct body *body, int is_forked)
{
	struct accesses all = {0, 0};

	for (uint32_t i = 0; i < body->nr_nodes; i++) {
		const struct node *node = &body->node[i];
		struct op op = {.kind = node->kind, .dst = node->dst, .src = node->src};
		struct accesses accesses = accesses_of(&op);

		if (is_forked >= 0 && node->is_forked != is_forked)
			continue;
		all.reads |= accesses.reads;
		all.writes |= accesses.writes;
	}
	return all;
}

/* The two branches must not meet. */
static int branches_meet(const struct body *body)
{
	struct accesses one = body_accesses(body, 0);
	struct accesses two = body_accesses(body, 1);

	return (one.writes & (two.reads | two.writes)) || (two.writes & one.reads);
}

/* Branches that meet are made one; so that not all are, each has regions of its own. */
static struct node draw_node(struct tracker *t, int is_forked)
{
	static const uint8_t kinds[] = {OP_MIX, OP_MIX, OP_MIX, OP_SET, OP_COPY_DD};
	uint32_t first = is_forked ? NR_DEVICE / 2 : 0;

	return (struct node){.kind = kinds[below(t, 5)],
			     .is_forked = (uint8_t)is_forked,
			     .dst = (uint8_t)(first + below(t, NR_DEVICE / 2)),
			     .src = (uint8_t)(below(t, 4) ? first + below(t, NR_DEVICE / 2)
							  : below(t, NR_DEVICE)),
			     .a = any_constant(t),
			     .b = any_constant(t)};
}

static void draw_body(struct tracker *t, struct body *ret_body)
{
	ret_body->nr_nodes = 1 + below(t, MAX_NODES);
	for (uint32_t i = 0; i < ret_body->nr_nodes; i++)
		ret_body->node[i] = draw_node(t, below(t, 2));
	for (uint32_t i = 0; i < ret_body->nr_nodes && branches_meet(ret_body); i++)
		ret_body->node[i].is_forked = 0;
}

/* A non-blocking living stream: no work of the NULL stream can spoil its capture. */
static int pick_capturing(struct draw *d, uint32_t other_than, uint32_t *ret_stream)
{
	for (int tries = 0; tries < 20; tries++) {
		uint32_t stream = pick_stream(d->t, d->thread);

		if (!stream || stream == other_than || d->t->stream[stream].is_blocking)
			continue;
		*ret_stream = stream;
		return 1;
	}
	return 0;
}

static void use_two_streams(const struct draw *d, uint32_t forked)
{
	struct tracker *t = d->t;

	track_use(t, d->thread, &t->stream[d->stream].use);
	track_use(t, d->thread, &t->stream[forked].use);
}

/* Captures into an empty slot, or, as an update, other constants for a graph that is there. */
static void draw_capture(struct draw *d, enum op_kind kind)
{
	struct tracker *t = d->t;
	uint32_t slot = below(t, MAX_EXECS);
	struct tracked_exec *exec = &t->exec[slot];
	uint32_t forked;
	struct op *op;

	if ((kind == OP_EXEC_UPDATE) != exec->is_live || !pick_capturing(d, 0, &d->stream) ||
	    !pick_capturing(d, d->stream, &forked))
		return;
	if (kind == OP_CAPTURE)
		draw_body(t, &exec->body);
	for (uint32_t i = 0; kind == OP_EXEC_UPDATE && i < exec->body.nr_nodes; i++)
		exec->body.node[i].a = any_constant(t);
	track_use(t, d->thread, &exec->use);
	use_two_streams(d, forked);
	op = track_call(t, d->thread, kind);
	op->stream = (uint8_t)d->stream;
	op->stream_too = (uint8_t)forked;
	op->slot = (uint8_t)slot;
	op->variant = (uint8_t)below(t, 2);
	op->body = exec->body;
	exec->use = this_call(t, d->thread);
	t->stream[d->stream].use = exec->use;
	t->stream[forked].use = exec->use;
	exec->is_live = 1;
}

static void draw_exec(struct draw *d, enum op_kind kind)
{
	struct tracker *t = d->t;
	uint32_t slot = below(t, MAX_EXECS);
	struct tracked_exec *exec = &t->exec[slot];
	struct op wanted = {.kind = (uint8_t)kind, .slot = (uint8_t)slot};
	struct accesses accesses;

	if (!exec->is_live)
		return;
	track_use(t, d->thread, &exec->use);
	if (kind == OP_EXEC_LAUNCH) {
		wanted.body = exec->body;
		accesses = body_accesses(&exec->body, -1);
		(void)submit(d, &wanted, &accesses);
	} else {
		track_call(t, d->thread, kind)->slot = (uint8_t)slot;
		exec->is_live = 0;
	}
	exec->use = this_call(t, d->thread);
}

static enum op_kind draw_kind(struct tracker *t)
{
	static const uint8_t weight[NR_OP_KINDS] = {
#define OP(kind, often) often,
#include "ops.def"
#undef OP
	};
	uint32_t total = 0, at, kind = 0;

	for (uint32_t i = 0; i < NR_OP_KINDS; i++)
		total += weight[i];
	for (at = below(t, total); at >= weight[kind]; kind++)
		at -= weight[kind];
	return (enum op_kind)kind;
}

static void draw_special(struct draw *d, enum op_kind kind)
{
	switch (kind) {
	case OP_GATE:
		return draw_gate(d);
	case OP_RECORD:
		return track_record(d->t, d->thread, below(d->t, MAX_EVENTS), d->stream);
	case OP_WAIT:
		return track_wait(d->t, d->thread, below(d->t, MAX_EVENTS), d->stream);
	case OP_STREAM_NEW:
		return draw_stream_new(d);
	case OP_STREAM_DESTROY:
		return draw_stream_destroy(d);
	case OP_CONTEXT_SYNC:
		return track_context_sync(d->t, d->thread);
	case OP_ALLOC_ASYNC:
	case OP_FREE_ASYNC:
		return draw_async(d, kind);
	case OP_CAPTURE:
	case OP_EXEC_UPDATE:
		return draw_capture(d, kind);
	default:
		return draw_exec(d, kind);
	}
}

static void draw(struct draw *d, enum op_kind kind)
{
	uint32_t before = d->t->program->nr_steps;

	if (kind <= OP_WRITE_VALUE)
		draw_simple(d, kind);
	else if (kind == OP_HOST_WRITE || kind == OP_HOST_READ)
		draw_host_access(d, kind);
	else if (kind >= OP_EVENT_SYNC && kind <= OP_EVENT_NEW)
		draw_event(d, kind);
	else if (kind == OP_STREAM_SYNC || kind == OP_STREAM_QUERY)
		draw_stream_look(d, kind);
	else
		draw_special(d, kind);
	if (d->t->program->nr_steps == before)
		draw_simple(d, OP_MIX);
}

static void begin(struct tracker *t, struct program *program, const struct program_size *size)
{
	memset(t, 0, sizeof(*t));
	t->program = program;
	t->random = program->seed;
	(void)random_next(&t->random);
	program->nr_threads = size->nr_threads;
	program->nr_streams = size->nr_streams;
	program->nr_steps = 0;
	t->nr_streams_made = size->nr_streams;
	for (uint32_t s = 0; s < size->nr_streams; s++) {
		t->stream[s].is_alive = 1;
		t->stream[s].is_blocking = !s || s % 3 == 1;
		program->is_blocking[s] = t->stream[s].is_blocking;
	}
	for (uint32_t r = 0; r < NR_REGIONS; r++)
		t->region[r].is_live = !is_async(r);
}

void program_generate(struct program *program, uint64_t seed, const struct program_size *size)
{
	struct tracker *t = &tracker;

	program->seed = seed;
	begin(t, program, size);
	for (uint32_t i = 0; i < size->nr_draws; i++) {
		struct draw d = {.t = t, .thread = below(t, size->nr_threads)};

		if (program->nr_steps + ROOM > MAX_STEPS)
			return;
		d.stream = pick_stream(t, d.thread);
		draw(&d, draw_kind(t));
	}
}
