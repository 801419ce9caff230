/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the dispatcher makes the launch of a held operation: whole, one more atom, or claimed.
 */
#ifndef LITHOS_SHIM_SPLIT_PLAN_H
#define LITHOS_SHIM_SPLIT_PLAN_H

#include <stdint.h>

#include "shim/cuda_api.h"
#include "shim/split/claim.h"
#include "shim/split/edit.h"

struct op;
struct qmd_grid;
struct thread_state;

/* Reads the option `split`. 1 when it forces a way, so that every launch must be held; at load. */
int plan_read_option(const char *text);
int plan_is_forced(void);

/* 1 when nothing is split. */
int plan_is_off(void);

/*
 * 1 when the launch that the predictor was just asked about should come by the dispatcher, which
 * may split it. About a nanosecond for short ones.
 */
int plan_wants(const struct thread_state *t);

/* The descriptor hook: what is learnt of a launch when its shape is first seen. */
int plan_knows_shape(uint32_t slot);
void plan_note_shape(uint32_t slot, CUfunction func, const struct qmd_grid *grid,
		     uint32_t blocks_per_sm);

/* --- the dispatcher --- */

enum plan_next {
	PLAN_DONE,  /* launched for good: the operation leaves its lanes */
	PLAN_AGAIN, /* more of it is to be launched when share_ask() lets it */
	PLAN_STAYS, /* claimed: it leaves its lanes when the work says so */
	PLAN_LATER, /* nothing could be launched now, try again after a completion */
};

/* Predicted time of what would be launched next; 0 unknown. Asks the predictor for the shape. */
uint64_t plan_predict(struct thread_state *t, const struct op *op);

/* 1 when what would be launched next leaves the GPU once it is told; after plan_predict(). */
int plan_is_revocable(const struct thread_state *t, const struct op *op);

/*
 * Before the driver's launch call for this stream: t->split is set when the launch is split.
 * PLAN_LATER: no call may be made now. 0 otherwise. queue.lock not held, the operation's context
 * current.
 */
enum plan_next plan_begin(struct thread_state *t, struct op *op, CUstream stream);

/* After it. */
enum plan_next plan_end(struct thread_state *t, struct op *op, CUresult result);

/* Between the two, right before the driver's call for a launch that is split, in this stream. */
void plan_mark(CUstream stream);

/* A helper for the work of an operation: before and after its launch in the stream that is
 * returned. */
int plan_help_begin(struct thread_state *t, struct op *op, enum claim_help help,
		    CUstream *ret_stream);
void plan_help_end(struct thread_state *t, struct op *op, CUresult result);

#endif
