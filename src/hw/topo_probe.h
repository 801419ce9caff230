/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measuring a GPU's topology.
 *
 * The probe launches small kernels in the current context through the driver, with the launch hook
 * already subscribed (hw/tools_hook.h) by the caller, whose callback must call probe_hook_edit()
 * first.
 */
#ifndef LITHOS_HW_TOPO_PROBE_H
#define LITHOS_HW_TOPO_PROBE_H

#include <stdint.h>

#include <cuda.h>

struct driver_ops;
struct qmd_event;
struct topology;

/* 1: the event belongs to a probe of the calling thread and was edited; 0: somebody else's launch.
 */
int probe_hook_edit(const struct qmd_event *event);

/*
 * Probes the device of the current context. About 130 launches of 10 us each and one small module;
 * no mask is ever used that leaves fewer than all TPCs but one. Errors: -ENOSYS  the hook was not
 * called,        -ENOTSUP the descriptor version may not be used, -EUCLEAN what was seen
 * contradicts itself, also after three tries, -EIO     a driver call failed,           -ENOMEM.
 */
int topo_probe(const struct driver_ops *ops, CUdevice device, struct topology *ret_topo);

#endif
