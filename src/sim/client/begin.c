/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks of redirected launches, decided where the memory is.
 *
 * Problem: whether a block runs is written in this process' memory, which the server never touches;
 * and asking it about every block would make the thousands that leave at once on hardware take a
 * round trip each. Idea: the server says which blocks have begun, many in one message; the rule is
 * applied here, and those that leave are told. When the blocks that come next would leave as well,
 * as they do when the flag is up or an earlier launch has run them, they are decided now, and the
 * server is told up to where: on hardware they begin within the same microsecond.
 *
 * A decision is kept until the block's end is told, which may be before the server heard of it.
 *
 * Tested by tests/programs/preludes.c on a shared GPU.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/client/queue.h"
#include "sim/client/remote.h"
#include "sim/device/internal.h"

struct leave_buffer {
	struct proto_leave message;
	uint8_t bits[PROTO_MAX_BEGIN / 8];
};

static uint64_t place_of(const struct sim_grid *grid, const uint32_t index[3])
{
	return ((uint64_t)index[2] * grid->extent[1] + index[1]) * grid->extent[0] + index[0];
}

int remote_block_runs(const struct remote_queue *queue, const uint32_t index[3])
{
	const struct remote_item *item = queue->head;
	uint64_t at = place_of(item->grid, index);

	if (item->grid->program == SIM_PROGRAM_KERNEL)
		return 1;
	/* The server's numbers are looked at before they are used. */
	if (!item->runs || at >= item->grid->nr_blocks)
		return 0;
	return item->runs[at / 8] >> (at % 8) & 1;
}

/* Decides the next block. 1: it runs. */
static int decide(const struct sim_device_ops *ops, struct remote_item *item)
{
	struct sim_grid *grid = item->grid;
	uint32_t index[3];
	uint64_t at;

	grid_block_index(grid, item->nr_decided, index);
	at = place_of(grid, index);
	item->nr_decided++;
	if (!ops->begin_block(ops->user, grid, index)) {
		grid->nr_left++;
		return 0;
	}
	item->runs[at / 8] |= (uint8_t)(1u << (at % 8));
	return 1;
}

static int next_would_leave(const struct sim_device_ops *ops, const struct remote_item *item)
{
	uint32_t index[3];

	if (item->nr_decided >= item->grid->nr_blocks)
		return 0;
	grid_block_index(item->grid, item->nr_decided, index);
	return ops->would_leave(ops->user, item->grid, index);
}

/* Blocks that come next and leave. One that changed its mind in between runs, and is the last. */
static uint64_t decide_ahead(const struct sim_device_ops *ops, struct remote_item *item)
{
	uint64_t until = item->nr_decided;

	while (next_would_leave(ops, item)) {
		if (decide(ops, item))
			break;
		until = item->nr_decided;
	}
	return until;
}

/* Bits of the asked blocks that leave; how many. */
static uint32_t decide_asked(const struct sim_device_ops *ops, struct remote_item *item,
			     const struct proto_begin *asked, uint8_t *bits)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < asked->nr; i++) {
		uint64_t block = asked->first + i;
		uint32_t index[3];

		while (item->nr_decided <= block)
			(void)decide(ops, item);
		grid_block_index(item->grid, block, index);
		if (item->runs[place_of(item->grid, index) / 8] >>
			    (place_of(item->grid, index) % 8) &
		    1)
			continue;
		bits[i / 8] |= (uint8_t)(1u << (i % 8));
		nr++;
	}
	return nr;
}

static void say_leave(struct remote *remote, struct leave_buffer *leave,
		      const struct proto_begin *asked)
{
	struct proto_leave *message = &leave->message;

	message->head = asked->head;
	message->head.type = PROTO_LEAVE;
	message->head.bytes = (uint16_t)(sizeof(*message) + (asked->nr + 7) / 8);
	message->grid = asked->grid;
	message->nr = asked->nr;
	message->first = asked->first;
	wire_put(&remote->wire, message);
}

int remote_blocks_begin(struct remote *remote, struct remote_queue *queue,
			const struct proto_begin *asked)
{
	const struct sim_device_ops *ops = &remote->mirror->config.ops;
	struct remote_item *item = queue->head;
	struct leave_buffer leave;
	uint32_t nr;

	if (!item || !item->grid || item->grid->program == SIM_PROGRAM_KERNEL ||
	    asked->nr > PROTO_MAX_BEGIN || asked->first > item->grid->nr_blocks ||
	    asked->nr > item->grid->nr_blocks - asked->first)
		return -EPROTO;
	if (!item->runs)
		item->runs = calloc(item->grid->nr_blocks / 8 + 1, 1);
	if (!item->runs)
		return -ENOMEM;
	memset(&leave, 0, sizeof(leave));
	nr = decide_asked(ops, item, asked, leave.bits);
	leave.message.until = decide_ahead(ops, item);
	if (nr || leave.message.until > asked->first + asked->nr)
		say_leave(remote, &leave, asked);
	return 0;
}
