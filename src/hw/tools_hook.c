/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subscription to the driver's "QMD pre-upload" event, shared with a profiler.
 *
 * Problem: launches reach the driver through dozens of entry points, graphs and driver-internal
 * kernels; editing each at its API would miss some. Idea: the driver itself announces every launch
 * descriptor right before it uploads it, to one subscriber, through a table that cuGetExportTable
 * hands to tools. What is written into the descriptor during the call is what the hardware gets.
 *
 * The one subscriber must not be a profiler's loss. CUPTI takes the table from the driver's file
 * itself, opened by its absolute path, so it cannot be handed a table of ours; but the table lies
 * in the driver's writable data. So its entries for subscribing and enabling are replaced by the
 * functions here: a second subscriber becomes the guest of our subscription. It is given our
 * handle, its callback gets every event it enabled, and its enabling goes to the driver, except
 * that nobody can switch our launch event off. The guest sees a descriptor before it is edited,
 * because CUPTI adds to it too.
 *
 * What it does badly: the table is documented nowhere, so everything about it is checked before use
 * (its size, the answers of its functions, that it may be written) and anything unexpected means
 * "no hook" or "no guest", never a guess. One guest at a time, as with the driver. A profiler that
 * attached before this library was loaded keeps the subscription, and the hook is not available.
 *
 * Words of the event (8 bytes each, measured on 580.159.04): 0 low half: size of the event; 1
 * context; 2 module; 3 kernel; 4 descriptor; 5 low half: launch id.
 *
 * Tested by tests/unit/tools_hook.c against a table of its own, against the simulated driver, and
 * on hardware with the PyTorch profiler.
 */
#include "hw/tools_hook.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define TOOLS_TABLE_BYTES       96
#define TOOLS_DOMAIN_LAUNCH     0xb
#define TOOLS_NR_DOMAINS        32
#define TOOLS_ID_QMD_PRE_UPLOAD 1
#define TOOLS_EVENT_MIN_BYTES   0x30

/*
 * What the driver calls. The last two arguments are what its registers held when it was looked at;
 * they mean nothing to us and are handed on to a guest, which may know better, like the answer.
 */
typedef int (*tools_callback_fn)(void *user, int domain, int id, const void *params,
				 uintptr_t extra_1, uintptr_t extra_2);
typedef int (*tools_subscribe_fn)(uint32_t *ret_handle, tools_callback_fn callback, void *user);

/* The table as the driver lays it out; entries nobody needs here stay opaque. */
struct tools_table {
	uint64_t size_bytes;
	void *opaque_1;
	void *opaque_2;
	tools_subscribe_fn subscribe;
	int (*unsubscribe)(uint32_t handle);
	void *opaque_5;
	int (*enable)(uint32_t on, uint32_t handle, int domain, int id);
	void *opaque_7;
	void *opaque_8;
	int (*enable_domain)(uint32_t on, uint32_t handle, int domain);
	void *opaque_10;
	tools_subscribe_fn subscribe_new; /* what CUPTI 13 uses */
};

_Static_assert(sizeof(struct tools_table) == TOOLS_TABLE_BYTES, "twelve words");

struct tools_event {
	uint32_t size_bytes;
	uint32_t reserved;
	CUcontext ctx;
	void *module;
	CUfunction func;
	uint32_t *qmd;
	uint32_t launch_id;
};

static const CUuuid tools_uuid = {{0x2c, (char)0x8e, 0x0a, (char)0xd8, 0x07, 0x10, (char)0xab, 0x4e,
				   (char)0x90, (char)0xdd, 0x54, 0x71, (char)0x9f, (char)0xe5,
				   (char)0xf7, 0x4b}};

/* One subscription a process, as the driver has it. Changed under lock, read by launching threads.
 */
static struct {
	pthread_mutex_t lock;
	struct tools_table *table; /* the driver's; NULL before the first use */
	struct tools_table real;   /* its entries as the driver had them */
	uint32_t handle;
	int is_shared;                    /* the table's entries are ours */
	int is_subscribed;                /* with the driver, for ourselves or for a guest */
	_Atomic(qmd_event_fn) fn;         /* NULL: nobody of ours listens */
	_Atomic(tools_callback_fn) guest; /* NULL: no guest */
	_Atomic(void *) guest_user;
	_Atomic uint32_t guest_wants_launch;
} hook = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* pairs with the release in guest_subscribe(): the guest's argument before its function */
static tools_callback_fn guest_of(void)
{
	return atomic_load_explicit(&hook.guest, memory_order_acquire);
}

