/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launch path: mask and completion record, written into the descriptor.
 *
 * Called by the driver, in the launching thread, for every grid it is about to upload, whatever API
 * or graph it came from. An ordinary grid of the verified version takes the short way: OR the
 * quota's complement into the disable mask, point release 1 at the next record, note the
 * submission. Budget: 150 ns with both (bench_calls); no lock, no allocation, no system call but
 * the vDSO clock.
 *
 * Cluster and cooperative grids, and descriptors that already carry a mask, go through sched/fit.h,
 * which guarantees a real TPC and enough of them. Versions other than V04_00 go through the tables,
 * if the user allowed them by name; otherwise the descriptor is left as it is.
 *
 * In a process that shares its GPU (link/share.h) the mask is that of this moment, and the note of
 * the launch says what it was charged to the bound and where its time is learned: shared.* below.
 * The order at the end matters: the record is armed before the launch is counted as begun
 * (link/activity.c).
 *
 * A launch that the dispatcher splits (split/edit.h) is redirected after it was given its mask and
 * its record. What splitting must know of a kernel is noted when its shape is first seen.
 *
 * A graph's nodes come through here once, when the graph is uploaded; their records live with the
 * graph (track/execs.h).
 *
 * Tested by tests/integration on the simulated GPU, which obeys what the descriptor says.
 */
#include "shim/qmd_hook.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

#include <lithos/stats.h>

#include "base/clock.h"
#include "base/log.h"
#include "hw/prelude/prelude.h"
#include "hw/qmd.h"
#include "hw/qmd_allow.h"
#include "hw/qmd_fast.h"
#include "hw/topo_probe.h"
#include "sched/fit.h"
#include "shim/link/link.h"
#include "shim/link/share.h"
#include "shim/link/unconfined.h"
#include "shim/split/arena.h"
#include "shim/split/code.h"
#include "shim/split/edit.h"
#include "shim/split/epoch.h"
#include "shim/split/plan.h"
#include "shim/tenant.h"
#include "shim/track/execs.h"
#include "shim/track/kernels.h"
#include "shim/track/predict_table.h"
#include "shim/track/rows.h"

#define unlikely(x) __builtin_expect(!!(x), 0)

/* What one launch was given, for its kernel's row. */
struct launch {
	const struct qmd_event *event;
	struct thread_state *thread;
	struct context *ctx;
	const struct qmd_layout *layout; /* NULL: V04_00, edited by qmd_fast.h */
	CUfunction func;                 /* as the program names it */
	uint32_t tpcs;
	uint32_t flags; /* STATS_KERNEL_* */
	/* Only when the device is shared: */
	uint64_t now_ns;
	struct share_grid grid;
};

const char *qmd_hook_kernel_name(CUfunction func)
{
	const char *name = NULL;

	if (!func || tenant.ops.func_name(&name, func) != CUDA_SUCCESS)
		return NULL;
	return name;
}

/* The table of the launch's version, V04_00's too, for what has no short way. */
static const struct qmd_layout *layout_of(const struct launch *launch)
{
	return launch->layout ? launch->layout : qmd_layout_by_name("V04_00");
}

static void restrict_to(const struct launch *launch, const struct tpcset *allowed)
{
	struct tpcset disable = tpcset_not(*allowed);

	if (launch->layout)
		(void)qmd_restrict(launch->layout, launch->event->qmd, allowed);
	else
		qmd_v04_00_restrict(launch->event->qmd, &disable);
}

static void note_fit(struct launch *launch, int fit)
{
	if (fit == FIT_WIDENED) {
		launch->flags |= STATS_KERNEL_WIDENED;
		thread_count(STATS_mask_widened);
	} else if (fit == FIT_DRIVER_DECIDES) {
		thread_count(STATS_mask_conflict);
	}
}

/* Grids that need a decision. A grid that no set holds for certain is left to the driver's own
 * mask. */
