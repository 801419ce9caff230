/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations and lanes: memory, lists, and the order in which operations may go.
 *
 * An operation stands in up to two lanes (a stream, and an event or an executable graph). It may go
 * when it is the oldest of each. The NULL stream adds one rule: its operations wait for everything
 * older in the blocking streams of its context, and theirs for everything older in the NULL stream.
 * All of these point from younger to older, so the oldest operation of all may always go: whatever
 * is held comes to an end.
 *
 * A lane keeps two lists, of the operations that have it as their first and as their second lane,
 * because an operation has one pair of links for each of its two places; the older head of both is
 * the lane's oldest. Lanes of streams stay until the stream is destroyed, with what the driver said
 * of the stream; lanes of events and graphs are forgotten when they are empty.
 *
 * Memory comes from mapped slabs and is not given back: 1.3 KiB an operation, 22 MiB if a program
 * ever holds 16,384. Only larger payloads are allocated. Tested by tests/unit/queue_order.c.
 */
#include "shim/queue/ops.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/hash.h"

#define SLAB_OPS   256u
#define SLAB_LANES 256u
/* Of an operation, what a launch with some parameters writes. */
#define PREFETCH_LINES 7u
#define HASH_SLOTS     1024u /* power of two */

struct queue queue = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.work = PTHREAD_COND_INITIALIZER,
	.submitted = PTHREAD_COND_INITIALIZER,
	.next_number = 1,
};

_Atomic uint32_t queue_state;

static struct {
	struct op_list free_ops; /* by link[LINK_ALL].next; longest free first */
	struct lane *free_lanes;
	struct lane *hash[HASH_SLOTS];
} store;

/* --- lists ------------------------------------------------------------------------------------ */

static void list_append(struct op_list *list, struct op *op, enum op_link_kind kind)
{
	op->link[kind] = (struct op_link){.prev = list->tail};
	if (list->tail)
		list->tail->link[kind].next = op;
	else
		list->head = op;
	list->tail = op;
}

static void list_remove(struct op_list *list, struct op *op, enum op_link_kind kind)
{
	struct op_link *link = &op->link[kind];

	if (link->prev)
		link->prev->link[kind].next = link->next;
	else
		list->head = link->next;
	if (link->next)
		link->next->link[kind].prev = link->prev;
	else
		list->tail = link->prev;
}

/* --- memory of operations --------------------------------------------------------------------- */

/* Touched at once, so that no launch pays for it later. */
static void *slab_map(size_t bytes)
{
	void *slab = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return slab == MAP_FAILED ? NULL : slab;
}

static void op_give_locked(struct op *op)
{
	op->link[LINK_ALL].next = NULL;
	if (store.free_ops.head)
		store.free_ops.tail->link[LINK_ALL].next = op;
	else
		store.free_ops.head = op;
	store.free_ops.tail = op;
}

static void ops_grow_locked(void)
{
	struct op *slab = slab_map(SLAB_OPS * sizeof(*slab));

	for (uint32_t i = 0; slab && i < SLAB_OPS; i++)
		op_give_locked(&slab[i]);
}

/* The dispatcher had it in its cache: it is fetched while the caller does other things. */
static void op_prefetch(const struct op *op)
{
	const char *line = (const char *)op;

	for (uint32_t i = 0; op && i < PREFETCH_LINES; i++)
		__builtin_prefetch(line + (size_t)64 * i, 1);
}

struct op *op_new_locked(uint32_t payload_bytes)
{
	struct op *op;
	void *payload = NULL;

	if (!store.free_ops.head)
		ops_grow_locked();
	op = store.free_ops.head;
	if (op && payload_bytes > OP_INLINE_BYTES)
		payload = malloc(payload_bytes);
	if (!op || (payload_bytes > OP_INLINE_BYTES && !payload))
		return NULL;
	store.free_ops.head = op->link[LINK_ALL].next;
	op_prefetch(store.free_ops.head);
	memset(op->lane, 0, offsetof(struct op, payload) - offsetof(struct op, lane));
	op->payload = payload ? payload : op->inside;
	return op;
}

