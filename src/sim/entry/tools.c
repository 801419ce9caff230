/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's side of the tools hook, as measured on driver 580.159.04.
 *
 * cuGetExportTable hands out a table of 96 bytes in writable memory: word 0 its size, entries 3 and
 * 11 subscribe, 4 unsubscribe, 6 enable, 9 enable a whole domain; the others answer
 * CUDA_ERROR_NOT_SUPPORTED here. One subscriber a process.
 * The event "QMD pre-upload" (domain 0xb, id 1) carries eleven words of eight bytes; those whose
 * meaning is unknown are zero. Faults: no-table, table-size, subscribe-busy. Tested by
 * tests/unit/sim_driver_tools.c, sim_driver_graphs.c and sim_faults.c.
 */
#include "sim/entry/tools.h"

#include <stdatomic.h>
#include <string.h>

#include "sim/driver/state.h"

#define TABLE_WORDS       12
#define EVENT_WORDS       11
#define DOMAIN_LAUNCH     0xb
#define ID_QMD_PRE_UPLOAD 1
#define HANDLE            1u

typedef void (*callback_fn)(void *user, int domain, int id, const void *params);

static struct {
	_Atomic(callback_fn) callback; /* NULL: nobody subscribed */
	_Atomic(void *) user;
	atomic_int is_enabled;
	atomic_uint next_launch_id;
	pthread_mutex_t lock; /* among subscribers */
} hook = {.lock = PTHREAD_MUTEX_INITIALIZER, .next_launch_id = 1};

static int subscribe(uint32_t *ret_handle, callback_fn callback, void *user)
{
	int r = CUDA_ERROR_ALREADY_ACQUIRED;

	if (!ret_handle || !callback)
		return CUDA_ERROR_INVALID_VALUE;
	(void)pthread_mutex_lock(&hook.lock);
	if (!sim.faults.subscribe_busy && !atomic_load(&hook.callback)) {
		atomic_store(&hook.user, user);
		/* Pairs with tools_announce(): whoever sees the callback sees its argument. */
		atomic_store_explicit(&hook.callback, callback, memory_order_release);
		*ret_handle = HANDLE;
		r = CUDA_SUCCESS;
	}
	(void)pthread_mutex_unlock(&hook.lock);
	return r;
}

static int unsubscribe(uint32_t handle)
{
	int r = CUDA_ERROR_INVALID_VALUE;

	(void)pthread_mutex_lock(&hook.lock);
	if (handle == HANDLE && atomic_load(&hook.callback)) {
		atomic_store(&hook.is_enabled, 0);
		atomic_store(&hook.callback, NULL);
		r = CUDA_SUCCESS;
	}
	(void)pthread_mutex_unlock(&hook.lock);
	return r;
}

static int enable(uint32_t on, uint32_t handle, int domain, int id)
{
	if (handle != HANDLE || !atomic_load(&hook.callback))
		return CUDA_ERROR_INVALID_VALUE;
	if (domain == DOMAIN_LAUNCH && id == ID_QMD_PRE_UPLOAD)
		atomic_store(&hook.is_enabled, on != 0);
	return CUDA_SUCCESS;
}

static int enable_domain(uint32_t on, uint32_t handle, int domain)
{
	return enable(on, handle, domain, ID_QMD_PRE_UPLOAD);
}

static int not_supported(void)
{
	return CUDA_ERROR_NOT_SUPPORTED;
}

static uintptr_t table[TABLE_WORDS + 1];

/* Filled once: like the driver's own, the table may be changed by whoever was given it. */
static void table_fill(void)
{
	for (int i = 1; i <= TABLE_WORDS; i++)
		table[i] = (uintptr_t)not_supported;
	table[0] = sim.faults.table_bytes;
	table[3] = (uintptr_t)subscribe;
	table[4] = (uintptr_t)unsubscribe;
	table[6] = (uintptr_t)enable;
	table[9] = (uintptr_t)enable_domain;
	table[11] = (uintptr_t)subscribe;
}

CUresult tools_table_of(const void **ret_table, const CUuuid *uuid)
{
	static const uint8_t tools_uuid[16] = {0x2c, 0x8e, 0x0a, 0xd8, 0x07, 0x10, 0xab, 0x4e,
					       0x90, 0xdd, 0x54, 0x71, 0x9f, 0xe5, 0xf7, 0x4b};
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (memcmp(uuid->bytes, tools_uuid, sizeof(tools_uuid)) != 0 || sim.faults.no_table)
		return CUDA_ERROR_NOT_FOUND;
	(void)pthread_once(&once, table_fill);
	*ret_table = table;
	return CUDA_SUCCESS;
}

void tools_announce(CUcontext ctx, CUmodule module, CUfunction func, uint32_t *qmd)
{
	/* Pairs with the release store in subscribe(). */
	callback_fn callback = atomic_load_explicit(&hook.callback, memory_order_acquire);
	uint32_t launch_id = atomic_fetch_add(&hook.next_launch_id, 1);
	uint64_t event[EVENT_WORDS] = {sizeof(event)};

	if (!callback || !atomic_load(&hook.is_enabled))
		return;
	event[1] = (uintptr_t)ctx;
	event[2] = (uintptr_t)module;
	event[3] = (uintptr_t)func;
	event[4] = (uintptr_t)qmd;
	event[5] = launch_id;
	callback(atomic_load(&hook.user), DOMAIN_LAUNCH, ID_QMD_PRE_UPLOAD, event);
}