static __attribute__((noinline)) void mask_slow(struct launch *launch)
{
	const struct device *device = launch->ctx->device;
	const struct qmd_layout *layout = layout_of(launch);
	struct tpcset allowed, disabled;
	struct qmd_grid grid;
	int fit;

	if (qmd_decode_grid(layout, launch->event->qmd, &grid))
		return;
	fit = fit_mask(&device->topo, &device->allowed, &grid,
		       occupancy_blocks_per_sm(&device->limits, &grid), &allowed);
	if (fit < 0) {
		thread_count(STATS_mask_conflict);
		return;
	}
	note_fit(launch, fit);
	if (fit != FIT_DRIVER_DECIDES)
		restrict_to(launch, &allowed);
	disabled = tpcset_andnot(tpcset_and(allowed, device->topo.present), grid.disabled);
	launch->tpcs = tpcset_count(&disabled);
	thread_count(STATS_qmd_masked);
}

static void mask(struct launch *launch)
{
	const struct device *device = launch->ctx->device;
	uint32_t *words = launch->event->qmd;

	/* Where there is room: beside the blocks that wait for it. */
	if (unlikely(launch->thread->split && launch->thread->split->is_everywhere))
		return;
	if (unlikely(launch->layout || qmd_v04_00_type(words) != QMD_GRID_ORDINARY ||
		     qmd_v04_00_mask_counts(words))) {
		mask_slow(launch);
		return;
	}
	qmd_v04_00_restrict(words, &device->disable);
	launch->tpcs = device->nr_allowed;
	thread_count_in(launch->thread, STATS_qmd_masked);
}

/* --- a shared device ------------------------------------------------------------------------- */

/* The topology with nothing but `reach` in it: no grid is widened beyond. */
static void topology_of_reach(const struct topology *topo, const struct tpcset *reach,
			      struct topology *ret_part)
{
	*ret_part = *topo;
	ret_part->present = tpcset_and(topo->present, *reach);
	for (uint32_t g = 0; g < topo->nr_gpcs; g++)
		ret_part->gpc[g] = tpcset_and(topo->gpc[g], *reach);
}

static int fit_in_reach(const struct launch *launch, const struct qmd_grid *grid,
			const struct tpcset *reach, struct tpcset *ret_allowed)
{
	const struct device *device = launch->ctx->device;
	uint32_t per_sm = occupancy_blocks_per_sm(&device->limits, grid);
	struct tpcset start = tpcset_and(launch->grid.allowed, *reach);
	struct topology part;
	int fit;

	topology_of_reach(&device->topo, reach, &part);
	fit = fit_mask(&part, &start, grid, per_sm, ret_allowed);
	/* A gang starts when all its blocks have room: it takes all it may have, and waits
	 * there. */
	if (fit == FIT_WIDENED && qmd_grid_is_cooperative(grid))
		*ret_allowed = *reach;
	return fit;
}

/*
 * Where a cluster or a gang runs: on what may be used now; else on some of what is the tenant's at
 * this turn, although an owner may be back; else with TPCs that nobody owns. What none of these
 * holds would hang for ever, and with it the program: it gets the fewest others that hold it,
 * counted.
 */
static int fit_shared(const struct launch *launch, const struct qmd_grid *grid,
		      struct tpcset *ret_allowed)
{
	struct tpcset reach = share_reach(launch->thread);
	int fit = fit_in_reach(launch, grid, &reach, ret_allowed);

	if (fit != -E2BIG)
		return fit;
	reach = tpcset_or(reach, share_unowned(launch->thread));
	fit = fit_in_reach(launch, grid, &reach, ret_allowed);
	if (fit != -E2BIG)
		return fit;
	thread_count(STATS_share_foreign);
	return fit_mask(&launch->ctx->device->topo, &launch->grid.allowed, grid,
			occupancy_blocks_per_sm(&launch->ctx->device->limits, grid), ret_allowed);
}

