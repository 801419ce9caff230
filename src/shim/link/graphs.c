/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launches of graphs: seen to end, and charged.
 *
 * A graph's kernels were given their descriptors when it was uploaded; its launches pass through no
 * hook that could arm a record. So after each launch the stream is told to write a word into the
 * context's registered record memory (cuStreamWriteValue32), which it does when the launch has
 * ended. 512 launches a context can be awaited at once.
 *
 * Where that cannot be had (the driver refuses, all marks are in use, a context unknown to us), the
 * graph counts as unfinished as long as the times of its nodes move from one pass of the tracker to
 * the next: too short for a graph with one long kernel, never too long.
 *
 * A graph is charged to the bound as one launch, with the time that its last launches took; the
 * mask is that of its nodes, whatever may be lent at the moment. Masks stay as they are for life,
 * so an owner's graph has the owner's own TPCs and no others: with a neighbour's it could only wait
 * for them, or take them from the neighbour.
 *
 * Tested by tests/integration/link_shim.c.
 */
#include <stddef.h>

#include "base/clock.h"
#include "shim/link/link.h"
#include "shim/link/share.h"
#include "shim/slots.h"
#include "shim/split/epoch.h"
#include "shim/tenant.h"
#include "shim/track/execs.h"
#include "shim/track/kernels.h"
#include "shim/track/predict_table.h"

typedef CUresult (*write_value_fn)(CUstream stream, CUdeviceptr at, cuuint32_t value,
				   unsigned int flags);
typedef CUresult (*stream_ctx_fn)(CUstream stream, CUcontext *ctx);

/* Looked up once; a second thread that does the same finds the same. */
static struct {
	_Atomic(write_value_fn) write[2]; /* legacy default stream, per-thread default stream */
	_Atomic(stream_ctx_fn) ctx;
	_Atomic uint32_t is_known;
} driver;

static void driver_look_up(void)
{
	if (atomic_load_explicit(&driver.is_known, memory_order_acquire))
		return;
	atomic_store(&driver.write[0], (write_value_fn)slots_real("cuStreamWriteValue32_v2"));
	atomic_store(&driver.write[1], (write_value_fn)slots_real("cuStreamWriteValue32_v2_ptsz"));
	atomic_store(&driver.ctx, (stream_ctx_fn)slots_real("cuStreamGetCtx"));
	atomic_store_explicit(&driver.is_known, 1, memory_order_release);
}

/* The default streams are of the current context, others of their own. */
static struct context *context_of(struct thread_state *t, CUstream stream)
{
	stream_ctx_fn stream_ctx = atomic_load_explicit(&driver.ctx, memory_order_relaxed);
	CUcontext handle = NULL;
	CUresult err;

	if (!stream || stream == CU_STREAM_LEGACY || stream == CU_STREAM_PER_THREAD || !stream_ctx)
		err = tenant.ops.ctx_current(&handle);
	else
		err = stream_ctx(stream, &handle);
	return err ? NULL : tenant_context_of(t, handle);
}

void share_graph_launching(struct thread_state *t)
{
	activity_in_call(1);
	share_launching(t);
}

static void note_fill(struct thread_state *t, struct exec *exec, struct launch_note *note)
{
	struct share_view scratch;
	struct lend_view *lend = &view_of(t, &scratch)->lend;
	struct tpcset mask, own;

	*note = (struct launch_note){.submitted_ns = clock_now_ns(), .kernel = KERNEL_NONE};
	if (!exec || !exec_mask(exec, &mask))
		mask = lend->is_owner ? lend->own : share_reach(t);
	own = tpcset_and(mask, lend->own);
	note->own_tpcs = (uint8_t)tpcset_count(&own);
	note->borrowed_tpcs = (uint8_t)(tpcset_count(&mask) - note->own_tpcs);
	if (exec)
		note_set_slot(note, exec_slot(exec));
	share_charge(t, &mask, exec ? exec_predicted_ns(exec) : 0, note);
}

/* 0 when the stream will write a mark behind the graph. */
static int mark_write(struct thread_state *t, struct exec *exec, CUstream stream, int is_per_thread)
{
	write_value_fn write =
		atomic_load_explicit(&driver.write[is_per_thread != 0], memory_order_relaxed);
	struct context *ctx = write ? context_of(t, stream) : NULL;
	struct record_mark *mark;
	struct launch_note note;
	uint64_t address;

	if (!ctx || !atomic_load_explicit(&ctx->records_on, memory_order_relaxed) ||
	    record_mark_take(&ctx->pool, &mark, &address))
		return -1;
	note_fill(t, exec, &note);
	if (write(stream, address, mark->payload, 0)) {
		hold_end(note.charged_ns, note.ticket, note.submitted_ns);
		record_mark_give(&ctx->pool, mark);
		return -1;
	}
	record_mark_await(mark, &note);
	return 0;
}

void share_graph_launched(struct exec *exec, CUstream stream, int is_per_thread, CUresult result)
{
	struct thread_state *t = thread_self();

	driver_look_up();
	if (result == CUDA_SUCCESS && mark_write(t, exec, stream, is_per_thread)) {
		if (exec)
			exec_watch(exec);
		activity_untracked();
	}
	epoch_write(t);
	activity_in_call(-1);
}
