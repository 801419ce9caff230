/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tenant's GPUs: topology, quota, and whether launches on them may be touched.
 *
 * device_attach is called under the contexts' lock with a context of the device current; the other
 * functions may be called from any thread.
 */
#ifndef LITHOS_SHIM_DEVICE_H
#define LITHOS_SHIM_DEVICE_H

#include <stdint.h>

#include "shim/cuda_api.h"

struct device;

/* Parses the quota option. 1 a quota, 0 none, -EINVAL bad text (logged, and no quota then). */
int device_read_quota(const char *text);

/*
 * Attaches to the daemon if one was asked for; what fails is logged, and the device is as any
 * other. Before device_attach, under the contexts' lock.
 */
void device_link(CUdevice handle);

/*
 * The device, set up at first sight: topology from the cache or probed, self-test, quota. NULL when
 * its launches must be left alone; the reason is logged once.
 */
struct device *device_attach(CUdevice handle);

/* The launch hook cannot be had: the device's launches are left alone, and the program is told all
 * SMs. */
void device_leave_alone(CUdevice handle);

/* A device that was attached and is ready; NULL otherwise. */
struct device *device_ready(CUdevice handle);

/* SMs to report for a device that has `nr_sms`. */
uint32_t device_told_sms(CUdevice handle, uint32_t nr_sms);

#endif