/* What the launch got in the end, beside what it might have had. */
static void grid_recount(struct launch *launch, const struct tpcset *allowed)
{
	struct tpcset own = share_own(launch->thread);

	own = tpcset_and(own, *allowed);
	launch->grid.allowed = *allowed;
	launch->grid.nr_own = tpcset_count(&own);
	launch->grid.nr_borrowed = tpcset_count(allowed) - launch->grid.nr_own;
	launch->tpcs = launch->grid.nr_own + launch->grid.nr_borrowed;
}

static __attribute__((noinline)) void mask_shared_slow(struct launch *launch)
{
	const struct device *device = launch->ctx->device;
	struct tpcset allowed = launch->grid.allowed, used;
	struct qmd_grid grid;
	int fit;

	if (qmd_decode_grid(layout_of(launch), launch->event->qmd, &grid))
		return;
	fit = fit_shared(launch, &grid, &allowed);
	if (fit < 0) {
		thread_count(STATS_mask_conflict);
		return;
	}
	note_fit(launch, fit);
	if (fit != FIT_DRIVER_DECIDES)
		restrict_to(launch, &allowed);
	used = tpcset_andnot(tpcset_and(allowed, device->topo.present), grid.disabled);
	grid_recount(launch, &used);
	thread_count(STATS_qmd_masked);
}

/* A claimed launch stays on TPCs whose owners can tell it to go; a helper goes where there is
 * room. */
static __attribute__((noinline)) void mask_split(struct launch *launch)
{
	const struct split_edit *edit = launch->thread->split;
	struct tpcset allowed = launch->grid.allowed;

	if (edit->is_everywhere)
		allowed = launch->ctx->device->topo.present;
	else if (edit->within)
		allowed = tpcset_and(allowed, *edit->within);
	if (!tpcset_is_empty(&allowed) && !tpcset_equal(&allowed, &launch->grid.allowed))
		grid_recount(launch, &allowed);
}

static void mask_shared(struct launch *launch)
{
	uint32_t *words = launch->event->qmd;
	struct tpcset disable;

	launch->now_ns = clock_now_ns();
	share_grid_now(launch->thread, launch->now_ns, &launch->grid);
	if (unlikely(launch->thread->split != NULL))
		mask_split(launch);
	launch->tpcs = launch->grid.nr_own + launch->grid.nr_borrowed;
	if (unlikely(launch->layout || qmd_v04_00_type(words) != QMD_GRID_ORDINARY ||
		     qmd_v04_00_mask_counts(words))) {
		mask_shared_slow(launch);
		return;
	}
	disable = tpcset_not(launch->grid.allowed);
	qmd_v04_00_restrict(words, &disable);
	thread_count_in(launch->thread, STATS_qmd_masked);
}

/* Shape of the launch, for the predictor: what share_ask() was asked with
 * (track/predict_table.h). */
static uint32_t slot_of(const struct launch *launch)
{
	const uint32_t *words = launch->event->qmd;
	uint32_t block01 = words[QMD_V04_00_WORD(CTA_THREAD_DIMENSION0, 0)];
	struct qmd_grid grid;

	if (unlikely(launch->layout || qmd_v04_00_type(words) != QMD_GRID_ORDINARY)) {
		if (qmd_decode_grid(layout_of(launch), words, &grid))
			return PREDICT_NO_SLOT;
		return predict_slot(launch->func, qmd_grid_blocks(&grid),
				    grid.block[0] * grid.block[1] * grid.block[2]);
	}
	return predict_slot(launch->func,
			    (uint64_t)words[QMD_V04_00_WORD(GRID_WIDTH, 0)] *
				    (words[QMD_V04_00_WORD(GRID_HEIGHT, 0)] & 0xffff) *
				    (words[QMD_V04_00_WORD(GRID_DEPTH, 0)] & 0xffff),
			    (block01 & 0xffff) * (block01 >> 16) *
				    (words[QMD_V04_00_WORD(CTA_THREAD_DIMENSION2, 0)] & 0xffff));
}

