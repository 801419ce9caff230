/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens when a program loads libcuda.so.1 and gets us.
 *
 * In order: read the options, find and open the driver, point every entry at it, and only then put
 * our functions in the entries that need them, if a quota or statistics were asked for. Whatever
 * goes wrong, the entries lead to the driver: the program runs as if lithos were not there, with
 * one line of log.
 *
 * The library is never unloaded (link option nodelete), because the driver holds pointers into it,
 * and a program that closes libcuda.so.1 expects no more of that than with NVIDIA's, which stays as
 * well.
 *
 * Tested by tests/programs/dlopens.c and tests/integration/shim_load.bats.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/find/driver_find.h"
#include "base/log.h"
#include "hw/qmd_allow.h"
#include "shim/link/unconfined.h"
#include "shim/slots.h"
#include "shim/tenant.h"

/* Owner of the ELF note that only shims have (entries.S). */
#define SHIM_NOTE_OWNER "lithos-shim"

extern void *entry_cuInit __attribute__((visibility("hidden")));

/* Without a driver there is no device; frameworks then say so and use the CPU. */
static CUresult init_without_driver(unsigned int flags)
{
	(void)flags;
	return CUDA_ERROR_NO_DEVICE;
}

static const char *own_path(void)
{
	Dl_info info;

	return dladdr(&tenant, &info) ? info.dli_fname : NULL;
}

/* `<our folder>/../sim/libcuda.so.1`, unless the option names another. */
static int simulator_path(char *ret_path, size_t size)
{
	const char *self = own_path();
	const char *slash = self ? strrchr(self, '/') : NULL;
	int n;

	if (tenant.options.sim_libcuda[0])
		n = snprintf(ret_path, size, "%s", tenant.options.sim_libcuda);
	else
		n = snprintf(ret_path, size, "%.*s/../sim/libcuda.so.1",
			     slash ? (int)(slash - self) : 1, slash ? self : ".");
	return n > 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}

static int driver_path(char *ret_path, size_t size)
{
	struct driver_find find = {
		.configured = tenant.options.real_libcuda,
		.self = own_path(),
		.search_path = options_environment("LD_LIBRARY_PATH"),
	};
	int err = tenant.options.sim ? simulator_path(ret_path, size)
				     : driver_find(&find, ret_path, size);

	/* Two shims, or one, that forward to each other would never come to an end. */
	if (!err && elf_has_note(ret_path, SHIM_NOTE_OWNER) == 1)
		err = -ELOOP;
	return err;
}

static const char *reason_of(int err)
{
	if (!err)
		return dlerror();
	return err == -ELOOP ? "it is a lithos shim itself" : strerror(-err);
}

static void *driver_open(void)
{
	char path[4096] = "";
	void *driver = NULL;
	int err = driver_path(path, sizeof(path));

	if (!err)
		driver = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!driver)
		log_line(NULL, LOG_ERROR, "msg=\"no CUDA driver\" path=\"%s\" reason=\"%s\"",
			 path[0] ? path : tenant.options.real_libcuda, reason_of(err));
	return driver;
}

static void options_load(void)
{
	char problem[OPTION_STR_MAX] = "";

	(void)options_read(&tenant.options, problem, sizeof(problem));
	log_set_level(log_level_from(tenant.options.log));
	if (problem[0])
		log_line(NULL, LOG_WARN, "msg=\"option ignored\" problem=\"%s\"", problem);
	if (qmd_allow_versions(tenant.options.qmd_allow))
		log_line(NULL, LOG_WARN,
			 "msg=\"unknown descriptor version\" LITHOS_QMD_ALLOW=\"%s\"",
			 tenant.options.qmd_allow);
}

static __attribute__((constructor)) void shim_load(void)
{
	void *driver;

	options_load();
	driver = driver_open();
	if (!driver) {
		entry_cuInit = (void *)init_without_driver;
		return;
	}
	slots_resolve(driver);
	slots_install_proc_address();
	if (tenant.options.disable || tenant.options.profile) {
		unconfined_by_choice(tenant.options.disable ? "LITHOS_DISABLE is set"
							    : "LITHOS_PROFILE is set");
		return;
	}
	if (!tenant_init())
		return;
	if (pthread_atfork(NULL, NULL, tenant_after_fork))
		return;
	slots_install_hooks();
}