static void launch_event(const struct tools_event *event)
{
	/* pairs with the release in tools_hook_subscribe() */
	qmd_event_fn fn = atomic_load_explicit(&hook.fn, memory_order_acquire);

	if (!fn || event->size_bytes < TOOLS_EVENT_MIN_BYTES || !event->qmd)
		return;
	fn(&(struct qmd_event){
		.ctx = event->ctx,
		.func = event->func,
		.qmd = event->qmd,
		.launch_id = event->launch_id,
	});
}

static int tools_callback(void *user, int domain, int id, const void *params, uintptr_t extra_1,
			  uintptr_t extra_2)
{
	int is_launch = domain == TOOLS_DOMAIN_LAUNCH && id == TOOLS_ID_QMD_PRE_UPLOAD;
	tools_callback_fn guest = guest_of();
	int answer = 0;

	(void)user;
	if (guest &&
	    (!is_launch || atomic_load_explicit(&hook.guest_wants_launch, memory_order_relaxed)))
		answer = guest(atomic_load_explicit(&hook.guest_user, memory_order_relaxed), domain,
			       id, params, extra_1, extra_2);
	if (is_launch)
		launch_event(params);
	return answer;
}

/* The newer entry where there is one: it is the one a guest expects to have subscribed with. */
static tools_subscribe_fn subscribe_real(void)
{
	return hook.real.subscribe_new ? hook.real.subscribe_new : hook.real.subscribe;
}

static int subscribe_locked(void)
{
	int status = 0;

	if (!hook.is_subscribed)
		status = subscribe_real()(&hook.handle, tools_callback, NULL);
	hook.is_subscribed = !status;
	return status;
}

static int enable_launch_locked(uint32_t on)
{
	return hook.real.enable(on, hook.handle, TOOLS_DOMAIN_LAUNCH, TOOLS_ID_QMD_PRE_UPLOAD);
}

/* --- the entries that a second subscriber meets --- */

static int guest_subscribe(uint32_t *ret_handle, tools_callback_fn callback, void *user)
{
	int status;

	(void)pthread_mutex_lock(&hook.lock);
	status = atomic_load_explicit(&hook.guest, memory_order_relaxed)
			 ? (int)CUDA_ERROR_ALREADY_ACQUIRED
			 : subscribe_locked();
	if (!status) {
		atomic_store_explicit(&hook.guest_user, user, memory_order_relaxed);
		/* pairs with the acquire in guest_of() */
		atomic_store_explicit(&hook.guest, callback, memory_order_release);
		*ret_handle = hook.handle;
	}
	(void)pthread_mutex_unlock(&hook.lock);
	return status;
}

/* Ends the subscription with the driver when neither we nor a guest need it. */
static void unsubscribe_if_unused_locked(void)
{
	if (!hook.is_subscribed || atomic_load_explicit(&hook.fn, memory_order_relaxed) ||
	    atomic_load_explicit(&hook.guest, memory_order_relaxed))
		return;
	(void)hook.real.unsubscribe(hook.handle);
	hook.is_subscribed = 0;
}

static int guest_unsubscribe(uint32_t handle)
{
	(void)handle;
	(void)pthread_mutex_lock(&hook.lock);
	atomic_store_explicit(&hook.guest, NULL, memory_order_release);
	atomic_store_explicit(&hook.guest_wants_launch, 0, memory_order_relaxed);
	for (int domain = 0; domain < TOOLS_NR_DOMAINS; domain++)
		(void)hook.real.enable_domain(0, hook.handle, domain);
	if (atomic_load_explicit(&hook.fn, memory_order_relaxed))
		(void)enable_launch_locked(1);
	unsubscribe_if_unused_locked();
	(void)pthread_mutex_unlock(&hook.lock);
	return 0;
}

static int guest_enable(uint32_t on, uint32_t handle, int domain, int id)
{
	int status;

	if (domain != TOOLS_DOMAIN_LAUNCH || id != TOOLS_ID_QMD_PRE_UPLOAD)
		return hook.real.enable(on, handle, domain, id);
	(void)pthread_mutex_lock(&hook.lock);
	atomic_store_explicit(&hook.guest_wants_launch, on != 0, memory_order_relaxed);
	status = enable_launch_locked(on || atomic_load_explicit(&hook.fn, memory_order_relaxed));
	(void)pthread_mutex_unlock(&hook.lock);
	return status;
}

