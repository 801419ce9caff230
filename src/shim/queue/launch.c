/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launches under a daemon: to the driver now, or into the queue.
 *
 * When nothing is held and share_ask() lets the launch go, it goes to the launch hook as without a
 * daemon. Otherwise it is held: the arguments are copied, with the sizes that the driver knows.
 * While anything is held every launch is, so that those that wait are not overtaken for ever.
 *
 * Some launches cannot be held, and wait here until what they depend on was submitted and
 * share_ask() lets them go: into a thread's own default stream (no other thread can submit to it),
 * with events or attributes unknown to lithos, of functions without parameter information, and
 * whatever the driver might refuse, for it must do so to the caller.
 *
 * Cost of a held launch in the caller: one lock, two or three lookups in tables, the copy; 400 ns
 * at most (bench_calls --call deferred). Tested by tests/unit/queue_launch.c.
 */
#include "shim/queue/launch.h"

#include <time.h>

#include "base/clock.h"
#include "shim/link/share.h"
#include "shim/queue/copy.h"
#include "shim/queue/dispatch.h"
#include "shim/queue/driver.h"
#include "shim/queue/funcs.h"
#include "shim/queue/mode.h"
#include "shim/queue/ops.h"
#include "shim/queue/part.h"
#include "shim/queue/priority.h"
#include "shim/queue/streams.h"
#include "shim/queue/sure.h"
#include "shim/slots.h"
#include "shim/split/epoch.h"
#include "shim/split/plan.h"
#include "shim/tenant.h"
#include "shim/track/execs.h"
#include "shim/track/predict_table.h"

#define ROOM_PAUSE_NS 100000
#define MAX_GRID_X    0x7fffffffu
#define MAX_GRID_YZ   65535u
#define MAX_BLOCK_XY  1024u
#define MAX_BLOCK_Z   64u
#define MAX_CLUSTER   8u

static _Atomic uint32_t graphs_have_events;

void launch_graphs_have_events(void)
{
	atomic_store_explicit(&graphs_have_events, 1, memory_order_relaxed);
}

/* --- may it go at once ------------------------------------------------------------------------ */

static const struct device *current_device(struct thread_state *t, CUcontext ctx)
{
	struct context *context = ctx ? tenant_context_of(t, ctx) : NULL;

	return context ? context->device : NULL;
}

static int share_lets_request(struct thread_state *t, const struct share_request *request)
{
	const struct device *device = current_device(t, current_context());

	return !device || share_ask(device, request) == SHARE_GO;
}

static uint64_t blocks_of(const CUlaunchConfig *config)
{
	return (uint64_t)config->gridDimX * config->gridDimY * config->gridDimZ;
}

static uint32_t threads_of(const CUlaunchConfig *config)
{
	return config->blockDimX * config->blockDimY * config->blockDimZ;
}

void launch_describe_graph(CUgraphExec handle, struct share_request *request, struct tpcset *mask)
{
	struct exec *exec = tenant.stats ? exec_of(thread_self(), handle) : NULL;

	if (!exec)
		return;
	request->predicted_ns = exec_predicted_ns(exec);
	if (exec_mask(exec, mask))
		request->fixed = mask;
}

/* Nothing is held, captured, forced or dead. */
static int queue_lets_go(void)
{
	return !(atomic_load_explicit(&queue_state, memory_order_acquire) & ~STATE_ERROR);
}

/* The program launches something: owners are busy from here on. */
static struct thread_state *launch_begins(void)
{
	struct thread_state *t = thread_self();

	share_launching_soon(t);
	return t;
}

static __attribute__((noinline)) int shape_is_let(struct thread_state *t, CUfunction func,
						  uint64_t nr_blocks, uint32_t nr_threads)
{
	struct share_request request = {
		.predicted_ns = predict_of(t, func, nr_blocks, nr_threads, t->launch_path)};

	/* The dispatcher splits it. */
	if (plan_wants(t))
		return 0;
	return share_lets_request(t, &request);
}

