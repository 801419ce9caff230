/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dispatcher: one thread that submits held operations.
 *
 * Of the operations that may go (ops.h), everything but launches goes at once: it costs the owners
 * of the TPCs nothing, and programs wait for it. Of the launches, the one of the most urgent stream
 * goes first, among equals the stream that has waited longest since its last launch, if share_ask()
 * lets it; the others are asked after it, so one that needs many TPCs does not keep back those that
 * need few.
 *
 * When nothing may go it waits for the bound or for TPCs, 50 us at first and doubling to 1 ms while
 * nothing changes, and without held operations it sleeps. It never spins. The lock is given back
 * during each driver call; the operation stays in its lanes until the call returned.
 *
 * A launch may be made in atoms, or claimed (shim/split/): then its operation stays where it is
 * until the last atom was made, or the work is complete or committed. Works are looked at between
 * two operations, and get helpers then: when they stand still, or when TPCs became free.
 *
 * With the option `hold=always` launches are held for a random time up to 100 us, half of them for
 * none: for tests of order.
 *
 * What it does badly: one thread makes all driver calls, so a call that the driver blocks (its own
 * queue is full) keeps others waiting. Tested by tests/unit/queue_order.c.
 */
#include "shim/queue/dispatch.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/quiet_thread.h"
#include "shim/link/share.h"
#include "shim/queue/driver.h"
#include "shim/queue/launch.h"
#include "shim/split/claim.h"
#include "shim/split/epoch.h"
#include "shim/split/plan.h"
#include "shim/thread.h"
#include "shim/track/predict_table.h"

#define PAUSE_MIN_NS  50000u
#define PAUSE_MAX_NS  1000000u
#define STOP_LIMIT_NS 1000000000u
#define DELAY_MAX_NS  100000u
#define WORK_PAUSE_NS 100000u /* without a daemon nobody wakes the dispatcher when a work ends */

static struct {
	pthread_t thread;
	CUcontext current; /* in the dispatcher's thread; NULL = unknown */
	uint64_t serves;
	uint64_t seed; /* 0 = no delays */
	uint64_t pause_ns;
	int exit_registered;
} dispatch = {.pause_ns = PAUSE_MIN_NS};

static _Thread_local int is_dispatcher __attribute__((tls_model("initial-exec")));

int dispatch_is_self(void)
{
	return is_dispatcher;
}

void dispatch_seed(uint64_t seed)
{
	dispatch.seed = seed;
}

/* xorshift64 (Marsaglia 2003). */
static uint64_t next_random(void)
{
	dispatch.seed ^= dispatch.seed << 13;
	dispatch.seed ^= dispatch.seed >> 7;
	dispatch.seed ^= dispatch.seed << 17;
	return dispatch.seed;
}

/* --- errors ----------------------------------------------------------------------------------- */

/* What every later call of the context answers as well. */
static int is_for_good(CUresult error)
{
	switch (error) {
	case CUDA_ERROR_ECC_UNCORRECTABLE:
	case CUDA_ERROR_CONTAINED:
	case CUDA_ERROR_ILLEGAL_ADDRESS:
	case CUDA_ERROR_LAUNCH_TIMEOUT:
	case CUDA_ERROR_CONTEXT_IS_DESTROYED:
	case CUDA_ERROR_ASSERT:
	case CUDA_ERROR_HARDWARE_STACK_ERROR:
	case CUDA_ERROR_ILLEGAL_INSTRUCTION:
	case CUDA_ERROR_MISALIGNED_ADDRESS:
	case CUDA_ERROR_INVALID_ADDRESS_SPACE:
	case CUDA_ERROR_INVALID_PC:
	case CUDA_ERROR_LAUNCH_FAILED:
	case CUDA_ERROR_EXTERNAL_DEVICE:
	case CUDA_ERROR_MPS_CONNECTION_FAILED:
	case CUDA_ERROR_MPS_RPC_FAILURE:
	case CUDA_ERROR_MPS_CLIENT_TERMINATED:
	case CUDA_ERROR_UNKNOWN:
		return 1;
	default:
		return 0;
	}
}

static uint32_t state_of_error(CUresult error)
{
	if (error == CUDA_SUCCESS)
		return 0;
	return is_for_good(error) ? STATE_DEAD : STATE_ERROR;
}

