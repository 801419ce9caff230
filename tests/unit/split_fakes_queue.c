/* SPDX-License-Identifier: Apache-2.0 */
/* Splitting, for the queue's tests: every launch is made whole. */
#include <stddef.h>

#include "shim/link/share.h"
#include "shim/queue/ops.h"
#include "shim/split/claim.h"
#include "shim/split/epoch.h"
#include "shim/split/plan.h"
#include "shim/track/predict_table.h"

int plan_is_forced(void)
{
	return 0;
}

int plan_wants(const struct thread_state *t)
{
	(void)t;
	return 0;
}

int plan_is_revocable(const struct thread_state *t, const struct op *op)
{
	(void)t;
	return op->work != NULL;
}

uint64_t plan_predict(struct thread_state *t, const struct op *op)
{
	return predict_of(t, op->func, op->nr_blocks, op->nr_threads, op->path);
}

enum plan_next plan_begin(struct thread_state *t, struct op *op, CUstream stream)
{
	(void)stream;
	(void)t;
	(void)op;
	return PLAN_DONE;
}

enum plan_next plan_end(struct thread_state *t, struct op *op, CUresult result)
{
	(void)t;
	(void)op;
	(void)result;
	return PLAN_DONE;
}

void plan_mark(CUstream stream)
{
	(void)stream;
}

int plan_help_begin(struct thread_state *t, struct op *op, enum claim_help help,
		    CUstream *ret_stream)
{
	(void)t;
	(void)op;
	(void)help;
	(void)ret_stream;
	return -1;
}

void plan_help_end(struct thread_state *t, struct op *op, CUresult result)
{
	(void)t;
	(void)op;
	(void)result;
}

int claim_any(void)
{
	return 0;
}

CUcontext claim_context(void)
{
	return NULL;
}

enum work_event claim_look(uint32_t place, const struct work_look *look, struct op **ret_op,
			   uint64_t *ret_next_ns)
{
	(void)place;
	(void)ret_op;
	*ret_next_ns = look->now_ns;
	return WORK_NOTHING;
}

void claim_after_fork(void)
{
}

uint32_t share_nr_outstanding(void)
{
	return UINT32_MAX;
}

void share_wake(void)
{
}

uint64_t share_remaining_ns(uint64_t now_ns)
{
	(void)now_ns;
	return UINT64_MAX;
}

void epoch_write_slow(struct thread_state *t)
{
	(void)t;
}