/* A launch begins. The whole of what an ordinary one is asked while nothing is held. */
static int shape_goes(CUfunction func, uint64_t nr_blocks, uint32_t nr_threads)
{
	struct thread_state *t = launch_begins();

	/* Of an earlier launch, which may not have reached its descriptor. */
	t->asked.func = NULL;
	t->may_borrow = 0;
	if (queue_never_holds())
		return 1;
	predict_step(t, func, nr_blocks, nr_threads);
	if (queue_lets_go() && (!share_may_hold() || shape_is_let(t, func, nr_blocks, nr_threads)))
		return 1;
	epoch_write(t);
	return 0;
}

static int launch_goes(const struct launch *launch)
{
	return shape_goes(launch->func, blocks_of(&launch->config), threads_of(&launch->config));
}

/* Waits in the caller until the request may go; share_ask() does not refuse for ever. */
static void wait_for_room(struct share_request *request)
{
	const struct timespec pause = {.tv_nsec = ROOM_PAUSE_NS};

	request->held_since_ns = clock_now_ns();
	while (share_may_hold() && !share_lets_request(thread_self(), request))
		(void)nanosleep(&pause, NULL);
}

/* --- kernels ---------------------------------------------------------------------------------- */

static CUresult launch_now(const struct launch *launch)
{
	const CUlaunchConfig *c = &launch->config;
	int pt = launch->is_per_thread_call;

	switch (launch->kind) {
	case LAUNCH_EX:
		return (pt ? hook_cuLaunchKernelEx_ptsz
			   : hook_cuLaunchKernelEx)(c, launch->func, launch->params, launch->extra);
	case LAUNCH_COOPERATIVE:
		return (pt ? hook_cuLaunchCooperativeKernel_ptsz : hook_cuLaunchCooperativeKernel)(
			launch->func, c->gridDimX, c->gridDimY, c->gridDimZ, c->blockDimX,
			c->blockDimY, c->blockDimZ, c->sharedMemBytes, c->hStream, launch->params);
	case LAUNCH_KERNEL:
	default:
		return (pt ? hook_cuLaunchKernel_ptsz : hook_cuLaunchKernel)(
			launch->func, c->gridDimX, c->gridDimY, c->gridDimZ, c->blockDimX,
			c->blockDimY, c->blockDimZ, c->sharedMemBytes, c->hStream, launch->params,
			launch->extra);
	}
}

static CUresult launch_part(const struct launch *whole, const struct split_edit *edit)
{
	CUlaunchAttribute room[PART_MAX_ATTRS];
	struct launch part = *whole;
	CUresult result;

	plan_mark(part.config.hStream);
	if (part.kind != LAUNCH_COOPERATIVE && part_permit(&part.config, edit, room))
		part.kind = LAUNCH_EX;
	result = launch_now(&part);
	if (part_forbid(&part.config, edit, result))
		result = launch_now(&part);
	return result;
}

static CUresult submit_kernel(struct op *op)
{
	struct thread_state *t = launch_begins();
	const struct launch *launch = op->payload;
	CUresult result;

	op->next = (uint8_t)plan_begin(t, op, launch->config.hStream);
	if (op->next == PLAN_LATER)
		return CUDA_SUCCESS;
	result = t->split ? launch_part(launch, t->split) : launch_now(launch);
	op->next = (uint8_t)plan_end(t, op, result);
	return result;
}

CUresult launch_help(struct op *op, enum claim_help help)
{
	struct thread_state *t = launch_begins();
	struct launch launch = *(const struct launch *)op->payload;
	CUresult result;

	if (plan_help_begin(t, op, help, &launch.config.hStream))
		return CUDA_SUCCESS;
	result = launch_part(&launch, t->split);
	plan_help_end(t, op, result);
	return result;
}

/* Attributes whose value is all they are; others name events or are not known. */
static int attribute_can_be_held(const CUlaunchAttribute *attribute)
{
	const unsigned int *cluster = &attribute->value.clusterDim.x;

	switch ((int)attribute->id) {
	case CU_LAUNCH_ATTRIBUTE_IGNORE:
	case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
	case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
	case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
	case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
	case CU_LAUNCH_ATTRIBUTE_PRIORITY:
	case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
	case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
		return 1;
	case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
		return (uint64_t)cluster[0] * cluster[1] * cluster[2] - 1 < MAX_CLUSTER;
	default:
		return 0;
	}
}

