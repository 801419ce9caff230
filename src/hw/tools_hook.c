/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subscription to the driver's "QMD pre-upload" event.
 *
 * Problem: launches reach the driver through dozens of entry points, graphs and driver-internal
 * kernels; editing each at its API would miss some. Idea: the driver itself announces every launch
 * descriptor right before it uploads it, to one subscriber, through a table that cuGetExportTable
 * hands to tools. What is written into the descriptor during the call is what the hardware gets.
 *
 * What it does badly: the table is documented nowhere, so everything about it is checked before use
 * (its size, the answers of its functions) and anything unexpected means "no hook", never a guess.
 * Only one subscriber exists per process, so a profiler and this hook exclude each other.
 *
 * Words of the event (8 bytes each, measured on 580.159.04): 0 low half: size of the event; 1
 * context; 2 module; 3 kernel; 4 descriptor; 5 low half: launch id.
 *
 * Tested by tests/unit/tools_hook.c against a table of its own, and against the simulated driver.
 */
#include "hw/tools_hook.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

#define TOOLS_TABLE_BYTES       96
#define TOOLS_DOMAIN_LAUNCH     0xb
#define TOOLS_ID_QMD_PRE_UPLOAD 1
#define TOOLS_EVENT_MIN_BYTES   0x30

typedef void (*tools_callback_fn)(void *user, int domain, int id, const void *params);

/* The table as the driver lays it out; entries nobody needs here stay opaque. */
struct tools_table {
	uint64_t size_bytes;
	void *opaque_1;
	void *opaque_2;
	int (*subscribe)(uint32_t *ret_handle, tools_callback_fn callback, void *user);
	int (*unsubscribe)(uint32_t handle);
	void *opaque_5;
	int (*enable)(uint32_t on, uint32_t handle, int domain, int id);
};

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

/* One subscription a process, as the driver has it. Written under the caller's lock. */
static struct {
	const struct tools_table *table;
	uint32_t handle;
	_Atomic(qmd_event_fn) fn; /* NULL: not subscribed; read by every launching thread */
} hook;

static void tools_callback(void *user, int domain, int id, const void *params)
{
	/* pairs with the release store in tools_hook_subscribe() */
	qmd_event_fn fn = atomic_load_explicit(&hook.fn, memory_order_acquire);
	const struct tools_event *event = params;

	(void)user;
	if (!fn || domain != TOOLS_DOMAIN_LAUNCH || id != TOOLS_ID_QMD_PRE_UPLOAD)
		return;
	if (event->size_bytes < TOOLS_EVENT_MIN_BYTES || !event->qmd)
		return;
	fn(&(struct qmd_event){
		.ctx = event->ctx,
		.func = event->func,
		.qmd = event->qmd,
		.launch_id = event->launch_id,
	});
}

static const struct tools_table *tools_table_of(export_table_fn export_table)
{
	const void *table = NULL;

	if (export_table(&table, &tools_uuid) != CUDA_SUCCESS || !table)
		return NULL;
	if (((const struct tools_table *)table)->size_bytes != TOOLS_TABLE_BYTES)
		return NULL;
	return table;
}

static int subscribe_error(int status)
{
	return status == CUDA_ERROR_ALREADY_ACQUIRED ? -EBUSY : -EIO;
}

int tools_hook_subscribe(export_table_fn export_table, qmd_event_fn fn)
{
	const struct tools_table *table = tools_table_of(export_table);
	int status;

	if (!table || !table->subscribe || !table->unsubscribe || !table->enable)
		return -ENOSYS;
	status = table->subscribe(&hook.handle, tools_callback, NULL);
	if (status)
		return subscribe_error(status);
	/* The function must be in place before the first event can come. Pairs with
	 * tools_callback(). */
	atomic_store_explicit(&hook.fn, fn, memory_order_release);
	if (table->enable(1, hook.handle, TOOLS_DOMAIN_LAUNCH, TOOLS_ID_QMD_PRE_UPLOAD)) {
		atomic_store_explicit(&hook.fn, NULL, memory_order_release);
		(void)table->unsubscribe(hook.handle);
		return -EIO;
	}
	hook.table = table;
	return 0;
}

void tools_hook_unsubscribe(void)
{
	if (!hook.table)
		return;
	atomic_store_explicit(&hook.fn, NULL, memory_order_release);
	(void)hook.table->enable(0, hook.handle, TOOLS_DOMAIN_LAUNCH, TOOLS_ID_QMD_PRE_UPLOAD);
	(void)hook.table->unsubscribe(hook.handle);
	hook.table = NULL;
}

int tools_hook_is_subscribed(void)
{
	return atomic_load_explicit(&hook.fn, memory_order_relaxed) != NULL;
}
