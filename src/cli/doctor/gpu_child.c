/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GPU checks, run in a child process because a driver may crash or hang.
 *
 * Before each stage the child says which check it is for and how long it may take; the parent holds
 * it to that. Stages: start the driver and a context; subscribe the launch hook and probe the
 * topology; launch twice with a mask and a completion record (hw_selftest) and look at what
 * happened. The first visible GPU is checked. The child exits without tearing the context down: a
 * broken one could hang.
 *
 * Tested by tests/integration/cli_doctor.bats on the simulated GPU, with LITHOS_SIM_FAULT for
 * failures.
 */
#include "cli/doctor/gpu_child.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/cache_dir.h"
#include "base/clock.h"
#include "base/options.h"
#include "hw/driver.h"
#include "hw/qmd.h"
#include "hw/selftest.h"
#include "hw/tools_hook.h"
#include "hw/topo_cache.h"
#include "hw/topo_probe.h"
#include "hw/topology.h"

/* Everything the stages hand on. */
struct gpu {
	int fd;
	struct driver_ops ops;
	CUdevice device;
	struct topology topology;
};

static void send_message(const struct gpu *gpu, const struct gpu_message *message)
{
	/* Smaller than PIPE_BUF, so whole or not at all; a parent that is gone needs no message. */
	if (write(gpu->fd, message, sizeof(*message)) < 0)
		_exit(1);
}

static void begin_stage(const struct gpu *gpu, enum check check, uint32_t limit_s)
{
	struct gpu_message message = {.kind = GPU_STAGE, .limit_s = limit_s};

	message.finding.check = check;
	send_message(gpu, &message);
}

__attribute__((format(printf, 5, 6))) static void report(const struct gpu *gpu, enum check check,
							 enum status status, const char *advice,
							 const char *format, ...)
{
	struct gpu_message message = {.kind = GPU_FINDING};
	va_list args;

	va_start(args, format);
	finding_vset(&message.finding, check, status, advice, format, args);
	va_end(args);
	send_message(gpu, &message);
}

static const char *error_text(const struct gpu *gpu, CUresult result)
{
	const char *name = NULL;

	return gpu->ops.error_name(result, &name) == CUDA_SUCCESS && name != NULL ? name : "?";
}

static void *lookup(void *cookie, const char *symbol)
{
	return dlsym(cookie, symbol);
}

static int load_driver(struct gpu *gpu, const char *path)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const char *missing = "";

	if (library == NULL) {
		report(gpu, CHECK_DEVICE, STATUS_CRITICAL, "reinstall the driver", "%s", dlerror());
		return -1;
	}
	if (driver_ops_load(&gpu->ops, lookup, library, &missing) < 0) {
		report(gpu, CHECK_DEVICE, STATUS_CRITICAL, "install a driver of CUDA 12.4 or later",
		       "the driver has no %s", missing);
		return -1;
	}
	return 0;
}

static CUresult make_current(struct gpu *gpu)
{
	CUcontext context = NULL;
	CUresult result = gpu->ops.init(0);

	if (result == CUDA_SUCCESS)
		result = gpu->ops.device_get(&gpu->device, 0);
	if (result == CUDA_SUCCESS)
		result = gpu->ops.primary_retain(&context, gpu->device);
	if (result == CUDA_SUCCESS)
		result = gpu->ops.ctx_push(context);
	return result;
}

static int check_device(struct gpu *gpu, const char *path)
{
	char name[128] = "?";
	int nr_devices = 0;
	int nr_sms = 0;
	int version = 0;
	CUresult result;

	begin_stage(gpu, CHECK_DEVICE, 90);
	if (load_driver(gpu, path) < 0)
		return -1;
	result = make_current(gpu);
	if (result != CUDA_SUCCESS) {
		report(gpu, CHECK_DEVICE, STATUS_CRITICAL,
		       "see what nvidia-smi and the kernel log (dmesg) say",
		       "no context on the first GPU: %s (%d)", error_text(gpu, result),
		       (int)result);
		return -1;
	}
	(void)gpu->ops.device_name(name, sizeof(name), gpu->device);
	(void)gpu->ops.device_count(&nr_devices);
	(void)gpu->ops.driver_version(&version);
	(void)gpu->ops.device_attribute(&nr_sms, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT,
					gpu->device);
	report(gpu, CHECK_DEVICE, STATUS_OK, "", "%s, %d SMs, CUDA %d.%d, first of %d", name,
	       nr_sms, version / 1000, version % 1000 / 10, nr_devices);
	return 0;
}