static int is_multiple(const CUlaunchConfig *c, unsigned int x, unsigned int y, unsigned int z)
{
	return (x == 0 || c->gridDimX % x == 0) && (y == 0 || c->gridDimY % y == 0) &&
	       (z == 0 || c->gridDimZ % z == 0);
}

static int attributes_can_be_held(const CUlaunchConfig *config)
{
	if (config->numAttrs && !config->attrs)
		return 0;
	for (unsigned int i = 0; i < config->numAttrs; i++) {
		const CUlaunchAttribute *at = &config->attrs[i];
		if (!attribute_can_be_held(at))
			return 0;
		if (at->id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION &&
		    !is_multiple(config, at->value.clusterDim.x, at->value.clusterDim.y,
				 at->value.clusterDim.z))
			return 0;
	}
	return 1;
}

/* 1 when the driver is sure to accept the shape: what hardware allows, and the function's
 * limits. */
static int shape_is_sound(const CUlaunchConfig *c, const struct func_info *info)
{
	uint64_t threads = (uint64_t)c->blockDimX * c->blockDimY * c->blockDimZ;

	return c->gridDimX - 1 < MAX_GRID_X && c->gridDimY - 1 < MAX_GRID_YZ &&
	       c->gridDimZ - 1 < MAX_GRID_YZ && c->blockDimX <= MAX_BLOCK_XY &&
	       c->blockDimY <= MAX_BLOCK_XY && c->blockDimZ <= MAX_BLOCK_Z && threads > 0 &&
	       threads <= (uint64_t)info->max_threads &&
	       c->sharedMemBytes <= (unsigned int)info->max_shared_bytes &&
	       is_multiple(c, (unsigned int)info->cluster[0], (unsigned int)info->cluster[1],
			   (unsigned int)info->cluster[2]);
}

static void op_describe(struct op *op, const struct target *stream)
{
	struct thread_state *t = thread_self();

	op->ctx = stream->ctx;
	op->held_ns = clock_now_ns();
	op->device = current_device(t, stream->ctx);
	op->is_launch = 1;
	thread_count_in(t, STATS_launches_held);
}

/* 1 when the launch was held; 0 when it must be made by the caller. */
static int hold_locked(const struct launch *launch, const struct target *stream, uint32_t min_tpcs)
{
	const CUlaunchConfig *c = &launch->config;
	const struct func_info *info = func_info_locked(launch->func);
	struct copy_layout at;
	struct lane *lane;
	struct op *op;

	if (!info || !shape_is_sound(c, info) || copy_layout(launch, info, &at))
		return 0;
	op = op_new_locked(at.bytes);
	if (!op)
		return 0;
	copy_launch(op->payload, launch, info, &at);
	/* From here on `info` is not used: the lock may be given back. */
	lane = stream_lane_locked(stream);
	if (!lane || !dispatch_ready_locked()) {
		op_free_locked(op);
		return 0;
	}
	op_describe(op, stream);
	op->lane[0] = lane;
	op->func = launch->func;
	op->path = thread_self()->launch_path;
	op->nr_blocks = blocks_of(c);
	op->nr_threads = threads_of(c);
	op->min_tpcs = min_tpcs;
	op->submit = submit_kernel;
	op_append_locked(op);
	dispatch_wake_locked();
	return 1;
}

