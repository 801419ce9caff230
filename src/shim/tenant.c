/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contexts of the process, and what is set up when one appears.
 *
 * Context creation is the one moment at which set-up is harmless: the program waits for the driver
 * anyway, nothing is being captured into a graph, and no kernel of the context has run. So
 * everything a launch needs is made here: the subscription to the launch hook, the topology and
 * quota of the device (device.c), and the registered memory for completion records.
 *
 * Destruction is announced before (no record is armed from then on; what the GPU may still write
 * stays mapped) and after (the memory may serve the next context). The driver reuses context
 * handles, so every change bumps a generation that the launching threads' caches check.
 *
 * Tested by tests/programs/contexts.c and tests/integration.
 */
#include "shim/tenant.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/stats_file.h"
#include "hw/tools_hook.h"
#include "shim/device.h"
#include "shim/link/connect.h"
#include "shim/link/link.h"
#include "shim/link/share.h"
#include "shim/link/unconfined.h"
#include "shim/memory/account.h"
#include "shim/qmd_hook.h"
#include "shim/queue/queue.h"
#include "shim/slots.h"
#include "shim/split/arena.h"
#include "shim/split/aside.h"
#include "shim/split/claim.h"
#include "shim/split/code.h"
#include "shim/split/code_read.h"
#include "shim/split/epoch.h"
#include "shim/split/plan.h"
#include "shim/track/execs.h"
#include "shim/track/kernels.h"
#include "shim/track/tracker.h"

struct tenant tenant;

static struct {
	pthread_mutex_t lock;
	struct context
		context[MAX_CONTEXTS]; /* handle atomic, the rest under lock until it is set */
	_Atomic uint32_t generation;
	struct context unseen;    /* in place of contexts that nobody told us of */
	_Atomic uint32_t may_see; /* the unseen have a device; release */
	int hook_tried;
	int exit_registered;
} contexts = {.lock = PTHREAD_MUTEX_INITIALIZER, .generation = 1};

static void *driver_symbol(void *cookie, const char *symbol)
{
	(void)cookie;
	return slots_real(symbol);
}

static void hook_is_missing(int err)
{
	if (unconfined_say(err == -EBUSY ? "launch hook not available: another tool holds it"
					 : "launch hook not available: unknown driver"))
		return;
	log_line(NULL, LOG_WARN,
		 "msg=\"launch hook not available: no quota, no statistics\" reason=\"%s\"",
		 err == -EBUSY ? "another tool holds it" : "unknown driver");
}

int tenant_init(void)
{
	const char *missing = NULL;

	if (plan_read_option(tenant.options.split))
		log_line(NULL, LOG_ERROR, "msg=\"bad value, taken as whole\" LITHOS_SPLIT=\"%s\"",
			 tenant.options.split);
	link_read_told(tenant.options.tpcs);
	tenant.wants_records = tenant.options.stats != 0 || plan_is_forced();
	tenant.wants_masks = device_read_quota(tenant.options.tpc_quota) > 0;
	tenant.wants_share = link_is_wanted();
	tenant.wants_masks |= tenant.wants_share;
	if (!tenant.wants_masks && !tenant.wants_records)
		return 0;
	if (driver_ops_load(&tenant.ops, driver_symbol, NULL, &missing)) {
		log_line(NULL, LOG_WARN, "msg=\"driver lacks a symbol, forwarding only\" symbol=%s",
			 missing);
		(void)unconfined_say("the driver lacks a symbol that lithos needs");
		return 0;
	}
	/* As early as can be: a profiler that subscribes first would keep the hook to itself. */
	if (tools_hook_share(tenant.ops.export_table) == -ENOSYS) {
		hook_is_missing(-ENOSYS);
		return 0;
	}
	return 1;
}

/* The launch hook, once a process. 0 when it stands. */
static int hook_stand_up(void)
{
	int err;

	if (tools_hook_is_subscribed())
		return 0;
	if (contexts.hook_tried)
		return -EBUSY;
	contexts.hook_tried = 1;
	err = tools_hook_subscribe(tenant.ops.export_table, qmd_hook);
	if (err == -EBUSY)
		thread_count(STATS_hook_busy);
	if (err)
		hook_is_missing(err);
	return err;
}

/* At exit, before the driver's own exit handlers run, which were registered earlier. */
static void work_end(void)
{
	/* First what is held: it still counts, and its records are still read. */
	if (share_is_on())
		queue_stop();
	tracker_stop();
	link_stop();
}