/* The predictor's place and time: as the launch was asked about just before, or looked up. */
static uint32_t slot_and_time(const struct launch *launch, uint64_t *ret_predicted_ns)
{
	struct thread_state *t = launch->thread;
	int was_asked = t->asked.func == launch->func && t->asked.func;
	uint32_t slot = was_asked ? t->asked.slot : slot_of(launch);

	t->asked.func = NULL;
	if (!launch->grid.nr_borrowed)
		*ret_predicted_ns = 0;
	else if (was_asked && t->asked.width == launch->tpcs)
		*ret_predicted_ns = t->asked.predicted_ns;
	else
		*ret_predicted_ns = predict_in_slot(slot, launch->tpcs);
	return slot;
}

static __attribute__((noinline)) void shape_note_slow(const struct launch *launch, uint32_t slot)
{
	struct qmd_grid grid;

	if (arena_serves(launch->ctx) &&
	    !qmd_decode_grid(layout_of(launch), launch->event->qmd, &grid))
		plan_note_shape(slot, launch->func, &grid,
				occupancy_blocks_per_sm(&launch->ctx->device->limits, &grid));
}

static void note_shared(struct launch *launch, struct launch_note *note)
{
	const struct split_edit *edit = launch->thread->split;
	uint64_t predicted_ns;
	uint32_t slot = slot_and_time(launch, &predicted_ns);

	note_set_slot(note, slot);
	if (unlikely(!plan_knows_shape(slot)))
		shape_note_slow(launch, slot);
	if (unlikely(edit != NULL)) {
		/* Of other parts than atoms the time says nothing of the whole. */
		if (!edit->is_all && !edit->whole_64ths)
			note->slot = 0;
		predicted_ns = edit->charge_ns ? edit->charge_ns : predicted_ns;
	}
	note->own_tpcs = (uint8_t)launch->grid.nr_own;
	note->borrowed_tpcs = (uint8_t)launch->grid.nr_borrowed;
	if (launch->grid.nr_borrowed)
		share_charge(launch->thread, &launch->grid.allowed, predicted_ns, note);
}

/* --- records ---------------------------------------------------------------------------------- */

/* A profiler may have taken release 1 of this descriptor; then the last one is ours, if it is free.
 */
static __attribute__((noinline)) unsigned int free_release_slow(const struct launch *launch)
{
	const struct qmd_layout *layout = layout_of(launch);
	uint64_t is_taken = 1;

	thread_count(STATS_profiler_seen);
	for (unsigned int release = 1; release <= 2; release++) {
		if (!qmd_get(layout, launch->event->qmd, QMD_RELEASE_ENABLE, release, &is_taken) &&
		    !is_taken)
			return release;
	}
	return 0;
}

/* The release that will write the record; 0 when the descriptor has none left. */
static unsigned int free_release(const struct launch *launch)
{
	if (unlikely(launch->layout != NULL))
		return 1;
	if (unlikely(!qmd_v04_00_release1_is_free(launch->event->qmd)))
		return free_release_slow(launch);
	return 1;
}

static __attribute__((noinline)) void arm_slow(const struct launch *launch, unsigned int release,
					       uint64_t address, uint32_t payload)
{
	(void)qmd_arm_release(layout_of(launch), launch->event->qmd, release, address, payload);
}