static int is_cooperative(const struct launch *launch)
{
	const CUlaunchConfig *config = &launch->config;

	for (unsigned int i = 0; launch->kind == LAUNCH_EX && i < config->numAttrs; i++) {
		if (config->attrs[i].id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
			return config->attrs[i].value.cooperative != 0;
	}
	return launch->kind == LAUNCH_COOPERATIVE;
}

/* TPCs a gang needs at once; UINT32_MAX when it would be refused, or nobody can say. */
static uint32_t gang_tpcs(const struct launch *launch, const struct device *device)
{
	const CUlaunchConfig *c = &launch->config;
	uint64_t threads = (uint64_t)c->blockDimX * c->blockDimY * c->blockDimZ;
	uint64_t blocks = (uint64_t)c->gridDimX * c->gridDimY * c->gridDimZ, per_tpc, nr_tpcs,
		 limit;
	int per_sm = 0;

	if (!device || threads == 0 || threads > MAX_BLOCK_XY ||
	    tenant.ops.occupancy_blocks(&per_sm, launch->func, (int)threads, c->sharedMemBytes) ||
	    per_sm <= 0)
		return UINT32_MAX;
	per_tpc = (uint64_t)per_sm * device->topo.sms_per_tpc;
	nr_tpcs = (blocks + per_tpc - 1) / per_tpc;
	/* Larger than what the program was told of, it is refused by the launch hook. */
	limit = device->is_masked ? device->nr_allowed : device->topo.nr_tpcs;
	return nr_tpcs <= limit ? (uint32_t)nr_tpcs : UINT32_MAX;
}

static CUresult launch_after_all_slow(const struct launch *launch, const struct target *stream,
				      uint32_t min_tpcs)
{
	struct thread_state *t = thread_self();
	struct share_request request = {.min_tpcs = min_tpcs == UINT32_MAX ? 0 : min_tpcs};

	thread_count(STATS_launches_waited);
	target_wait(stream);
	request.predicted_ns = predict_of(t, launch->func, blocks_of(&launch->config),
					  threads_of(&launch->config), t->launch_path);
	wait_for_room(&request);
	return launch_now(launch);
}

static __attribute__((noinline)) CUresult launch_hold(const struct launch *launch)
{
	uint32_t state = atomic_load_explicit(&queue_state, memory_order_relaxed);
	struct target stream = target_of_stream(launch->config.hStream, launch->is_per_thread_call);
	uint32_t min_tpcs = 0;
	CUresult error = (state & STATE_DEAD) ? dispatch_take_dead(stream.ctx) : CUDA_SUCCESS;
	int is_held = 0;

	if (error != CUDA_SUCCESS)
		return error;
	if ((state & STATE_CAPTURE) &&
	    stream_is_captured(launch->config.hStream, launch->is_per_thread_call))
		return launch_now(launch);
	if (launch->kind != LAUNCH_KERNEL && is_cooperative(launch))
		min_tpcs = gang_tpcs(launch, current_device(thread_self(), stream.ctx));
	if (stream.kind == TARGET_ORDER && min_tpcs != UINT32_MAX &&
	    attributes_can_be_held(&launch->config)) {
		(void)pthread_mutex_lock(&queue.lock);
		dispatch_room_locked();
		is_held = hold_locked(launch, &stream, min_tpcs);
		(void)pthread_mutex_unlock(&queue.lock);
	}
	return is_held ? CUDA_SUCCESS : launch_after_all_slow(launch, &stream, min_tpcs);
}

static CUresult launch_kernel(const struct launch *launch)
{
	return launch_goes(launch) ? launch_now(launch) : launch_hold(launch);
}

CUresult launch_by_program(const struct launch *launch)
{
	return launch_kernel(launch);
}

#define CONFIG                                                                                     \
	{                                                                                          \
		.gridDimX = gx, .gridDimY = gy, .gridDimZ = gz, .blockDimX = bx, .blockDimY = by,  \
		.blockDimZ = bz, .sharedMemBytes = shared, .hStream = stream                       \
	}

/* Behind a function of its own, so that a launch that goes at once leaves its arguments where they
 * are. */
static __attribute__((noinline)) CUresult hold_kernel(CUfunction f, unsigned int gx,
						      unsigned int gy, unsigned int gz,
						      unsigned int bx, unsigned int by,
						      unsigned int bz, unsigned int shared,
						      CUstream stream, void **params, void **extra)
{
	struct launch launch = {.kind = LAUNCH_KERNEL,
				.func = f,
				.config = CONFIG,
				.params = params,
				.extra = extra};

	return launch_hold(&launch);
}

static __attribute__((noinline)) CUresult
hold_kernel_ptsz(CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx,
		 unsigned int by, unsigned int bz, unsigned int shared, CUstream stream,
		 void **params, void **extra)
{
	struct launch launch = {.kind = LAUNCH_KERNEL,
				.is_per_thread_call = 1,
				.func = f,
				.config = CONFIG,
				.params = params,
				.extra = extra};

	return launch_hold(&launch);
}

CUresult queued_cuLaunchKernel(CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz,
			       unsigned int bx, unsigned int by, unsigned int bz,
			       unsigned int shared, CUstream stream, void **params, void **extra)
{
	return (shape_goes(f, (uint64_t)gx * gy * gz, bx * by * bz)
			? hook_cuLaunchKernel
			: hold_kernel)(f, gx, gy, gz, bx, by, bz, shared, stream, params, extra);
}

CUresult queued_cuLaunchKernel_ptsz(CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz,
				    unsigned int bx, unsigned int by, unsigned int bz,
				    unsigned int shared, CUstream stream, void **params,
				    void **extra)
{
	return (shape_goes(f, (uint64_t)gx * gy * gz, bx * by * bz) ? hook_cuLaunchKernel_ptsz
								    : hold_kernel_ptsz)(
		f, gx, gy, gz, bx, by, bz, shared, stream, params, extra);
}

CUresult queued_cuLaunchCooperativeKernel(CUfunction f, unsigned int gx, unsigned int gy,
					  unsigned int gz, unsigned int bx, unsigned int by,
					  unsigned int bz, unsigned int shared, CUstream stream,
					  void **params)
{
	struct launch launch = {
		.kind = LAUNCH_COOPERATIVE, .func = f, .config = CONFIG, .params = params};

	return launch_kernel(&launch);
}

CUresult queued_cuLaunchCooperativeKernel_ptsz(CUfunction f, unsigned int gx, unsigned int gy,
					       unsigned int gz, unsigned int bx, unsigned int by,
					       unsigned int bz, unsigned int shared,
					       CUstream stream, void **params)
{
	struct launch launch = {.kind = LAUNCH_COOPERATIVE,
				.is_per_thread_call = 1,
				.func = f,
				.config = CONFIG,
				.params = params};

	return launch_kernel(&launch);
}

static CUresult launch_ex(const CUlaunchConfig *config, CUfunction f, void **params, void **extra,
			  int is_per_thread_call)
{
	CUlaunchAttribute room[PRIORITY_ATTRS];
	struct launch launch = {.kind = LAUNCH_EX,
				.is_per_thread_call = is_per_thread_call,
				.func = f,
				.config = *config,
				.params = params,
				.extra = extra};

	priority_limit(&launch.config, room);
	return launch_kernel(&launch);
}

CUresult queued_cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction f, void **params,
				 void **extra)
{
	return config ? launch_ex(config, f, params, extra, 0)
		      : hook_cuLaunchKernelEx(config, f, params, extra);
}

