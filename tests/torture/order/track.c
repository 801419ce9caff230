/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vector clocks over CUDA's rules.
 *
 * Components are the host threads (counting calls) and the streams (counting operations). A
 * thread's clock says which calls come before its next one, and which operations it knows to be
 * complete. An operation's start covers: what the issuing thread knows, the operation before it in
 * its stream, the events it waits for, and by the rule of the NULL stream the latest operations of
 * the blocking streams (or of the NULL stream) whose calls come before. Its end is its start and
 * itself. Two accesses are ordered when the start of the later covers the earlier.
 *
 * Only what CUDA promises counts, and less where the promise is unclear: work of a destroyed stream
 * is ordered by earlier events and by cuCtxSynchronize alone, launches of one executable graph do
 * not order each other, a wait for the NULL stream covers only what is before its last operation,
 * and a stream's wait for an event is no work that the rule of the NULL stream is about. The
 * adversarial driver of double.c shows that this is enough: it may do anything else.
 */
#include "track.h"

#include <string.h>

static void merge(struct clock *into, const struct clock *from)
{
	for (int i = 0; i < NR_CLOCKS; i++) {
		if (into->at[i] < from->at[i])
			into->at[i] = from->at[i];
	}
}

int clock_covers(const struct clock *big, const struct clock *small)
{
	/* Threads' components say who called when; completion is about the streams'. */
	for (int i = MAX_THREADS; i < NR_CLOCKS; i++) {
		if (big->at[i] < small->at[i])
			return 0;
	}
	return 1;
}

static int knows_call(const struct clock *clock, const struct use *use)
{
	return !use->step || clock->at[use->thread] >= use->step;
}

int track_knows(const struct tracker *t, uint32_t thread, const struct use *use)
{
	return knows_call(&t->thread[thread], use);
}

struct op *track_call(struct tracker *t, uint32_t thread, enum op_kind kind)
{
	struct op *op = &t->program->op[t->program->nr_steps++];

	memset(op, 0, sizeof(*op));
	op->kind = (uint8_t)kind;
	op->thread = (uint8_t)thread;
	t->thread[thread].at[thread]++;
	return op;
}

static struct use use_now(const struct tracker *t, uint32_t thread)
{
	return (struct use){(uint8_t)thread, t->thread[thread].at[thread]};
}

/* The other thread posts now, which is after whatever it did; deadlock is impossible because the
 * list itself is a valid order. */
static void hand_over(struct tracker *t, uint32_t from, uint32_t to)
{
	uint16_t post = (uint16_t)t->program->nr_steps;

	(void)track_call(t, from, OP_POST);
	track_call(t, to, OP_TAKE)->from = post;
	merge(&t->thread[to], &t->thread[from]);
}

void track_use(struct tracker *t, uint32_t thread, struct use *use)
{
	if (!track_knows(t, thread, use))
		hand_over(t, use->thread, thread);
	/* The call to come. */
	*use = (struct use){(uint8_t)thread, (uint16_t)(t->thread[thread].at[thread] + 1)};
}

/* The latest operation of the stream whose call the thread knows. */
static uint32_t latest_known(const struct tracker *t, uint32_t thread, uint32_t stream)
{
	const struct tracked_stream *s = &t->stream[stream];
	uint32_t n = s->nr_ops;

	while (n && !knows_call(&t->thread[thread], &s->op[n].call))
		n--;
	return n;
}

struct clock track_end(const struct tracker *t, uint32_t thread, uint32_t stream)
{
	return t->stream[stream].op[latest_known(t, thread, stream)].end;
}

static void merge_end(const struct tracker *t, uint32_t thread, uint32_t stream, struct clock *into)
{
	merge(into, &t->stream[stream].op[latest_known(t, thread, stream)].end);
}

static struct clock start_by_itself(const struct tracker *t, uint32_t thread, uint32_t stream)
{
	const struct tracked_stream *s = &t->stream[stream];
	struct clock start = t->thread[thread];

	merge(&start, &s->op[s->nr_ops].end);
	return start;
}

struct clock track_start(const struct tracker *t, uint32_t thread, uint32_t stream)
{
	struct clock start = start_by_itself(t, thread, stream);

	if (stream && t->stream[stream].is_blocking)
		merge_end(t, thread, 0, &start);
	for (uint32_t other = 1; !stream && other < t->nr_streams_made; other++) {
		if (t->stream[other].is_alive && t->stream[other].is_blocking)
			merge_end(t, thread, other, &start);
	}
	return start;
}

struct op *track_submit(struct tracker *t, uint32_t thread, uint32_t stream, enum op_kind kind)
{
	struct tracked_stream *s = &t->stream[stream];
	struct clock start = kind == OP_WAIT ? start_by_itself(t, thread, stream)
					     : track_start(t, thread, stream);
	struct op *op = track_call(t, thread, kind);
	uint32_t n = ++s->nr_ops;

	op->stream = (uint8_t)stream;
	op->place = (uint16_t)n;
	op->cover = start;
	s->op[n].end = start;
	s->op[n].end.at[MAX_THREADS + stream] = (uint16_t)n;
	s->op[n].call = use_now(t, thread);
	s->use = s->op[n].call;
	return op;
}

void track_learn(struct tracker *t, uint32_t thread, const struct clock *clock)
{
	merge(&t->thread[thread], clock);
}

