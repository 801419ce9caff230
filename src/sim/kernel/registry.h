/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a kernel's C body by its name. Filled once at start-up; lookups are safe from any thread.
 */
#ifndef LITHOS_SIM_REGISTRY_H
#define LITHOS_SIM_REGISTRY_H

#include "sim/sim_kernel.h"

extern const struct sim_kernel builtin_kernels[];

/* Adds the kernels of a shared object; -ENOENT when it cannot be opened or has no table. */
int registry_load(const char *path);

/* NULL: no such kernel. Kernels of the shared object come before the builtin ones. */
const struct sim_kernel *registry_find(const char *name);

#endif