static void on_launch(const struct qmd_event *event)
{
	(void)probe_hook_edit(event);
}

static int subscribe(struct gpu *gpu)
{
	int r = tools_hook_subscribe(gpu->ops.export_table, on_launch);

	if (r == -EBUSY)
		report(gpu, CHECK_HOOK, STATUS_CRITICAL,
		       "run doctor without a profiler (CUPTI, Nsight, CUDA_INJECTION64_PATH)",
		       "another tool holds the launch hook");
	else if (r == -ENOSYS)
		report(gpu, CHECK_HOOK, STATUS_CRITICAL,
		       "use a driver lithos knows; programs run, but without quotas and statistics",
		       "this driver has no launch hook of the known form");
	else if (r < 0)
		report(gpu, CHECK_HOOK, STATUS_CRITICAL,
		       "programs run, but without quotas and statistics",
		       "subscribing the launch hook failed: %s", strerror(-r));
	return r;
}

static const char *cache_state(const struct topology *topology)
{
	struct topo_cache_key key = {.driver_version = topology->driver_version,
				     .nr_sms = topology->nr_sms};
	struct options options;
	struct topology cached;
	char folder[PATHS_MAX];
	char ignored[64];

	(void)options_read(&options, ignored, sizeof(ignored));
	memcpy(key.uuid, topology->uuid, sizeof(key.uuid));
	if (cache_dir_choose(options.cache_dir, folder, sizeof(folder)) < 0 ||
	    topo_cache_load(folder, &key, &cached) < 0)
		return "not cached yet";
	return tpcset_equal(&cached.present, &topology->present)
		       ? "the cached one agrees"
		       : "the cached one DIFFERS: remove it from the cache folder";
}

static void report_topology(struct gpu *gpu, uint64_t took_ns)
{
	const struct topology *topology = &gpu->topology;
	unsigned int in_gpcs = 0;

	for (uint32_t i = 0; i < topology->nr_gpcs && i < TOPOLOGY_MAX_GPCS; i++)
		in_gpcs += tpcset_count(&topology->gpc[i]);
	report(gpu, CHECK_TOPOLOGY, STATUS_OK, "",
	       "%" PRIu32 " TPCs, %u of them in %" PRIu32 " GPCs, %" PRIu32
	       " left over; probed in %.1f ms; %s",
	       topology->nr_tpcs, in_gpcs, topology->nr_gpcs, topology->nr_tpcs - in_gpcs,
	       (double)took_ns / 1e6, cache_state(topology));
}

static int check_topology(struct gpu *gpu)
{
	uint64_t begin_ns;
	int r;

	begin_stage(gpu, CHECK_TOPOLOGY, 20);
	if (subscribe(gpu) < 0)
		return -1;
	begin_ns = clock_now_ns();
	r = topo_probe(&gpu->ops, gpu->device, &gpu->topology);
	if (r == 0) {
		report_topology(gpu, clock_now_ns() - begin_ns);
		return 0;
	}
	if (r == -ENOSYS)
		report(gpu, CHECK_HOOK, STATUS_CRITICAL,
		       "use a driver lithos knows; programs run, but without quotas and statistics",
		       "subscribed, but not called for a launch");
	else if (r == -ENOTSUP)
		report(gpu, CHECK_QMD, STATUS_WARNING,
		       "to try it all the same, name the version in LITHOS_QMD_ALLOW",
		       "this GPU's descriptor version is unknown or not verified: no quotas");
	else
		report(gpu, CHECK_TOPOLOGY, STATUS_CRITICAL,
		       "run doctor again while nothing else uses the GPU; programs run, but "
		       "without quotas",
		       "the probe failed: %s", strerror(-r));
	return -1;
}