static int guest_enable_domain(uint32_t on, uint32_t handle, int domain)
{
	int status;

	(void)pthread_mutex_lock(&hook.lock);
	status = hook.real.enable_domain(on, handle, domain);
	if (domain == TOOLS_DOMAIN_LAUNCH) {
		atomic_store_explicit(&hook.guest_wants_launch, on != 0, memory_order_relaxed);
		if (atomic_load_explicit(&hook.fn, memory_order_relaxed))
			(void)enable_launch_locked(1);
	}
	(void)pthread_mutex_unlock(&hook.lock);
	return status;
}

/* --- the table --- */

/* 1 when the process may write there, by its memory map. */
static int is_writable(const void *from, size_t bytes)
{
	uintptr_t want = (uintptr_t)from, end = want + bytes, low, high;
	char line[512], mode[8];
	int found = 0;
	FILE *maps = fopen("/proc/self/maps", "re");

	if (!maps)
		return 0;
	while (!found && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %7s", &low, &high, mode) == 3)
			found = low <= want && end <= high && mode[1] == 'w';
	}
	(void)fclose(maps);
	return found;
}

static void table_share_locked(void)
{
	struct tools_table *table = hook.table;

	if (hook.is_shared || !table->enable_domain || !table->subscribe_new ||
	    !is_writable(table, sizeof(*table)))
		return;
	table->unsubscribe = guest_unsubscribe;
	table->enable = guest_enable;
	table->enable_domain = guest_enable_domain;
	table->subscribe_new = guest_subscribe;
	table->subscribe = guest_subscribe;
	hook.is_shared = 1;
}

static int table_find_locked(export_table_fn export_table)
{
	const void *found = NULL;
	CUresult result;

	if (hook.table)
		return 0;
	result = export_table(&found, &tools_uuid);
	if (result == CUDA_ERROR_NOT_INITIALIZED)
		return -EAGAIN;
	if (result != CUDA_SUCCESS || !found)
		return -ENOSYS;
	memcpy(&hook.real, found, sizeof(hook.real.size_bytes));
	if (hook.real.size_bytes != TOOLS_TABLE_BYTES)
		return -ENOSYS;
	memcpy(&hook.real, found, sizeof(hook.real));
	if (!hook.real.subscribe || !hook.real.unsubscribe || !hook.real.enable)
		return -ENOSYS;
	memcpy(&hook.table, &found, sizeof(found));
	return 0;
}

int tools_hook_share(export_table_fn export_table)
{
	int err;

	(void)pthread_mutex_lock(&hook.lock);
	err = table_find_locked(export_table);
	if (!err)
		table_share_locked();
	if (!err && !hook.is_shared)
		err = -EACCES;
	(void)pthread_mutex_unlock(&hook.lock);
	return err;
}

static int start_locked(export_table_fn export_table, qmd_event_fn fn)
{
	int err = table_find_locked(export_table);
	int status;

	if (err)
		return err;
	status = subscribe_locked();
	if (status)
		return status == CUDA_ERROR_ALREADY_ACQUIRED ? -EBUSY : -EIO;
	/* The function must be in place before the first event can come. Pairs with launch_event().
	 */
	atomic_store_explicit(&hook.fn, fn, memory_order_release);
	if (!enable_launch_locked(1))
		return 0;
	atomic_store_explicit(&hook.fn, NULL, memory_order_release);
	unsubscribe_if_unused_locked();
	return -EIO;
}

int tools_hook_subscribe(export_table_fn export_table, qmd_event_fn fn)
{
	int err;

	(void)pthread_mutex_lock(&hook.lock);
	err = start_locked(export_table, fn);
	(void)pthread_mutex_unlock(&hook.lock);
	return err;
}

void tools_hook_unsubscribe(void)
{
	(void)pthread_mutex_lock(&hook.lock);
	if (atomic_load_explicit(&hook.fn, memory_order_relaxed)) {
		atomic_store_explicit(&hook.fn, NULL, memory_order_release);
		if (!atomic_load_explicit(&hook.guest_wants_launch, memory_order_relaxed))
			(void)enable_launch_locked(0);
		unsubscribe_if_unused_locked();
	}
	(void)pthread_mutex_unlock(&hook.lock);
}

int tools_hook_is_subscribed(void)
{
	return atomic_load_explicit(&hook.fn, memory_order_relaxed) != NULL;
}
