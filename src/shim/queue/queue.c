/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue as a whole: when it is put in front of the driver, and when it ends.
 *
 * Programs without a daemon never get here: the entries lead past it. It is put in front once, when
 * the process becomes a tenant that may have to hold launches back, by pointing the entries of
 * calls.def at it. The dispatcher starts with the first operation that is held.
 *
 * Tested by tests/unit/queue_order.c and by the programs of tests/programs with the option
 * `hold=always`.
 */
#include "shim/queue/queue.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "shim/queue/calls.h"
#include "shim/queue/dispatch.h"
#include "shim/queue/driver.h"
#include "shim/queue/funcs.h"
#include "shim/queue/mode.h"
#include "shim/queue/ops.h"
#include "shim/queue/priority.h"
#include "shim/queue/sure.h"
#include "shim/slots.h"
#include "shim/split/claim.h"
#include "shim/split/plan.h"
#include "shim/tenant.h"

#define HOLD_ALWAYS "always"

struct queue_driver queue_driver;

static struct {
	pthread_mutex_t lock;
	int is_started;
} start = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int hold_is_always(void)
{
	return strncmp(tenant.options.hold, HOLD_ALWAYS, sizeof(HOLD_ALWAYS) - 1) == 0;
}

int queue_is_forced(void)
{
	return hold_is_always() || plan_is_forced();
}

int queue_never_holds(void)
{
	return tenant.options.hold[0] == 'o';
}

int queue_is_busy(void)
{
	return (atomic_load_explicit(&queue_state, memory_order_relaxed) & STATE_HELD) != 0;
}

static void *lookup(const char *symbol, int *missing)
{
	void *real = slots_real(symbol);

	if (!real)
		*missing = 1;
	return real;
}

static int driver_load(void)
{
	struct queue_driver *d = &queue_driver;
	int missing = 0;

	d->ctx_current = lookup("cuCtxGetCurrent", &missing);
	d->ctx_set_current = lookup("cuCtxSetCurrent", &missing);
	d->exchange_capture_mode = lookup("cuThreadExchangeStreamCaptureMode", &missing);
	d->stream_create = lookup("cuStreamCreate", &missing);
	d->stream_create_with_priority = lookup("cuStreamCreateWithPriority", &missing);
	d->stream_flags = lookup("cuStreamGetFlags", &missing);
	d->stream_priority = lookup("cuStreamGetPriority", &missing);
	d->stream_context = lookup("cuStreamGetCtx", &missing);
	d->stream_capturing = lookup("cuStreamIsCapturing", &missing);
	d->pointer_attribute = lookup("cuPointerGetAttribute", &missing);
	d->func_attribute = lookup("cuFuncGetAttribute", &missing);
	d->func_param = lookup("cuFuncGetParamInfo", &missing);
	d->kernel_param = lookup("cuKernelGetParamInfo", &missing);
	d->kernel_function = lookup("cuKernelGetFunction", &missing);
	return missing ? -ENOSYS : 0;
}

/* "always" or "always:SEED"; the delays of equal seeds are equal as far as threads allow. */
static void force(void)
{
	const char *seed = tenant.options.hold + sizeof(HOLD_ALWAYS) - 1;
	uint64_t value = *seed == ':' ? strtoull(seed + 1, NULL, 10) : 0;

	if (hold_is_always())
		dispatch_seed(value ? value : 1);
	(void)atomic_fetch_or_explicit(&queue_state, STATE_FORCED, memory_order_relaxed);
}

static int queue_start_locked(void)
{
	int err;

	if (start.is_started)
		return 0;
	err = driver_load();
	if (err) {
		thread_count(STATS_queue_missing);
		return err;
	}
	err = pthread_atfork(NULL, NULL, queue_after_fork);
	if (err)
		return -err;
	calls_start();
	priority_start();
	sure_start();
	if (queue_is_forced())
		force();
	slots_install_calls(call_rows, nr_call_rows);
	start.is_started = 1;
	return 0;
}

int queue_start(void)
{
	int err;

	(void)pthread_mutex_lock(&start.lock);
	err = queue_start_locked();
	(void)pthread_mutex_unlock(&start.lock);
	return err;
}

void queue_context_gone(CUcontext ctx)
{
	if (atomic_load_explicit(&queue_state, memory_order_relaxed) & (STATE_DEAD | STATE_ERROR))
		(void)dispatch_take_error(ctx);
}

void queue_stop(void)
{
	dispatch_stop();
}

void queue_after_fork(void)
{
	(void)pthread_mutex_init(&start.lock, NULL);
	ops_after_fork();
	funcs_after_fork();
	dispatch_after_fork();
	claim_after_fork();
	priority_after_fork();
	if (start.is_started && queue_is_forced())
		force();
}
