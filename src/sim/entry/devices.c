/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices: LITHOS_SIM_NR_GPUS of the chip that LITHOS_SIM_GPU names, those that are visible.
 *
 * Attributes are those of an H100 where a program may depend on them (devices.def); what is not in
 * the table reads as 0, which for capabilities means "no".
 */
#include "sim/driver/state.h"
#include "sim/entry/visible.h"

#include <stdio.h>
#include <string.h>

/* Of GPU 0; the others follow. */
#define PCI_BUS          0x3b
#define PCI_BUS_ID_BYTES sizeof("0000:3B:00.0")

struct attribute_row {
	CUdevice_attribute attribute;
	int value;
};

/* clang-format off */
static const struct attribute_row attribute_rows[] = {
#define ATTRIBUTE(name, value) {CU_DEVICE_ATTRIBUTE_##name, value},
#include "sim/entry/devices.def"
#undef ATTRIBUTE
};
/* clang-format on */

CUresult device_check_id(CUdevice id)
{
	return id >= 0 && (unsigned int)id < sim.nr_devices ? CUDA_SUCCESS
							    : CUDA_ERROR_INVALID_DEVICE;
}

/* For the calls that need no context: 0 with the lock held, or the error. */
static CUresult enter_device(CUdevice dev, const void *out)
{
	CUresult r = enter();

	if (r)
		return r;
	if (!out)
		return leave(CUDA_ERROR_INVALID_VALUE);
	r = device_check_id(dev);
	return r ? leave(r) : CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count)
{
	CUresult r = enter_device(0, count);

	if (r)
		return r;
	*count = (int)sim.nr_devices;
	return leave(CUDA_SUCCESS);
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
	CUresult r = enter_device(ordinal, device);

	if (r)
		return r;
	*device = ordinal;
	return leave(CUDA_SUCCESS);
}

CUresult cuDeviceGetName(char *name, int len, CUdevice dev)
{
	CUresult r = enter_device(dev, name);

	if (r)
		return r;
	if (len <= 0)
		return leave(CUDA_ERROR_INVALID_VALUE);
	(void)snprintf(name, (size_t)len, "%s", sim.chip.device_name);
	return leave(CUDA_SUCCESS);
}

CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice dev)
{
	CUresult r = enter_device(dev, uuid);

	if (r)
		return r;
	gpu_uuid(sim.gpu_of[dev], uuid);
	return leave(CUDA_SUCCESS);
}

CUresult cuDeviceGetLuid(char *luid, unsigned int *deviceNodeMask, CUdevice dev)
{
	CUresult r = enter_device(dev, luid);

	(void)deviceNodeMask;
	/* As on Linux in general. */
	return r ? r : leave(CUDA_ERROR_NOT_SUPPORTED);
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice dev)
{
	CUresult r = enter_device(dev, bytes);

	if (r)
		return r;
	*bytes = sim.chip.memory_bytes;
	return leave(CUDA_SUCCESS);
}

static int attribute_of_chip(CUdevice_attribute attrib, int *ret_value)
{
	switch ((int)attrib) {
	case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
		*ret_value = (int)sim.chip.nr_sms;
		return 1;
	case CU_DEVICE_ATTRIBUTE_CLOCK_RATE:
		*ret_value = (int)sim.chip.clock_khz;
		return 1;
	case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE:
		*ret_value = (int)sim.chip.memory_clock_khz;
		return 1;
	default:
		return 0;
	}
}

CUresult cuDeviceGetAttribute(int *pi, CUdevice_attribute attrib, CUdevice dev)
{
	CUresult r = enter_device(dev, pi);

	if (r)
		return r;
	if ((int)attrib <= 0 || attrib >= CU_DEVICE_ATTRIBUTE_MAX)
		return leave(CUDA_ERROR_INVALID_VALUE);
	*pi = 0;
	if (attribute_of_chip(attrib, pi))
		return leave(CUDA_SUCCESS);
	if (attrib == CU_DEVICE_ATTRIBUTE_PCI_BUS_ID) {
		*pi = PCI_BUS + (int)sim.gpu_of[dev];
		return leave(CUDA_SUCCESS);
	}
	for (size_t i = 0; i < sizeof(attribute_rows) / sizeof(attribute_rows[0]); i++) {
		if (attribute_rows[i].attribute == attrib)
			*pi = attribute_rows[i].value;
	}
	return leave(CUDA_SUCCESS);
}

CUresult cuDeviceGetPCIBusId(char *pciBusId, int len, CUdevice dev)
{
	CUresult r = enter_device(dev, pciBusId);

	if (r)
		return r;
	if (len < (int)PCI_BUS_ID_BYTES)
		return leave(CUDA_ERROR_INVALID_VALUE);
	(void)snprintf(pciBusId, (size_t)len, "0000:%02X:00.0", PCI_BUS + sim.gpu_of[dev]);
	return leave(CUDA_SUCCESS);
}

CUresult cuDeviceGetByPCIBusId(CUdevice *dev, const char *pciBusId)
{
	unsigned int domain = 0, bus = 0, slot = 0, function = 0;
	CUresult r = enter_device(0, dev);

	if (r)
		return r;
	if (!pciBusId)
		return leave(CUDA_ERROR_INVALID_VALUE);
	/* The domain and the function may be left out. */
	if (sscanf(pciBusId, "%x:%x:%x.%x", &domain, &bus, &slot, &function) < 3 &&
	    sscanf(pciBusId, "%x:%x.%x", &bus, &slot, &function) < 2)
		return leave(CUDA_ERROR_INVALID_VALUE);
	for (unsigned int i = 0; i < sim.nr_devices && !domain && !slot && !function; i++) {
		if (bus != PCI_BUS + sim.gpu_of[i])
			continue;
		*dev = (CUdevice)i;
		return leave(CUDA_SUCCESS);
	}
	return leave(CUDA_ERROR_INVALID_DEVICE);
}

CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice dev)
{
	CUresult r = enter_device(dev, major);

	if (r)
		return r;
	if (!minor)
		return leave(CUDA_ERROR_INVALID_VALUE);
	*major = 9;
	*minor = 0;
	return leave(CUDA_SUCCESS);
}

CUresult cuDeviceCanAccessPeer(int *canAccessPeer, CUdevice dev, CUdevice peerDev)
{
	CUresult r = enter_device(dev, canAccessPeer);

	if (r)
		return r;
	*canAccessPeer = 0;
	return leave(device_check_id(peerDev));
}