static void note_error_locked(CUcontext ctx, CUresult error)
{
	struct lane_group *group = group_get_locked(ctx);

	thread_count(STATS_queue_failed);
	if (share_is_on())
		share_failed(error);
	if (!group || group->error)
		return;
	group->error = error;
	(void)atomic_fetch_or_explicit(&queue_state, state_of_error(error), memory_order_relaxed);
}

/* The bits say what is left. */
static void errors_changed_locked(void)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < MAX_GROUPS; i++)
		left |= state_of_error(queue.group[i].error);
	(void)atomic_fetch_and_explicit(&queue_state, ~(STATE_DEAD | STATE_ERROR) | left,
					memory_order_relaxed);
}

static CUresult take_error(CUcontext ctx, uint32_t states)
{
	struct lane_group *group;
	CUresult error = CUDA_SUCCESS;

	(void)pthread_mutex_lock(&queue.lock);
	group = ctx ? group_get_locked(ctx) : NULL;
	if (group && (state_of_error(group->error) & states)) {
		error = group->error;
		group->error = CUDA_SUCCESS;
		errors_changed_locked();
	}
	(void)pthread_mutex_unlock(&queue.lock);
	return error;
}

CUresult dispatch_take_error(CUcontext ctx)
{
	return take_error(ctx, STATE_DEAD | STATE_ERROR);
}

CUresult dispatch_take_dead(CUcontext ctx)
{
	return take_error(ctx, STATE_DEAD);
}

/* --- which one -------------------------------------------------------------------------------- */

/* What a pass over the lanes found. */
struct pass {
	uint64_t now_ns;
	uint64_t wait_ns; /* until the next due operation */
};

/* With the option `hold` a launch is due some time after the dispatcher first saw it. */
static int is_due(struct op *op, struct pass *pass)
{
	if (dispatch.seed && !op->due_ns) {
		uint64_t random = next_random();
		op->due_ns = pass->now_ns + (random & 1 ? (random >> 8) % DELAY_MAX_NS : 0);
	}
	if (!time_before(pass->now_ns, op->due_ns))
		return 1;
	if (op->due_ns - pass->now_ns < pass->wait_ns)
		pass->wait_ns = op->due_ns - pass->now_ns;
	return 0;
}

/* Asked anew each time: what was unknown when it was held may be known by now. */
static int share_lets(const struct op *op)
{
	struct share_request request = {.min_tpcs = op->min_tpcs, .held_since_ns = op->held_ns};
	struct tpcset mask;

	if (!op->device || !share_may_hold())
		return 1;
	if (op->func) {
		request.predicted_ns = plan_predict(thread_self(), op);
		request.is_revocable = (uint32_t)plan_is_revocable(thread_self(), op);
	}
	if (op->exec)
		launch_describe_graph(op->exec, &request, &mask);
	return share_ask(op->device, &request) == SHARE_GO;
}

/* The operation of a lane that may go now, or NULL. */
static struct op *lane_candidate(const struct lane *lane, struct pass *pass)
{
	struct op *op = lane->first.head;

	if (!op || !op_may_go_locked(op))
		return NULL;
	if (op->is_launch && !queue.is_stopping && !is_due(op, pass))
		return NULL;
	return op;
}

static int goes_before(const struct op *a, const struct op *b)
{
	const struct lane *x = a->lane[0], *y = b->lane[0];

	if (x->priority != y->priority)
		return x->priority < y->priority;
	if (x->served != y->served)
		return x->served < y->served;
	return a->number < b->number;
}

/* A call that is no launch, at once; or the launch whose turn it is. */
static struct op *pick_first(struct pass *pass)
{
	struct op *best = NULL;

	for (const struct lane *lane = queue.active; lane; lane = lane->next_active) {
		struct op *op = lane_candidate(lane, pass);
		if (op && !op->is_launch)
			return op;
		if (op && (!best || goes_before(op, best)))
			best = op;
	}
	return best;
}

static struct op *pick_locked(struct pass *pass)
{
	struct op *best = pick_first(pass);

	/* Of an earlier pass; none of this one may be asked about. */
	thread_self()->asked.func = NULL;
	thread_self()->may_borrow = 0;
	if (!best || !best->is_launch || queue.is_stopping || share_lets(best))
		return best;
	for (const struct lane *lane = queue.active; lane; lane = lane->next_active) {
		struct op *op = lane_candidate(lane, pass);
		if (op && op != best && share_lets(op))
			return op;
	}
	return NULL;
}

/* --- the thread ------------------------------------------------------------------------------- */

