/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lithosd --probe-gpus`: the child that loads the driver and says what it found.
 *
 * For each GPU: a context, the launch hook, the topology (from the cache when the self-test agrees
 * with it, else measured and stored), and the self-test, which proves that masks are obeyed and
 * records written. One report a GPU goes into the pipe. It then exits without tearing down: what is
 * broken could hang there, and the kernel takes back everything.
 *
 * A GPU on which something fails is reported with the reason, and the others go on. Tested by
 * tests/integration/daemon_life.bats.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cache_dir.h"
#include "base/find/driver_find.h"
#include "base/options.h"
#include "daemon/gpus.h"
#include "hw/driver.h"
#include "hw/qmd_allow.h"
#include "hw/selftest.h"
#include "hw/tools_hook.h"
#include "hw/topo_cache.h"
#include "hw/topo_probe.h"

#if defined(__x86_64__)
#define TRIPLET "x86_64-linux-gnu"
#else
#define TRIPLET "aarch64-linux-gnu"
#endif

_Static_assert(sizeof(struct gpu_report) <= 4096, "written whole or not at all (PIPE_BUF)");

struct probe {
	int fd;
	struct options options;
	struct driver_ops ops;
	char driver[4096];
	char folder[OPTION_STR_MAX]; /* of the topology cache; empty: none */
};

static void send_report(const struct probe *probe, struct gpu_report *report)
{
	report->magic = GPU_REPORT_MAGIC;
	if (write(probe->fd, report, sizeof(*report)) != (ssize_t)sizeof(*report))
		_exit(1);
}

static int send_none(const struct probe *probe, const char *what, const char *detail)
{
	struct gpu_report report = {.kind = GPU_REPORT_NONE};

	(void)snprintf(report.text, sizeof(report.text), "%s%s%s", what, detail[0] ? ": " : "",
		       detail);
	send_report(probe, &report);
	return -ENODEV;
}

/* --- the driver ------------------------------------------------------------------------------- */

static int simulator_path(const struct probe *probe, char *ret_path, size_t size)
{
	static const char *const places[] = {"../lib/sim", "../lib/" TRIPLET "/sim", "../lib64/sim",
					     "/usr/lib/" TRIPLET "/sim"};
	char self[4000];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (probe->options.sim_libcuda[0]) {
		(void)snprintf(ret_path, size, "%s", probe->options.sim_libcuda);
		return 0;
	}
	self[length > 0 ? length : 0] = '\0';
	*(strrchr(self, '/') ? strrchr(self, '/') : self) = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int n = snprintf(ret_path, size, "%s%s%s/libcuda.so.1",
				 places[i][0] == '/' ? "" : self, places[i][0] == '/' ? "" : "/",
				 places[i]);

		if (n > 0 && (size_t)n < size && access(ret_path, R_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

static int find_driver(struct probe *probe)
{
	struct driver_find find = {.configured = probe->options.real_libcuda,
				   .search_path = options_environment("LD_LIBRARY_PATH")};

	if (probe->options.sim)
		return simulator_path(probe, probe->driver, sizeof(probe->driver));
	return driver_find(&find, probe->driver, sizeof(probe->driver));
}

static void *lookup(void *cookie, const char *symbol)
{
	return dlsym(cookie, symbol);
}

static int load_driver(struct probe *probe)
{
	const char *missing = "";
	void *library;
	int r = find_driver(probe);

	if (r < 0)
		return send_none(probe, "no CUDA driver", strerror(-r));
	library = dlopen(probe->driver, RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return send_none(probe, "no CUDA driver", dlerror());
	if (driver_ops_load(&probe->ops, lookup, library, &missing) < 0)
		return send_none(probe, "the driver is too old: it lacks", missing);
	return 0;
}

static const char *error_text(const struct probe *probe, CUresult result)
{
	const char *name = NULL;

	return probe->ops.error_name(result, &name) == CUDA_SUCCESS && name ? name : "?";
}

static int start_driver(struct probe *probe, int *ret_nr)
{
	CUresult result = probe->ops.init(0);

	if (result == CUDA_SUCCESS)
		result = probe->ops.device_count(ret_nr);
	if (result != CUDA_SUCCESS)
		return send_none(probe, "the driver does not start", error_text(probe, result));
	return *ret_nr > 0 ? 0 : send_none(probe, "the driver has no GPU", "");
}

/* --- one GPU ---------------------------------------------------------------------------------- */

static void on_launch(const struct qmd_event *event)
{
	(void)probe_hook_edit(event);
}

static int make_current(const struct probe *probe, int ordinal, CUdevice *ret_device)
{
	CUcontext context = NULL;

	if (probe->ops.device_get(ret_device, ordinal) ||
	    probe->ops.primary_retain(&context, *ret_device) || probe->ops.ctx_push(context))
		return -EIO;
	if (tools_hook_is_subscribed())
		return 0;
	return tools_hook_subscribe(probe->ops.export_table, on_launch);
}

static int recall(const struct probe *probe, CUdevice device, struct topology *topo)
{
	struct hw_selftest_report seen;
	struct topo_cache_key key = {0};
	int version = 0, sms = 0, r;
	CUuuid uuid;

	if (!probe->folder[0] || probe->ops.device_uuid(&uuid, device) ||
	    probe->ops.driver_version(&version) ||
	    probe->ops.device_attribute(&sms, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device))
		return -ENOENT;
	memcpy(key.uuid, uuid.bytes, sizeof(key.uuid));
	key.driver_version = (uint32_t)version;
	key.nr_sms = (uint32_t)sms;
	r = topo_cache_load(probe->folder, &key, topo);
	return r < 0 ? r : hw_selftest(&probe->ops, device, topo, &seen);
}

static int measure(const struct probe *probe, CUdevice device, struct topology *topo)
{
	struct hw_selftest_report seen;
	int r = topo_probe(&probe->ops, device, topo);

	if (r == 0)
		r = hw_selftest(&probe->ops, device, topo, &seen);
	if (r == 0 && probe->folder[0])
		(void)topo_cache_store(probe->folder, topo);
	return r;
}

static const char *reason_of(int r)
{
	switch (r) {
	case -EBUSY:
		return "another tool holds the launch hook";
	case -ENOSYS:
		return "this driver has no launch hook of the known form";
	case -ENOTSUP:
		return "its launch descriptors are of an unknown version";
	case -EUCLEAN:
		return "the topology probe or the self-test failed";
	default:
		return "a driver call failed";
	}
}

static void probe_gpu(const struct probe *probe, int ordinal)
{
	struct gpu_report report = {.kind = GPU_REPORT_GPU, .ordinal = (uint32_t)ordinal};
	CUcontext popped;
	CUdevice device = 0;
	int r = make_current(probe, ordinal, &device);

	if (r == 0) {
		(void)probe->ops.device_name(report.name, sizeof(report.name), device);
		r = recall(probe, device, &report.topology);
		if (r < 0)
			r = measure(probe, device, &report.topology);
		(void)probe->ops.ctx_pop(&popped);
	}
	report.error = r;
	(void)snprintf(report.text, sizeof(report.text), "%s", r < 0 ? reason_of(r) : "");
	send_report(probe, &report);
}

int gpus_probe_main(int fd)
{
	static struct probe probe;
	struct gpu_report end = {.kind = GPU_REPORT_END};
	char ignored[64];
	int nr = 0;

	probe.fd = fd;
	(void)options_read(&probe.options, ignored, sizeof(ignored));
	(void)qmd_allow_versions(probe.options.qmd_allow);
	if (cache_dir_choose(probe.options.cache_dir, probe.folder, sizeof(probe.folder)) < 0)
		probe.folder[0] = '\0';
	if (load_driver(&probe) < 0 || start_driver(&probe, &nr) < 0)
		return 1;
	for (int i = 0; i < nr; i++)
		probe_gpu(&probe, i);
	send_report(&probe, &end);
	return 0;
}