/* Records without statistics go through the same rows, in memory that nobody else reads. */
static int stats_region_private(struct stats_region **ret_region)
{
	void *memory = mmap(NULL, sizeof(**ret_region), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return -ENOMEM;
	*ret_region = memory;
	return 0;
}

static int stats_make(struct stats_region **ret_region)
{
	if (!tenant.options.stats)
		return stats_region_private(ret_region);
	return stats_region_create(tenant.options.run_dir, (uint32_t)getpid(), ret_region);
}

static void stats_start(void)
{
	struct stats_region *region = NULL;
	int err;

	if (!tenant.wants_records || tenant.stats)
		return;
	err = stats_make(&region);
	if (err && share_is_on()) {
		log_line(NULL, LOG_WARN, "msg=\"no statistics\" dir=%s errno=%d",
			 tenant.options.run_dir, -err);
		err = stats_region_private(&region);
	}
	if (err) {
		log_line(NULL, LOG_WARN, "msg=\"no statistics\" dir=%s errno=%d",
			 tenant.options.run_dir, -err);
		tenant.wants_records = 0;
		return;
	}
	kernels_init(region, qmd_hook_kernel_name);
	execs_init(region);
	tenant.stats = region;
	if (!contexts.exit_registered)
		contexts.exit_registered = atexit(work_end) == 0;
	if (tracker_start(region))
		tenant.wants_records = 0;
}

/* What readers of the statistics need to know of the quota: that of the largest GPU in use. */
static void stats_note_device(const struct device *device)
{
	struct stats_header *header = tenant.stats ? &tenant.stats->header : NULL;

	if (!header || header->device_tpcs >= device->topo.nr_tpcs)
		return;
	__atomic_store_n(&header->device_tpcs, device->topo.nr_tpcs, __ATOMIC_RELAXED);
	if (device->is_masked)
		__atomic_store_n(&header->quota_tpcs, device->nr_allowed, __ATOMIC_RELAXED);
}

static struct context *context_find_locked(CUcontext handle)
{
	for (uint32_t i = 0; i < MAX_CONTEXTS; i++) {
		struct context *ctx = &contexts.context[i];
		if (atomic_load_explicit(&ctx->handle, memory_order_relaxed) == handle)
			return ctx;
	}
	return NULL;
}

/* Launches of the context may be split, and its process tells borrowers to go. */
static void context_split_on(struct context *ctx)
{
	int minor = 0;

	if (plan_is_off() || !(ctx->device->is_shared || plan_is_forced()) ||
	    !atomic_load_explicit(&ctx->records_on, memory_order_relaxed))
		return;
	(void)tenant.ops.device_attribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
					  ctx->device->handle);
	arena_open(ctx, ctx->device->cc_major, minor);
	if (!arena_serves(ctx))
		return;
	claim_open();
	code_read_open();
	aside_start();
	epoch_open();
}

static void context_split_off(const struct context *ctx)
{
	if (!arena_serves(ctx))
		return;
	epoch_close();
	arena_close(ctx);
	aside_stop();
}

static void context_records_off(struct context *ctx)
{
	context_split_off(ctx);
	atomic_store_explicit(&ctx->records_on, 0, memory_order_relaxed);
	if (!ctx->has_pool)
		return;
	/* What the GPU wrote before it was told to stop still counts. */
	(void)record_pool_collect(&ctx->pool, tracker_read);
	execs_drop_pool(&ctx->pool);
	record_pool_retire(&ctx->pool);
}

static void context_drop_locked(struct context *ctx)
{
	CUcontext handle = atomic_load_explicit(&ctx->handle, memory_order_relaxed);

	context_records_off(ctx);
	memory_context_gone(handle);
	queue_context_gone(handle);
	atomic_store_explicit(&ctx->handle, NULL, memory_order_release);
	(void)atomic_fetch_add_explicit(&contexts.generation, 1, memory_order_release);
}

/* A context that is gone may have left its registration behind: it is withdrawn and made anew. */
static CUresult pool_register(const struct record_pool *pool)
{
	CUresult err = tenant.ops.host_register(pool->memory, record_pool_bytes(),
						CU_MEMHOSTREGISTER_DEVICEMAP);

	if (err != CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED)
		return err;
	(void)tenant.ops.host_unregister(pool->memory);
	return tenant.ops.host_register(pool->memory, record_pool_bytes(),
					CU_MEMHOSTREGISTER_DEVICEMAP);
}

