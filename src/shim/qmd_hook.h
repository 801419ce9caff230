/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to a launch descriptor between the driver and the hardware.
 */
#ifndef LITHOS_SHIM_QMD_HOOK_H
#define LITHOS_SHIM_QMD_HOOK_H

#include "hw/tools_hook.h"

/* The callback of hw/tools_hook.h; any launching thread, synchronously. */
void qmd_hook(const struct qmd_event *event);

/* Name of a kernel, as the driver gives it; borrowed, NULL when it has none. */
const char *qmd_hook_kernel_name(CUfunction func);

#endif