static CUresult context_enter(CUcontext ctx)
{
	CUresult result = CUDA_SUCCESS;

	if (ctx != dispatch.current)
		result = queue_driver.ctx_set_current(ctx);
	/* What is current after an error nobody knows. */
	dispatch.current = result == CUDA_SUCCESS ? ctx : NULL;
	return result;
}

/* The operation is the driver's alone from here on. */
static void leave_lanes_locked(struct op *op)
{
	/* Without work the context may be destroyed, and its handle given to another. */
	if (queue.all.head == op && queue.all.tail == op)
		dispatch.current = NULL;
	op_remove_locked(op);
	op_free_locked(op);
	if (queue.nr_waiters)
		(void)pthread_cond_broadcast(&queue.submitted);
}

/* 1 when something was submitted. */
static int submit_locked(struct op *op)
{
	CUresult result;

	op->in_submission = 1;
	op->next = PLAN_DONE;
	if (op->is_launch)
		op->lane[0]->served = ++dispatch.serves;
	if (op->is_last_of_lane)
		lane_hide_locked(op->lane[0]);
	(void)pthread_mutex_unlock(&queue.lock);
	result = context_enter(op->ctx);
	if (result == CUDA_SUCCESS)
		result = op->submit(op);
	/* Also when nothing was launched. */
	epoch_write(thread_self());
	(void)pthread_mutex_lock(&queue.lock);
	if (result != CUDA_SUCCESS)
		note_error_locked(op->ctx, result);
	if (op->next == PLAN_DONE)
		leave_lanes_locked(op);
	else if (op->next != PLAN_STAYS)
		op->in_submission = 0;
	return op->next != PLAN_LATER;
}

/* --- works ------------------------------------------------------------------------------------ */

/* A program learns of a rescue that failed; a work that does not grow is none of its business. */
static void help_locked(struct op *op, enum claim_help help)
{
	CUresult result;

	(void)pthread_mutex_unlock(&queue.lock);
	result = context_enter(op->ctx);
	if (result == CUDA_SUCCESS)
		result = launch_help(op, help);
	epoch_write(thread_self());
	(void)pthread_mutex_lock(&queue.lock);
	if (result != CUDA_SUCCESS && help == HELP_RESCUE)
		note_error_locked(op->ctx, result);
}

/* 1 when an operation left its lanes or may go again. */
static int work_happened_locked(enum work_event event, struct op *op)
{
	switch (event) {
	case WORK_DONE:
	case WORK_COMMITTED:
		leave_lanes_locked(op);
		return 1;
	case WORK_CUT:
		op->in_submission = 0;
		op->held_ns = clock_now_ns();
		return 1;
	case WORK_STUCK:
		help_locked(op, HELP_RESCUE);
		return 0;
	case WORK_GROWS:
		help_locked(op, HELP_GROW);
		return 0;
	case WORK_NOTHING:
	default:
		return 0;
	}
}

/* Looks at all works; 1 when that changed what may go. */
static int works_step_locked(struct pass *pass)
{
	struct work_look look = {
		.now_ns = pass->now_ns,
		.remaining_ns = share_remaining_ns(pass->now_ns),
		.nr_outstanding = share_nr_outstanding(),
		.is_awaited = queue.nr_waiters || queue.all.head != queue.all.tail,
	};
	uint64_t next_ns = pass->now_ns + pass->wait_ns;
	int is_new = 0;

	for (uint32_t i = 0; claim_any() && i < CLAIM_MAX_WORKS; i++) {
		struct op *op = NULL;
		enum work_event event;
		/* Operations of works stay where they are meanwhile: only this thread removes
		 * them. */
		(void)pthread_mutex_unlock(&queue.lock);
		look.is_current = context_enter(claim_context()) == CUDA_SUCCESS;
		event = claim_look(i, &look, &op, &next_ns);
		(void)pthread_mutex_lock(&queue.lock);
		is_new |= work_happened_locked(event, op);
	}
	pass->wait_ns = time_before(pass->now_ns, next_ns) ? next_ns - pass->now_ns : 1;
	return is_new;
}

static uint64_t nr_held(void)
{
	return atomic_load_explicit(&queue_state, memory_order_relaxed) & STATE_HELD;
}

