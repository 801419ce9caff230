/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Held operations, the lanes they stand in, and the one lock over both.
 *
 * Glossary
 *   group     the streams of one context: its NULL stream, and those that synchronise with it
 *   blocking  a stream that synchronises with its group's NULL stream (the default kind)
 *   number    place of an operation in the order of the program's calls; never used twice
 *
 * Functions named _locked are called with queue.lock held. An operation is in its lists from the
 * moment it is held until the driver call that submits it has returned, so whoever finds its lanes
 * empty may call the driver itself.
 */
#ifndef LITHOS_SHIM_QUEUE_OPS_H
#define LITHOS_SHIM_QUEUE_OPS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "shim/cuda_api.h"

#define OP_INLINE_BYTES 1024u
#define OP_MAX_ARGS     6u
#define QUEUE_MAX_OPS   16384u /* more than that and callers wait, as the driver makes them */
#define MAX_GROUPS      64u

/* Bits of queue.state: whatever makes a call look at the queue. The rest counts operations. */
#define STATE_CAPTURE (1u << 30) /* streams are being captured */
#define STATE_DEAD    (1u << 29) /* a context failed for good and nobody was told yet */
#define STATE_FORCED  (1u << 28) /* every launch is held (option `hold`) */
#define STATE_ERROR                                                                                \
	(1u << 27) /* a held call failed and nobody was told yet; no launch looks at it */
#define STATE_HELD (STATE_ERROR - 1)

struct op;

enum op_link_kind {
	LINK_ALL,      /* every held operation, oldest first */
	LINK_BLOCKING, /* those in blocking streams of a group, oldest first */
	LINK_LANE0,
	LINK_LANE1,
	NR_LINKS
};

struct op_link {
	struct op *prev, *next;
};

struct op_list {
	struct op *head, *tail;
};

enum lane_kind {
	LANE_STREAM,
	LANE_NULL, /* the NULL stream of a context; the handle is the context */
	LANE_EVENT,
	LANE_EXEC,
	LANE_GONE, /* a stream that is being destroyed; the handle is the lane itself */
};

struct lane_group {
	CUcontext ctx; /* NULL: free */
	struct lane *null;
	struct op_list blocking;
	CUresult error; /* of a held call that failed, not told yet */
};

struct lane {
	enum lane_kind kind;
	const void *handle;
	struct lane *next_hash; /* or the next free lane */
	struct lane *prev_active, *next_active;
	struct op_list first, second; /* operations for which it is lane 0, and lane 1 */
	struct lane_group *group;     /* of streams; NULL for others */
	uint64_t served;              /* when a launch was last taken: round robin */
	uint64_t last_record;         /* events: number of the newest held record; 0 = none */
	int32_t priority;             /* lower is more urgent */
	uint32_t is_blocking;
	uint32_t is_active;
};

typedef CUresult (*op_submit_fn)(struct op *op);

struct op {
	struct op_link link[NR_LINKS]; /* meaningless where it stands in no list */
	struct lane *lane[2];          /* lane[1] may be NULL; streams come first */
	uint64_t number;
	uint64_t held_ns;
	uint64_t due_ns; /* not before; 0 = any time */
	CUcontext ctx;
	op_submit_fn submit;
	void *target; /* the driver's function, or ours before it */
	const struct device *device;
	CUfunction func; /* of a kernel's launch, for the prediction */
	uint64_t path;   /* to it (track/predict_table.h) */
	uint64_t nr_blocks;
	uint32_t nr_threads; /* of a block */
	uint32_t min_tpcs;
	CUgraphExec exec;     /* of a graph's launch */
	struct work *work;    /* claimed, and not complete (split/claim.h) */
	uint64_t next_block;  /* in atoms: the first one of the next */
	uint64_t atom_blocks; /* of an atom; 0 = not in atoms */
	uint8_t next;         /* enum plan_next, of the submission */
	uint8_t is_launch;
	uint8_t in_submission;
	uint8_t is_record;
	uint8_t is_last_of_lane; /* its stream is gone after it */
	void *payload;           /* inside, or allocated when larger */
	uint64_t args[OP_MAX_ARGS];
	_Alignas(16) unsigned char inside[OP_INLINE_BYTES];
};

/* Everything of the queue. All under `lock`, but `state`. */
extern struct queue {
	pthread_mutex_t lock;
	pthread_cond_t work;      /* the dispatcher sleeps for lack of operations */
	pthread_cond_t submitted; /* an operation was submitted, while nr_waiters */
	uint32_t nr_waiters;
	uint32_t nr_captures;
	uint32_t dispatcher_sleeps;
	uint32_t dispatcher_naps; /* in a pause with nothing but claimed launches to look after */
	uint32_t dispatcher_runs;
	uint32_t is_stopping; /* everything goes, nothing is held any more */
	uint64_t next_number;
	struct op_list all;
	struct lane *active; /* lanes with operations */
	struct lane_group group[MAX_GROUPS];
} queue;

/* On its own: the entries test it (calls.S). */
extern _Atomic uint32_t queue_state;

/*
 * An operation with room for so many bytes of payload; NULL without memory. Fields from lane to
 * payload are 0 and NULL, others undefined.
 */
struct op *op_new_locked(uint32_t payload_bytes);
void op_free_locked(struct op *op);

/* Puts an operation at the end of its lanes: from here on it is held. */
void op_append_locked(struct op *op);
/* Takes it out after it was submitted. Empty lanes of events and graphs are forgotten. */
void op_remove_locked(struct op *op);

/* 1 when the driver may get it now: first in its lanes, and the NULL stream's rule holds. */
int op_may_go_locked(const struct op *op);

/* The lane, or NULL when nothing is known of it. */
struct lane *lane_find_locked(enum lane_kind kind, const void *handle);
/* The same, made when missing; NULL without memory. */
struct lane *lane_get_locked(enum lane_kind kind, const void *handle);
/* Forgets an empty lane; the handle may come to mean something else. */
void lane_drop_locked(struct lane *lane);
/*
 * The lane of a stream that the driver is about to destroy: from here on the handle may be another
 * stream, which gets a lane of its own.
 */
void lane_hide_locked(struct lane *lane);

struct lane_group *group_get_locked(CUcontext ctx);
/* Forgets the streams of all groups in which nothing is held: contexts may be gone. */
void lanes_flush_locked(void);

/* Oldest held operation of a lane that still stands in it; 0 = none. */
uint64_t lane_oldest_locked(const struct lane *lane);

/* Forgets everything, in the child of a fork; memory is lost to it. */
void ops_after_fork(void);

#endif