CUresult queued_cuLaunchKernelEx_ptsz(const CUlaunchConfig *config, CUfunction f, void **params,
				      void **extra)
{
	return config ? launch_ex(config, f, params, extra, 1)
		      : hook_cuLaunchKernelEx_ptsz(config, f, params, extra);
}

/* --- graphs ----------------------------------------------------------------------------------- */

/* Into a stream that is not being captured: the owner counts as busy until the graph has run. */
static CUresult graph_now(CUgraphExec handle, CUstream stream, int is_per_thread_call)
{
	__typeof__(hook_cuGraphLaunch) *launch =
		is_per_thread_call ? hook_cuGraphLaunch_ptsz : hook_cuGraphLaunch;
	struct thread_state *t = thread_self();
	struct exec *exec;
	CUresult result;

	if (!share_is_on())
		return launch(handle, stream);
	share_graph_launching(t);
	result = launch(handle, stream);
	exec = tenant.stats && handle ? exec_of(t, handle) : NULL;
	share_graph_launched(exec, stream, is_per_thread_call, result);
	return result;
}

static CUresult submit_graph(struct op *op)
{
	(void)launch_begins();
	return graph_now(op->exec, (CUstream)(uintptr_t)op->args[0], 0);
}

static int hold_graph_locked(CUgraphExec exec, CUstream handle, const struct target *stream)
{
	struct lane *lane = stream_lane_locked(stream);
	struct lane *other = lane ? lane_get_locked(LANE_EXEC, exec) : NULL;
	struct op *op = other && dispatch_ready_locked() ? op_new_locked(0) : NULL;

	if (!op) {
		if (other)
			lane_drop_locked(other);
		return 0;
	}
	op_describe(op, stream);
	op->lane[0] = lane;
	op->lane[1] = other;
	op->exec = exec;
	op->args[0] = (uintptr_t)handle;
	op->submit = submit_graph;
	op_append_locked(op);
	dispatch_wake_locked();
	return 1;
}