static void pause_locked(uint64_t timeout_ns)
{
	struct timespec span = {.tv_nsec = (long)timeout_ns};

	/* Who comes behind a claimed launch is awaited from then on: that changes when it is
	 * committed. */
	queue.dispatcher_naps = claim_any() && queue.all.head == queue.all.tail;
	(void)pthread_mutex_unlock(&queue.lock);
	if (!share_is_on() && claim_any() && timeout_ns > WORK_PAUSE_NS)
		span.tv_nsec = WORK_PAUSE_NS;
	if (share_is_on()) {
		share_queued(nr_held());
		share_wait(timeout_ns);
	} else {
		(void)nanosleep(&span, NULL);
	}
	(void)pthread_mutex_lock(&queue.lock);
	queue.dispatcher_naps = 0;
}

static void sleep_locked(void)
{
	if (share_is_on())
		share_queued(0);
	while (!queue.all.head && !queue.is_stopping) {
		queue.dispatcher_sleeps = 1;
		(void)pthread_cond_wait(&queue.work, &queue.lock);
	}
	queue.dispatcher_sleeps = 0;
}

static void step_locked(void)
{
	struct pass pass = {.now_ns = clock_now_ns(), .wait_ns = dispatch.pause_ns};
	struct op *op;

	if (claim_any() && works_step_locked(&pass))
		dispatch.pause_ns = PAUSE_MIN_NS;
	op = pick_locked(&pass);
	if (op && submit_locked(op)) {
		dispatch.pause_ns = PAUSE_MIN_NS;
	} else if (queue.all.head) {
		pause_locked(pass.wait_ns);
		if (dispatch.pause_ns < PAUSE_MAX_NS)
			dispatch.pause_ns *= 2;
		if (dispatch.pause_ns > PAUSE_MAX_NS)
			dispatch.pause_ns = PAUSE_MAX_NS;
	} else if (claim_any()) {
		/* Committed works whose records have not come. */
		pause_locked(pass.wait_ns);
	} else {
		sleep_locked();
	}
}

static void *dispatch_main(void *unused)
{
	CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;

	is_dispatcher = 1;
	/* Of this thread alone: it wakes when a kernel is about to end, not 50 us later. */
	quiet_thread_wake_on_time();
	/* What it calls must not disturb a capture that the program has under way. */
	(void)queue_driver.exchange_capture_mode(&mode);
	(void)pthread_mutex_lock(&queue.lock);
	while (!queue.is_stopping || queue.all.head)
		step_locked();
	queue.dispatcher_runs = 0;
	(void)pthread_cond_broadcast(&queue.submitted);
	(void)pthread_mutex_unlock(&queue.lock);
	return unused;
}

static __attribute__((noinline)) int dispatch_start_slow_locked(void)
{
	if (quiet_thread_start(&dispatch.thread, 0, dispatch_main, NULL))
		return 0;
	queue.dispatcher_runs = 1;
	/* Later than the driver's own, which a context has registered, and so before it. */
	if (!dispatch.exit_registered)
		dispatch.exit_registered = atexit(dispatch_stop) == 0;
	return 1;
}

int dispatch_ready_locked(void)
{
	if (queue.is_stopping)
		return 0;
	return queue.dispatcher_runs ? 1 : dispatch_start_slow_locked();
}

void dispatch_wake_locked(void)
{
	if (queue.dispatcher_naps) {
		queue.dispatcher_naps = 0;
		share_wake();
	}
	if (!queue.dispatcher_sleeps)
		return;
	/* Once is enough: more operations may come before it runs. */
	queue.dispatcher_sleeps = 0;
	(void)pthread_cond_signal(&queue.work);
}

void dispatch_room_slow_locked(void)
{
	while (nr_held() >= QUEUE_MAX_OPS) {
		queue.nr_waiters++;
		(void)pthread_cond_wait(&queue.submitted, &queue.lock);
		queue.nr_waiters--;
	}
}

void dispatch_stop(void)
{
	struct timespec limit;
	int was_running, err = 0;

	(void)clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += STOP_LIMIT_NS / 1000000000u;
	(void)pthread_mutex_lock(&queue.lock);
	was_running = (int)queue.dispatcher_runs;
	queue.is_stopping = 1;
	(void)pthread_cond_broadcast(&queue.work);
	queue.nr_waiters++;
	while (queue.dispatcher_runs && err == 0)
		err = pthread_cond_timedwait(&queue.submitted, &queue.lock, &limit);
	queue.nr_waiters--;
	(void)pthread_mutex_unlock(&queue.lock);
	if (!was_running)
		return;
	if (err)
		(void)pthread_detach(dispatch.thread);
	else
		(void)pthread_join(dispatch.thread, NULL);
}

void dispatch_after_fork(void)
{
	dispatch.current = NULL;
	is_dispatcher = 0;
}