static const struct qmd_layout *layout_of_version(uint32_t version)
{
	for (size_t i = 0; qmd_layouts[i] != NULL; i++) {
		if (qmd_layouts[i]->version == version)
			return qmd_layouts[i];
	}
	return NULL;
}

static void report_qmd(struct gpu *gpu, const struct hw_selftest_report *seen)
{
	const struct qmd_layout *layout = layout_of_version(seen->qmd_version);

	if (layout == NULL)
		report(gpu, CHECK_QMD, STATUS_CRITICAL,
		       "use a lithos that knows this GPU; programs run, but without quotas",
		       "version 0x%02" PRIx32 " is unknown", seen->qmd_version);
	else if (!layout->verified)
		report(gpu, CHECK_QMD, STATUS_WARNING, "report how it goes",
		       "%s is known but was never verified on hardware", layout->name);
	else
		report(gpu, CHECK_QMD, STATUS_OK, "", "%s, verified", layout->name);
}

static void report_mask(struct gpu *gpu, const struct hw_selftest_report *seen)
{
	if (seen->mask_obeyed)
		report(gpu, CHECK_MASK, STATUS_OK, "",
		       "a launch allowed %" PRIu32 " SMs ran on %" PRIu32 " of them",
		       seen->allowed_sms, seen->sms_seen);
	else
		report(gpu, CHECK_MASK, STATUS_CRITICAL,
		       "do not rely on quotas on this machine; report the GPU and driver",
		       "a launch allowed %" PRIu32 " SMs ran on %" PRIu32
		       ", not all of them allowed",
		       seen->allowed_sms, seen->sms_seen);
}

static void report_record(struct gpu *gpu, const struct hw_selftest_report *seen)
{
	if (!seen->record_written)
		report(gpu, CHECK_RECORD, STATUS_CRITICAL,
		       "statistics will be empty; report the GPU and driver",
		       "the GPU did not write the record of a launch that ended");
	else if (!seen->record_timestamp_sane)
		report(gpu, CHECK_RECORD, STATUS_WARNING,
		       "do not trust the times in statistics; report the GPU and driver",
		       "written, but its timestamps do not advance as time does");
	else
		report(gpu, CHECK_RECORD, STATUS_OK, "", "written, with timestamps that advance");
}

static void check_launches(struct gpu *gpu)
{
	struct hw_selftest_report seen = {0};
	int r;

	begin_stage(gpu, CHECK_MASK, 5);
	r = hw_selftest(&gpu->ops, gpu->device, &gpu->topology, &seen);
	if (r < 0 && r != -EUCLEAN) {
		report(gpu, CHECK_MASK, STATUS_CRITICAL,
		       "see the kernel log (dmesg) for Xid errors", "the test launch failed: %s",
		       strerror(-r));
		return;
	}
	if (seen.hook_calls == 0) {
		report(gpu, CHECK_HOOK, STATUS_CRITICAL,
		       "programs run, but without quotas and statistics",
		       "subscribed, but not called for a launch");
		return;
	}
	report(gpu, CHECK_HOOK, STATUS_OK, "",
	       "subscribed, called %" PRIu32 " times for 2 launches", seen.hook_calls);
	report_qmd(gpu, &seen);
	report_mask(gpu, &seen);
	report_record(gpu, &seen);
}

void gpu_child(const char *driver_path, int fd)
{
	struct gpu gpu = {.fd = fd};
	const struct gpu_message done = {.kind = GPU_DONE};

	if (check_device(&gpu, driver_path) == 0 && check_topology(&gpu) == 0)
		check_launches(&gpu);
	send_message(&gpu, &done);
}