/* Registers the record memory with the current context; without it the context has no records. */
static void context_records_on(struct context *ctx)
{
	CUdeviceptr address = 0;
	CUresult err;

	if (!tenant.wants_records || !tenant.stats)
		return;
	if (!ctx->has_pool && record_pool_init(&ctx->pool))
		return;
	ctx->has_pool = 1;
	err = pool_register(&ctx->pool);
	if (!err)
		err = tenant.ops.host_device_pointer(&address, ctx->pool.memory, 0);
	if (err) {
		static struct log_site site;
		log_line(&site, LOG_INFO,
			 "msg=\"record memory cannot be registered: no statistics\" error=%d", err);
		return;
	}
	ctx->pool.device_address = address;
	atomic_store_explicit(&ctx->records_on, 1, memory_order_release);
}

/* Where the process sees one GPU, a context that was not announced is of that one. */
static void unseen_begin(struct device *device)
{
	int nr_devices = 0;

	if (tenant.ops.device_count(&nr_devices) || nr_devices != 1)
		return;
	contexts.unseen.device = device;
	/* pairs with the acquire in tenant_unseen_context() */
	atomic_store_explicit(&contexts.may_see, 1, memory_order_release);
}

struct context *tenant_unseen_context(void)
{
	if (!atomic_load_explicit(&contexts.may_see, memory_order_acquire))
		return NULL;
	return &contexts.unseen;
}

static void context_add_locked(CUcontext handle, CUdevice device, int is_primary)
{
	struct context *ctx = context_find_locked(NULL);

	if (!ctx)
		return;
	if (hook_stand_up()) {
		device_leave_alone(device);
		return;
	}
	device_link(device);
	if (share_is_on())
		(void)queue_start();
	stats_start();
	ctx->index = (uint32_t)(ctx - contexts.context);
	ctx->is_primary = is_primary;
	ctx->device = device_attach(device);
	if (!ctx->device)
		return;
	unseen_begin(ctx->device);
	stats_note_device(ctx->device);
	context_records_on(ctx);
	/* pairs with the acquire in context_find(): the context before its handle */
	atomic_store_explicit(&ctx->handle, handle, memory_order_release);
	(void)atomic_fetch_add_explicit(&contexts.generation, 1, memory_order_release);
	/* Launches kernels of ours, whose mask is the context's. */
	context_split_on(ctx);
}

/* Set-up with the context current, and outside any capture another thread may have under way. */
static void context_set_up_locked(struct context *known, CUcontext handle, CUdevice device,
				  int is_primary)
{
	CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
	CUcontext popped;

	if (tenant.ops.ctx_push(handle) != CUDA_SUCCESS)
		return;
	(void)tenant.ops.exchange_capture_mode(&mode);
	if (known)
		context_records_on(known);
	else
		context_add_locked(handle, device, is_primary);
	(void)tenant.ops.exchange_capture_mode(&mode);
	(void)tenant.ops.ctx_pop(&popped);
}

/* A known primary context is handed out again; any other known handle belongs to a context now
 * gone. */
static struct context *context_known_locked(CUcontext handle, CUdevice device, int is_primary)
{
	struct context *ctx = context_find_locked(handle);

	if (!ctx || (is_primary && ctx->is_primary && ctx->device->handle == device))
		return ctx;
	context_drop_locked(ctx);
	return NULL;
}

void tenant_context_created(CUcontext handle, CUdevice device, int is_primary)
{
	struct context *known;

	(void)pthread_mutex_lock(&contexts.lock);
	known = context_known_locked(handle, device, is_primary);
	if (!known || (tenant.wants_records &&
		       !atomic_load_explicit(&known->records_on, memory_order_relaxed)))
		context_set_up_locked(known, handle, device, is_primary);
	(void)pthread_mutex_unlock(&contexts.lock);
}

void tenant_context_closing(CUcontext handle)
{
	struct context *ctx;

	(void)pthread_mutex_lock(&contexts.lock);
	ctx = handle ? context_find_locked(handle) : NULL;
	if (ctx) {
		context_split_off(ctx);
		atomic_store_explicit(&ctx->records_on, 0, memory_order_relaxed);
	}
	(void)pthread_mutex_unlock(&contexts.lock);
}

