/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables a kernel name is looked up in: those of a shared object, then the builtin ones.
 *
 * Names are compared as PTX gives them, without demangling. A kernel in no table still launches; it
 * takes SIM_DEFAULT_COST_NS a block and does nothing. Tested by tests/unit/sim_driver_kernels.c.
 */
#include "sim/kernel/registry.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

static const struct sim_kernel *loaded_kernels; /* written once, before the first lookup */

int registry_load(const char *path)
{
	void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!object)
		return -ENOENT;
	loaded_kernels = dlsym(object, "lithos_sim_kernels");
	if (loaded_kernels)
		return 0;
	(void)dlclose(object);
	return -ENOENT;
}

static const struct sim_kernel *find_in(const struct sim_kernel *table, const char *name)
{
	for (; table && table->name; table++) {
		if (!strcmp(table->name, name))
			return table;
	}
	return NULL;
}

const struct sim_kernel *registry_find(const char *name)
{
	const struct sim_kernel *kernel = find_in(loaded_kernels, name);

	return kernel ? kernel : find_in(builtin_kernels, name);
}