void op_free_locked(struct op *op)
{
	if (op->payload != op->inside)
		free(op->payload);
	op_give_locked(op);
}

/* --- lanes ------------------------------------------------------------------------------------ */

static struct lane **hash_slot(enum lane_kind kind, const void *handle)
{
	return &store.hash[(hash_pointer(handle) + (uint32_t)kind) & (HASH_SLOTS - 1)];
}

struct lane *lane_find_locked(enum lane_kind kind, const void *handle)
{
	struct lane *lane = *hash_slot(kind, handle);

	while (lane && (lane->handle != handle || lane->kind != kind))
		lane = lane->next_hash;
	return lane;
}

static void lanes_grow_locked(void)
{
	struct lane *slab = slab_map(SLAB_LANES * sizeof(*slab));

	for (uint32_t i = 0; slab && i < SLAB_LANES; i++) {
		slab[i].next_hash = store.free_lanes;
		store.free_lanes = &slab[i];
	}
}

struct lane *lane_get_locked(enum lane_kind kind, const void *handle)
{
	struct lane *lane = lane_find_locked(kind, handle);
	struct lane **slot = hash_slot(kind, handle);

	if (lane)
		return lane;
	if (!store.free_lanes)
		lanes_grow_locked();
	lane = store.free_lanes;
	if (!lane)
		return NULL;
	store.free_lanes = lane->next_hash;
	*lane = (struct lane){.kind = kind, .handle = handle, .next_hash = *slot};
	*slot = lane;
	return lane;
}

static void unhash(struct lane *lane)
{
	struct lane **at = hash_slot(lane->kind, lane->handle);

	while (*at != lane)
		at = &(*at)->next_hash;
	*at = lane->next_hash;
}

void lane_hide_locked(struct lane *lane)
{
	struct lane **slot = hash_slot(LANE_GONE, lane);

	unhash(lane);
	lane->kind = LANE_GONE;
	lane->handle = lane;
	lane->next_hash = *slot;
	*slot = lane;
}

void lane_drop_locked(struct lane *lane)
{
	if (lane->is_active)
		return;
	unhash(lane);
	if (lane->group && lane->group->null == lane)
		lane->group->null = NULL;
	lane->next_hash = store.free_lanes;
	store.free_lanes = lane;
}

static struct op *lane_head(const struct lane *lane)
{
	struct op *a = lane->first.head, *b = lane->second.head;

	if (!a || !b)
		return a ? a : b;
	return a->number < b->number ? a : b;
}

uint64_t lane_oldest_locked(const struct lane *lane)
{
	const struct op *head = lane_head(lane);

	return head ? head->number : 0;
}

static void lane_activate(struct lane *lane)
{
	if (lane->is_active)
		return;
	lane->is_active = 1;
	lane->prev_active = NULL;
	lane->next_active = queue.active;
	if (queue.active)
		queue.active->prev_active = lane;
	queue.active = lane;
}

static void lane_deactivate(struct lane *lane)
{
	if (lane_head(lane))
		return;
	lane->is_active = 0;
	if (lane->prev_active)
		lane->prev_active->next_active = lane->next_active;
	else
		queue.active = lane->next_active;
	if (lane->next_active)
		lane->next_active->prev_active = lane->prev_active;
	if (lane->kind == LANE_EVENT || lane->kind == LANE_EXEC)
		lane_drop_locked(lane);
}

struct lane_group *group_get_locked(CUcontext ctx)
{
	struct lane_group *free_group = NULL;

	for (uint32_t i = 0; i < MAX_GROUPS; i++) {
		if (queue.group[i].ctx == ctx)
			return &queue.group[i];
		if (!queue.group[i].ctx && !free_group)
			free_group = &queue.group[i];
	}
	if (free_group)
		*free_group = (struct lane_group){.ctx = ctx};
	return free_group;
}