static void arm(const struct launch *launch, unsigned int release, uint64_t address,
		uint32_t payload)
{
	if (unlikely(launch->layout || release != 1))
		arm_slow(launch, release, address, payload);
	else
		qmd_v04_00_arm_release1(launch->event->qmd, address, payload);
	thread_count_in(launch->thread, STATS_records_armed);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the builtin writes through it */
static void changed_u32(uint32_t *field, uint32_t value)
{
	if (__atomic_load_n(field, __ATOMIC_RELAXED) != value)
		__atomic_store_n(field, value, __ATOMIC_RELAXED);
}

static void changed_dims(uint32_t field[3], uint32_t x, uint32_t y, uint32_t z)
{
	changed_u32(&field[0], x);
	changed_u32(&field[1], y);
	changed_u32(&field[2], z);
}

/* Clusters and gangs keep their blocks in other fields than ordinary grids do. */
static __attribute__((noinline)) void row_shape_slow(const struct launch *launch,
						     struct stats_kernel *kernel)
{
	const struct qmd_layout *layout = layout_of(launch);
	struct qmd_grid grid;

	if (qmd_decode_grid(layout, launch->event->qmd, &grid))
		return;
	if (qmd_grid_is_cooperative(&grid))
		changed_dims(kernel->grid, (uint32_t)qmd_grid_blocks(&grid), 1, 1);
	else
		changed_dims(kernel->grid, grid.grid[0] * grid.cluster[0],
			     grid.grid[1] * grid.cluster[1], grid.grid[2] * grid.cluster[2]);
	changed_dims(kernel->block, grid.block[0], grid.block[1], grid.block[2]);
	changed_u32(&kernel->grid_type, grid.type);
}

static void row_shape(const struct launch *launch, struct stats_kernel *kernel)
{
	const uint32_t *words = launch->event->qmd;
	uint32_t block01 = words[QMD_V04_00_WORD(CTA_THREAD_DIMENSION0, 0)];

	if (unlikely(launch->layout || qmd_v04_00_type(words) != QMD_GRID_ORDINARY)) {
		row_shape_slow(launch, kernel);
		return;
	}
	changed_dims(kernel->grid, words[QMD_V04_00_WORD(GRID_WIDTH, 0)],
		     words[QMD_V04_00_WORD(GRID_HEIGHT, 0)] & 0xffff,
		     words[QMD_V04_00_WORD(GRID_DEPTH, 0)] & 0xffff);
	changed_dims(kernel->block, block01 & 0xffff, block01 >> 16,
		     words[QMD_V04_00_WORD(CTA_THREAD_DIMENSION2, 0)] & 0xffff);
	changed_u32(&kernel->grid_type, QMD_GRID_ORDINARY);
}

/* How the dispatcher makes the launch, and why. */
static __attribute__((noinline)) void row_explain(const struct thread_state *t,
						  struct stats_kernel *kernel)
{
	const struct split_edit *edit = t->split;

	changed_u32(&kernel->way_reason, t->way_reason);
	changed_u32(&kernel->block_us, t->block_us);
	if (edit && edit->result == EDIT_APPLIED && !edit->is_part)
		(void)__atomic_fetch_add(&kernel->nr_split, 1, __ATOMIC_RELAXED);
}

/* A part of a launch that was seen and described before. */
static __attribute__((noinline)) void row_part(const struct split_edit *edit, uint32_t row)
{
	if (row != KERNEL_NONE && edit->kind == PRELUDE_CLAIM && !edit->is_helper)
		(void)__atomic_fetch_add(&tenant.stats->kernel[row].nr_cut, 1, __ATOMIC_RELAXED);
}

/* TPCs and way of the latest launch; the row's lines are written only when something changed. */
static void row_describe(const struct launch *launch, uint32_t row)
{
	struct stats_kernel *kernel = &tenant.stats->kernel[row];

	changed_u32(&kernel->tpcs, launch->tpcs);
	changed_u32(&kernel->flags,
		    __atomic_load_n(&kernel->flags, __ATOMIC_RELAXED) | launch->flags);
	if (unlikely(launch->thread->way_reason != 0))
		row_explain(launch->thread, kernel);
}

/*
 * A node's record is written by each replay, behind a barrier of the whole system: 0.1 to 0.2 us a
 * kernel. Only statistics want it; the end of a graph is told by a mark behind it (link/graphs.c).
 */
static int arm_node(struct launch *launch, struct thread_state *t, uint32_t row)
{
	unsigned int free = free_release(launch);
	struct node_release release;

	if (!free ||
	    exec_arm_node(t->exec, &launch->ctx->pool, launch->event->qmd, row, &release)) {
		thread_count(STATS_records_dropped);
		return 0;
	}
	arm(launch, free, release.address, release.payload);
	return 1;
}

static __attribute__((noinline)) void record_node(struct launch *launch, struct thread_state *t,
						  uint32_t row)
{
	int has_record = tenant.options.stats && arm_node(launch, t, row);

	launch->flags |= STATS_KERNEL_GRAPH;
	if (launch->ctx->device->is_shared)
		exec_note_mask(t->exec, &launch->grid.allowed, has_record);
}

/* The calling thread's open chunk of this context, a new one if need be; NULL when none is free. */
static struct record_chunk *chunk_for(struct thread_state *t, struct context *ctx)
{
	struct record_chunk *chunk = t->chunk[ctx->index];

	if (__builtin_expect(chunk && chunk_is_usable(chunk, &ctx->pool), 1))
		return chunk;
	if (chunk)
		chunk_close(chunk);
	t->chunk[ctx->index] = t->is_spare ? NULL : chunk_open(&ctx->pool);
	return t->chunk[ctx->index];
}

/* The TPCs that a helper was made for were taken back just now: other owners could not tell it to
 * go. */
static int is_astray(const struct launch *launch, const struct split_edit *edit)
{
	struct tpcset outside;

	if (!edit->is_helper || !edit->within)
		return 0;
	outside = tpcset_andnot(launch->grid.allowed, *edit->within);
	return !tpcset_is_empty(&outside);
}

/* The launch has a record to end with: it goes through its prelude. */
static __attribute__((noinline)) void split(const struct launch *launch, struct launch_note *note)
{
	struct split_edit *edit = launch->thread->split;

	/* The driver's own grids inside the call are not the program's kernel. */
	if (edit->result != EDIT_UNSEEN || launch->event->func == NULL)
		return;
	note->is_part = edit->is_part != 0;
	/* The time of the launch that a helper joins is the kernel's. */
	if (edit->is_helper)
		note->kernel = KERNEL_NONE;
	if (!arena_serves(launch->ctx) || is_astray(launch, edit) ||
	    !edit_apply(edit, layout_of(launch), launch->event->qmd))
		return;
	note->run = (uint8_t)(edit->run + 1);
	note->whole_64ths = edit->whole_64ths & NOTE_MOST_64THS;
	edit->tpcs = launch->grid.allowed;
}

static void record_launch(struct launch *launch, struct thread_state *t, uint32_t row)
{
	struct record_chunk *chunk = chunk_for(t, launch->ctx);
	struct launch_note note = {.stream_key = t->stream_key, .kernel = row};
	unsigned int release = free_release(launch);

	if (unlikely(!chunk || !release)) {
		thread_count(STATS_records_dropped);
		row_launched(tenant.stats, row, 1); /* as the tracker does with a record */
		if (launch->ctx->device->is_shared)
			activity_untracked();
		return;
	}
	if (launch->ctx->device->is_shared) {
		note.submitted_ns = launch->now_ns;
		note_shared(launch, &note);
	} else {
		note.submitted_ns = clock_now_ns();
	}
	if (unlikely(t->split != NULL))
		split(launch, &note);
	arm(launch, release, chunk_arm(chunk, &note), chunk->generation);
}

static void record(struct launch *launch, struct thread_state *t)
{
	uint32_t row = kernels_row(t, launch->event->func);

	/* Before the launch is split: the grid of an atom ends early. */
	if (row != KERNEL_NONE && !unlikely(t->split && t->split->is_part))
		row_shape(launch, &tenant.stats->kernel[row]);
	if (unlikely(t->exec != NULL))
		record_node(launch, t, row);
	else
		record_launch(launch, t, row);
	if (unlikely(t->split && t->split->is_part)) {
		row_part(t->split, row);
		return;
	}
	if (row != KERNEL_NONE) {
		launch->flags |= t->stream_key ? 0 : STATS_KERNEL_DRIVER;
		row_describe(launch, row);
	}
}

/* A version other than V04_00: its layout if it may be used, else NULL after saying so once. */
static __attribute__((noinline)) const struct qmd_layout *layout_slow(const struct launch *launch)
{
	const struct qmd_layout *layout =
		qmd_layout_of(launch->event->qmd, launch->ctx->device->cc_major);
	static atomic_flag was_said = ATOMIC_FLAG_INIT;

	if (layout && qmd_may_use(layout))
		return layout;
	thread_count(STATS_qmd_unknown_version);
	if (!unconfined_say("descriptor version not verified") &&
	    !atomic_flag_test_and_set_explicit(&was_said, memory_order_relaxed))
		log_line(NULL, LOG_WARN,
			 "msg=\"launch descriptor version not verified: left alone\" version=%s",
			 layout ? layout->name : "unknown");
	return NULL;
}

/* After the record was armed: see link/activity.c. */
static void launch_begun(const struct launch *launch)
{
	if (unlikely(!atomic_load_explicit(&launch->ctx->records_on, memory_order_relaxed)))
		activity_untracked();
	share_launching(launch->thread);
	/* The driver's own: no function of ours comes after it. */
	if (unlikely(launch->thread->epoch_is_late && !launch->thread->stream_key))
		epoch_write_aside(launch->thread);
}

/* Whatever became of a part, it never runs whole. Without a daemon, shapes are noted here. */
static __attribute__((noinline)) void split_ends(const struct launch *launch)
{
	struct split_edit *edit = launch->thread->split;

	if (edit->is_part && edit->result != EDIT_APPLIED)
		edit_empty(edit, layout_of(launch), launch->event->qmd);
}

/* Trials of the preludes and reads of code, one block each: they count nowhere, and stay in the
 * mask. */
static __attribute__((noinline)) void mask_ours(struct launch *launch)
{
	const struct device *device;

	launch->ctx = tenant_context_of(launch->thread, launch->event->ctx);
	if (!launch->ctx || !qmd_v04_00_version_is(launch->event->qmd))
		return;
	device = launch->ctx->device;
	launch->grid.allowed = device->allowed;
	if (device->is_shared)
		share_grid_now(launch->thread, clock_now_ns(), &launch->grid);
	restrict_to(launch, &launch->grid.allowed);
}

/*
 * Made by the driver itself, past us, or one more than we can keep: masked where that is
 * possible.
 */
static __attribute__((noinline)) struct context *context_unseen(void)
{
	struct context *ctx = tenant_unseen_context();

	thread_count(STATS_qmd_no_device);
	if (ctx)
		confined_otherwise_say("it has contexts that lithos did not see being made");
	else if (!unconfined_is_said()) /* of this device, when nothing of it can be masked */
		(void)unconfined_say("it has contexts that lithos did not see, beside others");
	return ctx;
}

void qmd_hook(const struct qmd_event *event)
{
	struct thread_state *t;
	struct launch launch = {.event = event};

	if (unlikely(probe_hook_edit(event)))
		return;
	t = thread_self();
	launch.thread = t;
	if (unlikely(prelude_hook(event))) {
		mask_ours(&launch);
		return;
	}
	launch.func = t->func ? t->func : event->func;
	thread_count_in(t, STATS_qmd_seen);
	launch.ctx = tenant_context_of(t, event->ctx);
	if (unlikely(!launch.ctx))
		launch.ctx = context_unseen();
	if (unlikely(!launch.ctx))
		return;
	if (unlikely(!qmd_v04_00_version_is(event->qmd))) {
		launch.layout = layout_slow(&launch);
		if (!launch.layout)
			return;
	}
	launch.tpcs = launch.ctx->device->nr_allowed;
	if (launch.ctx->device->is_shared)
		mask_shared(&launch);
	else if (launch.ctx->device->is_masked)
		mask(&launch);
	if (atomic_load_explicit(&launch.ctx->records_on, memory_order_relaxed))
		record(&launch, t);
	if (unlikely(plan_is_forced()) && arena_serves(launch.ctx) &&
	    code_state_of(launch.func) == CODE_STATE_UNSEEN)
		shape_note_slow(&launch, PREDICT_NO_SLOT);
	if (unlikely(t->split != NULL))
		split_ends(&launch);
	if (launch.ctx->device->is_shared)
		launch_begun(&launch);
}
