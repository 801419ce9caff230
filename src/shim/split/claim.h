/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Works: claimed launches from their first launch until every block has run.
 *
 * Glossary
 *   work      the claimed launches of one launch of the program: the first, those that resume it,
 *             and helpers
 *   helper    a launch beside another one of the work, in a stream of ours
 *   told      an owner's epoch has moved: blocks that have not begun leave
 *   commit    the work is not told any more, so what follows it in its stream may be launched
 *
 * The operation of a work stays in its lanes until the work is complete or committed. All of it is
 * the dispatcher's, but claim_nr_works().
 */
#ifndef LITHOS_SHIM_SPLIT_CLAIM_H
#define LITHOS_SHIM_SPLIT_CLAIM_H

#include <stdint.h>

#include "shim/cuda_api.h"
#include "shim/split/edit.h"
#include "shim/split/epoch.h"

struct op;
struct work;

enum work_event {
	WORK_NOTHING,
	WORK_DONE,      /* complete: the operation may leave its lanes; the work is gone */
	WORK_COMMITTED, /* the operation may leave its lanes */
	WORK_CUT,       /* blocks were left: the operation goes again */
	WORK_STUCK,     /* told to go long ago and still there: a helper may free it */
	WORK_GROWS,     /* TPCs became free that a helper may use */
};

enum claim_help {
	HELP_RESCUE, /* told by nobody, on all TPCs: gives blocks room that others wait for */
	HELP_GROW,   /* on TPCs that became free, told by their owners */
	NR_HELPS
};

#define CLAIM_MAX_WORKS 32u

/* What works need of the arena's context, which is current and being made. */
void claim_open(void);

/* Works that launches on the GPU belong to. Any thread. */
uint32_t claim_nr_works(void);

/*
 * A work for a launch of so many blocks (of one wave: all of them begin at once), and its first
 * edit; NULL when words, runs or works are short.
 */
struct work *claim_begin(struct op *op, const struct epoch_coverage *coverage, uint64_t nr_blocks,
			 int is_one_wave, struct split_edit *ret_edit);

/* The edit that resumes a work, with new covers; -EAGAIN without a free run. */
int claim_resume(struct work *work, const struct epoch_coverage *coverage,
		 struct split_edit *ret_edit);

/*
 * The driver is about to be called for the first launch of a work, in this stream: notes what is in
 * front of it there, so that no helper begins before that has ended. About a microsecond.
 */
void claim_mark(struct work *work, CUstream stream);

/*
 * The edit of a helper, and the stream to launch it in, which waits for what was in front of the
 * work's first launch. -EAGAIN without a free run or free TPCs, or when there must be no helper
 * (now); -E2BIG as epoch_cover_lendable(); -EIO. Makes a stream at the first help of a kind.
 */
int claim_help(struct work *work, enum claim_help help, struct split_edit *ret_edit,
	       CUstream *ret_stream);

/*
 * What a kernel with so much time left on some TPCs would gain by more of them; 0 when that is not
 * worth a helper.
 */
uint64_t claim_gain_ns(uint64_t left_ns, const struct tpcset *has, const struct tpcset *more);

/* The driver's launch call with the edit came back: what was launched is under way, or was not. */
void claim_launched(struct work *work, const struct split_edit *edit, uint64_t now_ns,
		    uint64_t predicted_ns);

/* Predicted time of what is left of a work that was cut. */
uint64_t claim_left_ns(const struct work *work);

/* Nothing of the work was launched: forgets it. */
void claim_abandon(struct work *work);

/* What the dispatcher knows of a work that it looks at. */
struct work_look {
	uint64_t now_ns;
	uint64_t remaining_ns; /* predicted, of all borrowed work outstanding; UINT64_MAX unknown */
	uint32_t
		nr_outstanding; /* launches of borrowed work, itself included; UINT32_MAX unknown */
	int is_awaited;         /* something is held behind it */
	int is_current;         /* claim_context() is: the driver may be called */
};

/*
 * Looks at one work, by place (0 to CLAIM_MAX_WORKS - 1); *ret_op its operation, *ret_next_ns
 * lowered to when to look again. Calls the driver to commit: queue.lock must not be held, the
 * arena's context current.
 */
enum work_event claim_look(uint32_t place, const struct work_look *look, struct op **ret_op,
			   uint64_t *ret_next_ns);

/* The context of all works. */
CUcontext claim_context(void);

/* 1 when any work is under way or waits to be resumed. */
int claim_any(void);

/* For the option `split=preempt:US`: all claimed launches of the moment are told to go, so
 * often. */
void claim_force_cut(uint64_t every_ns);

void claim_after_fork(void);

#endif