void track_record(struct tracker *t, uint32_t thread, uint32_t event, uint32_t stream)
{
	struct tracked_event *e = &t->event[event];

	track_use(t, thread, &t->stream[stream].use);
	track_use(t, thread, &e->use);
	t->stream[stream].use = e->use; /* both are the same call */
	track_submit(t, thread, stream, OP_RECORD)->slot = (uint8_t)event;
	e->is_recorded = 1;
	e->recorded = t->stream[stream].op[t->stream[stream].nr_ops].end;
}

void track_wait(struct tracker *t, uint32_t thread, uint32_t event, uint32_t stream)
{
	struct tracked_event *e = &t->event[event];
	struct tracked_stream *s = &t->stream[stream];

	track_use(t, thread, &s->use);
	track_use(t, thread, &e->use);
	s->use = e->use;
	track_submit(t, thread, stream, OP_WAIT)->slot = (uint8_t)event;
	if (e->is_recorded)
		merge(&s->op[s->nr_ops].end, &e->recorded);
}

static int covers_access(const struct clock *start, const struct access *access)
{
	return !access->at || start->at[access->clock] >= access->at;
}

/* An access the start does not cover, or NULL. */
static const struct access *find_unordered(const struct tracker *t, const struct clock *start,
					   const struct accesses *accesses)
{
	for (uint32_t i = 0; i < NR_REGIONS; i++) {
		const struct tracked_region *region = &t->region[i];

		if (!((accesses->reads | accesses->writes) >> i & 1))
			continue;
		if (!covers_access(start, &region->writer))
			return &region->writer;
		for (uint32_t r = 0; accesses->writes >> i & 1 && r < region->nr_readers; r++) {
			if (!covers_access(start, &region->reader[r]))
				return &region->reader[r];
		}
	}
	return NULL;
}

int track_is_ordered(const struct tracker *t, const struct clock *start,
		     const struct accesses *accesses)
{
	return !find_unordered(t, start, accesses);
}

/* The call that put the operation into its stream becomes known to the thread. */
static void know_call(struct tracker *t, uint32_t thread, const struct access *access)
{
	const struct use *call = &t->stream[access->clock - MAX_THREADS].op[access->at].call;

	if (!track_knows(t, thread, call))
		hand_over(t, call->thread, thread);
}

void track_context_sync(struct tracker *t, uint32_t thread)
{
	(void)track_call(t, thread, OP_CONTEXT_SYNC);
	for (uint32_t s = 0; s < t->nr_streams_made; s++) {
		struct clock end = track_end(t, thread, s);

		merge(&t->thread[thread], &end);
	}
}

/* The thread waits until the access is over. */
static void wait_on_host(struct tracker *t, uint32_t thread, const struct access *access)
{
	uint32_t stream = (uint32_t)access->clock - MAX_THREADS;
	uint32_t event = random_below(&t->random, MAX_EVENTS);
	enum op_kind kind = random_below(&t->random, 2) ? OP_EVENT_SYNC : OP_EVENT_POLL;

	if (!t->stream[stream].is_alive) {
		know_call(t, thread, access);
		track_context_sync(t, thread);
	} else if (random_below(&t->random, 2)) {
		struct clock end;

		track_use(t, thread, &t->stream[stream].use);
		end = track_end(t, thread, stream);
		track_call(t, thread, OP_STREAM_SYNC)->stream = (uint8_t)stream;
		track_learn(t, thread, &end);
	} else {
		track_record(t, thread, event, stream);
		track_use(t, thread, &t->event[event].use);
		track_call(t, thread, kind)->slot = (uint8_t)event;
		track_learn(t, thread, &t->event[event].recorded);
	}
}

void track_order_host(struct tracker *t, uint32_t thread, const struct accesses *accesses)
{
	for (;;) {
		const struct access *access = find_unordered(t, &t->thread[thread], accesses);

		if (!access)
			return;
		if (access->clock < MAX_THREADS)
			hand_over(t, access->clock, thread);
		else
			wait_on_host(t, thread, access);
	}
}

static void order_after(struct tracker *t, uint32_t thread, uint32_t stream,
			const struct access *access)
{
	uint32_t earlier = (uint32_t)access->clock - MAX_THREADS;
	uint32_t event = random_below(&t->random, MAX_EVENTS);

	if (access->clock < MAX_THREADS) {
		hand_over(t, access->clock, thread);
	} else if (t->stream[earlier].is_alive && random_below(&t->random, 5)) {
		track_record(t, thread, event, earlier);
		track_wait(t, thread, event, stream);
	} else {
		wait_on_host(t, thread, access);
	}
}

void track_order(struct tracker *t, uint32_t thread, uint32_t stream,
		 const struct accesses *accesses)
{
	for (;;) {
		struct clock start = track_start(t, thread, stream);
		const struct access *access = find_unordered(t, &start, accesses);

		if (!access)
			return;
		order_after(t, thread, stream, access);
	}
}

static void add_reader(struct tracked_region *region, struct access by)
{
	for (uint32_t r = 0; r < region->nr_readers; r++) {
		if (region->reader[r].clock == by.clock) {
			region->reader[r].at = by.at;
			return;
		}
	}
	region->reader[region->nr_readers++] = by;
}

void track_access(struct tracker *t, struct access by, const struct accesses *accesses)
{
	for (uint32_t i = 0; i < NR_REGIONS; i++) {
		if (accesses->writes >> i & 1) {
			t->region[i].writer = by;
			t->region[i].nr_readers = 0;
		} else if (accesses->reads >> i & 1) {
			add_reader(&t->region[i], by);
		}
	}
}