static int graph_is_let(struct thread_state *t, CUgraphExec exec)
{
	struct share_request request = {0};
	struct tpcset mask;

	launch_describe_graph(exec, &request, &mask);
	return share_lets_request(t, &request);
}

static int graph_goes(CUgraphExec exec)
{
	struct thread_state *t = launch_begins();

	if (queue_never_holds() ||
	    (queue_lets_go() && (!share_may_hold() || graph_is_let(t, exec))))
		return 1;
	epoch_write(t);
	return 0;
}

static CUresult graph_after_all_slow(CUgraphExec exec, CUstream handle, const struct target *stream,
				     int is_per_thread_call)
{
	/* Events inside graphs belong to lanes that nobody can name. */
	const struct target before = {
		atomic_load_explicit(&graphs_have_events, memory_order_relaxed) ? TARGET_ALL
										: TARGET_EXEC,
		exec, stream->ctx};
	struct share_request request = {0};
	struct tpcset mask;

	target_wait(stream);
	target_wait(&before);
	launch_describe_graph(exec, &request, &mask);
	wait_for_room(&request);
	return graph_now(exec, handle, is_per_thread_call);
}

static CUresult graph_hold(CUgraphExec exec, CUstream handle, int is_per_thread_call)
{
	uint32_t state = atomic_load_explicit(&queue_state, memory_order_relaxed);
	struct target stream = target_of_stream(handle, is_per_thread_call);
	CUresult error = (state & STATE_DEAD) ? dispatch_take_dead(stream.ctx) : CUDA_SUCCESS;
	int is_held = 0;

	if (error != CUDA_SUCCESS)
		return error;
	if ((state & STATE_CAPTURE) && stream_is_captured(handle, is_per_thread_call))
		return (is_per_thread_call ? hook_cuGraphLaunch_ptsz : hook_cuGraphLaunch)(exec,
											   handle);
	if (stream.kind == TARGET_ORDER && sure_of_exec(exec) &&
	    !atomic_load_explicit(&graphs_have_events, memory_order_relaxed)) {
		(void)pthread_mutex_lock(&queue.lock);
		dispatch_room_locked();
		is_held = hold_graph_locked(exec, handle, &stream);
		(void)pthread_mutex_unlock(&queue.lock);
	}
	if (is_held)
		return CUDA_SUCCESS;
	return graph_after_all_slow(exec, handle, &stream, is_per_thread_call);
}

CUresult launch_graph_whole(CUgraphExec exec, CUstream stream, int is_per_thread_call)
{
	return graph_goes(exec) ? graph_now(exec, stream, is_per_thread_call)
				: graph_hold(exec, stream, is_per_thread_call);
}

/* --- launches without parameters of their own ------------------------------------------------- */

/* Calls of CUDA's first years, and one for several devices: they wait for everything, and for
 * room. */
static void launch_old_waits(CUfunction func)
{
	const struct target all = {TARGET_ALL, NULL, NULL};
	struct launch launch = {.func = func};
	struct share_request request = {0};

	if (launch_goes(&launch))
		return;
	target_wait(&all);
	wait_for_room(&request);
}

CUresult queued_cuLaunch(CUfunction f)
{
	launch_old_waits(f);
	return hook_cuLaunch(f);
}

CUresult queued_cuLaunchGrid(CUfunction f, int width, int height)
{
	launch_old_waits(f);
	return hook_cuLaunchGrid(f, width, height);
}

CUresult queued_cuLaunchGridAsync(CUfunction f, int width, int height, CUstream stream)
{
	launch_old_waits(f);
	return hook_cuLaunchGridAsync(f, width, height, stream);
}

CUresult queued_cuLaunchCooperativeKernelMultiDevice(CUDA_LAUNCH_PARAMS *list, unsigned int n,
						     unsigned int flags)
{
	launch_old_waits(list && n ? list[0].function : NULL);
	return hook_cuLaunchCooperativeKernelMultiDevice(list, n, flags);
}