void tenant_context_closed(CUcontext handle)
{
	struct context *ctx;

	(void)pthread_mutex_lock(&contexts.lock);
	ctx = handle ? context_find_locked(handle) : NULL;
	if (ctx) {
		context_drop_locked(ctx);
	} else {
		memory_context_gone(handle);
		queue_context_gone(handle);
	}
	(void)pthread_mutex_unlock(&contexts.lock);
}

static struct context *primary_find_locked(CUdevice device)
{
	for (uint32_t i = 0; i < MAX_CONTEXTS; i++) {
		struct context *ctx = &contexts.context[i];
		if (atomic_load_explicit(&ctx->handle, memory_order_relaxed) && ctx->is_primary &&
		    ctx->device->handle == device)
			return ctx;
	}
	return NULL;
}

void tenant_primary_released(CUdevice device)
{
	unsigned int flags;
	int active = 1;
	struct context *ctx;

	if (tenant.ops.primary_state(device, &flags, &active) || active)
		return;
	(void)pthread_mutex_lock(&contexts.lock);
	ctx = primary_find_locked(device);
	if (ctx)
		context_drop_locked(ctx);
	(void)pthread_mutex_unlock(&contexts.lock);
}

void tenant_primary_resetting(CUdevice device)
{
	struct context *ctx;

	(void)pthread_mutex_lock(&contexts.lock);
	ctx = primary_find_locked(device);
	if (ctx) {
		CUcontext handle = atomic_load_explicit(&ctx->handle, memory_order_relaxed);

		context_records_off(ctx);
		memory_context_gone(handle);
		queue_context_gone(handle);
	}
	(void)pthread_mutex_unlock(&contexts.lock);
}

static struct context *context_of_slow(struct thread_state *t, CUcontext handle,
				       uint32_t generation)
{
	struct context *found = NULL;

	for (uint32_t i = 0; i < MAX_CONTEXTS && !found; i++) {
		/* pairs with the release in context_add_locked() */
		if (atomic_load_explicit(&contexts.context[i].handle, memory_order_acquire) ==
		    handle)
			found = &contexts.context[i];
	}
	t->cached_handle = handle;
	t->cached_context = found;
	t->cached_generation = generation;
	return found;
}

struct context *tenant_context_of(struct thread_state *t, CUcontext handle)
{
	/* The generation first: a change after it makes the next call look again. */
	uint32_t generation = atomic_load_explicit(&contexts.generation, memory_order_acquire);

	if (__builtin_expect(t->cached_handle == handle && t->cached_generation == generation, 1))
		return t->cached_context;
	return context_of_slow(t, handle, generation);
}

struct device *tenant_current_masked_device(void)
{
	struct device *device;
	CUdevice handle;

	if (!tenant.wants_masks || tenant.ops.ctx_device(&handle))
		return NULL;
	device = device_ready(handle);
	if (!device || !device->is_masked)
		return NULL;
	return device;
}

/* Returns how many launches are outstanding, graphs' included. */
static uint64_t pool_collect(struct record_pool *pool, record_read_fn read)
{
	uint64_t nr_outstanding = record_pool_collect(pool, read);

	nr_outstanding += record_marks_collect(pool, activity_mark_ended);
	for (; pool->nr_lost; pool->nr_lost--)
		thread_count(STATS_records_lost);
	return nr_outstanding;
}

uint32_t tenant_collect(record_read_fn read)
{
	uint64_t nr_outstanding = 0;
	uint32_t nr_graphs;

	(void)pthread_mutex_lock(&contexts.lock);
	for (uint32_t i = 0; i < MAX_CONTEXTS; i++) {
		if (contexts.context[i].has_pool)
			nr_outstanding += pool_collect(&contexts.context[i].pool, read);
	}
	activity_collected(nr_outstanding);
	/* Graphs use the pools' clocks, so under the same lock. */
	nr_graphs = execs_collect();
	(void)pthread_mutex_unlock(&contexts.lock);
	return nr_graphs;
}

void tenant_after_fork(void)
{
	/* The other threads are gone: locks they held are made anew, and no CUDA call works here
	 * any more if the parent had started the driver. */
	(void)pthread_mutex_init(&contexts.lock, NULL);
	tracker_after_fork();
	link_after_fork();
	kernels_after_fork();
	execs_after_fork();
	memory_after_fork();
	arena_after_fork();
	epoch_after_fork();
	aside_after_fork();
	thread_after_fork();
}