static int group_is_busy(const struct lane_group *group)
{
	for (const struct lane *lane = queue.active; lane; lane = lane->next_active) {
		if (lane->group == group)
			return 1;
	}
	return group->error != CUDA_SUCCESS;
}

static int lane_is_stale(const struct lane *lane)
{
	return !lane->is_active && lane->group && !group_is_busy(lane->group);
}

void lanes_flush_locked(void)
{
	for (uint32_t i = 0; i < HASH_SLOTS; i++) {
		struct lane *next;
		for (struct lane *lane = store.hash[i]; lane; lane = next) {
			next = lane->next_hash;
			if (lane_is_stale(lane))
				lane_drop_locked(lane);
		}
	}
	for (uint32_t i = 0; i < MAX_GROUPS; i++) {
		if (queue.group[i].ctx && !group_is_busy(&queue.group[i]))
			queue.group[i] = (struct lane_group){0};
	}
}

/* --- order ------------------------------------------------------------------------------------ */

void op_append_locked(struct op *op)
{
	struct lane *stream = op->lane[0];

	op->number = queue.next_number++;
	list_append(&queue.all, op, LINK_ALL);
	list_append(&stream->first, op, LINK_LANE0);
	lane_activate(stream);
	if (op->lane[1]) {
		list_append(&op->lane[1]->second, op, LINK_LANE1);
		lane_activate(op->lane[1]);
		if (op->is_record)
			op->lane[1]->last_record = op->number;
	}
	if (stream->is_blocking)
		list_append(&stream->group->blocking, op, LINK_BLOCKING);
	/* pairs with the load in the entries: whoever learns from this thread that the call was
	 * made finds the queue busy */
	(void)atomic_fetch_add_explicit(&queue_state, 1, memory_order_release);
}

void op_remove_locked(struct op *op)
{
	struct lane *stream = op->lane[0], *other = op->lane[1];

	if (stream->is_blocking)
		list_remove(&stream->group->blocking, op, LINK_BLOCKING);
	list_remove(&stream->first, op, LINK_LANE0);
	list_remove(&queue.all, op, LINK_ALL);
	if (other) {
		list_remove(&other->second, op, LINK_LANE1);
		if (other->last_record == op->number)
			other->last_record = 0;
		lane_deactivate(other);
	}
	lane_deactivate(stream);
	if (op->is_last_of_lane)
		lane_drop_locked(stream);
	/* pairs with the load in the entries: the driver call has returned before a call finds the
	 * queue empty and goes by itself */
	(void)atomic_fetch_sub_explicit(&queue_state, 1, memory_order_release);
}

/* The NULL stream and the blocking streams of its context wait for each other. */
static int null_rule_holds(const struct op *op)
{
	const struct lane *lane = op->lane[0];
	const struct lane_group *group = lane->group;

	if (!group)
		return 1;
	if (lane->kind == LANE_NULL)
		return !group->blocking.head || group->blocking.head->number > op->number;
	if (!lane->is_blocking || !group->null)
		return 1;
	uint64_t oldest = lane_oldest_locked(group->null);
	return oldest == 0 || oldest > op->number;
}

int op_may_go_locked(const struct op *op)
{
	return !op->in_submission && lane_head(op->lane[0]) == op &&
	       (!op->lane[1] || lane_head(op->lane[1]) == op) && null_rule_holds(op);
}

void ops_after_fork(void)
{
	memset(&store, 0, sizeof(store));
	memset(&queue, 0, sizeof(queue));
	queue.next_number = 1;
	(void)pthread_mutex_init(&queue.lock, NULL);
	(void)pthread_cond_init(&queue.work, NULL);
	(void)pthread_cond_init(&queue.submitted, NULL);
	atomic_store_explicit(&queue_state, 0, memory_order_relaxed);
}
