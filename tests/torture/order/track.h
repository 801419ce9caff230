/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happens-before of a program while it is generated: which accesses CUDA's rules order.
 *
 * Glossary
 *   use      the last call that named a handle (stream, event, executable graph, allocation): the
 *            next one must come after it in the host threads, or the two calls race
 *   access   a read or write of a region: by an operation of a stream, or by a host thread
 */
#ifndef LITHOS_TESTS_ORDER_TRACK_H
#define LITHOS_TESTS_ORDER_TRACK_H

#include "program.h"

struct use {
	uint8_t thread;
	uint16_t step; /* 0: never */
};

struct access {
	uint8_t clock; /* component: a thread, or MAX_THREADS + a stream */
	uint16_t at;
};

enum {
	MAX_READERS = NR_CLOCKS
};

struct tracked_region {
	struct access writer;
	struct access reader[MAX_READERS]; /* the last of each component */
	uint32_t nr_readers;
	struct use use; /* of the pointer, where it is allocated by the program */
	uint8_t is_live;
};

struct tracked_stream {
	uint8_t is_alive;
	uint8_t is_blocking;
	struct use use;
	uint32_t nr_ops;
	struct {
		struct clock end; /* once it is complete, all this is */
		struct use call;
	} op[MAX_STEPS + 1]; /* from 1; 0: nothing */
};

struct tracked_event {
	struct use use;
	uint8_t is_recorded;
	struct clock recorded;
};

struct tracked_exec {
	struct use use;
	uint8_t is_live;
	struct body body;
};

struct tracker {
	struct program *program;
	uint64_t random;
	struct clock thread[MAX_THREADS];
	struct tracked_stream stream[MAX_STREAMS];
	uint32_t nr_streams_made;
	struct tracked_region region[NR_REGIONS];
	struct tracked_event event[MAX_EVENTS];
	struct tracked_exec exec[MAX_EXECS];
	uint32_t nr_gates;
	uint32_t without_fix; /* a step that may not wait is being made */
};

/* Accesses of one operation: bit sets of regions. */
struct accesses {
	uint32_t reads;
	uint32_t writes;
};

/* Appends a call of the thread. */
struct op *track_call(struct tracker *t, uint32_t thread, enum op_kind kind);
/* Makes the thread's next call come after the handle's last use, and be its last use. */
void track_use(struct tracker *t, uint32_t thread, struct use *use);
/* 1 when track_use() would add no step. */
int track_knows(const struct tracker *t, uint32_t thread, const struct use *use);

/* Clock at the start of an operation that the thread would put into the stream now. */
struct clock track_start(const struct tracker *t, uint32_t thread, uint32_t stream);
/* Appends an operation in a stream; the handle must have been used. */
struct op *track_submit(struct tracker *t, uint32_t thread, uint32_t stream, enum op_kind kind);

/* 1 when an operation with this start comes after all it conflicts with. */
int track_is_ordered(const struct tracker *t, const struct clock *start,
		     const struct accesses *accesses);
/* Adds events, waits and hand-overs until it does. */
void track_order(struct tracker *t, uint32_t thread, uint32_t stream,
		 const struct accesses *accesses);
/* The same for the thread itself. */
void track_order_host(struct tracker *t, uint32_t thread, const struct accesses *accesses);
void track_access(struct tracker *t, struct access by, const struct accesses *accesses);

void track_record(struct tracker *t, uint32_t thread, uint32_t event, uint32_t stream);
void track_wait(struct tracker *t, uint32_t thread, uint32_t event, uint32_t stream);
void track_context_sync(struct tracker *t, uint32_t thread);
/* The thread knows that all this is complete. */
void track_learn(struct tracker *t, uint32_t thread, const struct clock *clock);
/* End of the last operation of the stream that the thread knows to be issued. */
struct clock track_end(const struct tracker *t, uint32_t thread, uint32_t stream);
int clock_covers(const struct clock *big, const struct clock *small);

#endif
