/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's state: the lock, the table of objects, options and faults, and what a fork leaves.
 *
 * A child of an initialised process has none of the threads that make the device go, so every call
 * in it answers CUDA_ERROR_NOT_INITIALIZED, as on hardware; the flag is set by a fork handler and
 * tested before the lock, which another thread may have held at the fork. A child of a process that
 * never called cuInit starts fresh.
 *
 * Tested by tests/unit/sim_driver_fork.c.
 */
#include "sim/driver/state.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/options.h"
#include "sim/kernel/registry.h"

#define NR_BUCKETS 4096u

struct sim_state sim = {.lock = PTHREAD_MUTEX_INITIALIZER, .trace_fd = -1, .next_id = 1};

static struct object *buckets[NR_BUCKETS];

static struct object **bucket_of(const void *handle)
{
	uint64_t x = (uintptr_t)handle;

	return &buckets[(x >> 4 ^ x >> 16) % NR_BUCKETS];
}

void object_add_locked(struct object *object, enum object_kind kind)
{
	struct object **bucket = bucket_of(object);

	object->kind = kind;
	object->next = *bucket;
	*bucket = object;
}

void object_remove_locked(struct object *object)
{
	struct object **link = bucket_of(object);

	while (*link && *link != object)
		link = &(*link)->next;
	if (*link)
		*link = object->next;
}

int object_is_locked(const void *handle, enum object_kind kind)
{
	const struct object *object = *bucket_of(handle);

	while (object && object != handle)
		object = object->next;
	return object && object->kind == kind;
}

/* Value of `name=value` in a comma separated list, or "" for a bare name; NULL when absent. */
static const char *fault_value(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = list; at && *at; at = strchr(at, ','), at = at ? at + 1 : NULL) {
		if (strncmp(at, name, n) != 0)
			continue;
		if (at[n] == '=')
			return at + n + 1;
		if (at[n] == 0 || at[n] == ',')
			return "";
	}
	return NULL;
}

static uint32_t fault_number(const char *list, const char *name, uint32_t otherwise)
{
	const char *value = fault_value(list, name);

	return value ? (uint32_t)strtoul(value, NULL, 0) : otherwise;
}

static void faults_read(const char *list, struct faults *faults)
{
	const char *symbol = fault_value(list, "no-symbol");

	faults->qmd_version = fault_number(list, "qmd-version", 0);
	faults->table_bytes = fault_number(list, "table-size", 96);
	faults->slow_init_ms = fault_number(list, "slow-init", 0);
	faults->launch_error = fault_number(list, "launch-error", 0);
	faults->no_table = fault_value(list, "no-table") != NULL;
	faults->no_programmatic = fault_value(list, "no-programmatic") != NULL;
	faults->subscribe_busy = fault_value(list, "subscribe-busy") != NULL;
	faults->mask_ignored = fault_value(list, "mask-ignored") != NULL;
	faults->record_ignored = fault_value(list, "record-ignored") != NULL;
	faults->calls_wait = fault_value(list, "calls-wait") != NULL;
	if (!symbol)
		return;
	for (size_t i = 0; symbol[i] && symbol[i] != ',' && i + 1 < sizeof(faults->no_symbol); i++)
		faults->no_symbol[i] = symbol[i];
}

static void options_load_once(void)
{
	struct options options;
	char error[128];

	/* A bad value leaves the default, and this library has nobody to tell. */
	(void)options_read(&options, error, sizeof(error));
	faults_read(options.sim_fault, &sim.faults);
	sim.nr_gpus = options.sim_nr_gpus;
	memcpy(sim.server_path, options.sim_device, sizeof(sim.server_path));
	if (chip_of(options.sim_gpu, &sim.chip))
		(void)chip_of("h100", &sim.chip);
	if (options.sim_trace[0])
		sim.trace_fd =
			open(options.sim_trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (options.sim_kernels[0])
		(void)registry_load(options.sim_kernels);
}

void options_load(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, options_load_once);
}

static void after_fork_in_child(void)
{
	if (__atomic_load_n(&sim.initialised, __ATOMIC_ACQUIRE))
		__atomic_store_n(&sim.forked, 1, __ATOMIC_RELAXED);
	gpu_after_fork_in_child();
}

__attribute__((constructor)) static void state_init(void)
{
	pthread_condattr_t attr;

	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&sim.progress, &attr);
	(void)pthread_cond_init(&sim.work, &attr);
	(void)pthread_condattr_destroy(&attr);
	(void)pthread_atfork(NULL, NULL, after_fork_in_child);
}

CUresult enter(void)
{
	uint32_t lost = __atomic_load_n(&sim.lost, __ATOMIC_RELAXED);

	if (__atomic_load_n(&sim.forked, __ATOMIC_RELAXED) ||
	    !__atomic_load_n(&sim.initialised, __ATOMIC_ACQUIRE))
		return CUDA_ERROR_NOT_INITIALIZED;
	if (lost)
		return (CUresult)lost;
	(void)pthread_mutex_lock(&sim.lock);
	return CUDA_SUCCESS;
}

CUresult enter_ctx(struct CUctx_st **ret_ctx)
{
	CUresult r = enter();

	if (r)
		return r;
	r = current_ctx_locked(ret_ctx);
	if (!r)
		r = (*ret_ctx)->fault;
	return r ? leave(r) : CUDA_SUCCESS;
}

CUresult enter_stream(CUstream handle, struct CUstream_st **ret_stream)
{
	struct CUctx_st *ctx = NULL;
	CUresult r = enter();

	if (r)
		return r;
	/* A stream of its own knows its context; only the special ones need a current one. */
	if (!object_is_locked(handle, OBJECT_STREAM))
		r = current_ctx_locked(&ctx);
	if (!r)
		r = stream_of_locked(ctx, handle, ret_stream);
	if (!r)
		r = (*ret_stream)->ctx->fault;
	return r ? leave(r) : CUDA_SUCCESS;
}
